import { describe, expect, it } from 'vitest';
import { SecretStoreError } from '../../app/store/secret-store.ts';
import { givenBroker, givenUpstream, logIn } from '../support/broker.ts';
import {
  altering,
  answering,
  givenBreakableStore,
  onPath,
  outcomeOf,
  TOKEN_SECONDS,
  tokenRequests,
} from '../support/login.ts';

async function givenLogin() {
  const tokens: Record<string, unknown>[] = [];
  const revoked: (string | null)[] = [];
  const upstream = await givenUpstream({
    authorizationServer: {
      accessTokenSeconds: TOKEN_SECONDS,
      respond: onPath(
        '/token',
        altering((json) => {
          tokens.push(json);
          return json;
        }),
      ),
    },
  });
  const store = givenBreakableStore();
  const running = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
  await logIn(running.broker);
  expect(await outcomeOf(running.broker)).toBe('ok');
  return { ...running, upstream, store, tokens, revoked };
}

/** Logs out as a script does, or, with `page`, as a browser does. */
async function logOut(broker: { readonly localUrl: string }, { page = false, method = 'POST' } = {}) {
  const response = await fetch(`${broker.localUrl}/oauth/logout`, {
    method,
    headers: page ? { accept: 'text/html' } : { accept: 'application/json' },
  });
  return { status: response.status, text: await response.text() };
}

describe('logging out', () => {
  it('revokes both tokens, forgets the login and the registration, and calls are refused', async () => {
    const { broker, upstream, store, tokens } = await givenLogin();
    expect(store.items.size).toBe(1);
    const { requests } = upstream.authorizationServer;
    requests.clear();

    const { status, text } = await logOut(broker);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({ status: 'logged_out', revocation: 'revoked' });
    expect(requests.entries.map(({ method, path, status }) => ({ method, path, status }))).toEqual([
      { method: 'POST', path: '/revoke', status: 200 },
      { method: 'POST', path: '/revoke', status: 200 },
    ]);
    const accessToken = String(tokens.at(-1)?.access_token);
    expect(await upstream.authorizationServer.verifyAccessToken(accessToken)).toBeUndefined();
    expect(store.items.size).toBe(0);
    const shown = await broker.status();
    expect(shown).toMatchObject({ state: 'logged_out', refresh_token: { present: false } });
    expect(shown.scopes).toEqual({ requested: [], granted: [] });
    expect([shown.client, shown.issuer, shown.reason]).toEqual([undefined, undefined, undefined]);
    expect(await outcomeOf(broker)).toBe('not_authenticated');

    await logIn(broker);
    expect(requests.entries.filter(({ path }) => path === '/register')).toHaveLength(1);
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it.each(['GET', 'POST', 'DELETE'])('works by %s', async (method) => {
    const { broker } = await givenLogin();
    expect((await logOut(broker, { method })).status).toBe(200);
    expect((await broker.status()).state).toBe('logged_out');
  });

  it('says on a page what was revoked', async () => {
    const { broker } = await givenLogin();
    const { status, text } = await logOut(broker, { page: true });
    expect(status).toBe(200);
    expect(text).toContain('The server has revoked the tokens');
    expect((await logOut(broker, { page: true })).text).toContain('Nothing of a login is kept here.');
  });

  it('works when the authorization server is down, and says so', async () => {
    const { broker, upstream, store } = await givenLogin();
    await upstream.authorizationServer.close();
    const { status, text } = await logOut(broker, { page: true });
    expect(status).toBe(200);
    expect(text).toContain('could not be told to revoke');
    expect(store.items.size).toBe(0);
    expect((await broker.status()).state).toBe('logged_out');
  });

  it('works where the server cannot revoke, and says so', async () => {
    const upstream = await givenUpstream({
      authorizationServer: {
        respond: onPath(
          /^\/\.well-known\//,
          altering((json) => ({ ...json, revocation_endpoint: undefined })),
        ),
      },
    });
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl);
    await logIn(broker);
    expect(JSON.parse((await logOut(broker)).text)).toMatchObject({ revocation: 'not_supported' });
    expect((await broker.status()).state).toBe('logged_out');
  });

  it('counts as revoked where the server revokes refresh tokens only', async () => {
    const { broker, upstream } = await givenLogin();
    let asked = 0;
    upstream.authorizationServer.behaviour.respond = onPath('/revoke', (request, response) => {
      asked++;
      return asked === 2 && answering(400, '{"error":"unsupported_token_type"}')(request, response);
    });
    expect(JSON.parse((await logOut(broker)).text)).toMatchObject({ revocation: 'revoked' });
  });

  it('revokes the access token of a login without a refresh token', async () => {
    const upstream = await givenUpstream({ authorizationServer: { issueRefreshTokens: false } });
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl);
    await logIn(broker);
    upstream.authorizationServer.requests.clear();
    expect(JSON.parse((await logOut(broker)).text)).toMatchObject({ revocation: 'revoked' });
    expect(upstream.authorizationServer.requests.entries.map(({ path }) => path)).toEqual(['/revoke']);
  });

  it('gives up the logins that are under way', async () => {
    const { broker, upstream } = await givenLogin();
    const url = await broker.login();
    await logOut(broker);
    upstream.authorizationServer.requests.clear();
    const { status } = await fetch(`${broker.redirectUri}?code=x&state=${url.searchParams.get('state')}`);
    expect(status).toBe(400);
    expect(tokenRequests(upstream, 'authorization_code')).toEqual([]);
    expect((await broker.status()).state).toBe('logged_out');
  });

  it('says so when the stored login could not be removed, and uses it no more', async () => {
    const { broker, store } = await givenLogin();
    store.broken.delete = new SecretStoreError('denied', 'The keyring refused.');
    const { status, text } = await logOut(broker);
    expect(status).toBe(500);
    expect(JSON.parse(text)).toMatchObject({ error: 'store_failed', message: 'The keyring refused.' });
    expect(await outcomeOf(broker)).toBe('not_authenticated');

    const page = await logOut(broker, { page: true });
    expect(page.status).toBe(500);
    expect(page.text).toContain('The login is still stored');
  });

  it('waits for a refresh that is under way, and ends what it brought', async () => {
    const { broker, upstream, tokens, store } = await givenLogin();
    let release: (handled: false) => void = () => undefined;
    const { behaviour, requests } = upstream.authorizationServer;
    const collect = behaviour.respond;
    const refreshing = requests.next(({ grantType }) => grantType === 'refresh_token');
    behaviour.respond = async (request, response) => {
      if (request.url === '/token') {
        await new Promise((resolve) => {
          release = resolve;
        });
      }
      return collect?.(request, response) ?? false;
    };
    upstream.mcpServer.rejectCurrentTokens();
    const outcome = outcomeOf(broker);
    await refreshing;
    const loggedOut = logOut(broker);
    release(false);
    expect((await loggedOut).status).toBe(200);
    await outcome;
    expect(store.items.size).toBe(0);
    expect((await broker.status()).state).toBe('logged_out');
    const newest = String(tokens.at(-1)?.access_token);
    expect(await upstream.authorizationServer.verifyAccessToken(newest)).toBeUndefined();
    expect(await outcomeOf(broker)).toBe('not_authenticated');
  });
});
