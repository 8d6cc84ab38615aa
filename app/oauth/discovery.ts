import * as v from 'valibot';
import { isLoopbackHost } from '../address.ts';
import { MAX_REDIRECTS, MAX_SERVERS } from '../limits.ts';
import { type BearerChallenge, bearerChallenge } from './challenge.ts';
import { foreignText, LoginFailure, shownUrl } from './errors.ts';
import { type HttpAnswer, HttpFailure, type HttpRequest, jsonOrUndefined, originOf } from './http.ts';
import {
  AUTHORIZATION_SERVER_METADATA,
  type AuthorizationServerMetadata,
  isSecureUrl,
  PROTECTED_RESOURCE_METADATA,
  type ProtectedResourceMetadata,
} from './metadata.ts';

/**
 * How the endpoints were found: from protected resource metadata (2025-06-18 and later), by the rules of
 * 2025-03-26 (`legacy`), or from settings (`override`).
 */
export type DiscoveryMode = 'metadata' | 'legacy' | 'override';

/** One request of a discovery and what became of it, for the status. */
export interface DiscoveryStep {
  readonly method: string;
  readonly url: string;
  readonly outcome: string;
}

/** Where and how to log in to an upstream. */
export interface Discovery {
  readonly mode: DiscoveryMode;
  readonly server: AuthorizationServerMetadata;
  /** Value of the `resource` parameter (RFC 8707); `undefined`: an upstream of 2025-03-26, which knows none. */
  readonly resource: string | undefined;
  readonly resourceScopes: readonly string[] | undefined;
  readonly challenge: BearerChallenge | undefined;
}

export interface DiscoveryInput {
  upstreamMcpUrl: string;
  probePath?: string | undefined;
  authorizationEndpoint?: string | undefined;
  tokenEndpoint?: string | undefined;
  issuer?: string | undefined;
  requirePkceMetadata: boolean;
  /** The challenge a call has met; without one the upstream is probed for it. */
  challenge: BearerChallenge | undefined;
  request: HttpRequest;
  /** Told of every request as it ends. */
  onStep: (step: DiscoveryStep) => void;
}

const CURE_OVERRIDE =
  'Check UPSTREAM_MCP_URL. If the server documents its endpoints, set AUTHORIZATION_ENDPOINT and TOKEN_ENDPOINT.';
const LEGACY_PROTOCOL_VERSION = '2025-03-26';

/**
 * Finds the authorization server of an upstream: challenge, protected resource metadata (RFC 9728), authorization
 * server metadata (RFC 8414, OpenID Connect Discovery); or the rules of 2025-03-26 where the first is absent.
 * Source: MCP authorization 2026-07-28, authorization server discovery.
 * @throws {LoginFailure} `not_required`, `upstream_unreachable`, `discovery_failed`, `pkce_unsupported`
 */
export async function discover(input: DiscoveryInput): Promise<Discovery> {
  const upstream = new URL(input.upstreamMcpUrl);
  const { authorizationEndpoint, tokenEndpoint } = input;
  if (authorizationEndpoint !== undefined && tokenEndpoint !== undefined) {
    return {
      mode: 'override',
      server: {
        issuer: input.issuer ?? new URL(authorizationEndpoint).origin,
        authorization_endpoint: authorizationEndpoint,
        token_endpoint: tokenEndpoint,
      },
      resource: canonicalResource(input.upstreamMcpUrl),
      resourceScopes: undefined,
      challenge: input.challenge,
    };
  }
  const probe = input.challenge
    ? { challenge: input.challenge, answered: 401 }
    : await probeForChallenge(input, upstream);
  const metadata = await protectedResourceMetadata(input, upstream, probe);
  if (metadata) {
    const server = await firstUsableServer(input, metadata.authorization_servers ?? []);
    return {
      mode: 'metadata',
      server,
      resource: metadata.resource,
      resourceScopes: metadata.scopes_supported,
      challenge: probe.challenge,
    };
  }
  return {
    mode: 'legacy',
    server: await legacyServer(input, upstream, probe),
    resource: undefined,
    resourceScopes: undefined,
    challenge: probe.challenge,
  };
}

/**
 * Asks an authorization server for its metadata again, to follow endpoints that have moved.
 * @throws {LoginFailure} `discovery_failed`, `pkce_unsupported`
 */
export async function discoverServer(
  input: Pick<DiscoveryInput, 'request' | 'onStep' | 'requirePkceMetadata' | 'upstreamMcpUrl'>,
  issuer: string,
): Promise<AuthorizationServerMetadata> {
  return serverMetadata(input, issuer);
}

/** The most specific URI of a resource without fragment and without an added slash (RFC 8707 §2). */
export function canonicalResource(url: string): string {
  const parsed = new URL(url);
  const bare = parsed.pathname === '/' && !/^[^:]+:\/\/[^/?#]*\//.test(url);
  return `${parsed.origin}${bare ? '' : parsed.pathname}${parsed.search}`;
}

interface Probe {
  challenge: BearerChallenge | undefined;
  /** The status that decided: 401 when there was one, else that of the first probe. */
  answered: number;
}

/** A call that an upstream with an open `initialize` refuses as well, for want of a login. */
export const PROBE_CALL = {
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}',
};

async function probeForChallenge(input: DiscoveryInput, upstream: URL): Promise<Probe> {
  const get = { method: 'GET', headers: { accept: 'text/event-stream' } };
  const probes = [
    { url: upstream.href, ...PROBE_CALL },
    { url: upstream.href, ...get },
  ];
  if (input.probePath !== undefined) probes.push({ url: probeUrl(upstream, input.probePath), ...get });
  let first: number | undefined;
  for (const { url, ...options } of probes) {
    let answer: HttpAnswer;
    try {
      answer = await input.request(url, { ...options, headersOnly: true });
    } catch (error) {
      const reason = step(input, options.method, url, error);
      // A stream that sends no head before its first event shows nothing; that the server is there is known by then.
      if (first !== undefined) continue;
      throw new LoginFailure(
        'upstream_unreachable',
        `The MCP server cannot be asked: ${reason}`,
        knownCure(error) ?? 'Check UPSTREAM_MCP_URL, that the server runs, and your network; then try again.',
        { cause: error, origin: originOf(error) },
      );
    }
    input.onStep({ method: options.method, url: shownUrl(url), outcome: String(answer.status) });
    first ??= answer.status;
    if (answer.status === 401)
      return { challenge: bearerChallenge(answer.header('www-authenticate')), answered: 401 };
  }
  return { challenge: undefined, answered: first ?? 0 };
}

/** With a leading slash from the origin's root, else below the upstream's path; never another origin. */
function probeUrl(upstream: URL, probePath: string): string {
  const below = `${upstream.pathname.replace(/\/$/, '')}/${probePath}`;
  return upstream.origin + (probePath.startsWith('/') ? probePath : below);
}

async function protectedResourceMetadata(
  input: DiscoveryInput,
  upstream: URL,
  { challenge, answered }: Probe,
): Promise<ProtectedResourceMetadata | undefined> {
  const path = upstream.pathname.replace(/\/$/, '');
  const wellKnown = `${upstream.origin}/.well-known/oauth-protected-resource`;
  const urls = new Set([...(path === '' ? [] : [wellKnown + path]), wellKnown]);
  if (challenge?.resourceMetadata !== undefined) {
    const named = await fetchMetadata(input, challenge.resourceMetadata, PROTECTED_RESOURCE_METADATA);
    if (named.document) return checkedResource(named.document, upstream, challenge.resourceMetadata);
    if (!isAbsent(named.status)) throw unusable(challenge.resourceMetadata, `HTTP ${named.status}`);
    urls.delete(challenge.resourceMetadata);
  }
  let refused: string | undefined;
  for (const url of urls) {
    const found = await fetchMetadata(input, url, PROTECTED_RESOURCE_METADATA).catch((error: unknown) => {
      // An open server with a web site that has a page for every path.
      if (isOpen(answered) && error instanceof LoginFailure && error.origin === 'request')
        throw notRequired(upstream);
      throw error;
    });
    if (found.document) return checkedResource(found.document, upstream, url);
    if (!isAbsent(found.status)) refused ??= `${shownUrl(url)} answered HTTP ${found.status}`;
  }
  // The rules of 2025-03-26 apply only where the metadata is definitely absent.
  if (refused !== undefined) {
    if (isOpen(answered)) throw notRequired(upstream);
    throw new LoginFailure(
      'discovery_failed',
      `The server's resource metadata is not readable: ${refused}.`,
      CURE_OVERRIDE,
    );
  }
  return undefined;
}

/** RFC 9728 §3.3: the resource is the one that was asked for, or a path-segment prefix of it on the same origin. */
function checkedResource(
  metadata: ProtectedResourceMetadata,
  upstream: URL,
  source: string,
): ProtectedResourceMetadata {
  const resource = URL.canParse(metadata.resource) ? new URL(metadata.resource) : undefined;
  const prefix = resource?.pathname.replace(/\/$/, '');
  const matches =
    resource !== undefined &&
    resource.origin === upstream.origin &&
    resource.hash === '' &&
    (resource.search === '' || resource.search === upstream.search) &&
    `${upstream.pathname}/`.startsWith(`${prefix}/`);
  if (!matches) {
    throw new LoginFailure(
      'discovery_failed',
      `The metadata at ${shownUrl(source)} is for another resource (${shownUrl(metadata.resource)}), so it was not used.`,
      'Set UPSTREAM_MCP_URL to the URL the server calls its own, or tell the operator of the server.',
    );
  }
  return metadata;
}

async function firstUsableServer(
  input: DiscoveryInput,
  announced: readonly string[],
): Promise<AuthorizationServerMetadata> {
  const issuers = input.issuer === undefined ? new Set(announced.slice(0, MAX_SERVERS)) : [input.issuer];
  let failure: LoginFailure | undefined;
  for (const issuer of issuers) {
    try {
      return await serverMetadata(input, issuer);
    } catch (error) {
      if (!(error instanceof LoginFailure)) throw error;
      failure ??= error;
    }
  }
  throw (
    failure ??
    new LoginFailure(
      'discovery_failed',
      'The server does not say which authorization server it trusts.',
      CURE_OVERRIDE,
    )
  );
}

/** RFC 8414 §3.1 and OpenID Connect Discovery §4, in the order of MCP authorization server discovery. */
function metadataUrls(issuer: URL): string[] {
  const path = issuer.pathname.replace(/\/$/, '');
  const root = `${issuer.origin}/.well-known`;
  if (path === '') return [`${root}/oauth-authorization-server`, `${root}/openid-configuration`];
  return [
    `${root}/oauth-authorization-server${path}`,
    `${root}/openid-configuration${path}`,
    `${issuer.origin}${path}/.well-known/openid-configuration`,
  ];
}

async function serverMetadata(
  input: Pick<DiscoveryInput, 'request' | 'onStep' | 'requirePkceMetadata' | 'upstreamMcpUrl'>,
  issuer: string,
): Promise<AuthorizationServerMetadata> {
  const outcomes: string[] = [];
  for (const url of metadataUrls(checkedUrl(input, issuer, 'The authorization server'))) {
    const found = await fetchMetadata(input, url, AUTHORIZATION_SERVER_METADATA);
    if (found.document) return checkedServer(input, found.document, issuer, { pkceAdvertised: true });
    outcomes.push(`${shownUrl(url)} answered HTTP ${found.status}`);
  }
  throw new LoginFailure(
    'discovery_failed',
    `The authorization server ${foreignText(issuer)} has no metadata: ${outcomes.join('; ')}.`,
    CURE_OVERRIDE,
  );
}

async function legacyServer(
  input: DiscoveryInput,
  upstream: URL,
  { answered }: Probe,
): Promise<AuthorizationServerMetadata> {
  const base = upstream.origin;
  const url = `${base}/.well-known/oauth-authorization-server`;
  const found = await fetchMetadata(input, url, AUTHORIZATION_SERVER_METADATA, {
    'mcp-protocol-version': LEGACY_PROTOCOL_VERSION,
  });
  if (found.document) {
    // No identifier was given, only a base URL: an origin with and without its slash is the same (RFC 3986 §6.2.3).
    const named = found.document.issuer === `${base}/` ? found.document.issuer : base;
    return checkedServer(input, found.document, input.issuer ?? named, { pkceAdvertised: false });
  }
  if (isOpen(answered)) throw notRequired(upstream);
  if (!isAbsent(found.status)) throw unusable(url, `HTTP ${found.status}`);
  if (answered !== 401) {
    const nothing = isAbsent(answered) ? `: there is nothing at ${upstream.pathname}` : '';
    throw new LoginFailure(
      'discovery_failed',
      `${upstream.host} answered HTTP ${answered} and did not ask for a login${nothing}.`,
      'Check UPSTREAM_MCP_URL, its path above all; if only some paths ask for a login, name one with PROBE_PATH.',
    );
  }
  return {
    issuer: base,
    authorization_endpoint: `${base}/authorize`,
    token_endpoint: `${base}/token`,
    registration_endpoint: `${base}/register`,
  };
}

/**
 * Whether the probe was let in. A server that keeps sessions finds fault with a call outside of one (400, or 406 and 415
 * for its form), which one that wants a login would not come to.
 */
function isOpen(answered: number): boolean {
  return (answered >= 200 && answered < 300) || [400, 406, 415].includes(answered);
}

function notRequired(upstream: URL): LoginFailure {
  return new LoginFailure(
    'not_required',
    `${upstream.host} answers without a login.`,
    'Just use it: no login is needed.',
  );
}

function checkedServer(
  input: Pick<DiscoveryInput, 'requirePkceMetadata' | 'upstreamMcpUrl'>,
  metadata: AuthorizationServerMetadata,
  issuer: string,
  rules: { pkceAdvertised: boolean },
): AuthorizationServerMetadata {
  if (metadata.issuer !== issuer) {
    throw new LoginFailure(
      'discovery_failed',
      `The metadata of ${foreignText(issuer)} calls itself ${foreignText(metadata.issuer)}, so it was not used.`,
      `If you trust that name, set ISSUER to it exactly.`,
    );
  }
  const endpoints = {
    authorization_endpoint: metadata.authorization_endpoint,
    token_endpoint: metadata.token_endpoint,
    registration_endpoint: metadata.registration_endpoint,
    revocation_endpoint: metadata.revocation_endpoint,
  };
  for (const [name, url] of Object.entries(endpoints)) {
    if (url !== undefined) checkedUrl(input, url, `The ${name.replace('_', ' ')} of ${foreignText(issuer)}`);
  }
  const methods = metadata.code_challenge_methods_supported;
  const advertised = methods === undefined ? !rules.pkceAdvertised : methods.includes('S256');
  if (input.requirePkceMetadata && !advertised) {
    throw new LoginFailure(
      'pkce_unsupported',
      `The authorization server ${foreignText(issuer)} does not say that it supports PKCE with S256, which keeps others from using the answer to your login.`,
      'Ask its operator; if you know that it does, set REQUIRE_PKCE_METADATA=false: PKCE is used all the same.',
    );
  }
  return metadata;
}

/** Only https, or http on loopback when the upstream that a person entered is on loopback itself. */
function checkedUrl(input: Pick<DiscoveryInput, 'upstreamMcpUrl'>, url: string, what: string): URL {
  const local = isLoopbackHost(new URL(input.upstreamMcpUrl).hostname);
  if (!isSecureUrl(url) || (!local && new URL(url).protocol === 'http:')) {
    throw new LoginFailure(
      'discovery_failed',
      `${what} is not an https: URL (${shownUrl(url)}), so it was not used.`,
      'Tell the operator of the server; a login over anything but https: is not safe.',
    );
  }
  return new URL(url);
}

type Fetched<T> = { document: T; status: 200 } | { document?: undefined; status: number };

/** One metadata document, or the 4xx or 502 that lets discovery go on to the next URL; anything else ends it. */
async function fetchMetadata<T>(
  input: Pick<DiscoveryInput, 'request' | 'onStep' | 'upstreamMcpUrl'>,
  url: string,
  schema: v.GenericSchema<unknown, T>,
  headers: Record<string, string> = {},
): Promise<Fetched<T>> {
  let target = url;
  for (let redirects = 0; ; redirects++) {
    checkedUrl(input, target, 'The metadata address');
    let answer: HttpAnswer;
    try {
      answer = await input.request(target, { headers: { accept: 'application/json', ...headers } });
    } catch (error) {
      const reason = step(input, 'GET', target, error);
      const passing = error instanceof HttpFailure && ['timeout', 'unreachable'].includes(error.code);
      const cure = knownCure(error) ?? (passing ? 'Try again in a moment.' : CURE_OVERRIDE);
      throw new LoginFailure('discovery_failed', `Discovery stopped: ${reason}`, cure, {
        cause: error,
        origin: originOf(error),
      });
    }
    const { status } = answer;
    const [location] = answer.header('location');
    if (
      status >= 300 &&
      status < 400 &&
      location !== undefined &&
      redirects < MAX_REDIRECTS &&
      URL.canParse(location, target)
    ) {
      input.onStep({ method: 'GET', url: shownUrl(target), outcome: `${status}, redirects` });
      target = new URL(location, target).href;
      continue;
    }
    if (status !== 200) {
      input.onStep({ method: 'GET', url: shownUrl(target), outcome: String(status) });
      if ((status >= 400 && status < 500) || status === 502) return { status };
      throw unusable(target, `HTTP ${status}`, 'server');
    }
    const parsed = v.safeParse(schema, jsonOrUndefined(answer.text));
    input.onStep({
      method: 'GET',
      url: shownUrl(target),
      outcome: parsed.success ? '200' : '200, not a metadata document',
    });
    if (!parsed.success) {
      const field = v.getDotPath(parsed.issues[0]);
      throw unusable(
        target,
        field === null ? 'it is not a JSON document' : `"${field}" is missing or of the wrong type`,
      );
    }
    return { document: parsed.output, status };
  }
}

function step(input: Pick<DiscoveryInput, 'onStep'>, method: string, url: string, error: unknown): string {
  if (!(error instanceof HttpFailure)) throw error;
  input.onStep({ method, url: shownUrl(url), outcome: error.code });
  return error.reason;
}

/** What to do about a network failure, where the failure knows. */
function knownCure(error: unknown): string | undefined {
  return error instanceof HttpFailure ? error.cure : undefined;
}

function unusable(url: string, reason: string, origin: LoginFailure['origin'] = 'request'): LoginFailure {
  return new LoginFailure(
    'discovery_failed',
    `The metadata at ${shownUrl(url)} cannot be used: ${reason}.`,
    CURE_OVERRIDE,
    { origin },
  );
}

function isAbsent(status: number): boolean {
  return status === 404 || status === 410;
}
