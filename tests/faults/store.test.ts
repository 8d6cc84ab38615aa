import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type SecretStore, SecretStoreError } from '../../app/store/secret-store.ts';
import {
  givenBroker,
  givenFolder,
  givenServedBroker,
  givenUpstream,
  logIn,
  type ServedBroker,
} from '../support/broker.ts';
import { givenFaultPlan, type SystemFault } from '../support/faults.ts';
import {
  call,
  givenBreakableStore,
  givenClock,
  LOCKED,
  outcomeOf,
  statusWhere,
  tokenRequests,
} from '../support/login.ts';

/** What a file system refuses that is full, is read-only, or belongs to somebody else. */
const FAULTS: ReadonlyArray<readonly [string, readonly SystemFault[], RegExp]> = [
  [
    'full',
    (['mkdir', 'write'] as const).map((name) => ({ call: name, effect: 'fail', code: 'ENOSPC' })),
    /No space left to write .*: free some space and try again/,
  ],
  [
    'read-only',
    [
      ...(['mkdir', 'write', 'rename', 'unlink', 'utimes'] as const).map(
        (name): SystemFault => ({ call: name, effect: 'fail', code: 'EROFS' }),
      ),
      { call: 'open', path: '\\.json\\.\\d+$|\\.key\\.', effect: 'fail', code: 'EROFS' },
    ],
    /is on a read-only file system: make it writable/,
  ],
  [
    'of somebody else',
    (['mkdir', 'open'] as const).map((name) => ({ call: name, effect: 'fail', code: 'EACCES' })),
    /No permission to use .*: give your user access to it/,
  ],
];

async function givenFileStore() {
  const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 300 } });
  const plan = await givenFaultPlan();
  const stateDir = await givenFolder();
  const environment = {
    ...plan.environment,
    UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
    STATE_DIR: stateDir,
    TOKEN_STORE: 'file',
  };
  return { upstream, plan, stateDir, start: () => givenServedBroker(environment) };
}

async function statusOf({ url }: ServedBroker) {
  const response = await fetch(`${url}/oauth/status`);
  return (await response.json()) as { state: string; reason?: string };
}

describe.each(FAULTS)('a file store that is %s', (_what, faults, words) => {
  it('when a token is due: 503 with the cure, nothing is asked for that could not be kept, and it goes on', async () => {
    const { upstream, plan, start } = await givenFileStore();
    const broker = await start();
    await logIn(broker);
    await plan.set(faults);
    upstream.mcpServer.rejectCurrentTokens();
    const { status, retryAfter, body } = await call(broker);
    expect({ status, retryAfter }).toEqual({ status: 503, retryAfter: '1' });
    expect(body.error?.data?.error).toBe('refresh_unavailable');
    expect(body.error?.message).toMatch(words);
    expect(tokenRequests(upstream)).toEqual([]);
    expect((await statusOf(broker)).state).toBe('authenticated');

    await plan.set([]);
    await expect.poll(() => outcomeOf(broker), { timeout: 10_000 }).toBe('ok');
    await broker.end('SIGTERM');
    expect(await outcomeOf(await start())).toBe('ok');
  });

  it('at a login: it works for as long as the process lives, with a warning, and is kept once the store is well', async () => {
    const { upstream, plan, start } = await givenFileStore();
    const broker = await start();
    await plan.set(faults);
    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');
    expect((await statusOf(broker)).reason).toMatch(words);
    upstream.mcpServer.rejectCurrentTokens();
    expect(await outcomeOf(broker)).toBe('ok');
    expect(tokenRequests(upstream).map(({ status }) => status)).toEqual([200]);

    await plan.set([]);
    await broker.end('SIGTERM');
    expect(await outcomeOf(await start())).toBe('ok');
  });
});

it('a store that fails between the refresh and its write keeps the token in memory, and gets it when it is well', async () => {
  const { upstream, plan, stateDir, start } = await givenFileStore();
  const broker = await start();
  await logIn(broker);
  const folder = path.join(stateDir, 'secrets');
  const [name = ''] = (await readdir(folder)).filter((file) => file.endsWith('.json'));
  const item = () => readFile(path.join(folder, name), 'utf8');
  const before = await item();
  for (const code of ['ENOSPC', 'EIO', 'EDQUOT']) {
    await plan.set([{ call: 'fsync', effect: 'fail', code }]);
    upstream.mcpServer.rejectCurrentTokens();
    expect(await outcomeOf(broker)).toBe('ok');
  }
  expect(await item()).toBe(before);
  await plan.set([]);
  upstream.mcpServer.rejectCurrentTokens();
  expect(await outcomeOf(broker)).toBe('ok');
  expect(await item()).not.toBe(before);
  await broker.end('SIGKILL');
  expect(await outcomeOf(await start())).toBe('ok');
  expect(new Set(tokenRequests(upstream).map(({ status }) => status))).toEqual(new Set([200]));
});

it('a store that failed once gets the token with one of the next calls, long before the next refresh', async () => {
  const clock = givenClock();
  const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 3_600 } });
  const store = givenBreakableStore();
  const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
  await logIn(broker);
  store.broken = { set: new SecretStoreError('unavailable', 'No space left. Free some space.') };
  upstream.mcpServer.rejectCurrentTokens();
  expect(await outcomeOf(broker)).toBe('ok');
  const [stored] = store.items.values();
  expect(await outcomeOf(broker)).toBe('ok');
  store.broken = {};
  clock.advance(30);
  expect(await outcomeOf(broker)).toBe('ok');
  await statusWhere(broker, ({ reason }) => reason === undefined);
  expect([...store.items.values()]).not.toEqual([stored]);
  expect(tokenRequests(upstream)).toHaveLength(1);
  const again = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
  expect(await outcomeOf(again.broker)).toBe('ok');
});

it.each(['locked', 'denied'] as const)('a store that is %s is not asked again by calls', async (code) => {
  const clock = givenClock();
  const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 3_600 } });
  const store = givenBreakableStore();
  const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
  store.broken = { set: new SecretStoreError(code, 'A person has to do something.') };
  await logIn(broker);
  store.broken = {};
  for (const _ of Array(5).keys()) {
    clock.advance(60);
    expect(await outcomeOf(broker)).toBe('ok');
  }
  // Closing waits for whatever has been begun.
  expect(store.items.size).toBe(0);
  await broker.close();
  expect(store.items.size).toBe(1);
});

describe('a store that is slow', () => {
  /** A store of which one write ends when the test says so. */
  function givenSlowStore(): { store: SecretStore; writing: () => Promise<() => void> } {
    const store = givenBreakableStore();
    const { set } = store;
    let begun: (finish: () => void) => void = () => undefined;
    let slow = false;
    store.set = async (account, value) => {
      const isSlow = slow;
      slow = false;
      if (isSlow) await new Promise<void>((resolve) => begun(resolve));
      return set(account, value);
    };
    return {
      store,
      writing: () => {
        slow = true;
        return new Promise((resolve) => {
          begun = resolve;
        });
      },
    };
  }

  it('holds calls up until the new token is stored, and nothing else', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 300 } });
    const { store, writing } = givenSlowStore();
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    await logIn(broker);
    upstream.mcpServer.rejectCurrentTokens();
    const written = writing();
    const calls = Array.from({ length: 20 }, () => outcomeOf(broker));
    const finish = await written;
    for (const route of ['/health', '/oauth/status', '/'])
      expect((await fetch(broker.localUrl + route)).status).toBe(200);
    const { entries } = upstream.mcpServer.requests;
    expect(entries.filter(({ authorized, status }) => authorized && status === 200)).toEqual([]);
    finish();
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['ok']));
    expect(tokenRequests(upstream)).toHaveLength(1);
  });

  it('is waited for at the end: the token is not lost', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 300 } });
    const { store, writing } = givenSlowStore();
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    await logIn(broker);
    upstream.mcpServer.rejectCurrentTokens();
    const written = writing();
    const answered = outcomeOf(broker);
    const finish = await written;
    const closed = broker.close();
    finish();
    expect(await answered).toBe('ok');
    await closed;
    const again = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    expect(await outcomeOf(again.broker)).toBe('ok');
  });
});

it('a store that is locked again and again while calls go on ends no login and loses no token', async () => {
  const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 300 } });
  const store = givenBreakableStore();
  const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
  await logIn(broker);
  for (const broken of [{ get: LOCKED }, { set: LOCKED }, { get: LOCKED, set: LOCKED, delete: LOCKED }]) {
    store.broken = broken;
    upstream.mcpServer.rejectCurrentTokens();
    expect(['ok', 'refresh_unavailable']).toContain(await outcomeOf(broker));
    expect(broker.state).toBe('authenticated');
    store.broken = {};
    await broker.wake();
    expect(await outcomeOf(broker)).toBe('ok');
  }
  const again = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
  expect(await outcomeOf(again.broker)).toBe('ok');
  expect(new Set(tokenRequests(upstream).map(({ status }) => status))).toEqual(new Set([200]));
});
