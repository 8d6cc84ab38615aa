import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Client } from '../../../app/oauth/metadata.ts';
import {
  authenticationMethod,
  exchangeCode,
  refreshTokens,
  revokeToken,
  type TokenEndpoint,
  TokenEndpointError,
  type TokenSet,
} from '../../../app/oauth/token-endpoint.ts';
import { givenHttpClient } from '../../support/http-client.ts';
import {
  givenScriptedServer,
  type ScriptedAnswer,
  type ScriptedServer,
} from '../../support/scripted-server.ts';

const REDIRECT_URI = 'http://127.0.0.1:5177/oauth/callback';
const SECRETS = {
  accessToken: 'at-7Qm2ZkV9pLx4',
  refreshToken: 'rt-3Hn8YwT5sBc1',
  code: 'co-6Jf1XrD0vGq7',
  codeVerifier: 'cv-dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
  clientSecret: 'cs: a+b/c=d&é%"€"',
  state: 'st-9Lk4PzN2mWe8',
};
const GOOD = { access_token: SECRETS.accessToken, token_type: 'Bearer' };

interface Given {
  readonly server: ScriptedServer;
  readonly endpoint: TokenEndpoint;
}

/** A token endpoint that gives one answer. */
async function givenEndpoint(
  answer: ScriptedAnswer,
  client: Partial<Client> = {},
  { methods, resource }: { methods?: string[]; resource?: string } = {},
): Promise<Given> {
  const server = await givenScriptedServer({ 'POST /token': answer, 'POST /revoke': answer });
  const http = givenHttpClient({ upstreamMcpUrl: server.origin }, { answerTimeoutMs: 1_000 });
  const endpoint: TokenEndpoint = {
    server: {
      issuer: server.origin,
      authorization_endpoint: `${server.origin}/authorize`,
      token_endpoint: `${server.origin}/token`,
      revocation_endpoint: `${server.origin}/revoke`,
      token_endpoint_auth_methods_supported: methods,
    },
    client: {
      issuer: server.origin,
      redirect_uri: REDIRECT_URI,
      source: 'registered',
      client_id: 'client 1',
      ...client,
    },
    resource,
    request: http.request,
  };
  return { server, endpoint };
}

const exchange = (endpoint: TokenEndpoint, query: Record<string, string> = {}) => {
  const parameters = new URLSearchParams({ code: SECRETS.code, state: SECRETS.state, ...query });
  return exchangeCode(endpoint, new URL(`${REDIRECT_URI}?${parameters}`), SECRETS);
};
const refresh = (endpoint: TokenEndpoint) => refreshTokens(endpoint, SECRETS.refreshToken);

async function failureOf(promise: Promise<unknown>): Promise<TokenEndpointError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TokenEndpointError);
  const failure = error as TokenEndpointError;
  expectNoSecretIn(failure);
  expect(failure.cause).toBeUndefined();
  return failure;
}

/** Neither in the message nor in the stack, a cause or any property, however deep. */
function expectNoSecretIn(error: Error): void {
  const everything = [
    error.message,
    String(error.stack),
    inspect(error, { depth: null, showHidden: true, maxStringLength: null }),
    JSON.stringify(error),
  ].join('\n');
  for (const secret of Object.values(SECRETS)) expect(everything).not.toContain(secret);
}

const form = (server: ScriptedServer) => Object.fromEntries(new URLSearchParams(server.requests[0]?.body));

describe('a token request', () => {
  it('exchanges a code with verifier, redirect URI and resource', async () => {
    const { server, endpoint } = await givenEndpoint(
      { json: GOOD },
      {},
      { resource: 'https://h.example/mcp' },
    );
    await exchange(endpoint);
    expect(server.asked).toEqual(['POST /token']);
    expect(form(server)).toEqual({
      grant_type: 'authorization_code',
      code: SECRETS.code,
      code_verifier: SECRETS.codeVerifier,
      redirect_uri: REDIRECT_URI,
      resource: 'https://h.example/mcp',
      client_id: 'client 1',
    });
    expect(server.requests[0]?.headers).toMatchObject({
      'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
      accept: 'application/json',
    });
  });

  it('refreshes with the resource, and without a scope, as a refresh cannot widen it', async () => {
    const { server, endpoint } = await givenEndpoint({ json: GOOD }, {}, { resource: 'https://h.example' });
    await refresh(endpoint);
    expect(form(server)).toEqual({
      grant_type: 'refresh_token',
      refresh_token: SECRETS.refreshToken,
      resource: 'https://h.example',
      client_id: 'client 1',
    });
  });

  it('names no resource to a server of 2025-03-26', async () => {
    const { server, endpoint } = await givenEndpoint({ json: GOOD });
    await refresh(endpoint);
    expect(form(server)).not.toHaveProperty('resource');
  });

  it.each([
    ['another state', { state: 'other' }],
    ['another issuer', { iss: 'https://evil.example' }],
    ['an error beside the code', { error: 'access_denied' }],
  ])('is not sent for a callback with %s', async (_, query) => {
    const { server, endpoint } = await givenEndpoint({ json: GOOD });
    const failure = await failureOf(exchange(endpoint, query));
    expect(failure.definite).toBe(true);
    expect(server.asked).toEqual([]);
  });
});

describe('client authentication on the wire', () => {
  it('none: the client ID in the body, no secret anywhere', async () => {
    const { server, endpoint } = await givenEndpoint({ json: GOOD });
    await refresh(endpoint);
    expect(server.requests[0]?.headers).not.toHaveProperty('authorization');
    expect(form(server)).toMatchObject({ client_id: 'client 1' });
    expect(form(server)).not.toHaveProperty('client_secret');
  });

  it('basic: both parts form-encoded before they are joined (RFC 6749 §2.3.1)', async () => {
    const { server, endpoint } = await givenEndpoint(
      { json: GOOD },
      {
        client_id: 'c:1 ü',
        client_secret: SECRETS.clientSecret,
        token_endpoint_auth_method: 'client_secret_basic',
      },
    );
    await refresh(endpoint);
    const [scheme, value = ''] = (server.requests[0]?.headers.authorization ?? '').split(' ');
    const [id = '', secret = '', ...rest] = Buffer.from(value, 'base64').toString('latin1').split(':');
    expect([scheme, rest]).toEqual(['Basic', []]);
    expect(`${id}:${secret}`).toMatch(/^[\w.*+%-]+:[\w.*+%-]+$/);
    const decoded = [...new URLSearchParams(`${id}=${secret}`)];
    expect(decoded).toEqual([['c:1 ü', SECRETS.clientSecret]]);
    expect(form(server)).not.toHaveProperty('client_secret');
    expect(form(server)).not.toHaveProperty('client_id');
  });

  it('post: ID and secret in the body', async () => {
    const { server, endpoint } = await givenEndpoint(
      { json: GOOD },
      { client_secret: SECRETS.clientSecret, token_endpoint_auth_method: 'client_secret_post' },
    );
    await refresh(endpoint);
    expect(form(server)).toMatchObject({ client_id: 'client 1', client_secret: SECRETS.clientSecret });
    expect(server.requests[0]?.headers).not.toHaveProperty('authorization');
  });
});

describe('authenticationMethod', () => {
  const BASIC = 'client_secret_basic';
  const POST = 'client_secret_post';
  it.each([
    ['no secret', {}, [BASIC], 'none'],
    ['what registration answered', { client_secret: 's', token_endpoint_auth_method: POST }, [BASIC], POST],
    [
      'what registration answered: none',
      { client_secret: 's', token_endpoint_auth_method: 'none' },
      [BASIC],
      'none',
    ],
    ['what the server allows', { client_secret: 's' }, ['private_key_jwt', POST], POST],
    ['basic before post', { client_secret: 's' }, [POST, BASIC], BASIC],
    ['a method that is not known', { client_secret: 's', token_endpoint_auth_method: 'tls' }, [POST], POST],
    ['nothing that is known', { client_secret: 's' }, ['private_key_jwt'], BASIC],
    ['nothing said', { client_secret: 's' }, undefined, BASIC],
  ] as const)('%s', (_, client, supported, expected) => {
    expect(authenticationMethod(client, supported)).toBe(expected);
  });
});

describe('a grant', () => {
  const granted = async (json: object): Promise<TokenSet> => {
    const { endpoint } = await givenEndpoint({ json: { ...GOOD, ...json } });
    return refresh(endpoint);
  };

  it('is read whole', async () => {
    const before = Date.now();
    const tokens = await granted({ refresh_token: SECRETS.refreshToken, scope: 'a b', expires_in: 3600 });
    expect(tokens).toEqual({
      accessToken: SECRETS.accessToken,
      refreshToken: SECRETS.refreshToken,
      scope: 'a b',
      obtainedAt: expect.any(Number),
      expiresAt: tokens.obtainedAt + 3_600_000,
    });
    expect(tokens.obtainedAt).toBeGreaterThanOrEqual(before);
    expect(tokens.obtainedAt).toBeLessThanOrEqual(Date.now());
  });

  it.each([
    [3600, 3600],
    ['3600', 3600],
    [' 3600 ', 3600],
    [1.5, 1.5],
    [31_536_000, 31_536_000],
    [undefined, undefined],
    [null, undefined],
    ['', undefined],
    ['soon', undefined],
    [-1, undefined],
    [0, undefined],
    ['-5', undefined],
    [31_536_001, undefined],
    [1e21, undefined],
    ['Infinity', undefined],
    [[60], undefined],
    [true, undefined],
  ])('with expires_in %j lasts %j seconds', async (given, seconds) => {
    const { obtainedAt, expiresAt } = await granted({ expires_in: given });
    expect(expiresAt).toBe(seconds === undefined ? undefined : obtainedAt + seconds * 1000);
  });

  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('of the type %s is taken', async (type) => {
    expect((await granted({ token_type: type })).accessToken).toBe(SECRETS.accessToken);
  });

  it.each([undefined, null, '', 'DPoP', 'mac', 'N_A', 7])('of the type %j is refused', async (type) => {
    const failure = await failureOf(granted({ token_type: type }));
    expect(failure).toMatchObject({ definite: true, oauthError: undefined, missing: false });
  });

  it.each([undefined, null, '', 7, 'two words', 'line\nbreak', 'ü', { a: 1 }])(
    'with the access token %j is refused',
    async (token) => {
      expect((await failureOf(granted({ access_token: token }))).definite).toBe(true);
    },
  );

  it.each([undefined, null, '', 7, ['x']])('with the refresh token %j has none', async (token) => {
    expect((await granted({ refresh_token: token })).refreshToken).toBeUndefined();
  });

  it.each([
    ['a b', 'a b'],
    [['a', 'b'], 'a b'],
    ['', undefined],
    [null, undefined],
    [7, undefined],
  ])('with the scope %j has %j', async (given, scope) => {
    expect((await granted({ scope: given })).scope).toBe(scope);
  });

  it.each(['not a JWT', 'eyJhbGciOiJub25lIn0.e30.', 7, null])('ignores the ID token %j', async (token) => {
    const tokens = await granted({ id_token: token });
    expect(tokens.accessToken).toBe(SECRETS.accessToken);
    expect(JSON.stringify(tokens)).not.toContain('id_token');
  });

  it('is read with HTTP 201, and whatever its content type is', async () => {
    const { endpoint } = await givenEndpoint({
      text: JSON.stringify(GOOD),
      status: 201,
      headers: { 'content-type': 'text/html' },
    });
    expect((await refresh(endpoint)).accessToken).toBe(SECRETS.accessToken);
  });
});

describe('a refusal', () => {
  const challenge = { 'www-authenticate': 'Basic realm="as", error="invalid_client"' };

  it.each<[string, ScriptedAnswer, Partial<TokenEndpointError>]>([
    [
      'invalid_grant with 400',
      { status: 400, json: { error: 'invalid_grant' } },
      { oauthError: 'invalid_grant', definite: true },
    ],
    [
      'invalid_grant with 401',
      { status: 401, json: { error: 'invalid_grant' } },
      { oauthError: 'invalid_grant', definite: true },
    ],
    [
      'invalid_grant with 200',
      { json: { error: 'invalid_grant' } },
      { oauthError: 'invalid_grant', definite: true },
    ],
    [
      'an error beside a token',
      { json: { ...GOOD, error: 'invalid_grant' } },
      { oauthError: 'invalid_grant', definite: true },
    ],
    [
      'invalid_client with 400',
      { status: 400, json: { error: 'invalid_client' } },
      { oauthError: 'invalid_client', definite: true },
    ],
    [
      'invalid_client with 401 and a challenge',
      { status: 401, json: { error: 'invalid_client' }, headers: challenge },
      { oauthError: 'invalid_client', definite: true },
    ],
    [
      'invalid_request',
      { status: 400, json: { error: 'invalid_request' } },
      { oauthError: 'invalid_request', definite: true },
    ],
    [
      'temporarily_unavailable',
      { status: 400, json: { error: 'temporarily_unavailable' } },
      { oauthError: 'temporarily_unavailable', definite: false },
    ],
    [
      'slow_down',
      { status: 400, json: { error: 'slow_down' } },
      { oauthError: 'slow_down', definite: false },
    ],
    [
      '429 with an error',
      { status: 429, json: { error: 'too_many' } },
      { oauthError: undefined, definite: false },
    ],
    [
      '500 with an error',
      { status: 500, json: { error: 'invalid_grant' } },
      { oauthError: undefined, definite: false },
    ],
    ['503', 503, { oauthError: undefined, definite: false, missing: false }],
    [
      'HTML with 200',
      { text: '<html>', headers: { 'content-type': 'text/html' } },
      { oauthError: undefined, definite: false },
    ],
    [
      'HTML with 400',
      { status: 400, text: '<html>' },
      { oauthError: undefined, definite: false, missing: false },
    ],
    [
      '401 with a challenge and no body',
      { status: 401, text: '', headers: challenge },
      { oauthError: undefined, definite: false },
    ],
    ['JSON that was cut', { text: '{"access_token":"x' }, { oauthError: undefined, definite: false }],
    ['a JSON list', { json: [GOOD] }, { oauthError: undefined, definite: false }],
    ['a JSON null', { json: null }, { oauthError: undefined, definite: false }],
    ['an empty body', { text: '' }, { oauthError: undefined, definite: false }],
    [
      'an error that is no text',
      { status: 400, json: { error: { code: 1 } } },
      { oauthError: undefined, definite: false },
    ],
    [
      'a redirect',
      { status: 307, text: '', headers: { location: '/elsewhere' } },
      { oauthError: undefined, definite: false },
    ],
    ['404', 404, { missing: true, definite: false }],
    [
      '404 with an error',
      { status: 404, json: { error: 'Not Found' } },
      { missing: true, definite: false, oauthError: undefined },
    ],
    ['410', { status: 410, json: {} }, { missing: true, definite: false }],
  ])('by %s is told apart', async (_, answer, expected) => {
    const { server, endpoint } = await givenEndpoint(answer);
    for (const attempt of [refresh, exchange]) {
      const failure = await failureOf(attempt(endpoint));
      expect(failure).toMatchObject({ timedOut: false, ...expected });
      expect(failure.message).toMatch(/^\S.*\.$/);
      expect(failure.message).toContain(server.host);
    }
    expect(server.asked).toEqual(['POST /token', 'POST /token']);
  });

  it('shows what the server says in one clean, short line', async () => {
    const description = `The grant\n\u001b[31mhas\u202eended${'!'.repeat(500)}`;
    const { server, endpoint } = await givenEndpoint({
      status: 400,
      json: { error: 'invalid_grant', error_description: description },
    });
    const { message } = await failureOf(refresh(endpoint));
    expect(message).toMatch(/^127\.0\.0\.1:\d+ answered "invalid_grant" \(The grant \[31mhas ended!+\)\.$/);
    expect(message.length).toBeLessThan(400 + server.host.length);
  });

  it('by silence is a time-out', async () => {
    const { endpoint } = await givenEndpoint(() => undefined);
    expect(await failureOf(refresh(endpoint))).toMatchObject({ definite: false, timedOut: true });
  });

  it('by nobody is trouble that may pass', async () => {
    const { endpoint } = await givenEndpoint(200);
    const nobody = {
      ...endpoint,
      server: { ...endpoint.server, token_endpoint: 'http://127.0.0.1:1/token' },
    };
    const failure = await failureOf(refresh(nobody));
    expect(failure).toMatchObject({ definite: false, timedOut: false });
    expect(failure.message).toBe('127.0.0.1:1 cannot be reached (nothing listens there, ECONNREFUSED).');
  });

  it('by a fault of our own is told without what was sent', async () => {
    const { endpoint } = await givenEndpoint(200);
    const request = async (_: string, { body = '' } = {}) => {
      throw new Error(`boom ${decoded(body)}`, { cause: body });
    };
    const failure = await failureOf(refresh({ ...endpoint, request }));
    expect(failure).toMatchObject({ definite: false, oauthError: undefined });
    expect(failure.message).toContain('could not be asked');
  });

  it.each<[string, ScriptedAnswer]>([
    [
      'in its error',
      ({ body }, response) => void response.writeHead(400).end(JSON.stringify({ error: decoded(body) })),
    ],
    [
      'in its description',
      ({ body }, response) =>
        void response
          .writeHead(400)
          .end(JSON.stringify({ error: 'invalid_grant', error_description: `No: ${decoded(body)}` })),
    ],
    ['in a page', ({ body }, response) => void response.writeHead(400).end(`<p>${decoded(body)}`)],
    [
      'beside tokens of a wrong type',
      ({ body }, response) =>
        void response.end(
          JSON.stringify({ ...GOOD, refresh_token: SECRETS.refreshToken, token_type: decoded(body) }),
        ),
    ],
    [
      'in place of a token',
      ({ body }, response) =>
        void response.end(JSON.stringify({ ...GOOD, access_token: { it: decoded(body) } })),
    ],
  ])('that repeats our secrets %s does not have them shown', async (_, answer) => {
    const { endpoint } = await givenEndpoint(answer, {
      client_secret: SECRETS.clientSecret,
      token_endpoint_auth_method: 'client_secret_post',
    });
    await failureOf(refresh(endpoint));
    await failureOf(exchange(endpoint));
    await failureOf(revokeToken(endpoint, SECRETS.accessToken, 'access_token').then(() => refresh(endpoint)));
  });
});

/** The values of a form, as a careless server would repeat them. */
const decoded = (body: string) => [...new URLSearchParams(body).values()].join(' ');

describe('a revocation', () => {
  it('sends the token, its kind and the client', async () => {
    const { server, endpoint } = await givenEndpoint({ text: '' });
    await revokeToken(endpoint, SECRETS.refreshToken, 'refresh_token');
    expect(server.asked).toEqual(['POST /revoke']);
    expect(form(server)).toEqual({
      token: SECRETS.refreshToken,
      token_type_hint: 'refresh_token',
      client_id: 'client 1',
    });
  });

  it.each<[string, ScriptedAnswer]>([
    ['200 without a body', { text: '' }],
    ['200 with a page', { text: '<p>done' }],
    ['204', 204],
  ])('is done when the server answers %s', async (_, answer) => {
    const { endpoint } = await givenEndpoint(answer);
    await expect(revokeToken(endpoint, SECRETS.accessToken, 'access_token')).resolves.toBeUndefined();
  });

  it('is done at an endpoint whose URL is spelled oddly', async () => {
    const { server, endpoint } = await givenEndpoint({ text: '' });
    const odd = { ...endpoint.server, revocation_endpoint: `HTTP://${server.host}/a/../revoke` };
    await revokeToken({ ...endpoint, server: odd }, SECRETS.accessToken, 'access_token');
    expect(server.asked).toEqual(['POST /revoke']);
  });

  it.each<[string, ScriptedAnswer, Partial<TokenEndpointError>]>([
    [
      'unsupported_token_type',
      { status: 400, json: { error: 'unsupported_token_type' } },
      { oauthError: 'unsupported_token_type' },
    ],
    ['503', 503, { definite: false, oauthError: undefined }],
    ['404', 404, { definite: false, oauthError: undefined }],
    ['304', 304, { definite: false, oauthError: undefined }],
  ])('is not done when the server answers %s', async (_, answer, expected) => {
    const { endpoint } = await givenEndpoint(answer);
    const failure = await failureOf(revokeToken(endpoint, SECRETS.refreshToken, 'refresh_token'));
    expect(failure).toMatchObject(expected);
  });
});
