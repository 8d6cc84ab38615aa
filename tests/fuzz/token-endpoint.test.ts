import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Client } from '../../app/oauth/metadata.ts';
import {
  exchangeCode,
  refreshTokens,
  revokeToken,
  type TokenEndpoint,
  TokenEndpointError,
  type TokenSet,
} from '../../app/oauth/token-endpoint.ts';
import {
  expectNoneOf,
  expectSentence,
  type FuzzTarget,
  givenFuzzTarget,
  hostileAnswer,
  hostileJson,
  hostileText,
  mutated,
  runs,
  settled,
} from '../support/fuzz.ts';

const REDIRECT_URI = 'http://127.0.0.1:5177/oauth/callback';
/** What the answer grants. */
const GRANTED = {
  access_token: 'at-7Qm2ZkV9pLx4',
  refresh_token: 'rt-3Hn8YwT5sBc1',
  id_token: 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJpdDVaeCJ9.idQ8',
};
/** What the request holds. */
const SENT = {
  refreshToken: 'ro-5Zx1+Kd/9Gw=',
  code: 'co-6Jf1 XrD&0vGq7',
  codeVerifier: 'cv-dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
  state: 'st-9Lk4PzN2mWe8',
  clientSecret: 'cs: a+b/c=d&é%"€"',
};
const BASIC = btoa(`client+1:${new URLSearchParams({ '': SENT.clientSecret }).toString().slice(1)}`);
const SECRETS = [...Object.values(GRANTED), ...Object.values(SENT), BASIC];
/** A year, the longest lifetime that is believed, in milliseconds. */
const YEAR_MS = 31_536_000_000;

/** A server's sentence that repeats a secret, as it is or encoded. */
const echo = fc
  .tuple(
    fc.constantFrom(...SECRETS),
    fc.constantFrom<(secret: string) => string>(
      (secret) => secret,
      encodeURIComponent,
      (secret) => new URLSearchParams({ '': secret }).toString().slice(1),
      (secret) => JSON.stringify(secret),
    ),
    fc.string({ unit: 'grapheme-ascii', maxLength: 10 }),
  )
  .map(([secret, spelled, before]) => `${before} ${spelled(secret)} is not good`);

const value = fc.oneof(
  hostileJson,
  echo,
  fc.constantFrom<unknown>('invalid_grant', 'DPoP', 'bearer', '60', '1e400', 1e-9, 1e12, ['a', 'b']),
);
const granted = mutated(
  { ...GRANTED, token_type: 'Bearer', expires_in: 3600, scope: 'mcp:tools' },
  [],
  value,
);
const refused = mutated(
  { error: 'invalid_grant', error_description: 'no' },
  ['error_uri', 'access_token', 'refresh_token', 'id_token', 'token_type'],
  value,
);
const refusedWithEcho = fc.record({
  error: fc.oneof(fc.constant('invalid_request'), echo),
  error_description: echo,
});
const answers = hostileAnswer(
  fc.oneof({ weight: 4, arbitrary: granted }, { weight: 1, arbitrary: refused }, refusedWithEcho),
);

const clients: fc.Arbitrary<Partial<Client>> = fc.constantFrom(
  { token_endpoint_auth_method: 'none' },
  { client_secret: SENT.clientSecret },
  { client_secret: SENT.clientSecret, token_endpoint_auth_method: 'client_secret_post' },
);

function endpointOf({ server, request }: FuzzTarget, client: Partial<Client>): TokenEndpoint {
  const { origin } = server;
  return {
    server: {
      issuer: origin,
      authorization_endpoint: `${origin}/authorize`,
      token_endpoint: `${origin}/token`,
      revocation_endpoint: `${origin}/revoke`,
    },
    client: {
      issuer: origin,
      redirect_uri: REDIRECT_URI,
      source: 'registered',
      client_id: 'client 1',
      ...client,
    },
    resource: `${origin}/mcp`,
    request,
  };
}

function credentialsOf({
  client_secret: secret,
  token_endpoint_auth_method: method,
}: Partial<Client>): string[] {
  if (secret === undefined) return [];
  return method === 'client_secret_post' ? [secret] : [secret, BASIC];
}

function expectSound(tokens: TokenSet): void {
  expect(Object.keys(tokens).sort()).toEqual([
    'accessToken',
    'expiresAt',
    'obtainedAt',
    'refreshToken',
    'scope',
  ]);
  expect(tokens.accessToken).toMatch(/^[\x21-\x7e]+$/);
  expect(() => new Headers({ authorization: `Bearer ${tokens.accessToken}` })).not.toThrow();
  expect(tokens.refreshToken).not.toBe('');
  expect(tokens.scope).not.toBe('');
  for (const text of [tokens.refreshToken, tokens.scope])
    expect(['string', 'undefined']).toContain(typeof text);
  if (tokens.expiresAt !== undefined) {
    expect(tokens.expiresAt).toBeGreaterThanOrEqual(tokens.obtainedAt);
    expect(tokens.expiresAt).toBeLessThanOrEqual(tokens.obtainedAt + YEAR_MS);
  }
}

/**
 * @param sent the secrets of the request
 * @param text the answer: what it grants under its name is known to be a secret, too
 */
function expectTyped(error: unknown, sent: readonly string[], text: string): void {
  expect(error).toBeInstanceOf(TokenEndpointError);
  const { message, cause, oauthError } = error as TokenEndpointError;
  expectSentence(message);
  if (oauthError !== undefined) expect(oauthError.length).toBeLessThanOrEqual(300);
  expect(cause).toBeUndefined();
  const known = Object.entries(GRANTED).filter(([name, secret]) => text.includes(`"${name}":"${secret}"`));
  expectNoneOf([...sent, ...known.map(([, secret]) => secret)], error);
}

describe('a token endpoint that answers anything', () => {
  it.each(['refresh', 'code'] as const)('gives sound tokens or a clean error (%s)', async (kind) => {
    const target = await givenFuzzTarget();
    await fc.assert(
      fc.asyncProperty(answers, clients, async (answer, client) => {
        target.server.script['/token'] = answer;
        const endpoint = endpointOf(target, client);
        const callback = new URL(REDIRECT_URI);
        callback.search = new URLSearchParams({ code: SENT.code, state: SENT.state }).toString();
        const { value: tokens, error } = await settled(
          kind === 'refresh'
            ? refreshTokens(endpoint, SENT.refreshToken)
            : exchangeCode(endpoint, callback, SENT),
        );
        const { refreshToken, code, codeVerifier, state } = SENT;
        const sent = kind === 'refresh' ? [refreshToken] : [code, codeVerifier, state];
        if (tokens === undefined) expectTyped(error, [...sent, ...credentialsOf(client)], answer.text);
        else expectSound(tokens);
      }),
      runs(1_000),
    );
  });

  it('revokes or gives a clean error', async () => {
    const target = await givenFuzzTarget();
    await fc.assert(
      fc.asyncProperty(answers, clients, async (answer, client) => {
        target.server.script['/revoke'] = answer;
        const endpoint = endpointOf(target, client);
        const { error } = await settled(revokeToken(endpoint, SENT.refreshToken, 'refresh_token'));
        const sent = [SENT.refreshToken, ...credentialsOf(client)];
        if (error !== undefined) expectTyped(error, sent, answer.text);
      }),
      runs(500),
    );
  });

  it('is never asked with a malformed request, whatever the refresh token is', async () => {
    const target = await givenFuzzTarget();
    target.server.script['/token'] = { json: { access_token: 'a', token_type: 'bearer' } };
    await fc.assert(
      fc.asyncProperty(
        hostileText.filter((text) => text !== ''),
        async (token) => {
          await refreshTokens(endpointOf(target, {}), token);
          const { body } = target.server.requests.at(-1) ?? { body: '' };
          expect(new URLSearchParams(body).get('refresh_token')).toBe(Buffer.from(token).toString());
        },
      ),
      runs(200),
    );
  });
});
