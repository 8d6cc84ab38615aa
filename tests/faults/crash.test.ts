import { once } from 'node:events';
import { readdir, utimes } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Upstream } from '../../app/cli/demo/upstream.ts';
import { userStateFolder } from '../../app/store/open-store.ts';
import {
  givenFolder,
  givenServedBroker,
  givenUpstream,
  logIn,
  type ServedBroker,
} from '../support/broker.ts';
import { givenCrashingSecurity, givenFaultPlan, type SystemFault } from '../support/faults.ts';
import { altering, givenGate, givenKeychain, onPath, outcomeOf, tokenRequests } from '../support/login.ts';
import {
  callbackFor,
  givenScriptedAuthorizationServer,
  givenScriptedMcpServer,
  openPage,
} from '../support/scripted-authorization.ts';

/** An authorization server that rotates refresh tokens, and ends the grant when a used one comes back. */
function givenRotation(): Promise<Upstream> {
  return givenUpstream({ authorizationServer: { accessTokenSeconds: 300 } });
}

/** Brokers on one file store, whose calls to the system can be made to fail. */
async function givenFileStore(upstreamMcpUrl: string) {
  const plan = await givenFaultPlan();
  const stateDir = await givenFolder();
  const environment = {
    ...plan.environment,
    UPSTREAM_MCP_URL: upstreamMcpUrl,
    STATE_DIR: stateDir,
    TOKEN_STORE: 'file',
  };
  return {
    plan,
    start: async () => {
      await letTimePass(path.join(stateDir, 'secrets', 'locks'));
      return givenServedBroker(environment);
    },
    files: () => readdir(path.join(stateDir, 'secrets')),
  };
}

/** A dead process's locks are taken over after 5 s; these are made that old. */
async function letTimePass(lockFolder: string): Promise<void> {
  const before = new Date(Date.now() - 10_000);
  for (const name of await readdir(lockFolder).catch(() => []))
    await utimes(path.join(lockFolder, name), before, before);
}

/** Makes a call whose refresh is the end of the process. */
async function crashInRefresh(upstream: Upstream, broker: ServedBroker): Promise<void> {
  upstream.mcpServer.rejectCurrentTokens();
  const [cut, ended] = await Promise.all([
    outcomeOf(broker).catch(() => 'cut'),
    once(broker.child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  expect({ cut, endedBy: ended[1] }).toEqual({ cut: 'cut', endedBy: 'SIGKILL' });
}

async function statusOf({ url }: ServedBroker) {
  const response = await fetch(`${url}/oauth/status`);
  return (await response.json()) as { state: string; reason?: string };
}

/** The login is over, a person is told why, and the next one works. */
async function expectLostInGoodOrder(broker: ServedBroker): Promise<void> {
  expect(await outcomeOf(broker)).toBe('not_authenticated');
  const { state, reason } = await statusOf(broker);
  expect(state).toBe('login_required');
  expect(reason).toContain('"invalid_grant"');
  await logIn(broker);
  expect(await outcomeOf(broker)).toBe('ok');
}

const DRAFT = '\\.json\\.\\d+$';

describe('kill -9 between the answer to a refresh and the place of the new token on the disk', () => {
  it.each<[string, SystemFault]>([
    ['when the answer has arrived and nothing is written', { call: 'open', path: DRAFT, effect: 'kill' }],
    ['in the middle of writing it', { call: 'write', effect: 'kill halfway' }],
    ['before it is on the disk', { call: 'fsync', effect: 'kill' }],
    ['before it is in its place', { call: 'rename', path: DRAFT, effect: 'kill' }],
  ])('%s: the login is lost in good order, and nothing of it stays behind', async (_, fault) => {
    const upstream = await givenRotation();
    const { plan, start, files } = await givenFileStore(upstream.mcpServer.jsonUrl);
    const first = await start();
    await logIn(first);
    await plan.set([fault]);
    await crashInRefresh(upstream, first);
    expect(tokenRequests(upstream).map(({ status }) => status)).toEqual([200]);

    await plan.set([]);
    const second = await start();
    await expectLostInGoodOrder(second);
    await fetch(`${second.url}/oauth/logout`, { method: 'POST' });
    expect((await files()).filter((name) => name.includes('.json'))).toEqual([]);
  });

  it('is no loss at a server that takes the former refresh token once more', async () => {
    const as = await givenScriptedAuthorizationServer();
    const mcp = await givenScriptedMcpServer(as.issuer);
    const { plan, start } = await givenFileStore(mcp.mcpUrl);
    const first = await start();
    const { location } = await openPage(first.loginUrl);
    await openPage(callbackFor(new URL(location ?? ''), { code: 'code' }));
    expect(await outcomeOf(first)).toBe('ok');
    await first.end('SIGTERM');

    // The first token of a process comes from a refresh.
    const second = await start();
    await plan.set([{ call: 'rename', path: DRAFT, effect: 'kill' }]);
    expect(await outcomeOf(second).catch(() => 'cut')).toBe('cut');
    await plan.set([]);
    expect(await outcomeOf(await start())).toBe('ok');
    const used = as.tokenRequests().map((form) => form.get('refresh_token'));
    expect(used[1]).toBe(used[2]);
  });
});

describe('kill -9 outside of that window', () => {
  it('as soon as the new token is in its place: the login is kept', async () => {
    const upstream = await givenRotation();
    const { plan, start } = await givenFileStore(upstream.mcpServer.jsonUrl);
    const first = await start();
    await logIn(first);
    await plan.set([{ call: 'rename', path: DRAFT, effect: 'kill after' }]);
    await crashInRefresh(upstream, first);
    await plan.set([]);
    expect(await outcomeOf(await start())).toBe('ok');
    expect(tokenRequests(upstream).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('while a login is stored, or the first key: logged out, and the next login works', async () => {
    const upstream = await givenRotation();
    const { plan, start } = await givenFileStore(upstream.mcpServer.jsonUrl);
    for (const place of ['store\\.key\\.[0-9a-f]+$', DRAFT]) {
      const broker = await start();
      await plan.set([{ call: 'rename', path: place, effect: 'kill' }]);
      await expect(logIn(broker)).rejects.toThrow();
      await plan.set([]);
      const next = await start();
      expect(await outcomeOf(next)).toBe('not_authenticated');
      expect((await statusOf(next)).state).toBe('logged_out');
      await next.end('SIGTERM');
    }
    const last = await start();
    await logIn(last);
    expect(await outcomeOf(last)).toBe('ok');
  });

  it('in a logout, when the tokens are revoked and the item is still there: the login is over', async () => {
    const upstream = await givenRotation();
    const { plan, start } = await givenFileStore(upstream.mcpServer.jsonUrl);
    const first = await start();
    await logIn(first);
    await plan.set([{ call: 'unlink', path: '\\.json$', effect: 'kill' }]);
    const closed = once(first.child, 'close');
    await expect(fetch(`${first.url}/oauth/logout`, { method: 'POST' })).rejects.toThrow();
    await closed;
    upstream.authorizationServer.revokeGrants();
    await plan.set([]);
    await expectLostInGoodOrder(await start());
  });

  it('while another process waits for the refresh: that one takes over and goes on', async () => {
    const upstream = await givenRotation();
    const { start } = await givenFileStore(upstream.mcpServer.jsonUrl);
    const [dying, living] = [await start(), await start()];
    await logIn(dying);
    expect(await outcomeOf(living)).toBe('ok');
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
    upstream.mcpServer.rejectCurrentTokens();
    const cut = outcomeOf(dying).catch(() => 'cut');
    await gate.reached;
    const refused = upstream.mcpServer.requests.next();
    const waiting = outcomeOf(living);
    await (await refused).ended;
    await dying.end('SIGKILL');
    gate.open('drop');
    upstream.authorizationServer.behaviour.respond = undefined;
    expect([await cut, await waiting]).toEqual(['cut', 'ok']);
  });
});

describe('kill -9 while the Keychain takes the new token', () => {
  /** @param long whether the login takes more than one item */
  async function givenKeychainStore(long: boolean) {
    const upstream = await givenRotation();
    if (long) {
      const scopes = Array.from({ length: 250 }, (_, index) => `a-scope-with-a-long-name-${index}`);
      upstream.authorizationServer.behaviour.respond = onPath(
        /^\/\.well-known\//,
        altering((json) => ({ ...json, scopes_supported: scopes })),
      );
    }
    const keychain = await givenKeychain();
    const security = await givenCrashingSecurity(keychain);
    const home = await givenFolder();
    const environment = {
      UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
      TOKEN_STORE: 'keychain',
      SECURITY_BIN: security.securityBin,
      HOME: home,
      ...(long ? { SCOPES: 'mcp:tools offline_access' } : {}),
    };
    const start = async () => {
      await letTimePass(path.join(userStateFolder(process.platform, { HOME: home }), 'locks'));
      return givenServedBroker(environment);
    };
    return { upstream, keychain, security, start };
  }

  it.each([
    ['before its item is written: lost in good order', false, 'before', 1, 'lost'],
    ['after its item is written: kept', false, 'after', 1, 'kept'],
    ['between two of its parts: lost in good order, never half of each', true, 'after', 2, 'lost'],
  ] as const)('%s', async (_, long, when, nth, outcome) => {
    const { upstream, security, start } = await givenKeychainStore(long);
    const first = await start();
    await logIn(first);
    await security.killAt('-i', when, nth);
    await crashInRefresh(upstream, first);
    const second = await start();
    if (outcome === 'kept') expect(await outcomeOf(second)).toBe('ok');
    else await expectLostInGoodOrder(second);
  });
});
