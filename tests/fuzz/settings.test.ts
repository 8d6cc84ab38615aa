import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressClass, isLoopbackHost } from '../../app/address.ts';
import {
  checkSettings,
  SECRET_SETTINGS,
  type Settings,
  SettingsError,
  settingsFromEnvironment,
} from '../../app/settings.ts';
import { expectNoneOf, expectSentence, hostileJson, hostileText, runs } from '../support/fuzz.ts';

const KEY = 'k-4Tq9Zm2Xb7Wd';
/** Good values, and a bad one or two, of each variable. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  UPSTREAM_MCP_URL: [
    'https://mcp.example/mcp',
    'http://127.0.0.1:8080/mcp?key=1',
    'http://mcp.example',
    'mcp.example',
  ],
  PORT: ['0', '5177', ' 80 ', '65536', '-1', '1e3', '0x10'],
  BIND: ['127.0.0.1', '::1', '[::1]', '0.0.0.0', '192.168.1.5', 'localhost', '127.1'],
  PUBLIC_BASE_URL: ['https://proxy.example/', 'http://localhost:5177', 'https://proxy.example/?a'],
  REDIRECT_PATH: ['/oauth/callback', '/cb', '/mcp', '/../x', '//evil.example', '/oauth/login'],
  KEYCHAIN_SERVICE: ['service', 'a\nb'],
  SCOPES: ['mcp:tools  a', 'a"b'],
  PROBE_PATH: ['/probe', 'a b'],
  AUTHORIZATION_ENDPOINT: ['https://as.example/authorize', 'javascript:alert(1)'],
  TOKEN_ENDPOINT: ['https://as.example/token', 'https://user:word-7Fq2@as.example/token'],
  ISSUER: ['https://as.example', 'https://as.example/?x'],
  CLIENT_ID: ['client-1', 'mcp-auth-proxy'],
  CLIENT_SECRET: [KEY, `${KEY}\r\nx`],
  CLIENT_METADATA_URL: ['https://example.com/client.json', 'https://example.com'],
  AUTO_REGISTER_CLIENT: ['TRUE', 'off', 'maybe'],
  STATE_DIR: ['/var/lib/x', 'relative', '\0'],
  TOKEN_STORE: ['file', 'auto', 'floppy'],
  TOKEN_STORE_KEY: [KEY, 'short'],
  PROXY_API_KEY: [KEY, `${KEY} ${KEY}`, 'short'],
  ALLOWED_HOSTS: ['proxy.example,[::1]:80', 'a/b', 'user@host', ' , '],
  ALLOWED_ORIGINS: ['https://app.example', 'null', 'https://app.example/path', '*'],
  PROFILE: ['work', 'a/b'],
  LOGIN_WAIT_SECONDS: ['20', '601'],
  NOT_AUTHENTICATED_STATUS: ['401', '500'],
  UPSTREAM_TIMEOUT_SECONDS: ['0', '86401'],
  EXTRA_CA_CERTS: ['/dev/null', '/', '\0'],
  HTTPS_PROXY: ['http://proxy.example:3128', 'socks5://proxy.example'],
  LOG_LEVEL: ['debug', 'trace'],
};

const environment = fc
  .record(
    Object.fromEntries(
      Object.entries(VALUES).map(([name, values]) => [
        name,
        fc.oneof(
          { weight: 6, arbitrary: fc.constantFrom(...values) },
          { weight: 1, arbitrary: fc.oneof(hostileText, fc.constant(`${values[0]}\u0000`)) },
        ),
      ]),
    ),
    { requiredKeys: [] },
  )
  // A good environment has a handful of these; with all of them nothing would ever be accepted.
  .chain((all) => fc.subarray(Object.keys(all), { maxLength: 6 }).map((names) => ({ all, names })))
  .map(({ all, names }) => ({
    ...Object.fromEntries(names.map((name) => [name, all[name]])),
    UPSTREAM_MCP_URL: all.UPSTREAM_MCP_URL ?? 'https://mcp.example/mcp',
  }));

function expectSound(settings: Settings): void {
  expect(Object.isFrozen(settings)).toBe(true);
  const { upstreamMcpUrl, authorizationEndpoint, tokenEndpoint, issuer, port, bind, redirectPath } = settings;
  for (const url of [upstreamMcpUrl, authorizationEndpoint, tokenEndpoint, issuer]) {
    if (url === undefined) continue;
    const { protocol, hostname, username, password } = new URL(url);
    expect(protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname))).toBe(true);
    expect(username + password).toBe('');
  }
  expect(authorizationEndpoint === undefined).toBe(tokenEndpoint === undefined);
  expect(Number.isInteger(port) && port >= 0 && port <= 65_535).toBe(true);
  if (addressClass(bind) !== 'loopback') expect(settings.proxyApiKey?.length).toBeGreaterThanOrEqual(8);
  expect(redirectPath).toMatch(/^\/(?!\/)[\w.~/-]*$/);
  for (const origin of settings.allowedOrigins) expect(new URL(origin).origin).toBe(origin);
  for (const host of settings.allowedHosts) expect(host).not.toMatch(/[\s/@?#]/);
}

function expectFaults(error: unknown): void {
  expect(error).toBeInstanceOf(SettingsError);
  const { faults, cause } = error as SettingsError;
  expect(cause).toBeUndefined();
  expect(faults.length).toBeGreaterThan(0);
  for (const fault of faults) expectSentence(fault);
}

describe('settings of any content', () => {
  it('from the environment are sound, or refused in sentences without a secret', () => {
    let accepted = 0;
    fc.assert(
      fc.property(environment, (env) => {
        try {
          const settings = settingsFromEnvironment(env, 'linux');
          accepted++;
          expectSound(settings);
          expect(checkSettings(settings, { defaultStateDir: '/' })).toEqual(settings);
        } catch (error) {
          expectFaults(error);
          expectNoneOf([KEY, 'word-7Fq2'], error);
        }
      }),
      runs(3_000),
    );
    expect(accepted).toBeGreaterThan(200);
  });

  it('from a file are sound, or refused, whatever the kind of each value is', () => {
    const names = Object.keys(settingsFromEnvironment({ UPSTREAM_MCP_URL: 'https://mcp.example' }));
    const members = fc.dictionary(
      fc.oneof(fc.constantFrom(...names, '__proto__', 'toString'), hostileText),
      fc.oneof(hostileJson, fc.constant(KEY)),
      { maxKeys: 5 },
    );
    fc.assert(
      fc.property(members, (given) => {
        const input = { upstreamMcpUrl: 'https://mcp.example/mcp', ...given };
        try {
          expectSound(checkSettings(input, { defaultStateDir: '/' }));
        } catch (error) {
          expectFaults(error);
          const secrets = SECRET_SETTINGS.filter((name) => given[name] === KEY);
          if (
            secrets.length > 0 &&
            Object.values(given).filter((value) => value === KEY).length === secrets.length
          )
            expectNoneOf([KEY], error);
        }
      }),
      runs(2_000),
    );
  });
});
