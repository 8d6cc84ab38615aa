import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, get as httpsGet } from 'node:https';
import { pipeline } from 'node:stream';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { type LoopbackServer, listenOnLoopback } from '../../app/cli/demo/loopback.ts';
import {
  type AuthorizationServerOptions,
  bearerChallenge,
  type McpServerOptions,
  type Upstream,
} from '../../app/cli/demo/upstream.ts';
import { givenFolder, givenUpstream } from './broker.ts';
import { makeAuthority } from './certificates.ts';
import { listenUntilTestEnds, scriptedListener } from './scripted-server.ts';

/** The shapes that upstreams have had by the MCP authorization specification, oldest first. */
export const REVISIONS = [
  '2025-03-26 with metadata',
  '2025-03-26 without metadata',
  '2025-06-18',
  '2025-11-25',
  '2026-07-28',
] as const;
export type Revision = (typeof REVISIONS)[number];

/** A request to either server of an upstream, as it came from outside. */
export interface Asked {
  readonly method: string;
  /** Origin and path, without the query. */
  readonly url: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

/** A request to the token endpoint, with its secrets. Never print it. */
export interface TokenRequest {
  readonly form: URLSearchParams;
  readonly authorization: string | undefined;
}

/** An upstream of one revision. */
export interface RevisedUpstream {
  /** For `UPSTREAM_MCP_URL`. */
  readonly mcpUrl: string;
  /** Where the MCP server is. */
  readonly mcpOrigin: string;
  /** Where the authorization server is; by 2025-03-26 the same as `mcpOrigin`. */
  readonly authorizationOrigin: string;
  readonly issuer: string;
  /** The servers behind it. */
  readonly upstream: Upstream;
  /** Every request so far, in order; may be emptied. */
  readonly asked: Asked[];
  /** Every request to the token endpoint so far, in order; may be emptied. */
  readonly tokenRequests: TokenRequest[];
}

/** Starts an upstream of a revision that ends with the test. */
export async function givenRevision(
  revision: Revision,
  options: AuthorizationServerOptions = {},
): Promise<RevisedUpstream> {
  const asked: Asked[] = [];
  const tokenRequests: TokenRequest[] = [];
  const built = await BUILDERS[revision](asked, {
    ...options,
    onTokenRequest: (form, { authorization }) => void tokenRequests.push({ form, authorization }),
  });
  return { ...built, asked, tokenRequests };
}

type Built = Omit<RevisedUpstream, 'asked' | 'tokenRequests'>;
type Json = Record<string, unknown>;

const SCOPES = ['mcp:tools', 'mcp:resources'] as const;
const OPENID_METADATA = '/.well-known/openid-configuration';
const OAUTH_METADATA = '/.well-known/oauth-authorization-server';
const MCP_PATHS = /^\/(mcp|json|sse|messages)(\/|$)/;

const BUILDERS: Readonly<
  Record<Revision, (asked: Asked[], options: AuthorizationServerOptions) => Promise<Built>>
> = {
  '2025-03-26 with metadata': (asked, options) =>
    onOneOrigin(asked, options, {
      metadataPaths: { [OAUTH_METADATA]: OAUTH_METADATA },
      // PKCE was required then, and not advertised.
      hidden: ['code_challenge_methods_supported'],
    }),

  '2025-03-26 without metadata': (asked, options) =>
    onOneOrigin(asked, options, {
      metadataPaths: {},
      // A client that knows no metadata cannot choose; the server registers what it demands (RFC 7591 §3.2.1).
      registration: (client) => ({
        ...client,
        token_endpoint_auth_method: options.clientAuthMethods?.[0] ?? client.token_endpoint_auth_method,
      }),
    }),

  '2025-06-18': (asked, options) =>
    behindFront(asked, options, {
      issuerPath: '',
      metadataPaths: { [OAUTH_METADATA]: OAUTH_METADATA },
      challenge: ({ resourceMetadata }) => `Bearer resource_metadata="${resourceMetadata}"`,
    }),

  '2025-11-25': (asked, options) =>
    behindFront(asked, options, {
      issuerPath: '/tenant',
      metadataPaths: { [`/tenant${OPENID_METADATA}`]: OPENID_METADATA },
      challenge: (challenge) => bearerChallenge({ ...challenge, scope: 'mcp:tools' }),
    }),

  '2026-07-28': async (asked, options) => {
    const upstream = await givenUpstream({ authorizationServer: options });
    const { issuer, authorizationServer } = upstream;
    authorizationServer.behaviour.respond = (request) => {
      asked.push(describe(request, issuer));
      return false;
    };
    recordMcpServer(upstream, asked);
    return { ...addressesOf(upstream), authorizationOrigin: issuer, issuer };
  },
};

/** What an older authorization server shows of the embedded one. Its answers carry no `iss` (RFC 9207). */
interface FrontOptions {
  /** Paths of metadata outside, and those inside that they lead to; all other well-known paths are 404. */
  readonly metadataPaths: Readonly<Record<string, string>>;
  /** Metadata that is not shown, beside that of `iss`. */
  readonly hidden?: readonly string[];
  /** Changes a registration request on its way in. */
  readonly registration?: (client: Json) => Json;
}

/** What an upstream before 2026-07-28 shares: refresh tokens come without `offline_access`, which is not advertised. */
const BEFORE_OFFLINE_ACCESS = { scopesSupported: SCOPES, issueRefreshTokens: 'always' } as const;

/** 2025-03-26: one origin for both servers, no protected resource metadata, no resource indicators. */
async function onOneOrigin(
  asked: Asked[],
  options: AuthorizationServerOptions,
  frontOptions: FrontOptions,
): Promise<Built> {
  const front = await givenLoopback();
  const upstream = await givenUpstream({
    authorizationServer: {
      ...BEFORE_OFFLINE_ACCESS,
      ...options,
      issuer: front.origin,
      resourceOptional: true,
    },
    mcpServer: { challenge: () => 'Bearer' },
  });
  serveFront(front, upstream, asked, frontOptions);
  return {
    mcpUrl: front.origin + new URL(upstream.mcpUrl).pathname,
    mcpOrigin: front.origin,
    authorizationOrigin: front.origin,
    issuer: front.origin,
    upstream,
  };
}

/** 2025-06-18 and 2025-11-25: the authorization server has an origin of its own, and its issuer may have a path. */
async function behindFront(
  asked: Asked[],
  options: AuthorizationServerOptions,
  {
    issuerPath,
    challenge,
    ...frontOptions
  }: FrontOptions & Required<Pick<McpServerOptions, 'challenge'>> & { readonly issuerPath: string },
): Promise<Built> {
  const front = await givenLoopback();
  const issuer = front.origin + issuerPath;
  const upstream = await givenUpstream({
    authorizationServer: { ...BEFORE_OFFLINE_ACCESS, ...options, issuer },
    mcpServer: { scopes: SCOPES, challenge },
  });
  recordMcpServer(upstream, asked);
  serveFront(front, upstream, asked, frontOptions);
  return { ...addressesOf(upstream), authorizationOrigin: front.origin, issuer };
}

function addressesOf(upstream: Upstream): Pick<Built, 'mcpUrl' | 'mcpOrigin' | 'upstream'> {
  return { mcpUrl: upstream.mcpUrl, mcpOrigin: upstream.mcpServer.origin, upstream };
}

function recordMcpServer({ mcpServer }: Upstream, asked: Asked[]): void {
  mcpServer.behaviour.respond = (request) => {
    asked.push(describe(request, mcpServer.origin));
    return false;
  };
}

function describe({ method = '', url = '/', headers }: IncomingMessage, origin: string): Asked {
  const { pathname, searchParams } = new URL(url, origin);
  return { method, url: origin + pathname, query: searchParams, headers };
}

async function givenLoopback(): Promise<LoopbackServer> {
  const server = await listenOnLoopback(0);
  onTestFinished(() => server.close());
  return server;
}

function serveFront(front: LoopbackServer, upstream: Upstream, asked: Asked[], options: FrontOptions): void {
  const { mcpServer, authorizationServer } = upstream;
  const authorizationOrigin = `http://127.0.0.1:${authorizationServer.port}`;
  front.serve(async (request, response) => {
    asked.push(describe(request, front.origin));
    const { pathname, search } = new URL(request.url ?? '/', front.origin);
    const metadataPath = options.metadataPaths[pathname];
    if (metadataPath !== undefined) {
      const answer = await exchange(request, authorizationOrigin + metadataPath, '');
      const metadata: Json = JSON.parse(await text(answer));
      for (const name of ['authorization_response_iss_parameter_supported', ...(options.hidden ?? [])])
        delete metadata[name];
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(metadata));
    } else if (pathname.startsWith('/.well-known/')) {
      response.writeHead(404).end();
    } else if (MCP_PATHS.test(pathname)) {
      await pass(request, response, mcpServer.origin + pathname + search);
    } else {
      const changed =
        pathname === '/register' && options.registration
          ? JSON.stringify(options.registration(JSON.parse(await text(request))))
          : undefined;
      await pass(request, response, authorizationOrigin + pathname + search, changed);
    }
  });
}

async function pass(
  request: IncomingMessage,
  response: ServerResponse,
  url: string,
  body?: string,
): Promise<void> {
  const answer = await exchange(request, url, body);
  const { location } = answer.headers;
  const headers = { ...answer.headers, ...(location && { location: withoutIssuer(location) }) };
  response.writeHead(answer.statusCode ?? 500, headers);
  // However either side ends, so does the other: event streams have no other end.
  pipeline(answer, response, () => undefined);
}

/** @param body in place of the request's own */
async function exchange(request: IncomingMessage, url: string, body?: string): Promise<IncomingMessage> {
  // The Host stays, so that the servers inside name the front in what they say of themselves.
  const { 'content-length': _, ...headers } = request.headers;
  const outgoing = httpRequest(url, {
    method: request.method,
    headers: body === undefined ? request.headers : { ...headers, 'content-length': Buffer.byteLength(body) },
    agent: false,
  });
  if (body === undefined) request.pipe(outgoing);
  else outgoing.end(body);
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  return answer;
}

function withoutIssuer(location: string): string {
  if (!URL.canParse(location)) return location;
  const url = new URL(location);
  url.searchParams.delete('iss');
  return url.href;
}

/** A client ID metadata document on an https server of its own. */
export interface ClientDocument {
  /** For `CLIENT_METADATA_URL`. */
  readonly url: string;
  /** The CA's file, for `EXTRA_CA_CERTS`. */
  readonly caFile: string;
  /** For the authorization server: fetches it and trusts its CA. */
  readonly fetch: typeof fetch;
  /** What was fetched so far. */
  readonly fetched: readonly string[];
}

/** Serves the project's own client ID metadata document over https on loopback, until the test ends. */
export async function givenClientDocument(): Promise<ClientDocument> {
  const { caFile, server: certificate } = await makeAuthority(await givenFolder());
  const ca = await readFile(caFile, 'utf8');
  const template = JSON.parse(
    await readFile(new URL('../../docs/client-metadata.json', import.meta.url), 'utf8'),
  ) as Json;
  const path = '/mcp-auth-proxy/client-metadata.json';
  const document: Json = { ...template };
  const server = createTlsServer(certificate, scriptedListener({ [path]: { json: document } }));
  const url = `https://localhost:${await listenUntilTestEnds(server)}${path}`;
  document.client_id = url;
  const fetched: string[] = [];
  return {
    url,
    caFile,
    fetched,
    fetch: async (input) => {
      fetched.push(String(input));
      const [answer] = (await once(httpsGet(String(input), { ca }), 'response')) as [IncomingMessage];
      return new Response(await text(answer), { status: answer.statusCode ?? 500 });
    },
  };
}
