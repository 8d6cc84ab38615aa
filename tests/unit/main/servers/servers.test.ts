import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Broker } from '../../../../app/broker.ts';
import { accountOf } from '../../../../app/oauth/login-record.ts';
import type { Settings } from '../../../../app/settings.ts';
import { createMemoryStore } from '../../../../app/store/memory.ts';
import { type SecretStore, SecretStoreError } from '../../../../app/store/secret-store.ts';
import { configurationsOf } from '../../../../main/servers/configuration.ts';
import { findFreePort } from '../../../../main/servers/free-port.ts';
import { Servers } from '../../../../main/servers/servers.ts';
import { DEFAULT_APP_SETTINGS } from '../../../../main/settings/document.ts';
import type { StoredServer } from '../../../../main/settings/server-settings.ts';
import type { AppSettings, CallView, ServerView } from '../../../../main/view.ts';
import { callTool, givenClient, givenUpstream, logIn, RecordingLog, rpc } from '../../../support/broker.ts';
import { answering, onPath } from '../../../support/login.ts';

let log: RecordingLog;
let store: SecretStore;
/** Every broker that was made, in order. */
let made: Broker[];
beforeEach(() => {
  log = new RecordingLog();
  store = createMemoryStore();
  made = [];
});

function givenServers(createBroker = (settings: Settings) => new Broker({ settings, log, store })): Servers {
  const servers = new Servers({
    log,
    createBroker: (settings) => {
      const broker = createBroker(settings);
      made.push(broker);
      return broker;
    },
  });
  onTestFinished(() => servers.close());
  return servers;
}

function stored(id: string, upstreamMcpUrl: string, settings: Record<string, unknown> = {}): StoredServer {
  return {
    id,
    name: undefined,
    settings: { upstreamMcpUrl, port: 0, profile: id, ...settings },
    unreadable: {},
    isOpening: false,
  };
}

const named = (server: StoredServer, name: string): StoredServer => ({ ...server, name });

function configured(servers: readonly StoredServer[], settings: AppSettings = DEFAULT_APP_SETTINGS) {
  return configurationsOf({ servers, settings, env: {}, stateDir: '/state' });
}

function viewOf(servers: Servers, id: string): ServerView {
  const view = servers.views.find((one) => one.id === id);
  if (!view) throw new Error(`there is no server ${id}`);
  return view;
}

function brokerOf(servers: Servers, id: string): Broker {
  const broker = servers.brokerOf(id);
  if (!broker) throw new Error(`there is no broker ${id}`);
  return broker;
}

/** Waits until a server's view is as wanted. */
async function until(
  servers: Servers,
  id: string,
  wanted: (view: ServerView) => boolean,
): Promise<ServerView> {
  while (!wanted(viewOf(servers, id))) await once(servers, 'change');
  return viewOf(servers, id);
}

/** A port that is taken by somebody else until the test ends or `free` is called. */
async function givenTakenPort(): Promise<{ port: number; free: () => Promise<void> }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const free = () => new Promise<void>((resolve) => void server.close(() => resolve()));
  onTestFinished(free);
  return { port: (server.address() as AddressInfo).port, free };
}

const answers = async (url: string) => (await fetch(new URL('/health', url))).status;
// Nothing answers there: what these tests are about happens on this side of it.
const NOBODY_THERE = 'http://127.0.0.1:9/mcp';

describe('Servers', () => {
  it('runs a broker for each server, side by side', async () => {
    const servers = givenServers();
    const applied = servers.apply(configured([stored('a', NOBODY_THERE), stored('b', NOBODY_THERE)]));
    expect(servers.views).toMatchObject([
      { id: 'a', state: 'starting', name: '127.0.0.1:9 (a)', upstream: NOBODY_THERE, host: '127.0.0.1:9' },
      { id: 'b', state: 'starting', fault: undefined },
    ]);
    expect(servers.brokerOf('a')).toBeUndefined();
    await applied;
    for (const { mcpUrl, state, port, store: shown } of servers.views) {
      expect(await answers(mcpUrl)).toBe(200);
      expect(new URL(mcpUrl).port).toBe(String(port));
      expect([state, shown?.kind]).toEqual(['logged_out', 'memory']);
    }
    expect(servers.brokerOf('c')).toBeUndefined();
  });

  it('shows a login from its beginning to its end', async () => {
    const upstream = await givenUpstream();
    const servers = givenServers();
    const loggedIn: string[] = [];
    const states: string[] = [];
    servers.on('logged_in', (id) => loggedIn.push(id));
    servers.on('change', () => states.push(viewOf(servers, 'a').state));
    await servers.apply(configured([stored('a', upstream.mcpUrl)]));
    const before = servers.views;
    await logIn(brokerOf(servers, 'a'));
    const view = await until(servers, 'a', ({ state }) => state === 'authenticated');
    expect(view).toMatchObject({ issuer: upstream.issuer, refreshTokenPresent: true, lastError: undefined });
    expect(view.scopes.length).toBeGreaterThan(0);
    expect(view.accessTokenExpiresAt).toBeGreaterThan(Date.now());
    expect(before).toMatchObject([{ state: 'logged_out' }]);
    expect(loggedIn).toEqual(['a']);

    await brokerOf(servers, 'a').logout();
    await until(servers, 'a', ({ state }) => state === 'logged_out');
    expect(states.filter((state, at) => state !== states[at - 1])).toEqual([
      'starting',
      'logged_out',
      'logging_in',
      'authenticated',
      'logged_out',
    ]);
    expect(loggedIn).toEqual(['a']);
  });

  it('ends all logins and all servers when everything is reset, and says what became of each', async () => {
    const upstream = await givenUpstream();
    const deaf = await givenUpstream({
      authorizationServer: {
        respond: onPath('/revoke', answering(503, '')),
      },
    });
    const locked: SecretStore = {
      ...createMemoryStore(),
      delete: async () => {
        throw new SecretStoreError('locked', 'The keyring is locked.');
      },
    };
    const servers = givenServers(
      (settings) => new Broker({ settings, log, store: settings.profile === 'locked' ? locked : store }),
    );
    const { port } = await givenTakenPort();
    await servers.apply(
      configured([
        named(stored('in', upstream.mcpUrl), 'Logged in'),
        named(stored('out', upstream.mcpUrl), 'Logged out'),
        named(stored('deaf', deaf.mcpUrl), 'Deaf'),
        named(stored('locked', upstream.mcpUrl), 'Locked'),
        named(stored('taken', upstream.mcpUrl, { port }), 'No port'),
        named(stored('wrong', upstream.mcpUrl, { port: 'x' }), 'Wrong'),
        named(stored('twice', upstream.mcpUrl, { profile: 'in' }), 'The same login'),
      ]),
    );
    for (const id of ['in', 'deaf']) await logIn(brokerOf(servers, id));
    const { mcpUrl } = viewOf(servers, 'in');
    const revoked = upstream.authorizationServer.requests.next(({ path }) => path === '/revoke');
    const farewells = await servers.forget();
    await revoked;
    expect([...farewells].sort((a, b) => a.name.localeCompare(b.name))).toEqual([
      { name: 'Deaf', outcome: 'failed' },
      { name: 'Locked', outcome: 'still_stored', reason: 'The keyring is locked.' },
      { name: 'Logged in', outcome: 'revoked' },
      { name: 'Logged out', outcome: 'nothing_to_revoke' },
      { name: 'No port', outcome: 'nothing_to_revoke' },
      { name: 'Wrong', outcome: 'misconfigured' },
    ]);
    for (const profile of ['in', 'deaf']) {
      const url = profile === 'in' ? upstream.mcpUrl : deaf.mcpUrl;
      expect(await store.get(accountOf(url, profile))).toBeUndefined();
    }
    await expect(fetch(mcpUrl)).rejects.toThrow();
    await servers.apply(configured([stored('in', upstream.mcpUrl)]));
    await expect(fetch(mcpUrl)).rejects.toThrow();
  });

  it('says nothing when nothing is different', async () => {
    const upstream = await givenUpstream();
    const servers = givenServers();
    await servers.apply(configured([stored('a', upstream.mcpUrl)]));
    const { views } = servers;
    let changes = 0;
    servers.on('change', () => changes++);
    const broker = brokerOf(servers, 'a');
    for (let count = 0; count < 5; count++) broker.emit('state');
    await broker.status();
    await servers.apply(configured([stored('a', upstream.mcpUrl)]));
    expect([changes, made.length, servers.views === views]).toEqual([0, 1, true]);
  });

  it('tells of calls, numbered over all servers, and of calls that need a login', async () => {
    const upstream = await givenUpstream();
    const servers = givenServers();
    const calls: CallView[] = [];
    const needed: string[] = [];
    servers.on('call', (call) => calls.push(call));
    servers.on('login_needed', (id) => needed.push(id));
    const none = { ...DEFAULT_APP_SETTINGS, loginWaitSeconds: 0 };
    await servers.apply(configured([stored('a', upstream.mcpUrl), stored('b', upstream.mcpUrl)], none));
    for (const id of ['a', 'b']) {
      const told = once(servers, 'call');
      await (await fetch(viewOf(servers, id).mcpUrl, rpc('tools/list'))).text();
      await told;
    }
    expect(calls).toMatchObject([
      {
        number: 1,
        serverId: 'a',
        method: 'POST',
        rpc: 'tools/list',
        status: 200,
        refusal: 'not_authenticated',
      },
      { number: 2, serverId: 'b' },
    ]);
    expect(servers.recentCalls).toEqual(calls);
    expect(needed).toEqual(['a', 'b']);
  });

  it('tells that a login is needed once its view says what for', async () => {
    const upstream = await givenUpstream();
    const servers = givenServers();
    await servers.apply(configured([stored('a', upstream.mcpUrl)]));
    await logIn(brokerOf(servers, 'a'));
    await until(servers, 'a', ({ state }) => state === 'authenticated');
    expect(viewOf(servers, 'a').wantsMoreAccess).toBe(false);
    upstream.mcpServer.behaviour.requiredScopes = ['mcp:resources'];
    const told = once(servers, 'login_needed').then(() => viewOf(servers, 'a'));
    await (await fetch(viewOf(servers, 'a').mcpUrl, rpc('tools/list'))).text();
    expect(await told).toMatchObject({
      state: 'authenticated',
      wantsMoreAccess: true,
      reason: expect.stringContaining('(mcp:resources)'),
    });
  });

  it('keeps the brokers of servers that stay, ends those of servers that go', async () => {
    const servers = givenServers();
    const [a, b, c] = [stored('a', NOBODY_THERE), stored('b', NOBODY_THERE), stored('c', NOBODY_THERE)];
    await servers.apply(configured([a, b]));
    const [first, second] = [brokerOf(servers, 'a'), brokerOf(servers, 'b')];
    await servers.apply(configured([c, a]));
    expect(servers.views.map(({ id }) => id)).toEqual(['c', 'a']);
    expect(servers.brokerOf('a')).toBe(first);
    await expect(answers(second.mcpUrl)).rejects.toThrow();
  });

  it('starts nothing anew for a name or a log level', async () => {
    const servers = givenServers();
    const server = stored('a', NOBODY_THERE);
    await servers.apply(configured([server]));
    const broker = brokerOf(servers, 'a');
    const debug: AppSettings = { ...DEFAULT_APP_SETTINGS, logLevel: 'debug', loginWay: 'browser' };
    await servers.apply(configured([named(server, 'Craft')], debug));
    expect([viewOf(servers, 'a').name, servers.brokerOf('a') === broker]).toEqual(['Craft', true]);
    await servers.apply(configured([server]));
    expect(viewOf(servers, 'a').name).toBe('127.0.0.1:9 (a)');
  });

  it('starts a server with other settings anew, on the same port and with its login', async () => {
    const upstream = await givenUpstream();
    const port = (await findFreePort(20_000)) ?? 0;
    const servers = givenServers();
    await servers.apply(configured([stored('a', upstream.mcpUrl, { port })]));
    const broker = brokerOf(servers, 'a');
    await logIn(broker);
    await servers.apply(configured([stored('a', upstream.mcpUrl, { port, upstreamTimeoutSeconds: 7 })]));
    expect(servers.brokerOf('a')).not.toBe(broker);
    expect(viewOf(servers, 'a')).toMatchObject({ state: 'authenticated', port, fault: undefined });
    // Under another name, so that no connection is taken that the login has left open to the former broker.
    const client = await givenClient(viewOf(servers, 'a').mcpUrl.replace('127.0.0.1', 'localhost'));
    expect(await callTool(client, 'echo', { text: 'hello' })).toBe('hello');
  });

  it('lets servers swap their ports', async () => {
    const port = (await findFreePort(21_000)) ?? 0;
    const other = (await findFreePort(port + 1)) ?? 0;
    const servers = givenServers();
    const at = (a: number, b: number) =>
      configured([stored('a', NOBODY_THERE, { port: a }), stored('b', NOBODY_THERE, { port: b })]);
    await servers.apply(at(port, other));
    await servers.apply(at(other, port));
    expect(servers.views.map((view) => [view.port, view.fault])).toEqual([
      [other, undefined],
      [port, undefined],
    ]);
  });

  it('ends up as it was told last, however quickly it is told', async () => {
    const servers = givenServers();
    const steps = Array.from({ length: 6 }, (_, step) =>
      servers.apply(
        configured([
          stored('a', NOBODY_THERE, { upstreamTimeoutSeconds: step }),
          ...(step % 2 ? [stored('b', NOBODY_THERE)] : []),
        ]),
      ),
    );
    await Promise.all(steps);
    expect(servers.views).toMatchObject([{ id: 'a', state: 'logged_out' }, { id: 'b' }]);
    expect(brokerOf(servers, 'a').settings.upstreamTimeoutSeconds).toBe(5);
    const listening = await Promise.allSettled(made.map((broker) => answers(broker.mcpUrl)));
    expect(listening.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
  });

  it('waits for a server whose secrets are being opened', async () => {
    const servers = givenServers();
    const server = stored('a', NOBODY_THERE, { clientId: 'me' });
    await servers.apply(configured([{ ...server, isOpening: true }]));
    expect(viewOf(servers, 'a')).toMatchObject({ state: 'starting', fault: undefined });
    await servers.apply(configured([server]));
    expect(viewOf(servers, 'a').state).toBe('logged_out');
  });
});

describe('a server that cannot be started', () => {
  it('has a port that is taken: a free one is proposed, and others run', async () => {
    const { port } = await givenTakenPort();
    const servers = givenServers();
    await servers.apply(
      configured([
        stored('a', NOBODY_THERE, { port }),
        stored('b', NOBODY_THERE, { port: port + 1 }),
        stored('c', NOBODY_THERE),
      ]),
    );
    const { fault, ...view } = viewOf(servers, 'a');
    expect(view).toMatchObject({ state: 'failed', port, mcpUrl: `http://127.0.0.1:${port}/mcp` });
    expect(fault).toMatchObject({
      kind: 'port_taken',
      message: `Port ${port} is taken by another program; end that, or take another port.`,
    });
    expect(view.reason).toBe(fault?.message);
    const freePort = fault?.kind === 'port_taken' ? fault.freePort : undefined;
    expect(freePort).toBeGreaterThan(port + 1);
    expect(servers.brokerOf('a')).toBeUndefined();
    expect(viewOf(servers, 'c').state).toBe('logged_out');

    await servers.apply(configured([stored('a', NOBODY_THERE, { port: freePort })]));
    expect(viewOf(servers, 'a')).toMatchObject({ state: 'logged_out', fault: undefined, port: freePort });
  });

  it('can be tried again', async () => {
    const { port, free } = await givenTakenPort();
    const servers = givenServers();
    await servers.apply(configured([stored('a', NOBODY_THERE, { port })]));
    await servers.restart('a');
    expect(viewOf(servers, 'a').fault?.kind).toBe('port_taken');
    await free();
    await servers.restart('a');
    expect(viewOf(servers, 'a')).toMatchObject({ state: 'logged_out', fault: undefined, port });
    await servers.restart('nobody');
  });

  it('has the port of another server, until that is gone', async () => {
    const port = (await findFreePort(22_000)) ?? 0;
    const servers = givenServers();
    const [a, b] = [stored('a', NOBODY_THERE, { port }), stored('b', NOBODY_THERE, { port })];
    await servers.apply(configured([named(a, 'Craft'), b]));
    expect(viewOf(servers, 'b').fault).toMatchObject({
      kind: 'port_taken',
      message: `Local port ${port} belongs to Craft; take another one.`,
      freePort: expect.any(Number),
    });
    await servers.apply(configured([b]));
    expect(viewOf(servers, 'b')).toMatchObject({ state: 'logged_out', port, fault: undefined });
  });

  it('has bad settings', async () => {
    const servers = givenServers();
    await servers.apply(
      configured([stored('a', 'ftp://user:secret@example.com/x?key=secret', { port: 'x' })]),
    );
    expect(viewOf(servers, 'a')).toMatchObject({
      state: 'failed',
      name: 'example.com (a)',
      upstream: 'ftp://example.com/x',
      port: 0,
      fault: { kind: 'settings', message: expect.stringContaining('must use https:') },
    });
    expect(JSON.stringify(servers.views) + log.text).not.toContain('secret');
    expect(made).toEqual([]);
  });

  it('is to listen on an address that is not of this machine', async () => {
    const servers = givenServers();
    const server = stored('a', NOBODY_THERE, { bind: '192.0.2.1', proxyApiKey: 'some-api-key' });
    await servers.apply(configured([server]));
    expect(viewOf(servers, 'a').fault).toEqual({
      kind: 'start',
      message:
        '"bind": "192.0.2.1" is not an address of this machine; set it to one that is, or to 127.0.0.1.',
    });
  });

  it('has no store, or a reason nobody knows', async () => {
    const servers = givenServers((settings) => {
      if (settings.profile === 'b') throw new Error('out of luck');
      return new Broker({ settings, log });
    });
    const keychain = stored('a', NOBODY_THERE, { tokenStore: 'keychain', keychainService: 'x' });
    await servers.apply(configured([keychain, stored('b', NOBODY_THERE)]));
    const isMac = process.platform === 'darwin';
    if (!isMac) {
      expect(viewOf(servers, 'a').fault).toMatchObject({
        kind: 'start',
        message: expect.stringContaining('TOKEN_STORE'),
      });
    }
    expect(viewOf(servers, 'b').fault).toEqual({
      kind: 'start',
      message: 'It could not be started for an unknown reason; look at the log.',
    });
    expect(log.text).toContain('out of luck');
  });
});

describe('a server whose store lets it wait', () => {
  it('is starting meanwhile, keeps no other from it, and can be ended', async () => {
    let answer = () => {};
    const prompt = new Promise<void>((resolve) => {
      answer = resolve;
    });
    onTestFinished(() => answer());
    const slow: SecretStore = { ...store, get: (account) => prompt.then(() => store.get(account)) };
    const servers = givenServers(
      (settings) => new Broker({ settings, log, store: settings.profile === 'a' ? slow : store }),
    );
    const [a, b] = [stored('a', NOBODY_THERE), stored('b', NOBODY_THERE)];
    const first = servers.apply(configured([a, b]));
    await until(servers, 'b', ({ state }) => state === 'logged_out');
    expect(viewOf(servers, 'a').state).toBe('starting');
    expect(servers.brokerOf('a')).toBeDefined();
    await servers.apply(configured([b]));
    expect(servers.views).toMatchObject([{ id: 'b', state: 'logged_out' }]);
    answer();
    await first;
    expect(servers.views).toHaveLength(1);
  });
});

describe('a login without a refresh token', () => {
  it('is shown as ended when its access token has ended', async () => {
    const upstream = await givenUpstream({
      authorizationServer: { issueRefreshTokens: false, accessTokenSeconds: 1 },
    });
    const servers = givenServers();
    await servers.apply(configured([stored('a', upstream.mcpUrl)]));
    await logIn(brokerOf(servers, 'a'));
    await until(servers, 'a', ({ state }) => state === 'authenticated');
    await until(servers, 'a', ({ state }) => state === 'login_required');
  });
});

describe('a server that is removed', () => {
  it('is logged out, and gone at once', async () => {
    const upstream = await givenUpstream();
    const servers = givenServers();
    const wanted = configured([stored('a', upstream.mcpUrl), stored('b', upstream.mcpUrl)]);
    await servers.apply(wanted);
    for (const id of ['a', 'b']) await logIn(brokerOf(servers, id));
    const { mcpUrl } = viewOf(servers, 'a');
    const removed = servers.remove('a');
    expect(servers.views.map(({ id }) => id)).toEqual(['b']);
    await servers.apply(wanted);
    expect(servers.views.map(({ id }) => id)).toEqual(['b']);
    await removed;
    await expect(answers(mcpUrl)).rejects.toThrow();
    const { entries } = upstream.authorizationServer.requests;
    expect(entries.filter(({ path }) => path.includes('revo')).length).toBeGreaterThan(0);
    expect(viewOf(servers, 'b').state).toBe('authenticated');

    await servers.apply(configured([stored('b', upstream.mcpUrl)]));
    await servers.apply(wanted);
    expect(viewOf(servers, 'a').state).toBe('logged_out');
  });

  it('or has another URL is logged out of the former one, whose login nothing could end any more', async () => {
    const upstream = await givenUpstream();
    const servers = givenServers();
    await servers.apply(configured([stored('a', upstream.mcpUrl), stored('b', upstream.mcpServer.jsonUrl)]));
    for (const id of ['a', 'b']) await logIn(brokerOf(servers, id));
    const revocations = () =>
      upstream.authorizationServer.requests.entries.filter(({ path }) => path.includes('revo')).length;

    await servers.apply(
      configured([
        stored('a', upstream.mcpUrl, { scopes: 'mcp:tools' }),
        stored('b', upstream.mcpServer.jsonUrl),
      ]),
    );
    expect(revocations()).toBe(0);
    await servers.apply(
      configured([
        stored('a', upstream.mcpUrl, { profile: 'other' }),
        stored('b', upstream.mcpServer.jsonUrl),
      ]),
    );
    const once = revocations();
    expect(once).toBeGreaterThan(0);
    await servers.apply(configured([stored('a', upstream.mcpUrl, { profile: 'other' })]));
    expect(revocations()).toBeGreaterThan(once);

    await servers.apply(configured([stored('a', upstream.mcpUrl), stored('b', upstream.mcpServer.jsonUrl)]));
    expect(servers.views.map(({ state }) => state)).toEqual(['logged_out', 'logged_out']);
  });

  it('is logged out even if it could not be started', async () => {
    const upstream = await givenUpstream();
    const { port } = await givenTakenPort();
    const servers = givenServers();
    await servers.apply(configured([stored('a', upstream.mcpUrl)]));
    await logIn(brokerOf(servers, 'a'));
    await servers.apply(configured([stored('a', upstream.mcpUrl, { port })]));
    expect(viewOf(servers, 'a').fault?.kind).toBe('port_taken');
    await servers.remove('a');
    await servers.apply([]);
    await servers.apply(configured([stored('a', upstream.mcpUrl)]));
    expect(viewOf(servers, 'a').state).toBe('logged_out');
  });

  it('leaves another one the login they share', async () => {
    const upstream = await givenUpstream();
    const servers = givenServers();
    const [a, b] = [
      stored('a', upstream.mcpUrl, { profile: 'same' }),
      stored('b', upstream.mcpUrl, { profile: 'same' }),
    ];
    await servers.apply(configured([a, b]));
    await logIn(brokerOf(servers, 'a'));
    expect(viewOf(servers, 'b').fault?.kind).toBe('settings');
    await servers.remove('b');
    await servers.apply(configured([a]));
    expect(viewOf(servers, 'a').state).toBe('authenticated');
  });

  it('is gone although its login could not be removed', async () => {
    const refusing: SecretStore = {
      ...store,
      delete: () => Promise.reject(new SecretStoreError('locked', 'The keyring is locked.')),
    };
    const servers = givenServers((settings) => new Broker({ settings, log, store: refusing }));
    await servers.apply(configured([stored('a', NOBODY_THERE)]));
    await servers.remove('a');
    await servers.remove('a');
    expect(servers.views).toEqual([]);
    expect(log.text).toContain('The keyring is locked.');
  });
});

describe('the end', () => {
  it('closes all brokers, also those that are starting, and keeps the logins', async () => {
    const upstream = await givenUpstream();
    const servers = givenServers();
    await servers.apply(configured([stored('a', upstream.mcpUrl)]));
    await logIn(brokerOf(servers, 'a'));
    const starting = servers.apply(configured([stored('a', upstream.mcpUrl), stored('b', upstream.mcpUrl)]));
    await servers.close();
    await starting;
    const listening = await Promise.allSettled(made.map((broker) => answers(broker.mcpUrl)));
    expect(listening.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    await servers.apply(configured([stored('c', upstream.mcpUrl)]));
    await servers.restart('a');
    expect(servers.views.map(({ id }) => id)).toEqual(['a', 'b']);

    const later = givenServers();
    await later.apply(configured([stored('a', upstream.mcpUrl)]));
    expect(viewOf(later, 'a').state).toBe('authenticated');
  });
});
