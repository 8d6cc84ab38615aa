import { describe, expect, it } from 'vitest';
import { LoginFailure } from '../../../app/oauth/errors.ts';
import type { Client } from '../../../app/oauth/metadata.ts';
import { obtainClient } from '../../../app/oauth/registration.ts';
import { givenHttpClient } from '../../support/http-client.ts';
import { type RegistrationChange, registrationAt } from '../../support/registration.ts';
import {
  givenScriptedServer,
  type ScriptedAnswer,
  type ScriptedServer,
} from '../../support/scripted-server.ts';

const REDIRECT_URI = 'http://127.0.0.1:5177/oauth/callback';
const METADATA_URL = 'https://example.com/mcp-auth-proxy.json';

interface Given {
  readonly as: ScriptedServer;
  /** Obtains a client from the server. */
  obtain(change?: RegistrationChange): Promise<Client>;
}

async function givenServer(
  answer: ScriptedAnswer = { status: 201, json: { client_id: 'new' } },
): Promise<Given> {
  const as = await givenScriptedServer({ 'POST /register': answer });
  const http = givenHttpClient({ upstreamMcpUrl: as.origin }, { answerTimeoutMs: 1_000 });
  const base = { scope: 'a b', software: { version: '1.2.3', homepage: undefined } };
  return {
    as,
    obtain: (change = {}) => obtainClient(registrationAt(as.origin, http.request, { ...base, ...change })),
  };
}

const kept = (issuer: string, more: Partial<Client> = {}): Client => ({
  issuer,
  redirect_uri: REDIRECT_URI,
  source: 'registered',
  client_id: 'kept',
  ...more,
});

async function failureOf(promise: Promise<unknown>): Promise<LoginFailure> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(LoginFailure);
  expect((error as LoginFailure).code).toBe('registration_failed');
  return error as LoginFailure;
}

describe('the order', () => {
  it('first: the client that was configured', async () => {
    const { as, obtain } = await givenServer();
    const settings = { clientId: 'mine', clientMetadataUrl: METADATA_URL };
    const server = { client_id_metadata_document_supported: true };
    const base = { issuer: as.origin, redirect_uri: REDIRECT_URI, source: 'configured', client_id: 'mine' };
    expect(await obtain({ settings, server, kept: kept(as.origin) })).toEqual(base);
    expect(await obtain({ settings: { ...settings, clientSecret: 's' }, server })).toEqual({
      ...base,
      client_secret: 's',
    });
    expect(as.asked).toEqual([]);
  });

  it('second: the metadata document, where the server takes such', async () => {
    const { as, obtain } = await givenServer();
    const settings = { clientMetadataUrl: METADATA_URL };
    const server = { client_id_metadata_document_supported: true };
    expect(await obtain({ settings, server, kept: kept(as.origin) })).toEqual({
      issuer: as.origin,
      redirect_uri: REDIRECT_URI,
      source: 'metadata-document',
      client_id: METADATA_URL,
    });
    expect(as.asked).toEqual([]);
  });

  it.each([undefined, false])(
    'third: registration, where metadata documents are supported: %s',
    async (supported) => {
      const { as, obtain } = await givenServer();
      const server = { client_id_metadata_document_supported: supported };
      const client = await obtain({ settings: { clientMetadataUrl: METADATA_URL }, server });
      expect(client).toMatchObject({ source: 'registered', client_id: 'new', issuer: as.origin });
      expect(as.asked).toEqual(['POST /register']);
    },
  );

  it('last: the person is asked', async () => {
    const { as, obtain } = await givenServer();
    const none = await failureOf(obtain({ server: { registration_endpoint: undefined } }));
    expect(none.message).toContain('does not let clients register themselves');
    const forbidden = await failureOf(obtain({ settings: { autoRegisterClient: false } }));
    expect(forbidden.message).toContain('AUTO_REGISTER_CLIENT is false');
    for (const { cure } of [none, forbidden]) expect(cure).toContain('CLIENT_ID');
    expect(as.asked).toEqual([]);
  });
});

describe('a registration that was kept', () => {
  it.each<[string, Partial<Client>]>([
    ['as it is', {}],
    ['with a wider scope', { scope: 'c b a' }],
    ['for the other form of the redirect URI', { redirect_uri: 'http://localhost:5177/oauth/callback' }],
    ['with a secret that does not expire', { client_secret: 's', client_secret_expires_at: 0 }],
    [
      'with a secret that is still good',
      { client_secret: 's', client_secret_expires_at: Date.now() / 1000 + 3600 },
    ],
  ])('is used again, %s', async (_, more) => {
    const { as, obtain } = await givenServer();
    const client = kept(as.origin, more);
    expect(await obtain({ kept: client })).toBe(client);
    expect(await obtain({ kept: client, settings: { autoRegisterClient: false } })).toBe(client);
    expect(as.asked).toEqual([]);
  });

  it.each<[string, Partial<Client>]>([
    ['whose scope is narrower', { scope: 'a' }],
    ['of another issuer', { issuer: 'https://old.example' }],
    ['for another redirect URI', { redirect_uri: 'http://127.0.0.1:6000/oauth/callback' }],
    ['whose secret has expired', { client_secret: 's', client_secret_expires_at: 1 }],
    ['that was configured', { source: 'configured' }],
    ['that was a metadata document', { source: 'metadata-document' }],
  ])('%s is not', async (_, more) => {
    const { as, obtain } = await givenServer();
    expect(await obtain({ kept: kept(as.origin, more) })).toMatchObject({ client_id: 'new' });
    expect(as.requests[0]?.body).not.toContain('kept');
  });
});

describe('credentials that were configured', () => {
  const settings = { clientId: 'mine', clientSecret: 'hush' };
  const old = kept('https://old.example', { source: 'configured', client_id: 'mine' });

  it('are not shown to another authorization server than before', async () => {
    const { as, obtain } = await givenServer();
    const failure = await failureOf(obtain({ settings, kept: old }));
    expect(failure.message).toContain(as.origin);
    expect(failure.message).toContain('https://old.example');
    expect(failure.message).not.toContain('hush');
    expect(failure.cure).toContain('ISSUER');
  });

  it('are, when the person says so, or has entered new ones', async () => {
    const { as, obtain } = await givenServer();
    expect(await obtain({ settings: { ...settings, issuer: as.origin }, kept: old })).toMatchObject({
      client_id: 'mine',
    });
    expect(await obtain({ settings: { ...settings, clientId: 'newer' }, kept: old })).toMatchObject({
      client_id: 'newer',
    });
  });

  it('of a metadata document move freely', async () => {
    const { obtain } = await givenServer();
    const before = kept('https://old.example', { source: 'metadata-document', client_id: METADATA_URL });
    const server = { client_id_metadata_document_supported: true };
    const client = await obtain({ settings: { clientMetadataUrl: METADATA_URL }, server, kept: before });
    expect(client.client_id).toBe(METADATA_URL);
  });
});

describe('a registration request', () => {
  it('says what kind of client this is', async () => {
    const { as, obtain } = await givenServer();
    await obtain();
    expect(as.requests[0]?.headers).toMatchObject({
      'content-type': 'application/json',
      accept: 'application/json',
    });
    expect(JSON.parse(as.requests[0]?.body ?? '')).toEqual({
      client_name: 'MCP Auth Proxy',
      application_type: 'native',
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      software_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      software_version: '1.2.3',
      scope: 'a b',
    });
  });

  it('names the home of this program where there is one', async () => {
    const { as, obtain } = await givenServer();
    await obtain({ software: { version: '1.2.3', homepage: 'https://example.com/home' } });
    expect(JSON.parse(as.requests[0]?.body ?? '')).toMatchObject({ client_uri: 'https://example.com/home' });
  });

  it('leaves the scope out where there is none', async () => {
    const { as, obtain } = await givenServer();
    await obtain({ scope: undefined });
    expect(JSON.parse(as.requests[0]?.body ?? '')).not.toHaveProperty('scope');
  });

  it.each([
    [undefined, 'none'],
    [['client_secret_basic', 'none'], 'none'],
    [['client_secret_post', 'client_secret_basic'], 'client_secret_basic'],
    [['private_key_jwt', 'client_secret_post'], 'client_secret_post'],
    [['private_key_jwt'], 'none'],
  ])('to a server that supports %j asks for %s', async (supported, method) => {
    const { as, obtain } = await givenServer();
    await obtain({ server: { token_endpoint_auth_methods_supported: supported } });
    expect(JSON.parse(as.requests[0]?.body ?? '')).toMatchObject({ token_endpoint_auth_method: method });
  });
});

describe('a redirect URI that is refused', () => {
  /** Accepts registrations that hold a text, and refuses all others for their redirect URI. */
  const accepting =
    (wanted: string): ScriptedAnswer =>
    ({ body }, response) => {
      const accepted = body.includes(wanted);
      response.writeHead(accepted ? 201 : 400, { 'content-type': 'application/json' });
      response.end(accepted ? '{"client_id":"new"}' : '{"error":"invalid_redirect_uri"}');
    };

  it.each([
    [REDIRECT_URI, 'http://localhost:5177/oauth/callback'],
    ['http://localhost:5177/cb', 'http://127.0.0.1:5177/cb'],
    ['http://[::1]:5177/cb', 'http://localhost:5177/cb'],
  ])('%s is tried once more as %s, and used so', async (redirectUri, adjusted) => {
    const { as, obtain } = await givenServer(accepting(adjusted));
    expect(await obtain({ redirectUri })).toMatchObject({ client_id: 'new', redirect_uri: adjusted });
    expect(as.requests.map(({ body }) => JSON.parse(body).redirect_uris)).toEqual([
      [redirectUri],
      [adjusted],
    ]);
  });

  it('on https is tried once more as that of a web application', async () => {
    const { as, obtain } = await givenServer(accepting('"application_type":"web"'));
    const redirectUri = 'https://proxy.example.com/oauth/callback';
    expect(await obtain({ redirectUri })).toMatchObject({ client_id: 'new', redirect_uri: redirectUri });
    expect(as.asked).toHaveLength(2);
  });

  it('in both forms is shown with its cause and a cure', async () => {
    const { as, obtain } = await givenServer(accepting('never'));
    const failure = await failureOf(obtain());
    expect(failure.message).toContain(
      `${REDIRECT_URI}, nor ${REDIRECT_URI.replace('127.0.0.1', 'localhost')}: invalid_redirect_uri.`,
    );
    expect(failure.cure).toMatch(/PUBLIC_BASE_URL.*CLIENT_ID/);
    expect(as.asked).toHaveLength(2);
  });

  it('is not tried again for a refusal of another kind', async () => {
    const { as, obtain } = await givenServer({ status: 400, json: { error: 'invalid_client_metadata' } });
    expect((await failureOf(obtain())).message).toContain('did not register the client');
    expect(as.asked).toHaveLength(1);
  });
});

describe('a registration answer', () => {
  it.each<[string, object, Partial<Client>]>([
    ['a public client', { client_id: 'c' }, { token_endpoint_auth_method: 'none' }],
    [
      'a secret with its method and end',
      {
        client_id: 'c',
        client_secret: 's',
        client_secret_expires_at: 99,
        token_endpoint_auth_method: 'client_secret_post',
      },
      { client_secret: 's', client_secret_expires_at: 99, token_endpoint_auth_method: 'client_secret_post' },
    ],
    ['a secret without its method', { client_id: 'c', client_secret: 's' }, { client_secret: 's' }],
    [
      'another scope than was asked for',
      { client_id: 'c', scope: 'a' },
      { token_endpoint_auth_method: 'none', scope: 'a' },
    ],
    [
      'a secret nobody asked for',
      { client_id: 'c', client_secret: 's', token_endpoint_auth_method: 'none' },
      { client_secret: 's', token_endpoint_auth_method: 'none' },
    ],
    [
      'nulls',
      {
        client_id: 'c',
        client_secret: null,
        client_secret_expires_at: null,
        token_endpoint_auth_method: null,
      },
      { token_endpoint_auth_method: 'none' },
    ],
  ])('with %s is read', async (_, json, expected) => {
    const { as, obtain } = await givenServer({ json });
    expect(await obtain()).toEqual({
      issuer: as.origin,
      redirect_uri: REDIRECT_URI,
      source: 'registered',
      client_id: 'c',
      scope: 'a b',
      ...expected,
    });
  });

  it.each<[string, ScriptedAnswer, RegExp, LoginFailure['origin']]>([
    [
      'a refusal in words',
      {
        status: 400,
        json: { error: 'invalid_client_metadata', error_description: 'Only\nfriends\u001b are allowed' },
      },
      /: invalid_client_metadata, Only friends are allowed\.$/,
      'request',
    ],
    ['403 without words', 403, /: HTTP 403\.$/, 'request'],
    ['500', 500, /: HTTP 500\.$/, 'server'],
    ['HTML', { text: '<html>' }, /: its answer \(HTTP 200\) is not a registration\.$/, 'request'],
    [
      'no client ID',
      { status: 201, json: { client_secret: 'hush' } },
      /: its answer \(HTTP 201\) is not a reg/,
      'request',
    ],
    ['an empty client ID', { status: 201, json: { client_id: '' } }, /is not a registration/, 'request'],
    ['JSON null', { json: null }, /is not a registration/, 'request'],
    ['a redirect', { text: '', status: 302, headers: { location: '/x' } }, /: HTTP 302\.$/, 'request'],
  ])('with %s is a failure that says why', async (_, answer, message, origin) => {
    const { as, obtain } = await givenServer(answer);
    const failure = await failureOf(obtain());
    expect(failure.message).toMatch(message);
    expect(failure.message).toContain(as.origin);
    expect(failure.message).not.toContain('hush');
    expect(failure.origin).toBe(origin);
    expect(as.asked).toEqual(['POST /register']);
  });

  it('that does not come is a failure', async () => {
    const { obtain } = await givenServer(() => undefined);
    expect(await failureOf(obtain())).toMatchObject({ origin: 'timeout', cure: 'Try again in a moment.' });
    const nobody = { registration_endpoint: 'http://127.0.0.1:1/register' };
    expect((await failureOf(obtain({ server: nobody }))).message).toContain('ECONNREFUSED');
  });
});
