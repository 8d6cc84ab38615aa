import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import { type AuthorizationServerOptions, signInByHttp } from '../../app/cli/demo/upstream.ts';
import type { LoginRecord } from '../../app/oauth/login-record.ts';
import { callTool, givenBroker, givenClient } from '../support/broker.ts';
import { givenBreakableStore, givenClock, outcomeOf, TOKEN_SECONDS } from '../support/login.ts';
import {
  type ClientDocument,
  givenClientDocument,
  givenRevision,
  REVISIONS,
  type RevisedUpstream,
  type Revision,
  type TokenRequest,
} from '../support/revisions.ts';

/** What the specification has the broker do at an upstream of a revision. */
interface Rules {
  readonly mode: 'legacy' | 'metadata';
  /** Metadata requests in order, from the challenge of a call to the authorization server's endpoints. */
  readonly metadata: (upstream: RevisedUpstream) => readonly string[];
  /** The `resource` parameter; `false`: none is sent. */
  readonly sendsResource: boolean;
  /** The `scope` parameter; null: none is sent. */
  readonly scope: string | null;
  /** Whether the authorization server has metadata, and so what only metadata can tell. */
  readonly hasMetadata: boolean;
  readonly metadataDocuments: boolean;
  /** Whether the answer of the authorization server names its issuer (RFC 9207). */
  readonly namesIssuer: boolean;
}

const RULES: Readonly<Record<Revision, Rules>> = {
  '2025-03-26 with metadata': {
    mode: 'legacy',
    metadata: ({ mcpOrigin }) => [
      `GET ${mcpOrigin}/.well-known/oauth-protected-resource/mcp`,
      `GET ${mcpOrigin}/.well-known/oauth-protected-resource`,
      `GET ${mcpOrigin}/.well-known/oauth-authorization-server`,
    ],
    sendsResource: false,
    scope: null,
    metadataDocuments: false,
    hasMetadata: true,
    namesIssuer: false,
  },
  '2025-03-26 without metadata': {
    mode: 'legacy',
    metadata: ({ mcpOrigin }) => [
      `GET ${mcpOrigin}/.well-known/oauth-protected-resource/mcp`,
      `GET ${mcpOrigin}/.well-known/oauth-protected-resource`,
      `GET ${mcpOrigin}/.well-known/oauth-authorization-server`,
    ],
    sendsResource: false,
    scope: null,
    metadataDocuments: false,
    hasMetadata: false,
    namesIssuer: false,
  },
  '2025-06-18': {
    mode: 'metadata',
    metadata: ({ mcpOrigin, authorizationOrigin }) => [
      `GET ${mcpOrigin}/.well-known/oauth-protected-resource/mcp`,
      `GET ${authorizationOrigin}/.well-known/oauth-authorization-server`,
    ],
    sendsResource: true,
    scope: 'mcp:tools mcp:resources',
    metadataDocuments: false,
    hasMetadata: true,
    namesIssuer: false,
  },
  '2025-11-25': {
    mode: 'metadata',
    metadata: ({ mcpOrigin, authorizationOrigin }) => [
      `GET ${mcpOrigin}/.well-known/oauth-protected-resource/mcp`,
      `GET ${authorizationOrigin}/.well-known/oauth-authorization-server/tenant`,
      `GET ${authorizationOrigin}/.well-known/openid-configuration/tenant`,
      `GET ${authorizationOrigin}/tenant/.well-known/openid-configuration`,
    ],
    sendsResource: true,
    scope: 'mcp:tools',
    metadataDocuments: true,
    hasMetadata: true,
    namesIssuer: false,
  },
  '2026-07-28': {
    mode: 'metadata',
    metadata: ({ mcpOrigin, authorizationOrigin }) => [
      `GET ${mcpOrigin}/.well-known/oauth-protected-resource/mcp`,
      `GET ${authorizationOrigin}/.well-known/oauth-authorization-server`,
    ],
    sendsResource: true,
    scope: 'mcp:tools offline_access',
    metadataDocuments: true,
    hasMetadata: true,
    namesIssuer: true,
  },
};

type Method = 'none' | 'client_secret_basic' | 'client_secret_post';

/** A way to become a client of an authorization server. */
interface Registration {
  readonly name: string;
  readonly source: 'configured' | 'metadata-document' | 'registered';
  /** The client authentication that goes over the wire. */
  readonly method: Method;
  /** Whether `CLIENT_METADATA_URL` is set. */
  readonly document?: true;
  /** Where it can be; default: everywhere. */
  readonly possible?: (rules: Rules) => boolean;
}

const PRE_REGISTERED: Registration = {
  name: 'a pre-registered public client',
  source: 'configured',
  method: 'none',
};

const REGISTRATIONS: readonly Registration[] = [
  PRE_REGISTERED,
  {
    name: 'a pre-registered client with its secret in the header',
    source: 'configured',
    method: 'client_secret_basic',
  },
  {
    name: 'a pre-registered client with its secret in the body',
    source: 'configured',
    method: 'client_secret_post',
    // Only metadata can say that the server wants it so; the default is the header (RFC 8414 §2).
    possible: ({ hasMetadata }) => hasMetadata,
  },
  {
    name: 'a client ID metadata document',
    source: 'metadata-document',
    method: 'none',
    document: true,
    possible: ({ metadataDocuments }) => metadataDocuments,
  },
  {
    name: 'registration, as the metadata document is not supported',
    source: 'registered',
    method: 'none',
    document: true,
    possible: ({ metadataDocuments }) => !metadataDocuments,
  },
  { name: 'registration of a public client', source: 'registered', method: 'none' },
  {
    name: 'registration that answers with a secret for the header',
    source: 'registered',
    method: 'client_secret_basic',
  },
  {
    name: 'registration that answers with a secret for the body',
    source: 'registered',
    method: 'client_secret_post',
  },
];

/** Both with characters that must be encoded in a header. */
const CLIENT_ID = 'pre-registered: client_1';
const CLIENT_SECRET = 'a s+cret: 100%/&=';

/** What the authorization server is told of its clients. */
function serverOptions(
  { source, method }: Registration,
  { metadataDocuments }: Rules,
  document: ClientDocument | undefined,
): AuthorizationServerOptions {
  const configured = {
    client_id: CLIENT_ID,
    ...(method === 'none' ? {} : { client_secret: CLIENT_SECRET }),
    token_endpoint_auth_method: method,
    application_type: 'native' as const,
    redirect_uris: ['http://127.0.0.1/oauth/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code' as const],
  };
  return {
    accessTokenSeconds: TOKEN_SECONDS,
    clientAuthMethods: [method],
    registration: source === 'registered',
    clients: source === 'configured' ? [configured] : [],
    ...(document && metadataDocuments ? { fetchClientMetadata: document.fetch } : {}),
  };
}

function environment({ source, method }: Registration, document: ClientDocument | undefined) {
  return {
    ...(source === 'configured' ? { CLIENT_ID } : {}),
    ...(source === 'configured' && method !== 'none' ? { CLIENT_SECRET } : {}),
    ...(document ? { CLIENT_METADATA_URL: document.url, EXTRA_CA_CERTS: document.caFile } : {}),
  };
}

/** The requests so far as `METHOD origin/path`, without those that the browser makes on the pages of the sign-in. */
function requestsOf({ asked }: RevisedUpstream): string[] {
  return asked
    .map(({ method, url }) => `${method} ${url}`)
    .filter((request) => !/\/(interaction|authorize)\//.test(request));
}

/** How a token request says who the client is: what is in its header, then what is in its body. */
function authenticationOf({ form, authorization }: TokenRequest) {
  const basic = /^Basic (\S+)$/.exec(authorization ?? '')?.[1];
  const credentials = basic === undefined ? [] : Buffer.from(basic, 'base64').toString().split(':');
  return {
    // RFC 6749 §2.3.1: both are form-encoded before they are joined.
    header: credentials.map((value) => new URLSearchParams(`=${value}`).get('')),
    body: ['client_id', 'client_secret'].map((name) => form.get(name)),
  };
}

function authenticationBy(method: Method, id: string, secret: string) {
  switch (method) {
    case 'none':
      return { header: [], body: [id, null] };
    case 'client_secret_basic':
      return { header: [id, secret], body: [null, null] };
    case 'client_secret_post':
      return { header: [], body: [id, secret] };
  }
}

/** Logs in as a person does, and returns what the browser came back with. */
async function signIn(broker: Broker): Promise<URL> {
  const { status, callback } = await signInByHttp(broker.loginUrl, { follow: true });
  expect(status).toBe(200);
  return new URL(callback);
}

async function useTools(broker: Broker): Promise<void> {
  const client = await givenClient(broker.mcpUrl);
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toContain('add');
  expect(await callTool(client, 'add', { a: 2, b: 40 })).toBe('42');
  // Its event stream would hold up the end of the broker.
  await client.close();
}

describe.each(REVISIONS)('an upstream of %s', (revision) => {
  const rules = RULES[revision];
  const possible = REGISTRATIONS.filter((way) => way.possible?.(rules) ?? true);

  it.each(possible.map((way) => [way.name, way] as const))(
    'serves calls from the login to the logout by %s',
    async (_name, registration) => {
      const { source, method } = registration;
      const clock = givenClock();
      const document = registration.document && (await givenClientDocument());
      const revised = await givenRevision(revision, serverOptions(registration, rules, document));
      const { mcpUrl, authorizationOrigin, issuer, upstream, asked, tokenRequests } = revised;
      const store = givenBreakableStore();
      const variables = environment(registration, document);
      const { broker } = await givenBroker(mcpUrl, variables, store);
      const resource = rules.sendsResource ? [mcpUrl] : [];

      expect(await outcomeOf(broker)).toBe('not_authenticated');
      asked.length = 0;

      const callback = await signIn(broker);
      expect(callback.searchParams.get('iss')).toBe(rules.namesIssuer ? issuer : null);
      const client = (JSON.parse([...store.items.values()][0] ?? '{}') as LoginRecord).grant?.client;
      expect(client).toMatchObject({ issuer, source });
      const id = { configured: CLIENT_ID, 'metadata-document': document?.url, registered: client?.client_id };
      const authentication = authenticationBy(
        method,
        id[source] ?? '',
        source === 'configured' ? CLIENT_SECRET : (client?.client_secret ?? ''),
      );

      expect(requestsOf(revised)).toEqual([
        ...rules.metadata(revised),
        ...(source === 'registered' ? [`POST ${authorizationOrigin}/register`] : []),
        `GET ${authorizationOrigin}/authorize`,
        `POST ${authorizationOrigin}/token`,
      ]);
      const versions = asked
        .filter(({ url }) => url.endsWith('/.well-known/oauth-authorization-server'))
        .map(({ headers }) => headers['mcp-protocol-version']);
      if (rules.mode === 'legacy') expect(versions).toEqual(['2025-03-26']);

      const query = asked.find(({ url }) => url === `${authorizationOrigin}/authorize`)?.query;
      const [exchange] = tokenRequests;
      if (!query || !exchange) throw new Error('the login made no authorization or token request');
      expect(query.get('client_id')).toBe(id[source]);
      expect(query.get('code_challenge_method')).toBe('S256');
      expect(query.get('code_challenge')).toBe(
        createHash('sha256')
          .update(exchange.form.get('code_verifier') ?? '')
          .digest('base64url'),
      );
      expect(query.get('scope')).toBe(rules.scope);
      expect(query.get('prompt')).toBe(rules.scope?.includes('offline_access') ? 'consent' : null);
      expect(query.getAll('resource')).toEqual(resource);
      expect(exchange.form.get('grant_type')).toBe('authorization_code');
      expect(exchange.form.getAll('resource')).toEqual(resource);
      expect(authenticationOf(exchange)).toEqual(authentication);
      expect(document?.fetched).toEqual(document && (source === 'metadata-document' ? [document.url] : []));

      expect(await broker.status()).toMatchObject({
        state: 'authenticated',
        issuer,
        client: { id: id[source], source },
        discovery: { mode: rules.mode, resource: resource[0] },
      });

      /** Uses the tools, which takes one refresh and nothing else of the authorization server. */
      const useToolsAfterRefresh = async (running: Broker) => {
        asked.length = 0;
        tokenRequests.length = 0;
        await useTools(running);
        expect(requestsOf(revised).filter((request) => !request.endsWith(mcpUrl))).toEqual([
          `POST ${authorizationOrigin}/token`,
        ]);
        for (const request of tokenRequests) {
          expect(request.form.get('grant_type')).toBe('refresh_token');
          expect(request.form.getAll('resource')).toEqual(resource);
          expect(request.form.get('scope')).toBeNull();
          expect(authenticationOf(request)).toEqual(authentication);
        }
      };

      await useTools(broker);
      upstream.mcpServer.rejectCurrentTokens();
      await useToolsAfterRefresh(broker);
      clock.advance(TOKEN_SECONDS + 1);
      await useToolsAfterRefresh(broker);
      await broker.close();
      const { broker: restarted } = await givenBroker(mcpUrl, variables, store);
      await useToolsAfterRefresh(restarted);

      asked.length = 0;
      upstream.authorizationServer.requests.clear();
      const logout = await fetch(`${restarted.localUrl}/oauth/logout`, { method: 'POST' });
      const revocation = rules.hasMetadata ? 'revoked' : 'not_supported';
      expect(await logout.json()).toEqual({ status: 'logged_out', revocation });
      const revocations = rules.hasMetadata ? ['refresh_token', 'access_token'] : [];
      expect(requestsOf(revised)).toEqual(revocations.map(() => `POST ${authorizationOrigin}/revoke`));
      expect(upstream.authorizationServer.requests.entries.map(({ status }) => status)).toEqual(
        revocations.map(() => 200),
      );
      expect(store.items.size).toBe(0);
      expect(await outcomeOf(restarted)).toBe('not_authenticated');
    },
  );

  it('is probed when a person logs in before any call', async () => {
    const revised = await givenRevision(revision);
    const { broker } = await givenBroker(revised.mcpUrl);
    await signIn(broker);
    expect(requestsOf(revised)).toEqual([
      `POST ${revised.mcpUrl}`,
      ...rules.metadata(revised),
      `POST ${revised.authorizationOrigin}/register`,
      `GET ${revised.authorizationOrigin}/authorize`,
      `POST ${revised.authorizationOrigin}/token`,
    ]);
    await useTools(broker);
  });
});

it('asks for more scope by a login, never by a refresh, and keeps what was granted', async () => {
  const rules = RULES['2026-07-28'];
  const revised = await givenRevision('2026-07-28');
  const { mcpServer } = revised.upstream;
  const { broker } = await givenBroker(revised.mcpUrl);
  expect(await outcomeOf(broker)).toBe('not_authenticated');
  await signIn(broker);
  const client = await givenClient(broker.mcpUrl);
  expect(await callTool(client, 'echo', { text: 'first' })).toBe('first');

  mcpServer.behaviour.requiredScopes = ['mcp:resources'];
  await expect(callTool(client, 'echo', { text: 'wider' })).rejects.toThrow('/oauth/login');
  revised.asked.length = 0;
  await signIn(broker);
  expect(requestsOf(revised).filter((request) => !request.endsWith(revised.mcpUrl))).toEqual([
    ...rules.metadata(revised),
    // The client was registered for the narrower scope.
    `POST ${revised.issuer}/register`,
    `GET ${revised.issuer}/authorize`,
    `POST ${revised.issuer}/token`,
  ]);
  const authorization = revised.asked.find(({ url }) => url === `${revised.issuer}/authorize`);
  expect(authorization?.query.get('scope')?.split(' ').sort()).toEqual([
    'mcp:resources',
    'mcp:tools',
    'offline_access',
  ]);
  expect(await callTool(client, 'echo', { text: 'wider' })).toBe('wider');
  expect(revised.tokenRequests.map(({ form }) => form.get('grant_type'))).toEqual([
    'authorization_code',
    'authorization_code',
  ]);
});
