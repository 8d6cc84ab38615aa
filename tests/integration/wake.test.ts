import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Broker } from '../../app/broker.ts';
import { settingsFromEnvironment } from '../../app/settings.ts';
import { createMemoryStore } from '../../app/store/memory.ts';
import { SecretStoreError } from '../../app/store/secret-store.ts';
import { givenBroker, givenUpstream, logIn, RecordingLog } from '../support/broker.ts';
import {
  answering,
  type BreakableStore,
  givenBreakableStore,
  givenClock,
  givenGate,
  LOCKED,
  onPath,
  outcomeOf,
  TOKEN_SECONDS,
  tokenRequests,
} from '../support/login.ts';
import { listenUntilTestEnds } from '../support/scripted-server.ts';

const DENIED = new SecretStoreError('denied', 'You have denied the access. Allow it, then try again.');

async function givenLoggedIn() {
  const clock = givenClock();
  const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: TOKEN_SECONDS } });
  const store = givenBreakableStore();
  const running = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
  await logIn(running.broker);
  return { clock, upstream, ...running, store };
}

/** A store that counts how often it is read. */
function countingReads(store: BreakableStore) {
  const get = store.get.bind(store);
  const reads = { count: 0 };
  store.get = (account) => {
    reads.count++;
    return get(account);
  };
  return reads;
}

describe('wake', () => {
  it.each([
    ['has ended', TOKEN_SECONDS + 1],
    ['is due', TOKEN_SECONDS - 1],
  ])('renews an access token that %s, and says so', async (_, seconds) => {
    const { broker, clock, upstream } = await givenLoggedIn();
    clock.advance(seconds);
    const changed = once(broker, 'state');
    await broker.wake();
    await changed;
    expect(tokenRequests(upstream)).toHaveLength(1);
    const { access_token, last_refresh } = await broker.status();
    expect(Date.parse(access_token.expires_at ?? '')).toBe(Date.now() + TOKEN_SECONDS * 1000);
    expect(last_refresh?.outcome).toBe('ok');
    expect(await outcomeOf(broker)).toBe('ok');
    expect(tokenRequests(upstream)).toHaveLength(1);
  });

  it('leaves one alone that is good, and a broker without a login', async () => {
    const { broker, upstream } = await givenLoggedIn();
    await broker.wake();
    await broker.logout();
    await broker.wake();
    expect(tokenRequests(upstream)).toEqual([]);
    expect(broker.state).toBe('logged_out');
  });

  it('gets the first token of a process, so that the login is known to work', async () => {
    const { upstream, store } = await givenLoggedIn();
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    await broker.wake();
    expect((await broker.status()).access_token.expires_at).toBeDefined();
  });

  it('ends the wait after a failure', async () => {
    const { broker, clock, upstream } = await givenLoggedIn();
    upstream.authorizationServer.behaviour.respond = onPath('/token', answering(503, ''));
    clock.advance(TOKEN_SECONDS + 1);
    expect(await outcomeOf(broker)).toBe('refresh_unavailable');
    upstream.authorizationServer.behaviour.respond = undefined;
    expect(await outcomeOf(broker)).toBe('refresh_unavailable');
    await broker.wake();
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('does not fail when the network is still away, and the login is kept', async () => {
    const { broker, clock, upstream } = await givenLoggedIn();
    upstream.authorizationServer.behaviour.respond = onPath('/token', (_request, response) => {
      response.destroy();
      return true;
    });
    clock.advance(TOKEN_SECONDS + 1);
    await broker.wake();
    const { state, reason, last_refresh } = await broker.status();
    expect([state, last_refresh?.outcome]).toEqual(['authenticated', 'failed']);
    expect(reason).toMatch(/closed the connection/);
  });

  it('reads a store that could not be read', async () => {
    const { upstream, store } = await givenLoggedIn();
    store.broken.get = LOCKED;
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    expect(broker.state).toBe('error');
    await broker.wake();
    expect(broker.state).toBe('error');
    delete store.broken.get;
    await broker.wake();
    expect(broker.state).toBe('authenticated');
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('asks a store that the person has denied only when they ask for it', async () => {
    const { upstream, store } = await givenLoggedIn();
    store.broken.get = DENIED;
    const reads = countingReads(store);
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    expect(reads.count).toBe(1);
    await broker.wake();
    expect(reads.count).toBe(1);
    await broker.wake({ asked: true });
    expect(reads.count).toBe(2);
    delete store.broken.get;
    await Promise.all([broker.wake(), broker.wake({ asked: true })]);
    expect(broker.state).toBe('authenticated');
  });

  it('reads a store again that failed after it was read', async () => {
    const { broker, clock, store } = await givenLoggedIn();
    store.broken.get = LOCKED;
    clock.advance(TOKEN_SECONDS + 1);
    expect(await outcomeOf(broker)).toBe('refresh_unavailable');
    expect((await broker.status()).reason).toMatch(/locked/);
    delete store.broken.get;
    await broker.wake();
    expect((await broker.status()).reason).toBeUndefined();
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('saves what could not be saved', async () => {
    const { upstream } = await givenLoggedIn();
    const store = givenBreakableStore();
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    store.broken.set = LOCKED;
    await logIn(broker);
    expect(store.items.size).toBe(0);
    await broker.wake();
    expect(store.items.size).toBe(0);
    delete store.broken.set;
    await broker.wake();
    expect(store.items.size).toBe(1);
    expect((await broker.status()).reason).toBeUndefined();
    const again = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    expect(await outcomeOf(again.broker)).toBe('ok');
  });

  it('waits for a refresh that is under way, and does not abort it', async () => {
    const { broker, clock, upstream } = await givenLoggedIn();
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
    clock.advance(TOKEN_SECONDS + 1);
    const call = outcomeOf(broker);
    await gate.reached;
    const woken = broker.wake();
    gate.open('go on');
    await woken;
    expect(await call).toBe('ok');
    expect(tokenRequests(upstream)).toHaveLength(1);
  });

  it('tries again when a refresh that was under way has failed', async () => {
    const { broker, clock, upstream } = await givenLoggedIn();
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
    clock.advance(TOKEN_SECONDS + 1);
    const call = outcomeOf(broker);
    await gate.reached;
    const woken = broker.wake();
    upstream.authorizationServer.behaviour.respond = undefined;
    gate.open('drop');
    expect(await call).toBe('refresh_unavailable');
    await woken;
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('is done once for all who ask at the same time, and once more for who asks meanwhile', async () => {
    const { broker, clock, upstream } = await givenLoggedIn();
    const gate = givenGate();
    let refreshes = 0;
    upstream.authorizationServer.behaviour.respond = onPath('/token', (request, response) => {
      refreshes++;
      return gate.hook(request, response);
    });
    clock.advance(TOKEN_SECONDS + 1);
    const first = broker.wake();
    expect(broker.wake()).toBe(first);
    await gate.reached;
    const second = broker.wake();
    expect(second).not.toBe(first);
    expect(broker.wake({ asked: true })).toBe(second);
    let done = false;
    const seen = first.then(() => {
      done = true;
    });
    gate.open('drop');
    await second;
    await seen;
    expect(done).toBe(true);
    expect(refreshes).toBe(2);
  });

  it('looks anew whether the upstream is there', async () => {
    const { broker, upstream } = await givenLoggedIn();
    const asked = () => upstream.mcpServer.requests.entries.length;
    await broker.readiness();
    await broker.readiness();
    const before = asked();
    await broker.wake();
    await broker.readiness();
    expect(asked()).toBe(before + 1);
  });

  it('does nothing to a broker that was not started, or is closed', async () => {
    const settings = settingsFromEnvironment({ UPSTREAM_MCP_URL: 'http://127.0.0.1:9/mcp', PORT: '0' });
    const broker = new Broker({ settings, log: new RecordingLog(), store: createMemoryStore() });
    await broker.wake();
    await broker.start();
    await broker.close();
    await broker.wake();
    expect(broker.state).toBe('logged_out');
  });

  it('does not wait longer than half a minute for a store that does not answer', async () => {
    const { broker, store } = await givenLoggedIn();
    let answer: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      store.get = () => {
        resolve();
        return new Promise((settle) => {
          answer = () => settle(undefined);
        });
      };
    });
    onTestFinished(() => answer());
    const now = Date.now() + (TOKEN_SECONDS + 1) * 1000;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now });
    const woken = broker.wake();
    await asked;
    await vi.advanceTimersByTimeAsync(30_000);
    vi.useRealTimers();
    await woken;
    answer();
  });
});

describe('the network of the app', () => {
  it('is asked for the way to the upstream', async () => {
    const connected: string[] = [];
    const proxy = createServer().on('connect', (request, socket) => {
      connected.push(request.url ?? '');
      socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n');
    });
    const port = await listenUntilTestEnds(proxy);
    const network = {
      proxyFor: async () => `http://127.0.0.1:${port}`,
      certificateAuthorities: async () => [],
    };
    const settings = settingsFromEnvironment({ UPSTREAM_MCP_URL: 'https://mcp.example.com/mcp', PORT: '0' });
    const broker = new Broker({ settings, log: new RecordingLog(), store: createMemoryStore(), network });
    await broker.start();
    onTestFinished(() => broker.close());
    expect(await outcomeOf(broker)).toBe('upstream_unreachable');
    expect(connected).toEqual(['mcp.example.com:443']);
  });
});
