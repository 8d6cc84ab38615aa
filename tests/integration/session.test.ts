import { describe, expect, it } from 'vitest';
import type { RespondHook, Upstream, UpstreamOptions } from '../../app/cli/demo/upstream.ts';
import type { SecretStore } from '../../app/store/secret-store.ts';
import {
  callTool,
  givenBroker,
  givenClient,
  givenUpstream,
  logIn,
  type RunningBroker,
} from '../support/broker.ts';
import {
  altering,
  answering,
  type Clock,
  call,
  givenClock,
  givenGate,
  onPath,
  outcomeOf,
  statusWhere,
  TOKEN_SECONDS,
  tokenRequests,
} from '../support/login.ts';

interface Scene extends RunningBroker {
  readonly clock: Clock;
  readonly upstream: Upstream;
}

/** A broker that is logged in, in front of an upstream whose tokens live for {@link TOKEN_SECONDS}; the clock stands. */
async function givenLogin(options: UpstreamOptions = {}, store?: SecretStore): Promise<Scene> {
  const clock = givenClock();
  const upstream = await givenUpstream({
    ...options,
    authorizationServer: { accessTokenSeconds: TOKEN_SECONDS, ...options.authorizationServer },
  });
  const running = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
  await logIn(running.broker);
  upstream.authorizationServer.requests.clear();
  return { ...running, clock, upstream };
}

const CALLS = Array.from({ length: 200 }, (_, index) => `call ${index}`);

describe('one refresh for many calls', () => {
  it('answers 200 concurrent calls after the token has expired with one refresh', async () => {
    const { broker, clock, upstream } = await givenLogin();
    const client = await givenClient(broker.mcpUrl);
    clock.advance(TOKEN_SECONDS + 1);

    const answers = await Promise.all(CALLS.map((text) => callTool(client, 'echo', { text })));

    expect(answers).toEqual(CALLS);
    expect(tokenRequests(upstream)).toHaveLength(1);
    expect((await broker.status()).counters).toMatchObject({ refreshes: 1, replayed: 0, refused: 0 });
  });

  it('answers 200 concurrent calls with a token the server has revoked with one refresh, each body sent again once', async () => {
    const { broker, upstream } = await givenLogin();
    const stream = upstream.mcpServer.requests.next(({ method }) => method === 'GET');
    const client = await givenClient(broker.mcpUrl);
    await (await stream).answered;
    upstream.mcpServer.requests.clear();
    upstream.mcpServer.rejectCurrentTokens();
    // Nobody is refused before all are there.
    const waiting: ((handled: false) => void)[] = [];
    upstream.mcpServer.behaviour.respond = ({ method }) =>
      method === 'POST' &&
      waiting.length < CALLS.length &&
      new Promise((resolve) => {
        if (waiting.push(resolve) === CALLS.length) for (const goOn of waiting) goOn(false);
      });

    const answers = await Promise.all(CALLS.map((text) => callTool(client, 'echo', { text })));

    expect(answers).toEqual(CALLS);
    expect(tokenRequests(upstream)).toHaveLength(1);
    const posts = upstream.mcpServer.requests.entries.filter(({ method }) => method === 'POST');
    expect(posts.filter(({ status }) => status === 401)).toHaveLength(CALLS.length);
    expect(posts.filter(({ status }) => status === 200)).toHaveLength(CALLS.length);
    expect((await broker.status()).counters.refused).toBe(0);
  });

  it('shares one refresh between calls that come while it is under way', async () => {
    const { broker, clock, upstream } = await givenLogin();
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
    clock.advance(TOKEN_SECONDS + 1);
    const first = outcomeOf(broker);
    await gate.reached;
    const others = CALLS.slice(0, 20).map(() => outcomeOf(broker));
    gate.open('go on');

    expect(await first).toBe('ok');
    expect(new Set(await Promise.all(others))).toEqual(new Set(['ok']));
    expect(tokenRequests(upstream)).toHaveLength(1);
  });

  it('asks a server in trouble once for 200 concurrent calls', async () => {
    const { broker, clock, upstream } = await givenLogin();
    upstream.authorizationServer.behaviour.respond = onPath('/token', answering(500, '{}'));
    clock.advance(TOKEN_SECONDS + 1);
    const outcomes = await Promise.all(CALLS.map(() => outcomeOf(broker)));
    expect(new Set(outcomes)).toEqual(new Set(['refresh_unavailable']));
    expect(tokenRequests(upstream)).toHaveLength(1);
  });

  it('renews ahead of the expiry without holding a call up', async () => {
    const { broker, clock, upstream } = await givenLogin();
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
    clock.advance(TOKEN_SECONDS * 0.9);

    expect(await outcomeOf(broker)).toBe('ok');
    await gate.reached;
    expect(await outcomeOf(broker)).toBe('ok');
    gate.open('go on');
    await statusWhere(broker, ({ counters }) => counters.refreshes === 1);

    clock.advance(TOKEN_SECONDS * 0.2);
    expect(await outcomeOf(broker)).toBe('ok');
    expect(tokenRequests(upstream)).toHaveLength(1);
  });

  it('does not touch the login while its token is young', async () => {
    const { broker, clock, upstream } = await givenLogin();
    clock.advance(TOKEN_SECONDS * 0.5);
    expect(await outcomeOf(broker)).toBe('ok');
    expect(upstream.authorizationServer.requests.entries).toEqual([]);
  });

  it('does not refresh again for a call that was waiting while a person logged in', async () => {
    const { broker, clock, upstream } = await givenLogin();
    clock.advance(TOKEN_SECONDS + 1);
    const gate = givenGate();
    const { requests, behaviour } = upstream.authorizationServer;
    behaviour.respond = onPath('/token', gate.hook);
    const login = logIn(broker);
    await gate.reached;
    behaviour.respond = undefined;
    gate.open('go on');
    await login;
    requests.clear();
    expect(await outcomeOf(broker)).toBe('ok');
    expect(tokenRequests(upstream)).toEqual([]);
  });
});

describe('what a token response says of its lifetime', () => {
  const withLifetime = (expiresIn: unknown): RespondHook =>
    onPath(
      '/token',
      altering(({ expires_in: _, ...json }) =>
        expiresIn === undefined ? json : { ...json, expires_in: expiresIn },
      ),
    );

  it.each([
    ['is missing', undefined],
    ['is absurdly long', 1e15],
    ['is negative', -60],
    ['is no number', 'soon'],
    ['is null', null],
  ])('that %s: the token is used until the server refuses it', async (_, expiresIn) => {
    const { broker, clock, upstream } = await givenLogin({
      authorizationServer: { respond: withLifetime(expiresIn) },
    });
    expect((await broker.status()).access_token.expires_at).toBeUndefined();
    expect(await outcomeOf(broker)).toBe('ok');
    expect(tokenRequests(upstream)).toEqual([]);
    clock.advance(TOKEN_SECONDS + 1);
    expect(await outcomeOf(broker)).toBe('ok');
    expect(tokenRequests(upstream)).toHaveLength(1);
  });

  it('that is a string: it counts as the number it spells', async () => {
    const { broker, clock, upstream } = await givenLogin({
      authorizationServer: { respond: withLifetime(String(TOKEN_SECONDS)) },
    });
    const { expires_at } = (await broker.status()).access_token;
    expect(expires_at).toBe(new Date(Date.now() + TOKEN_SECONDS * 1000).toISOString());
    clock.advance(TOKEN_SECONDS + 1);
    upstream.mcpServer.requests.clear();
    expect(await outcomeOf(broker)).toBe('ok');
    // Renewed by the clock: the upstream was not asked with the old token.
    expect(upstream.mcpServer.requests.entries.map(({ status }) => status)).toEqual([200]);
  });
});

it('keeps the refresh token when a refresh brings no other', async () => {
  const used: (string | null)[] = [];
  const { broker, clock } = await givenLogin({
    authorizationServer: {
      rotate: false,
      onTokenRequest: (body) => used.push(body.get('refresh_token')),
      respond: onPath(
        '/token',
        altering((json) => (used.length > 1 ? { ...json, refresh_token: undefined } : json)),
      ),
    },
  });
  for (const _ of [1, 2, 3]) {
    clock.advance(TOKEN_SECONDS + 1);
    expect(await outcomeOf(broker)).toBe('ok');
  }
  const refreshes = used.slice(1);
  expect(refreshes).toHaveLength(3);
  expect(new Set(refreshes).size).toBe(1);
  expect((await broker.status()).refresh_token.present).toBe(true);
});

describe('trouble at the authorization server does not end a login', () => {
  const OUTAGES: ReadonlyArray<readonly [string, RespondHook]> = [
    ['500', answering(500, '{"error":"server_error"}')],
    ['500 that claims invalid_grant', answering(500, '{"error":"invalid_grant"}')],
    ['503 with HTML', answering(503, '<h1>Back soon</h1>', 'text/html')],
    ['HTML with 200', answering(200, '<h1>Log in to the Wi-Fi</h1>', 'text/html')],
    ['429', answering(429, '{"error":"slow_down"}')],
    ['invalid_request', answering(400, '{"error":"invalid_request"}')],
    ['a 404 without a word', answering(404, '', 'text/plain')],
    ['an answer without a token', answering(200, '{"token_type":"bearer"}')],
    ['malformed JSON', answering(200, '{"access_token":')],
    [
      'a cut connection',
      (_request, response) => {
        response.destroy();
        return true;
      },
    ],
    ['no answer in time', () => true],
  ];

  it.each(OUTAGES)('%s: 503 refresh_unavailable, then all is well again', async (_, hook) => {
    const { broker, clock, upstream } = await givenLogin();
    const { behaviour } = upstream.authorizationServer;
    behaviour.respond = onPath('/token', hook);
    clock.advance(TOKEN_SECONDS + 1);

    const { status, retryAfter, body } = await call(broker);
    expect({ status, retryAfter }).toEqual({ status: 503, retryAfter: '1' });
    expect(body).toMatchObject({ id: 1, error: { code: -32001, data: { error: 'refresh_unavailable' } } });
    const { state, reason, last_refresh } = await broker.status();
    expect(state).toBe('authenticated');
    expect(reason).toBe(last_refresh?.message);
    expect(body.error?.message).toContain(reason?.slice(0, -1));

    behaviour.respond = undefined;
    clock.advance(1);
    expect(await outcomeOf(broker)).toBe('ok');
    expect((await broker.status()).reason).toBeUndefined();
  });

  it('an outage: refused connections while it lasts, and calls that work once it is over', async () => {
    const { broker, clock, upstream } = await givenLogin();
    await upstream.authorizationServer.close();
    clock.advance(TOKEN_SECONDS + 1);
    expect(await call(broker)).toMatchObject({ status: 503, retryAfter: '1' });
    expect(await outcomeOf(broker)).toBe('refresh_unavailable');

    await upstream.restartAuthorizationServer();
    clock.advance(1);
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('backs off from one second, doubling to thirty, and asks nobody meanwhile', async () => {
    const { broker, clock, upstream } = await givenLogin();
    upstream.authorizationServer.behaviour.respond = onPath('/token', answering(500, '{}'));
    clock.advance(TOKEN_SECONDS + 1);
    const waits: number[] = [];
    for (const _ of Array(7).keys()) {
      const { retryAfter } = await call(broker);
      const wait = Number(retryAfter);
      waits.push(wait);
      const asked = tokenRequests(upstream).length;
      clock.advance(wait - 0.001);
      expect(await call(broker)).toMatchObject({ status: 503, retryAfter: '1' });
      expect(tokenRequests(upstream)).toHaveLength(asked);
      clock.advance(0.001);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30]);

    upstream.authorizationServer.behaviour.respond = undefined;
    expect(await outcomeOf(broker)).toBe('ok');
    upstream.authorizationServer.behaviour.respond = onPath('/token', answering(500, '{}'));
    clock.advance(TOKEN_SECONDS + 1);
    expect((await call(broker)).retryAfter).toBe('1');
  });

  it('a failed renewal ahead of time is not seen by calls while the token lives', async () => {
    const { broker, clock, upstream } = await givenLogin();
    upstream.authorizationServer.behaviour.respond = onPath('/token', answering(500, '{}'));
    clock.advance(TOKEN_SECONDS * 0.9);
    expect(await outcomeOf(broker)).toBe('ok');
    await statusWhere(broker, ({ counters }) => counters.refresh_failures === 1);
    expect(await outcomeOf(broker)).toBe('ok');
    expect(tokenRequests(upstream)).toHaveLength(1);
  });

  it('follows a token endpoint that has moved, and remembers where to', async () => {
    const { broker, clock, upstream, store } = await givenLogin();
    const { behaviour, requests, issuer } = upstream.authorizationServer;
    const moved: RespondHook = (request, response) => {
      const { pathname } = new URL(request.url ?? '/', issuer);
      if (pathname === '/token') return answering(404, 'moved', 'text/plain')(request, response);
      if (pathname === '/new/token') request.url = '/token';
      if (!pathname.startsWith('/.well-known/')) return false;
      return altering((json) => ({ ...json, token_endpoint: `${issuer}/new/token` }))(request, response);
    };
    behaviour.respond = moved;
    clock.advance(TOKEN_SECONDS + 1);
    expect(await outcomeOf(broker)).toBe('refresh_unavailable');
    clock.advance(1);
    expect(await outcomeOf(broker)).toBe('ok');

    const again = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    requests.clear();
    expect(await outcomeOf(again.broker)).toBe('ok');
    expect(requests.entries.map(({ path }) => path)).toEqual(['/new/token']);
  });
});

describe('what ends a login', () => {
  it('invalid_grant at expiry: refused as not_authenticated, with the reason, and not asked again', async () => {
    const { broker, clock, upstream, log } = await givenLogin();
    upstream.authorizationServer.revokeGrants();
    clock.advance(TOKEN_SECONDS + 1);

    const { status, body } = await call(broker);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: 1, error: { data: { error: 'not_authenticated' } } });
    expect(body.error?.data?.login_url).toBe(broker.loginUrl);
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    expect(tokenRequests(upstream)).toHaveLength(1);
    const { state, reason, refresh_token } = await broker.status();
    expect({ state, refresh_token }).toEqual({ state: 'login_required', refresh_token: { present: false } });
    expect(reason).toMatch(/^The login has ended: .*"invalid_grant"/);
    expect(log.entries.filter(({ event }) => event.startsWith('The login has ended'))).toHaveLength(1);

    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');
    expect((await broker.status()).reason).toBeUndefined();
  });

  it('invalid_grant after a 401: the refused token is not used any more, and the reason stays', async () => {
    const { broker, upstream } = await givenLogin();
    upstream.authorizationServer.revokeGrants();
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    const { state, reason } = await broker.status();
    expect(state).toBe('login_required');
    expect(reason).toContain('"invalid_grant"');
    upstream.mcpServer.requests.clear();
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    expect(upstream.mcpServer.requests.entries.map(({ authorized }) => authorized)).toEqual([false]);
    expect((await broker.status()).reason).toBe(reason);
  });

  it('invalid_grant for a renewal ahead of time: the token in hand is used to its end', async () => {
    const { broker, clock, upstream } = await givenLogin();
    upstream.authorizationServer.behaviour.respond = onPath(
      '/token',
      answering(400, '{"error":"invalid_grant"}'),
    );
    clock.advance(TOKEN_SECONDS * 0.9);
    expect(await outcomeOf(broker)).toBe('ok');
    await statusWhere(broker, ({ refresh_token }) => !refresh_token.present);
    expect(await outcomeOf(broker)).toBe('ok');
    clock.advance(TOKEN_SECONDS);
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    expect((await broker.status()).reason).toContain('invalid_grant');
  });

  it('a client registration the server has forgotten: a login registers anew and works', async () => {
    const { broker, clock, upstream } = await givenLogin();
    const { client } = await broker.status();
    await upstream.restartAuthorizationServer({ forget: true });
    clock.advance(TOKEN_SECONDS + 1);
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    const ended = await broker.status();
    expect(ended.state).toBe('login_required');
    expect(ended.reason).toContain('forgotten the client registration');
    expect(tokenRequests(upstream)).toHaveLength(1);

    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');
    const registrations = upstream.authorizationServer.requests.entries.filter(
      ({ path }) => path === '/register',
    );
    expect(registrations).toHaveLength(1);
    expect((await broker.status()).client?.id).not.toBe(client?.id);
  });

  it('an upstream that refuses every token: two refreshes at most, and one for each token after that', async () => {
    const { broker, clock, upstream } = await givenLogin();
    const refusing: RespondHook = (_request, response) => {
      response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
      return true;
    };
    upstream.mcpServer.behaviour.respond = refusing;
    for (const _ of Array(10).keys()) expect(await outcomeOf(broker)).toBe('not_authenticated');
    expect(tokenRequests(upstream)).toHaveLength(1);
    const { state, reason } = await broker.status();
    expect({ state, reason }).toEqual({
      state: 'login_required',
      reason: 'The server refuses the tokens of this login.',
    });

    clock.advance(TOKEN_SECONDS + 1);
    for (const _ of Array(10).keys()) expect(await outcomeOf(broker)).toBe('not_authenticated');
    expect(tokenRequests(upstream)).toHaveLength(2);
    expect((await broker.status()).state).toBe('login_required');

    upstream.mcpServer.behaviour.respond = undefined;
    expect(await outcomeOf(broker)).toBe('ok');
    expect((await broker.status()).state).toBe('authenticated');
  });

  it('no token that ends up to a second early, as those of servers do that count in whole seconds', async () => {
    const { broker, clock, upstream } = await givenLogin();
    upstream.authorizationServer.behaviour.accessTokenSeconds = 2;
    clock.advance((1_900 - (Date.now() % 1_000)) / 1_000);
    upstream.mcpServer.rejectCurrentTokens();
    let calls = 0;
    upstream.mcpServer.behaviour.respond = () => {
      calls++;
      // What replaces the refused token arrives after 1.2 s, and the server has counted 2.
      if (calls === 2) clock.advance(1.2);
      return false;
    };
    expect(await outcomeOf(broker)).toBe('ok');
    expect(tokenRequests(upstream)).toHaveLength(2);
    expect((await broker.status()).state).toBe('authenticated');
  });

  it('the end of the access token where there is no refresh token', async () => {
    const { broker, clock, upstream, store } = await givenLogin({
      authorizationServer: { issueRefreshTokens: false },
    });
    expect(await outcomeOf(broker)).toBe('ok');
    const alive = await broker.status();
    expect(alive).toMatchObject({ state: 'authenticated', refresh_token: { present: false } });
    expect(alive.reason).toBeUndefined();
    clock.advance(TOKEN_SECONDS + 1);
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    expect(await broker.status()).toMatchObject({
      state: 'login_required',
      reason: expect.stringContaining('no refresh token'),
    });
    expect(tokenRequests(upstream)).toEqual([]);

    const restarted = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    expect(await restarted.broker.status()).toMatchObject({
      state: 'login_required',
      reason: expect.stringContaining('no refresh token'),
    });
  });
});
