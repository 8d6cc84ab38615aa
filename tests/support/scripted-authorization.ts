import type { Broker } from '../../app/broker.ts';
import { givenScriptedServer, type ScriptedServer } from './scripted-server.ts';

/** An authorization server of a few lines. It grants everything, and no page of its own is needed for that. */
export interface ScriptedAuthorizationServer extends ScriptedServer {
  readonly issuer: string;
  /** Its metadata; may be changed while it runs. */
  readonly metadata: Record<string, unknown>;
  /** What it has given out that nobody else may see: client IDs and secrets, access and refresh tokens. */
  readonly given: Set<string>;
  /** Token requests so far, as forms. */
  readonly tokenRequests: () => URLSearchParams[];
  /** What of these texts stands anywhere in a request it was sent: target, headers or body. */
  readonly seenOf: (texts: Iterable<string>) => string[];
}

/**
 * Starts an authorization server that ends with the test.
 * @param name begins all that it gives out
 * @param slash whether its issuer ends on a slash
 */
export async function givenScriptedAuthorizationServer(
  name = 'as',
  { slash = false }: { slash?: boolean } = {},
): Promise<ScriptedAuthorizationServer> {
  const server = await givenScriptedServer();
  const { origin, script, requests } = server;
  const issuer = slash ? `${origin}/` : origin;
  const metadata: Record<string, unknown> = {
    issuer,
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    registration_endpoint: `${origin}/register`,
    code_challenge_methods_supported: ['S256'],
  };
  const given = new Set<string>();
  let count = 0;
  const give = (what: string) => {
    const value = `${name}-${what}-${++count}`;
    given.add(value);
    return value;
  };
  script['/.well-known/oauth-authorization-server'] = { json: metadata };
  script['POST /register'] = (_request, response) => {
    response
      .writeHead(201, { 'content-type': 'application/json' })
      .end(JSON.stringify({ client_id: give('client'), client_secret: give('secret') }));
  };
  script['POST /token'] = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(
      JSON.stringify({
        access_token: give('access'),
        refresh_token: give('refresh'),
        token_type: 'Bearer',
        expires_in: 3600,
      }),
    );
  };
  return Object.assign(server, {
    issuer,
    metadata,
    given,
    tokenRequests: () =>
      requests.filter(({ url }) => url === '/token').map(({ body }) => new URLSearchParams(body)),
    seenOf: (texts: Iterable<string>) => {
      // Decoded as well, so that an encoding hides nothing.
      const everything = requests
        .flatMap(({ url, headers, body }) => [
          ...[url, body, JSON.stringify(headers)].flatMap((text) => [text, decodeURIComponent(text)]),
          Buffer.from(headers.authorization?.replace(/^Basic /, '') ?? '', 'base64').toString(),
        ])
        .join('\n');
      return [...texts].filter((text) => everything.includes(text));
    },
  });
}

/** An MCP server of a few lines that wants a token, and says whose in protected resource metadata. */
export interface ScriptedMcpServer extends ScriptedServer {
  readonly mcpUrl: string;
  /** Its protected resource metadata; may be changed while it runs. */
  readonly metadata: Record<string, unknown>;
  /** Beginnings of the access tokens it accepts. */
  readonly accepted: string[];
}

/** Starts an MCP server that ends with the test. */
export async function givenScriptedMcpServer(...issuers: string[]): Promise<ScriptedMcpServer> {
  const server = await givenScriptedServer();
  const { origin, script } = server;
  const metadata: Record<string, unknown> = {
    resource: `${origin}/mcp`,
    authorization_servers: issuers,
    scopes_supported: ['tools'],
  };
  const accepted = ['as-access'];
  script['/.well-known/oauth-protected-resource/mcp'] = { json: metadata };
  script['/mcp'] = ({ headers, body }, response) => {
    const token = headers.authorization?.replace(/^Bearer /, '') ?? '';
    if (!accepted.some((beginning) => token.startsWith(beginning))) {
      response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
      return;
    }
    const { id } = JSON.parse(body) as { id: unknown };
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id, result: {} }));
  };
  return Object.assign(server, { mcpUrl: `${origin}/mcp`, metadata, accepted });
}

/** What a page of the broker came to. */
export interface PageAnswer {
  readonly status: number;
  readonly location: string | null;
  readonly page: string;
}

/** Opens a URL as a browser does, without following what it answers. */
export async function openPage(url: URL | string): Promise<PageAnswer> {
  const response = await fetch(url, { headers: { accept: 'text/html' }, redirect: 'manual' });
  return {
    status: response.status,
    location: response.headers.get('location'),
    page: await response.text(),
  };
}

/** Begins a login in a browser and returns the authorization URL that it is sent to. */
export async function leaveForLogin(broker: Broker): Promise<URL> {
  const { location, page } = await openPage(broker.loginUrl);
  if (location === null) throw new Error(`the login did not begin: ${page}`);
  return new URL(location);
}

/** The callback of an authorization URL with what the authorization server answers. */
export function callbackFor(authorizationUrl: URL, answer: Readonly<Record<string, string>>): URL {
  const { searchParams } = authorizationUrl;
  const callback = new URL(searchParams.get('redirect_uri') ?? '');
  callback.search = new URLSearchParams({ state: searchParams.get('state') ?? '', ...answer }).toString();
  return callback;
}

/** Comes back from an authorization server with its answer. */
export function comeBack(
  authorizationUrl: URL,
  answer: Readonly<Record<string, string>>,
): Promise<PageAnswer> {
  return openPage(callbackFor(authorizationUrl, answer));
}
