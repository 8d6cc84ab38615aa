import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import { signInByHttp, type UpstreamOptions } from '../../app/cli/demo/upstream.ts';
import type { SecretStore } from '../../app/store/secret-store.ts';
import { givenBroker, givenUpstream, logIn } from '../support/broker.ts';
import {
  altering,
  answering,
  givenBreakableStore,
  givenClock,
  LOCKED,
  onPath,
  outcomeOf,
  TOKEN_SECONDS,
  tokenRequests,
} from '../support/login.ts';

async function givenBoth(options: UpstreamOptions = {}, store?: SecretStore) {
  const bodies: URLSearchParams[] = [];
  const upstream = await givenUpstream({
    ...options,
    authorizationServer: {
      accessTokenSeconds: TOKEN_SECONDS,
      onTokenRequest: (body) => bodies.push(body),
      ...options.authorizationServer,
    },
  });
  return { upstream, bodies, ...(await givenBroker(upstream.mcpServer.jsonUrl, {}, store)) };
}

/** Opens a URL as a browser does. */
async function open(url: string | URL) {
  const response = await fetch(url, { headers: { accept: 'text/html' }, redirect: 'manual' });
  return { status: response.status, page: await response.text(), location: response.headers.get('location') };
}

/** Signs in, and returns the callback that was not opened yet, changed as the test likes. */
async function callbackOf(broker: Broker, change: (query: URLSearchParams) => void = () => undefined) {
  const callback = new URL(await signInByHttp(broker.loginUrl));
  change(callback.searchParams);
  return callback;
}

describe('the authorization request', () => {
  it('is a redirect with PKCE by S256, an unguessable state and the resource', async () => {
    const { broker, upstream } = await givenBoth();
    const { status, location } = await open(broker.loginUrl);
    expect(status).toBe(302);
    const url = new URL(location ?? '');
    expect(url.origin).toBe(upstream.issuer);
    const query = Object.fromEntries(url.searchParams);
    expect(query).toMatchObject({
      response_type: 'code',
      redirect_uri: broker.redirectUri,
      code_challenge_method: 'S256',
      resource: upstream.mcpServer.jsonUrl,
      scope: 'mcp:tools offline_access',
    });
    expect(query.code_challenge).toMatch(/^[\w-]{43}$/);
    expect(query.state).toMatch(/^[\w-]{43}$/);
    expect(new URL((await open(broker.loginUrl)).location ?? '').searchParams.get('state')).not.toBe(
      query.state,
    );
  });

  it('names the same resource as the code request and each refresh', async () => {
    const clock = givenClock();
    const { broker, upstream } = await givenBoth();
    await logIn(broker);
    clock.advance(TOKEN_SECONDS + 1);
    expect(await outcomeOf(broker)).toBe('ok');
    const { entries } = upstream.authorizationServer.requests;
    const asked = entries.filter(({ path, grantType }) => path === '/authorize' || grantType !== undefined);
    const named = asked.map(({ path, grantType, resource }) => [grantType ?? path, resource]);
    const resource = [upstream.mcpServer.jsonUrl];
    expect(named).toEqual([
      ['/authorize', resource],
      ['authorization_code', resource],
      ['refresh_token', resource],
    ]);
  });

  it('uses one registration for one login after the other', async () => {
    const { broker, upstream, store } = await givenBoth();
    await logIn(broker);
    const { client } = await broker.status();
    await logIn(broker);
    expect((await broker.status()).client).toEqual(client);
    // An abandoned login, and a new process, take no other either.
    await open(broker.loginUrl);
    const again = await givenBroker(upstream.mcpServer.jsonUrl, { PUBLIC_BASE_URL: broker.localUrl }, store);
    await open(again.broker.loginUrl.replace(broker.localUrl, again.broker.localUrl));
    const { entries } = upstream.authorizationServer.requests;
    expect(entries.filter(({ path }) => path === '/register')).toHaveLength(1);
  });

  it('registers anew when a login with the kept registration did not come back', async () => {
    const clock = givenClock();
    const { broker, upstream } = await givenBoth();
    await logIn(broker);
    await upstream.restartAuthorizationServer({ forget: true });
    const stuck = new URL((await open(broker.loginUrl)).location ?? '');
    expect((await open(stuck)).status).toBe(400);
    clock.advance(6);
    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');
  });
});

describe('servers that are slow one after the other', () => {
  it('are not waited for without end: the page says so', async () => {
    const { broker, upstream } = await givenBoth();
    const clock = givenClock();
    upstream.authorizationServer.behaviour.respond = () => {
      clock.advance(31);
      return false;
    };
    const { status, page } = await open(broker.loginUrl);
    expect(status).toBe(504);
    expect(page).toContain('the servers before it took too long');
    expect(upstream.authorizationServer.requests.entries).toHaveLength(1);
  });
});

describe('several tabs opened at once', () => {
  it('share one discovery and one registration, and have a state each', async () => {
    const { broker, upstream } = await givenBoth();
    const opened = await Promise.all(Array.from({ length: 5 }, () => open(broker.loginUrl)));
    const queries = opened.map(({ location }) => new URL(location ?? '').searchParams);
    expect(new Set(queries.map((query) => query.get('client_id'))).size).toBe(1);
    expect(new Set(queries.map((query) => query.get('state'))).size).toBe(5);
    expect(upstream.authorizationServer.requests.entries.map(({ path }) => path)).toEqual([
      '/.well-known/oauth-authorization-server',
      '/register',
    ]);
  });
});

describe('the callback', () => {
  it('finishes logins that are pending at once independently, in any order', async () => {
    const { broker } = await givenBoth();
    const first = await callbackOf(broker);
    const second = await callbackOf(broker);
    expect((await open(second)).status).toBe(200);
    expect((await open(first)).status).toBe(200);
    expect(await outcomeOf(broker)).toBe('ok');
    expect((await broker.status()).counters.logins).toBe(2);
  });

  it('that is opened again leaves no trace in the status: the login worked', async () => {
    const { broker } = await givenBoth();
    const callback = await callbackOf(broker);
    await open(callback);
    const { status, page } = await open(callback);
    expect(status).toBe(400);
    expect(page).toContain('<h1>Nothing is left to do</h1>');
    expect(page).toContain('You are logged in: close this window.');
    expect((await broker.status()).last_error).toBeUndefined();
  });

  it('of a tab that was overtaken does not hide that the login has ended since', async () => {
    const { broker, upstream } = await givenBoth();
    await open(broker.loginUrl);
    const clock = givenClock();
    clock.advance(1);
    await logIn(broker);
    upstream.authorizationServer.revokeGrants();
    clock.advance(TOKEN_SECONDS);
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    expect((await broker.status()).state).toBe('login_required');
  });

  it('is good once: a replay gets a page and sends no token request', async () => {
    const { broker, upstream } = await givenBoth();
    const callback = await callbackOf(broker);
    expect((await open(callback)).status).toBe(200);
    const { status, page } = await open(callback);
    expect(status).toBe(400);
    expect(page).toContain('belongs to no login that is under way');
    expect(tokenRequests(upstream, 'authorization_code')).toHaveLength(1);
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it.each<[string, (query: URLSearchParams) => void]>([
    ['a wrong state', (query) => query.set('state', 'A'.repeat(43))],
    ['no state', (query) => query.delete('state')],
    ['an empty state', (query) => query.set('state', '')],
    ['neither a code nor an error', (query) => query.delete('code')],
    ['two codes', (query) => query.append('code', 'another')],
  ])('with %s is refused without a token request', async (_, change) => {
    const { broker, upstream } = await givenBoth();
    const { status, page } = await open(await callbackOf(broker, change));
    expect(status).toBe(400);
    // By its path alone: under another name of this machine the link would be one of another site.
    expect(page).toContain('href="/oauth/login"');
    expect(tokenRequests(upstream, 'authorization_code')).toEqual([]);
    expect(await outcomeOf(broker)).toBe('not_authenticated');
  });

  it('is refused after ten minutes', async () => {
    const clock = givenClock();
    const { broker, upstream } = await givenBoth();
    const callback = await callbackOf(broker);
    clock.advance(600);
    expect((await open(callback)).status).toBe(400);
    expect(tokenRequests(upstream, 'authorization_code')).toEqual([]);
    expect((await broker.status()).state).toBe('logged_out');
  });

  it('is accepted just before the ten minutes are over', async () => {
    const clock = givenClock();
    const { broker } = await givenBoth();
    const { searchParams } = await broker.login();
    clock.advance(599);
    const query = new URLSearchParams({ error: 'access_denied', state: searchParams.get('state') ?? '' });
    await expect(broker.finishLogin(new URL(`${broker.redirectUri}?${query}`))).rejects.toMatchObject({
      code: 'invalid_callback', // It names no issuer; its state was known.
      message: expect.stringContaining('does not name its issuer'),
    });
  });

  it('that brings a denial says so, and what to do', async () => {
    const { broker } = await givenBoth();
    const { status, body } = await signInByHttp(broker.loginUrl, { deny: true, follow: true });
    expect(status).toBe(400);
    expect(body).toContain('access_denied');
    expect(body).toContain('start the login again and allow the access');
    const { last_error, state } = await broker.status();
    expect(last_error).toMatchObject({ code: 'authorization_refused' });
    expect(state).toBe('logged_out');
  });

  it('binds the code to its verifier: a code under another login’s state is refused by the server', async () => {
    const { broker, bodies } = await givenBoth();
    const one = await callbackOf(broker);
    const two = await callbackOf(broker, (query) => query.set('code', one.searchParams.get('code') ?? ''));
    const { status, page } = await open(two);
    expect(status).toBe(400);
    expect(page).toContain('invalid_grant');
    expect(bodies).toHaveLength(1);
  });

  it('sends the verifier of the challenge', async () => {
    const { broker, upstream, bodies } = await givenBoth();
    let challenge: string | null = null;
    upstream.authorizationServer.behaviour.respond = onPath('/authorize', ({ url }) => {
      challenge ??= new URL(url ?? '', upstream.issuer).searchParams.get('code_challenge');
      return false;
    });
    await logIn(broker);
    const verifier = bodies[0]?.get('code_verifier') ?? '';
    expect(createHash('sha256').update(verifier).digest('base64url')).toBe(challenge);
    expect(bodies[0]?.get('redirect_uri')).toBe(broker.redirectUri);
  });
});

describe('the issuer in the callback (RFC 9207)', () => {
  const advertised = (promised: boolean | undefined) =>
    onPath(
      /^\/\.well-known\//,
      altering((json) => ({ ...json, authorization_response_iss_parameter_supported: promised })),
    );

  it.each<[string, boolean | undefined, (issuer: string) => string | undefined, number]>([
    ['right and promised', true, (issuer) => issuer, 200],
    ['right and not promised', undefined, (issuer) => issuer, 200],
    ['absent and not promised', undefined, () => undefined, 200],
    ['absent and denied', false, () => undefined, 200],
    ['absent though promised', true, () => undefined, 400],
    ['wrong though not promised', undefined, () => 'https://evil.example', 400],
    ['wrong by a slash', true, (issuer) => `${issuer}/`, 400],
    ['wrong by its case', true, (issuer) => issuer.replace('http', 'HTTP'), 400],
    ['empty', true, () => '', 400],
  ])('%s', async (_, promised, iss, expected) => {
    const { broker, upstream } = await givenBoth({
      authorizationServer: { respond: advertised(promised) },
    });
    const value = iss(upstream.issuer);
    const callback = await callbackOf(broker, (query) => {
      query.delete('iss');
      if (value !== undefined) query.set('iss', value);
    });
    expect((await open(callback)).status).toBe(expected);
    expect(tokenRequests(upstream, 'authorization_code')).toHaveLength(expected === 200 ? 1 : 0);
  });

  it('twice is refused', async () => {
    const { broker, upstream } = await givenBoth();
    const callback = await callbackOf(broker, (query) => query.append('iss', 'https://evil.example'));
    expect((await open(callback)).status).toBe(400);
    expect(tokenRequests(upstream, 'authorization_code')).toEqual([]);
  });

  it('wrong, with an error: nothing of the error is shown', async () => {
    const { broker, log } = await givenBoth();
    const callback = await callbackOf(broker, (query) => {
      query.delete('code');
      query.set('iss', 'https://evil.example');
      query.set('error', 'call-this-number');
      query.set('error_description', 'Call 555-0100 to unlock your account');
      query.set('error_uri', 'https://evil.example/help');
    });
    const { status, page } = await open(callback);
    expect(status).toBe(400);
    const shown = page + log.text + JSON.stringify(await broker.status());
    for (const hidden of ['call-this-number', '555-0100', 'evil.example/help']) {
      expect(shown).not.toContain(hidden);
    }
  });
});

describe('a login that cannot begin or end', () => {
  it('is not needed where the upstream answers without one', async () => {
    const { broker } = await givenBoth({
      mcpServer: {
        requireAuth: false,
        respond: onPath('/json/mcp', answering(200, '{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}')),
      },
    });
    const { status, page } = await open(broker.loginUrl);
    expect(status).toBe(200);
    expect(page).toContain('without a login');
    const json = await fetch(broker.loginUrl, { headers: { accept: 'application/json' } });
    expect(json.status).toBe(200);
    expect(await json.json()).toMatchObject({ error: 'not_required' });
    expect(await outcomeOf(broker)).toBe('ok');
    expect((await broker.status()).state).toBe('not_required');
  });

  it('gets a 502 page when the authorization server is down, before and after the sign-in', async () => {
    const { broker, upstream } = await givenBoth();
    const callback = await callbackOf(broker);
    await upstream.authorizationServer.close();
    const after = await open(callback);
    expect(after.status).toBe(502);
    expect(after.page).toContain('cannot be reached');
    const before = await open(broker.loginUrl);
    expect(before.status).toBe(502);
    expect(before.page).toContain('cannot be reached');

    await upstream.restartAuthorizationServer();
    await logIn(broker);
    expect((await broker.status()).last_error).toBeUndefined();
  });

  it('gets a 502 page when the upstream is down', async () => {
    const { broker, upstream } = await givenBoth();
    await upstream.close();
    const { status, page } = await open(broker.loginUrl);
    expect(status).toBe(502);
    expect(page).toContain('The MCP server cannot be asked');
  });

  it('gets a 504 page when the authorization server is slow, before and after the sign-in', async () => {
    const { broker, upstream } = await givenBoth();
    const callback = await callbackOf(broker);
    upstream.authorizationServer.behaviour.respond = () => true;
    const [after, before] = await Promise.all([open(callback), open(broker.loginUrl)]);
    expect([after.status, before.status]).toEqual([504, 504]);
    expect(after.page).toContain('did not answer within 10 s');
    expect(before.page).toContain('did not answer within 10 s');
  });

  it.each([
    ['an error with HTTP 200', 200, '{"error":"invalid_grant","error_description":"Code is used up"}', 400],
    ['HTML', 200, '<html>', 502],
    ['500', 500, '{"error":"server_error"}', 502],
    ['a token that is no bearer token', 200, '{"access_token":"x","token_type":"mac"}', 400],
  ])('gets a page when the token endpoint answers %s', async (_, status, body, expected) => {
    const { broker, upstream } = await givenBoth();
    const callback = await callbackOf(broker);
    upstream.authorizationServer.behaviour.respond = onPath('/token', answering(status, body));
    expect((await open(callback)).status).toBe(expected);
    expect((await broker.status()).state).toBe('logged_out');
  });

  it('with a registration the server forgot on the way: says so, and the next one registers anew', async () => {
    const { broker, upstream } = await givenBoth();
    const callback = await callbackOf(broker);
    upstream.authorizationServer.forgetClients();
    const { status, page } = await open(callback);
    expect(status).toBe(400);
    expect(page).toContain('registered anew');
    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');
  });
});

describe('a login the store does not take', () => {
  it('works, with a warning on the page and in the log, and is stored later', async () => {
    const clock = givenClock();
    const store = givenBreakableStore();
    const { broker, log, upstream } = await givenBoth({}, store);
    store.broken = { get: LOCKED, set: LOCKED };
    const { status, body } = await signInByHttp(broker.loginUrl, { follow: true });
    expect(status).toBe(200);
    expect(body).toContain('could not be stored');
    expect(body).toContain('The keyring is locked. Unlock it');
    expect(log.entries).toContainEqual(
      expect.objectContaining({ level: 'error', event: 'The token store failed' }),
    );
    expect(await broker.status()).toMatchObject({ state: 'authenticated', reason: LOCKED.message });

    // As long as it lasts, the login lives in memory, over rotations as well.
    for (const _ of [1, 2]) {
      clock.advance(TOKEN_SECONDS + 1);
      expect(await outcomeOf(broker)).toBe('ok');
    }
    expect(store.items.size).toBe(0);

    store.broken = {};
    clock.advance(TOKEN_SECONDS + 1);
    expect(await outcomeOf(broker)).toBe('ok');
    expect((await broker.status()).reason).toBeUndefined();
    const again = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    expect(await outcomeOf(again.broker)).toBe('ok');
  });

  it('is stored at the end at the latest', async () => {
    const store = givenBreakableStore();
    const { broker, upstream } = await givenBoth({}, store);
    store.broken = { set: LOCKED };
    await logIn(broker);
    store.broken = {};
    await broker.close();
    const again = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    expect(await outcomeOf(again.broker)).toBe('ok');
  });

  it('is not replaced by an older one that becomes readable later', async () => {
    const clock = givenClock();
    const store = givenBreakableStore();
    const { broker, upstream } = await givenBoth({}, store);
    await logIn(broker);
    store.broken = { get: LOCKED, set: LOCKED };
    const { broker: second } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    await logIn(second);
    upstream.authorizationServer.requests.clear();
    store.broken = {};
    clock.advance(TOKEN_SECONDS + 1);
    expect(await outcomeOf(second)).toBe('ok');
    const { client } = await second.status();
    expect(tokenRequests(upstream).map(({ clientId }) => clientId)).toEqual([client?.id]);
  });
});
