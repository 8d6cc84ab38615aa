import { describe, expect, it } from 'vitest';
import {
  type ConfigurationOptions,
  configurationsOf,
  secretsOf,
} from '../../../../main/servers/configuration.ts';
import { DEFAULT_APP_SETTINGS } from '../../../../main/settings/document.ts';
import type { StoredServer } from '../../../../main/settings/server-settings.ts';

const UPSTREAM = 'https://mcp.example.com/mcp';
const SECRET = 'correct-horse-9f3b';

function stored(
  id: string,
  settings: Record<string, unknown>,
  more: Partial<StoredServer> = {},
): StoredServer {
  return { id, name: undefined, settings, unreadable: {}, isOpening: false, ...more };
}

const configure = (options: Partial<ConfigurationOptions>) =>
  configurationsOf({ settings: DEFAULT_APP_SETTINGS, servers: [], env: {}, stateDir: '/state', ...options });

describe('the servers of the settings file', () => {
  it('are checked, with what the app has for all of them', () => {
    const servers = [
      stored('a', { upstreamMcpUrl: UPSTREAM }),
      stored('b', { upstreamMcpUrl: UPSTREAM, profile: 'b', port: 6000, loginWaitSeconds: 3 }),
    ];
    const [a, b] = configure({ servers, settings: { ...DEFAULT_APP_SETTINGS, loginWaitSeconds: 45 } });
    expect(a).toMatchObject({ id: 'a', source: 'settings', fault: undefined, portClash: undefined });
    expect(a?.checked).toMatchObject({ port: 5177, loginWaitSeconds: 45, stateDir: '/state' });
    expect(b?.checked).toMatchObject({ port: 6000, loginWaitSeconds: 3 });
  });

  it('have faults of their own, in the words of the window', () => {
    const servers = [
      stored('a', { upstreamMcpUrl: 'ftp://example.com', port: 'x' }),
      stored('b', { upstreamMcpUrl: UPSTREAM, proxyApiKey: 7 }),
      stored('c', {}),
      stored('d', { upstreamMcpUrl: UPSTREAM }),
    ];
    expect(configure({ servers }).map(({ fault }) => fault)).toEqual([
      'URL of the MCP server "ftp://example.com" must use https: (http: is allowed on loopback only). Local port "x" must be a whole number from 0 to 65535.',
      'proxyApiKey must be text.',
      'Enter the URL of the MCP server, e.g. https://mcp.example.com/mcp.',
      // A server that cannot run holds nothing from another one.
      undefined,
    ]);
  });

  it('say which secret cannot be read, and what to do', () => {
    const unreadable = { clientSecret: 'Another build has encrypted it.' };
    const servers = [
      stored('a', { upstreamMcpUrl: UPSTREAM, clientId: 'me' }, { unreadable }),
      stored('b', { upstreamMcpUrl: UPSTREAM }, { unreadable: { proxyApiKey: 'It is locked.' } }),
    ];
    expect(configure({ servers }).map(({ fault }) => fault)).toEqual([
      'Client secret cannot be read; edit this server and enter it again. Another build has encrypted it.',
      'proxyApiKey cannot be read; write it into settings.json again. It is locked.',
    ]);
  });

  it('wait for their secrets', () => {
    const servers = [stored('a', { upstreamMcpUrl: UPSTREAM }, { isOpening: true })];
    expect(configure({ servers })).toMatchObject([{ checked: undefined, fault: undefined }]);
  });

  it('that have the same port or login run in the order of the file', () => {
    const servers = [
      stored('a', { upstreamMcpUrl: UPSTREAM }, { name: 'Craft' }),
      stored('b', { upstreamMcpUrl: UPSTREAM, profile: 'work', port: '5177' }),
      stored('c', { upstreamMcpUrl: 'https://MCP.example.com/mcp', port: 6000, profile: 'default' }),
      stored('d', { upstreamMcpUrl: UPSTREAM, profile: 'd', port: 0 }),
      stored('e', { upstreamMcpUrl: UPSTREAM, profile: 'e', port: 0 }),
    ];
    const [a, b, c, d, e] = configure({ servers });
    expect([a?.fault, a?.portClash]).toEqual([undefined, undefined]);
    expect(b?.portClash).toBe('Local port 5177 belongs to Craft; take another one.');
    expect(c?.fault).toBe('The same URL and profile belong to Craft; give this one another profile.');
    expect([d?.portClash, e?.portClash, e?.fault]).toEqual([undefined, undefined, undefined]);
  });
});

describe("the environment's server", () => {
  const servers = [stored('a', { upstreamMcpUrl: 'https://a.example.com/' })];

  it('is there when UPSTREAM_MCP_URL is set', () => {
    expect(configure({ env: { PORT: '6000' } })).toEqual([]);
    expect(configure({ env: { UPSTREAM_MCP_URL: ' ' } })).toEqual([]);
    const [server] = configure({ env: { UPSTREAM_MCP_URL: UPSTREAM, PORT: '6000', PROFILE: 'p' } });
    expect(server).toMatchObject({ id: 'environment', source: 'environment', name: undefined });
    expect(server?.checked).toMatchObject({
      port: 6000,
      profile: 'p',
      stateDir: '/state',
      loginWaitSeconds: 20,
    });
  });

  it('has its own wait and folder where they are set', () => {
    const env = { UPSTREAM_MCP_URL: UPSTREAM, LOGIN_WAIT_SECONDS: '0', STATE_DIR: '/elsewhere' };
    expect(configure({ env })[0]?.checked).toMatchObject({ loginWaitSeconds: 0, stateDir: '/elsewhere' });
  });

  it('takes no port from a configured server unless it is told to', () => {
    const env = { UPSTREAM_MCP_URL: UPSTREAM };
    expect(configure({ env, servers }).map(({ checked }) => checked?.port)).toEqual([5178, 5177]);
    expect(configure({ env })[0]?.checked?.port).toBe(5177);
    const [own, other] = configure({ env: { ...env, PORT: '5177' }, servers });
    expect([own?.checked?.port, own?.portClash]).toEqual([5177, undefined]);
    expect(other?.portClash).toBe(
      'Local port 5177 belongs to the server from the environment; take another one.',
    );
  });

  it('stands before a configured one with the same login', () => {
    const [, other] = configure({ env: { UPSTREAM_MCP_URL: 'https://a.example.com/' }, servers });
    expect(other?.fault).toMatch(/belong to the server from the environment/);
  });

  it('has a fault in the words of the environment when that is bad', () => {
    const env = { UPSTREAM_MCP_URL: 'http://example.com', PORT: 'many', CLIENT_SECRET: SECRET };
    const [server] = configure({ env });
    expect(server).toMatchObject({ source: 'environment', checked: undefined });
    expect(server?.fault).toMatch(
      /^UPSTREAM_MCP_URL "http:\/\/example.com" must use https: .* PORT "many" must/,
    );
    expect(server?.fault).not.toContain(SECRET);
  });
});

describe('secretsOf', () => {
  it('finds the secrets of all servers', () => {
    const servers = [
      stored('a', { upstreamMcpUrl: UPSTREAM, clientId: 'me', clientSecret: SECRET, port: 6000 }),
    ];
    const env = { UPSTREAM_MCP_URL: UPSTREAM, PROFILE: 'p', PROXY_API_KEY: 'some-api-key' };
    expect(secretsOf(configure({ servers, env }))).toEqual(['some-api-key', SECRET]);
  });
});
