import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { rootCertificates } from 'node:tls';
import { describe, expect, it } from 'vitest';
import {
  checkSettings,
  forgetSecrets,
  type Settings,
  SettingsError,
  settingsFromEnvironment,
} from '../../app/settings.ts';
import { givenFolder } from '../support/broker.ts';

const UPSTREAM_MCP_URL = 'https://mcp.example.com/my/mcp';
const SECRET = 'correct-horse-9f3b';

const read = (env: NodeJS.ProcessEnv, platform: NodeJS.Platform = 'linux') =>
  settingsFromEnvironment({ HOME: '/home/me', UPSTREAM_MCP_URL, ...env }, platform);

function faultsOf(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    return (error as SettingsError).faults;
  }
  throw new Error('there was no fault');
}

const DEFAULTS: Settings = {
  upstreamMcpUrl: UPSTREAM_MCP_URL,
  port: 5177,
  bind: '127.0.0.1',
  redirectPath: '/oauth/callback',
  keychainService: 'mcp-auth-proxy-refresh-token',
  clientId: 'mcp-auth-proxy',
  autoRegisterClient: true,
  stateDir: '/home/me/.local/state/mcp-auth-proxy',
  tokenStore: 'auto',
  allowedHosts: [],
  allowedOrigins: [],
  profile: 'default',
  loginWaitSeconds: 0,
  notAuthenticatedStatus: 200,
  requirePkceMetadata: true,
  upstreamTimeoutSeconds: 300,
  logLevel: 'info',
  publicBaseUrl: undefined,
  scopes: undefined,
  probePath: undefined,
  authorizationEndpoint: undefined,
  tokenEndpoint: undefined,
  issuer: undefined,
  clientSecret: undefined,
  clientMetadataUrl: undefined,
  tokenStoreKey: undefined,
  proxyApiKey: undefined,
  extraCaCerts: undefined,
  httpsProxy: undefined,
  noProxy: undefined,
};

describe('settingsFromEnvironment', () => {
  it('needs the upstream only; the rest has defaults', () => {
    expect(read({})).toEqual(DEFAULTS);
  });

  it('takes empty and blank variables for absent ones', () => {
    const variables = Object.keys(DEFAULTS).map((name) =>
      name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase(),
    );
    expect(variables).toContain('NOT_AUTHENTICATED_STATUS');
    for (const blank of ['', '  '])
      expect(
        read({ ...Object.fromEntries(variables.map((name) => [name, blank])), UPSTREAM_MCP_URL }),
      ).toEqual(DEFAULTS);
  });

  it('ignores variables of others', () => {
    expect(read({ SOMETHING: 'else', upstream_mcp_url: 'x', port: 'x' })).toEqual(DEFAULTS);
  });

  it.each<[variable: string, value: string, name: keyof Settings, expected: unknown]>([
    ['UPSTREAM_MCP_URL', ' https://h.example/mcp/ ', 'upstreamMcpUrl', 'https://h.example/mcp/'],
    ['UPSTREAM_MCP_URL', 'https://h.example', 'upstreamMcpUrl', 'https://h.example'],
    ['UPSTREAM_MCP_URL', 'https://h.example/mcp?key=a', 'upstreamMcpUrl', 'https://h.example/mcp?key=a'],
    ['UPSTREAM_MCP_URL', 'http://127.0.0.1:3000/mcp', 'upstreamMcpUrl', 'http://127.0.0.1:3000/mcp'],
    ['UPSTREAM_MCP_URL', 'http://[::1]:3000', 'upstreamMcpUrl', 'http://[::1]:3000'],
    ['UPSTREAM_MCP_URL', 'http://localhost/mcp', 'upstreamMcpUrl', 'http://localhost/mcp'],
    ['PORT', '0', 'port', 0],
    ['PORT', ' 65535 ', 'port', 65535],
    ['BIND', 'localhost', 'bind', '127.0.0.1'],
    ['BIND', '[::1]', 'bind', '::1'],
    ['BIND', '127.0.0.2', 'bind', '127.0.0.2'],
    [
      'PUBLIC_BASE_URL',
      'https://proxy.example.com/base/',
      'publicBaseUrl',
      'https://proxy.example.com/base/',
    ],
    ['REDIRECT_PATH', '/cb', 'redirectPath', '/cb'],
    ['REDIRECT_PATH', '/oauth/callback/', 'redirectPath', '/oauth/callback/'],
    ['KEYCHAIN_SERVICE', 'my service', 'keychainService', 'my service'],
    ['SCOPES', '  mcp:tools   a/b ', 'scopes', 'mcp:tools a/b'],
    ['PROBE_PATH', '/v1/sse', 'probePath', '/v1/sse'],
    ['PROBE_PATH', 'sse?x=1', 'probePath', 'sse?x=1'],
    ['ISSUER', 'https://as.example.com/', 'issuer', 'https://as.example.com/'],
    ['CLIENT_ID', 'c 1', 'clientId', 'c 1'],
    ['CLIENT_METADATA_URL', 'https://example.com/c.json', 'clientMetadataUrl', 'https://example.com/c.json'],
    ['AUTO_REGISTER_CLIENT', 'FALSE', 'autoRegisterClient', false],
    ['AUTO_REGISTER_CLIENT', 'no', 'autoRegisterClient', false],
    ['AUTO_REGISTER_CLIENT', ' off ', 'autoRegisterClient', false],
    ['AUTO_REGISTER_CLIENT', '0', 'autoRegisterClient', false],
    ['REQUIRE_PKCE_METADATA', '1', 'requirePkceMetadata', true],
    ['REQUIRE_PKCE_METADATA', 'Yes', 'requirePkceMetadata', true],
    ['REQUIRE_PKCE_METADATA', 'on', 'requirePkceMetadata', true],
    ['REQUIRE_PKCE_METADATA', 'false', 'requirePkceMetadata', false],
    ['STATE_DIR', '/var/lib/x', 'stateDir', '/var/lib/x'],
    ['STATE_DIR', 'here', 'stateDir', path.resolve('here')],
    ...['auto', 'keychain', 'secret-service', 'file', 'memory'].map(
      (kind) => ['TOKEN_STORE', kind, 'tokenStore', kind] as [string, string, keyof Settings, unknown],
    ),
    ['TOKEN_STORE_KEY', ' eight ch', 'tokenStoreKey', ' eight ch'],
    ['PROXY_API_KEY', 'k!~56789', 'proxyApiKey', 'k!~56789'],
    ['ALLOWED_HOSTS', 'A.example.com, b.example:8443,,', 'allowedHosts', ['a.example.com', 'b.example:8443']],
    ['ALLOWED_ORIGINS', 'https://a.example, http://b/', 'allowedOrigins', ['https://a.example', 'http://b']],
    ['PROFILE', 'work.2_a-b', 'profile', 'work.2_a-b'],
    ['LOGIN_WAIT_SECONDS', '600', 'loginWaitSeconds', 600],
    ['NOT_AUTHENTICATED_STATUS', '401', 'notAuthenticatedStatus', 401],
    ['NOT_AUTHENTICATED_STATUS', '200', 'notAuthenticatedStatus', 200],
    ['UPSTREAM_TIMEOUT_SECONDS', '0', 'upstreamTimeoutSeconds', 0],
    ['HTTPS_PROXY', 'http://me:pw@proxy.example:3128', 'httpsProxy', 'http://me:pw@proxy.example:3128'],
    ['https_proxy', 'http://proxy.example', 'httpsProxy', 'http://proxy.example'],
    ['NO_PROXY', '*', 'noProxy', '*'],
    ['no_proxy', '.example.com', 'noProxy', '.example.com'],
    ...['error', 'warn', 'info', 'debug'].map(
      (level) => ['LOG_LEVEL', level, 'logLevel', level] as [string, string, keyof Settings, unknown],
    ),
  ])('takes %s=%s', (variable, value, name, expected) => {
    expect(read({ [variable]: value })).toEqual({ ...DEFAULTS, [name]: expected });
  });

  it('takes a client with its secret, and endpoints with their issuer', () => {
    const settings = read({
      CLIENT_ID: 'c',
      CLIENT_SECRET: 'a b"c',
      AUTHORIZATION_ENDPOINT: 'https://as.example.com/a?x=1',
      TOKEN_ENDPOINT: 'http://localhost:9/t',
      ISSUER: 'https://as.example.com',
    });
    expect(settings).toMatchObject({
      clientSecret: 'a b"c',
      authorizationEndpoint: 'https://as.example.com/a?x=1',
      tokenEndpoint: 'http://localhost:9/t',
      issuer: 'https://as.example.com',
    });
  });

  it('takes another bind address together with a key', () => {
    for (const BIND of ['0.0.0.0', '::', '192.168.1.2', 'fe80::1%eth0'])
      expect(read({ BIND, PROXY_API_KEY: SECRET }).bind).toBe(BIND);
  });

  it('takes a file of certificates, and makes its path absolute', async () => {
    const file = path.join(await givenFolder(), 'ca.pem');
    await writeFile(file, `${rootCertificates[0]}\n${rootCertificates[1]}\n`);
    expect(read({ EXTRA_CA_CERTS: path.relative('', file) }).extraCaCerts).toBe(file);
  });

  it('keeps state where the operating system has it', () => {
    expect(read({}, 'darwin').stateDir).toBe('/home/me/Library/Application Support/mcp-auth-proxy');
    expect(read({ XDG_STATE_HOME: '/s' }).stateDir).toBe('/s/mcp-auth-proxy');
    expect(read({ HOME: undefined }).stateDir).toBe(path.join(homedir(), '.local/state/mcp-auth-proxy'));
  });

  it.each([
    [
      'UPSTREAM_MCP_URL',
      'mcp.example.com/mcp',
      'is not an absolute URL; write it like https://mcp.example.com/mcp',
    ],
    ['UPSTREAM_MCP_URL', 'http://mcp.example.com', 'must use https: (http: is allowed on loopback only)'],
    ['UPSTREAM_MCP_URL', 'http://192.168.1.2/mcp', 'must use https: (http: is allowed on loopback only)'],
    ['UPSTREAM_MCP_URL', 'ftp://mcp.example.com', 'must use https: (http: is allowed on loopback only)'],
    ['UPSTREAM_MCP_URL', 'javascript:alert(1)', 'must use https: (http: is allowed on loopback only)'],
    ['PORT', '65536', 'must be a whole number from 0 to 65535'],
    ['PORT', '-1', 'must be a whole number from 0 to 65535'],
    ['PORT', '80.5', 'must be a whole number from 0 to 65535'],
    ['PORT', '5177x', 'must be a whole number from 0 to 65535'],
    ['PORT', '0x50', 'must be a whole number from 0 to 65535'],
    ['BIND', 'proxy.example.com', 'must be an IP address such as 127.0.0.1 or ::1'],
    ['BIND', '127.0.0.1:5177', 'must be an IP address such as 127.0.0.1 or ::1'],
    ['PUBLIC_BASE_URL', 'http://proxy.example.com', 'must use https: (http: is allowed on loopback only)'],
    [
      'REDIRECT_PATH',
      'oauth/callback',
      'must be a path such as /oauth/callback (letters, digits, "-", ".", "_", "~", "/")',
    ],
    [
      'REDIRECT_PATH',
      '/cb*',
      'must be a path such as /oauth/callback (letters, digits, "-", ".", "_", "~", "/")',
    ],
    ['REDIRECT_PATH', '/a/../b', 'must not hold "." or ".." segments or "//"'],
    ['REDIRECT_PATH', '//b', 'must not hold "." or ".." segments or "//"'],
    ...['/', '/mcp', '/mcp/cb', '/.well-known/x', '/health', '/oauth/login', '/token'].map((value) => [
      'REDIRECT_PATH',
      value,
      'is a path with another meaning here; take one such as /oauth/callback',
    ]),
    ['KEYCHAIN_SERVICE', 'ü', 'must be 1 to 128 printable ASCII characters'],
    ['SCOPES', 'a "b"', 'must be scope names separated by spaces'],
    ['PROBE_PATH', '/a b', 'must be a path without spaces'],
    ['ISSUER', 'as.example.com', 'is not an absolute URL; write it like https://mcp.example.com/mcp'],
    ['CLIENT_ID', 'ü', 'must be printable ASCII'],
    ...['http://example.com/c.json', 'https://example.com', 'https://example.com/a/../c.json', 'c.json'].map(
      (value) => [
        'CLIENT_METADATA_URL',
        value,
        'must be an https: URL with a path, written in its plain form, e.g. https://example.com/mcp-auth-proxy.json',
      ],
    ),
    ['AUTO_REGISTER_CLIENT', 'maybe', 'must be true or false'],
    ['REQUIRE_PKCE_METADATA', '2', 'must be true or false'],
    ['TOKEN_STORE', 'vault', 'must be one of auto, keychain, secret-service, file, memory'],
    [
      'ALLOWED_HOSTS',
      'https://a.example',
      'must be host names such as proxy.example.com or proxy.example.com:8443, separated by commas',
    ],
    [
      'ALLOWED_HOSTS',
      'a.example/x',
      'must be host names such as proxy.example.com or proxy.example.com:8443, separated by commas',
    ],
    [
      'ALLOWED_ORIGINS',
      'app.example.com',
      'must be web origins such as https://app.example.com, separated by commas',
    ],
    [
      'ALLOWED_ORIGINS',
      'https://a.example/path',
      'must be web origins such as https://app.example.com, separated by commas',
    ],
    ['ALLOWED_ORIGINS', 'null', 'must be web origins such as https://app.example.com, separated by commas'],
    ['ALLOWED_ORIGINS', '*', 'must be web origins such as https://app.example.com, separated by commas'],
    ['PROFILE', 'a/b', 'must be 1 to 64 letters, digits, "-", "." or "_"'],
    ['LOGIN_WAIT_SECONDS', '601', 'must be a whole number from 0 to 600'],
    ['NOT_AUTHENTICATED_STATUS', '403', 'must be 200 or 401'],
    ['UPSTREAM_TIMEOUT_SECONDS', '90000', 'must be a whole number from 0 to 86400'],
    [
      'EXTRA_CA_CERTS',
      '/nowhere/ca.pem',
      'is not a readable PEM file of certificates; check the path and the file',
    ],
    ['HTTPS_PROXY', 'proxy.example:3128', 'must be a URL such as http://proxy.example.com:3128'],
    ['LOG_LEVEL', 'trace', 'must be one of error, warn, info, debug'],
  ])(
    'refuses %s=%s in one line that names the variable, the value and the cure',
    (variable, value, fault) => {
      expect(faultsOf(() => read({ [variable]: value }))).toEqual([
        `${variable} "${value.replace(/[^\x20-\x7e]/g, '?')}" ${fault}.`,
      ]);
    },
  );

  it('refuses a file that holds no certificate', async () => {
    const file = path.join(await givenFolder(), 'ca.pem');
    await writeFile(file, 'hello');
    expect(faultsOf(() => read({ EXTRA_CA_CERTS: file }))).toHaveLength(1);
  });

  it('says what to do when there is no upstream', () => {
    for (const env of [{}, { UPSTREAM_MCP_URL: ' ' }]) {
      expect(faultsOf(() => settingsFromEnvironment(env))).toEqual([
        'UPSTREAM_MCP_URL is not set; set it to the URL of the MCP server, e.g. UPSTREAM_MCP_URL=https://mcp.example.com/mcp.',
      ]);
    }
  });

  describe('never shows a secret', () => {
    it.each([
      ['CLIENT_SECRET', `${SECRET}\u00fc`],
      ['TOKEN_STORE_KEY', SECRET.slice(0, 7)],
      ['PROXY_API_KEY', `${SECRET} x`],
      ['PROXY_API_KEY', SECRET.slice(0, 7)],
      ['UPSTREAM_MCP_URL', `https://me:${SECRET}@mcp.example.com/mcp`],
      ['UPSTREAM_MCP_URL', `http://mcp.example.com/mcp?key=${SECRET}`],
      ['UPSTREAM_MCP_URL', `https://mcp.example.com/mcp#access_token=${SECRET}`],
      ['PUBLIC_BASE_URL', `https://proxy.example.com/?key=${SECRET}`],
      ['ISSUER', `https://${SECRET}@as.example.com`],
      ['HTTPS_PROXY', `me:${SECRET}@proxy.example.com:3128`],
      ['HTTPS_PROXY', `socks5://me:${SECRET}@proxy.example.com`],
      ['CLIENT_METADATA_URL', `https://me:${SECRET}@example.com/c.json`],
    ])('in a fault of %s', (variable, value) => {
      const faults = faultsOf(() =>
        read({ [variable]: value, ...(variable === 'CLIENT_SECRET' && { CLIENT_ID: 'c' }) }),
      );
      expect(faults).toHaveLength(1);
      expect(faults[0]).toMatch(new RegExp(`^${variable} .*must .+\\.$`));
      expect(faults[0]).not.toContain(SECRET.slice(0, 7));
    });
  });

  it('shows strange values in one short printable line', () => {
    const [fault] = faultsOf(() => read({ PROFILE: `a\nb\u001b[2J\u202e${'x'.repeat(500)}` }));
    expect(fault).toMatch(/^PROFILE "a\?b\?\[2J\?x+" must be [\x20-\x7e]+$/);
    expect(fault?.length).toBeLessThan(200);
  });

  it.each<[env: NodeJS.ProcessEnv, fault: string]>([
    [
      { AUTHORIZATION_ENDPOINT: 'https://as.example.com/a' },
      'AUTHORIZATION_ENDPOINT is set without TOKEN_ENDPOINT; set both, or neither to let discovery find them.',
    ],
    [
      { TOKEN_ENDPOINT: 'https://as.example.com/t' },
      'TOKEN_ENDPOINT is set without AUTHORIZATION_ENDPOINT; set both, or neither to let discovery find them.',
    ],
    [
      { CLIENT_SECRET: SECRET },
      'CLIENT_SECRET is set without CLIENT_ID; set the client ID the secret belongs to.',
    ],
    ...['0.0.0.0', '::', '192.168.1.2', '::ffff:10.0.0.1'].map(
      (BIND) =>
        [
          { BIND },
          'BIND is not a loopback address, so anyone on the network could use your login; set PROXY_API_KEY too, or bind to 127.0.0.1.',
        ] as [NodeJS.ProcessEnv, string],
    ),
  ])('refuses what does not go together: %j', (env, fault) => {
    expect(faultsOf(() => read(env))).toEqual([fault]);
  });

  it('tells every fault at once, one line each', () => {
    const faults = faultsOf(() =>
      read({
        UPSTREAM_MCP_URL: '',
        PORT: 'x',
        LOG_LEVEL: 'loud',
        CLIENT_SECRET: SECRET,
        TOKEN_ENDPOINT: 'https://as.example.com/t',
        BIND: '0.0.0.0',
      }),
    );
    expect(faults.map((fault) => fault.split(' ')[0])).toEqual([
      'UPSTREAM_MCP_URL',
      'PORT',
      'LOG_LEVEL',
      'TOKEN_ENDPOINT',
      'CLIENT_SECRET',
      'BIND',
    ]);
    expect(faults.join('')).not.toMatch(/\n/);
  });

  it('tells one fault per variable', () => {
    expect(faultsOf(() => read({ BIND: 'nowhere', PUBLIC_BASE_URL: 'http://a:b@h/?q#f' }))).toHaveLength(2);
  });
});

it('forgetSecrets takes the secrets out of an environment, and nothing else', () => {
  const others = { HOME: '/home/me', UPSTREAM_MCP_URL: 'https://mcp.example.com/mcp', CLIENT_ID: 'c' };
  const env = { ...others, CLIENT_SECRET: SECRET, TOKEN_STORE_KEY: SECRET, PROXY_API_KEY: SECRET };
  forgetSecrets(env);
  expect(env).toEqual(others);
});

describe('checkSettings', () => {
  const check = (input: Record<string, unknown>) =>
    checkSettings({ upstreamMcpUrl: UPSTREAM_MCP_URL, ...input }, { defaultStateDir: '/state' });

  it('takes camelCase names with values of their own types', () => {
    const settings = check({
      port: 6000,
      autoRegisterClient: false,
      allowedHosts: ['A.example'],
      allowedOrigins: ['https://a.example/'],
      notAuthenticatedStatus: 401,
      loginWaitSeconds: 20,
    });
    expect(settings).toEqual({
      ...DEFAULTS,
      stateDir: '/state',
      port: 6000,
      autoRegisterClient: false,
      allowedHosts: ['a.example'],
      allowedOrigins: ['https://a.example'],
      notAuthenticatedStatus: 401,
      loginWaitSeconds: 20,
    });
  });

  it('takes the text forms too', () => {
    expect(check({ port: '6000', autoRegisterClient: 'no', allowedHosts: 'a,b' })).toMatchObject({
      port: 6000,
      autoRegisterClient: false,
      allowedHosts: ['a', 'b'],
    });
  });

  it.each<[Record<string, unknown>, RegExp]>([
    [{ port: 1.5 }, /^port "1\.5" must be a whole number/],
    [{ port: Number.NaN }, /^port "NaN" must be/],
    [{ port: null }, /^port "null" must be/],
    [{ allowedHosts: [1] }, /^allowedHosts "1" must be host names/],
    [{ profile: {} }, /^profile ".*" must be text/],
    [{ upstreamMcpUrl: undefined }, /^upstreamMcpUrl is not set/],
    [{ clientId: 'c', clientSecret: { it: SECRET } }, /^clientSecret must be text\.$/],
    [{ tokenEndpoint: 'https://h/t' }, /^tokenEndpoint is set without authorizationEndpoint/],
  ])('names settings as the file does: %j', (input, fault) => {
    const faults = faultsOf(() => check(input));
    expect(faults).toEqual([expect.stringMatching(fault)]);
    expect(faults[0]).not.toContain(SECRET);
  });

  it('gives settings that nobody changes', () => {
    for (const settings of [check({}), check({ allowedHosts: ['a'] })]) {
      expect(Object.isFrozen(settings)).toBe(true);
      expect(Object.isFrozen(settings.allowedHosts)).toBe(true);
      expect(Object.isFrozen(settings.allowedOrigins)).toBe(true);
    }
  });
});
