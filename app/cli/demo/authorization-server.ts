import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { type ClientAuthMethod, type ClientMetadata, errors, Provider } from 'oidc-provider';
import { AuthorizationServerState } from './authorization-state.ts';
import { listenOnLoopback, peekBody } from './loopback.ts';
import { Recorder, type RespondHook } from './recorder.ts';
import { answerSignIn, askToSignIn } from './sign-in-interaction.ts';
import { errorPage, PAGE_HEADERS, sendErrorPage } from './sign-in-page.ts';

/** What of an authorization server may be changed while it runs. */
export interface AuthorizationServerBehaviour {
  /** Lifetime of access tokens issued from now on, in seconds. */
  accessTokenSeconds: number;
  /** Whether each refresh answers with a new refresh token and consumes the old one (RFC 9700 §4.14.2). */
  rotate: boolean;
  /** `true`: for the scope `offline_access`; `'always'`: without it too; `false`: never. */
  issueRefreshTokens: boolean | 'always';
  /** Called first for every request; see {@link RespondHook}. */
  respond: RespondHook | undefined;
}

export interface AuthorizationServerOptions extends Partial<AuthorizationServerBehaviour> {
  /** Port on 127.0.0.1; 0, the default, takes a free one. */
  port?: number;
  /**
   * Clients, grants, sessions and keys. Pass the state of a closed server to start it again as it was; without it the
   * server starts empty and knows no client and no grant.
   */
  state?: AuthorizationServerState;
  /** Issuer identifier, where it is not the origin the server listens at: behind a front, or with a path. */
  issuer?: string;
  /** How clients may authenticate; default {@link CLIENT_AUTH_METHODS}. */
  clientAuthMethods?: readonly ClientAuthMethod[];
  /**
   * Fetches client ID metadata documents (draft-ietf-oauth-client-id-metadata-document), from loopback as well; without
   * it such clients are not supported.
   */
  fetchClientMetadata?: typeof fetch;
  /** Dynamic client registration (RFC 7591), open to all; default true. */
  registration?: boolean;
  /** Pre-registered clients, as RFC 7591 metadata with `client_id`, `redirect_uris` and, if confidential, `client_secret`. */
  clients?: readonly ClientMetadata[];
  /** Scopes that are known and advertised; default {@link DEFAULT_SCOPES}. */
  scopesSupported?: readonly string[];
  /** The resources that tokens may be asked for (RFC 8707); others are refused with `invalid_target`. Default: any. */
  resources?: () => readonly string[];
  /**
   * Requests without `resource` get tokens for the first of `resources`, as at servers of 2025-03-26. Default false: they
   * are refused with `invalid_target`.
   */
  resourceOptional?: boolean;
  /** Receives each request to the token endpoint with its secrets, for tests that compare them. Never print these. */
  onTokenRequest?: (body: URLSearchParams, headers: IncomingHttpHeaders) => void;
}

/** One request to the authorization server, without anything secret. */
export interface AuthorizationServerRequest {
  readonly method: string;
  /** Path without the query. */
  readonly path: string;
  readonly grantType?: string;
  /** From the query, the body or the user name of Basic authentication. */
  readonly clientId?: string;
  /** All `resource` parameters, in order. */
  readonly resource?: readonly string[];
  readonly scope?: string;
  /** HTTP status; undefined until the response head was sent, and for ever if it was dropped. */
  readonly status: number | undefined;
}

/** What the authorization server knows about a valid access token. Never the token. */
export interface AccessTokenInfo {
  readonly subject: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  /** The resource the token was issued for. */
  readonly audience: string;
  /** When it ends, in seconds since 1970. */
  readonly expiresAt: number;
  /** Its place among all access tokens this state has issued, from 1; see {@link AuthorizationServer.state}. */
  readonly ordinal: number;
}

/** A running authorization server. */
export interface AuthorizationServer {
  /** Issuer identifier, without a trailing slash. */
  readonly issuer: string;
  readonly port: number;
  readonly state: AuthorizationServerState;
  readonly requests: Recorder<AuthorizationServerRequest>;
  /** May be changed at any time. */
  readonly behaviour: AuthorizationServerBehaviour;
  /** The token's data if it exists, has not ended and was not revoked; else undefined. */
  verifyAccessToken(token: string): Promise<AccessTokenInfo | undefined>;
  /**
   * Lets the next token request be processed fully (a refresh token is consumed) and then cuts the connection without
   * an answer. Resolves when that has happened.
   */
  dropNextTokenResponse(): Promise<void>;
  /** Ends all grants and their tokens: the next refresh is refused with `invalid_grant`. */
  revokeGrants(): void;
  /** Forgets all registered clients: they get `invalid_client` from now on. */
  forgetClients(): void;
  /** Ends all connections and frees the port. */
  close(): Promise<void>;
}

/** The scopes the authorization server knows unless it is told others. */
export const DEFAULT_SCOPES = ['mcp:tools', 'mcp:resources', 'offline_access'] as const;

const CLIENT_AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post'] as const;

/** oidc-provider's endpoints under the names that clients of MCP 2025-03-26 assume where there is no metadata. */
const ROUTES = {
  authorization: '/authorize',
  token: '/token',
  registration: '/register',
  revocation: '/revoke',
  jwks: '/jwks',
} as const;
const INTERACTION_PREFIX = '/interaction/';

const FORM_LIMIT_BYTES = 56 * 1024;
const HOUR = 3600;
const DAY = 24 * HOUR;

/**
 * Starts an authorization server (oidc-provider) on loopback: authorization code with PKCE (S256), rotating refresh tokens
 * with reuse detection, registration (RFC 7591), resource indicators (RFC 8707), `iss` in answers (RFC 9207), revocation
 * (RFC 7009), metadata by RFC 8414 and OpenID Connect. Who signs in is asked for a name, no password.
 * @throws the system's error (`EADDRINUSE`) when the port is taken.
 */
export async function startAuthorizationServer(
  options: AuthorizationServerOptions = {},
): Promise<AuthorizationServer> {
  const state = options.state ?? new AuthorizationServerState();
  const behaviour: AuthorizationServerBehaviour = {
    accessTokenSeconds: options.accessTokenSeconds ?? 5,
    rotate: options.rotate ?? true,
    issueRefreshTokens: options.issueRefreshTokens ?? true,
    respond: options.respond,
  };
  const requests = new Recorder<AuthorizationServerRequest>();
  const loopback = await listenOnLoopback(options.port ?? 0);
  const issuer = options.issuer ?? loopback.origin;
  const provider = createProvider(issuer, loopback.port, state, behaviour, options);

  const drops: (() => void)[] = [];
  provider.use(async (ctx, next) => {
    await next();
    const dropped = ctx.path === ROUTES.token ? drops.shift() : undefined;
    if (!dropped) return;
    ctx.respond = false;
    ctx.res.destroy();
    dropped();
  });

  const answer = provider.callback();
  loopback.serve(async (request, response) => {
    const form = await readForm(request);
    requests.record(describe(request, response, form));
    if (form && request.url === ROUTES.token) options.onTokenRequest?.(form, request.headers);
    if (await behaviour.respond?.(request, response)) return;
    if (request.url?.startsWith(INTERACTION_PREFIX)) await interact(provider, request, response, form);
    else {
      request.url = completed(request.url ?? '/', resourceScopes(options));
      await answer(request, response);
    }
  });

  return {
    issuer,
    port: loopback.port,
    state,
    requests,
    behaviour,
    async verifyAccessToken(token) {
      const found = await provider.AccessToken.find(token);
      if (!found?.isValid || found.clientId === undefined) return undefined;
      const ordinal = state.ordinalOf(found.jti);
      if (typeof found.aud !== 'string' || found.exp === undefined || ordinal === undefined) return undefined;
      return {
        subject: found.accountId,
        clientId: found.clientId,
        scopes: [...found.scopes],
        audience: found.aud,
        expiresAt: found.exp,
        ordinal,
      };
    },
    dropNextTokenResponse: () =>
      new Promise((resolve) => {
        drops.push(resolve);
      }),
    revokeGrants: () => state.revokeGrants(),
    forgetClients: () => state.forgetClients(),
    close: () => loopback.close(),
  };
}

function createProvider(
  issuer: string,
  port: number,
  state: AuthorizationServerState,
  behaviour: AuthorizationServerBehaviour,
  options: AuthorizationServerOptions,
): Provider {
  const { fetchClientMetadata } = options;
  return new Provider(issuer, {
    adapter: (model) => state.adapter(model),
    clients: options.clients ?? [],
    clientAuthMethods: [...(options.clientAuthMethods ?? CLIENT_AUTH_METHODS)],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    cookies: {
      keys: state.cookieKeys,
      // Browsers keep cookies per host, whatever the port: two servers on 127.0.0.1 must not overwrite each other's.
      names: {
        session: `session_${port}`,
        interaction: `interaction_${port}`,
        resume: `resume_${port}`,
      },
    },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    // A grant outlives the browser session in which it was given.
    expiresWithSession: () => false,
    features: {
      clientIdMetadataDocument: { enabled: fetchClientMetadata !== undefined, ack: 'draft-02' },
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      registration: { enabled: options.registration ?? true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx, _client, oneOf) => {
          const resource = options.resourceOptional ? (oneOf ?? options.resources?.())?.[0] : undefined;
          if (resource === undefined) throw new errors.InvalidTarget('resource is missing or not unique');
          return resource;
        },
        getResourceServerInfo: (_ctx, resource) => {
          if (options.resources && !options.resources().includes(resource)) throw new errors.InvalidTarget();
          return { audience: resource, scope: resourceScopes(options) };
        },
      },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
    },
    ...(fetchClientMetadata && { fetch: fetchClientMetadata }),
    findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    interactions: { url: (_ctx, interaction) => INTERACTION_PREFIX + interaction.uid },
    issueRefreshToken: (_ctx, client, source) =>
      behaviour.issueRefreshTokens !== false &&
      client.grantTypeAllowed('refresh_token') &&
      (behaviour.issueRefreshTokens === 'always' || source.scopes.has('offline_access')),
    jwks: { keys: [state.signingKey] },
    pkce: { required: () => true },
    renderError: (ctx, out) => {
      ctx.set(PAGE_HEADERS);
      ctx.body = errorPage(out.error_description ?? out.error);
    },
    responseTypes: ['code'],
    rotateRefreshToken: () => behaviour.rotate,
    routes: ROUTES,
    scopes: options.scopesSupported ?? DEFAULT_SCOPES,
    ttl: {
      AccessToken: () => behaviour.accessTokenSeconds,
      AuthorizationCode: 60,
      Grant: 14 * DAY,
      IdToken: HOUR,
      Interaction: HOUR,
      RefreshToken: 14 * DAY,
      Session: 14 * DAY,
    },
  });
}

/** The scopes of `resources`: the other two belong to the grant. Space-separated. */
function resourceScopes({ scopesSupported = DEFAULT_SCOPES }: AuthorizationServerOptions): string {
  return scopesSupported.filter((scope) => scope !== 'offline_access' && scope !== 'openid').join(' ');
}

/**
 * Adds to an authorization request what oidc-provider demands and OAuth clients may leave out: a scope, for which every
 * server has a default (RFC 6749 §3.3), and `prompt=consent`, without which OpenID Connect Core §11 does not grant
 * `offline_access`; everybody is asked for consent here.
 */
function completed(target: string, defaultScope: string): string {
  const url = new URL(target, 'http://127.0.0.1');
  if (url.pathname !== ROUTES.authorization) return target;
  const { searchParams } = url;
  if (!searchParams.has('scope')) searchParams.set('scope', defaultScope);
  const scopes = searchParams.get('scope')?.split(' ') ?? [];
  if (scopes.includes('offline_access') && !searchParams.has('prompt')) searchParams.set('prompt', 'consent');
  return url.pathname + url.search;
}

async function interact(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  form: URLSearchParams | undefined,
): Promise<void> {
  try {
    if (request.method === 'POST' && form) await answerSignIn(provider, request, response, form);
    else await askToSignIn(provider, request, response);
  } catch (error) {
    if (!(error instanceof errors.SessionNotFound)) throw error;
    sendErrorPage(response, 400, 'This sign-in has ended or belongs to another browser. Start it again.');
  }
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  if (!request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) return undefined;
  const body = await peekBody(request, FORM_LIMIT_BYTES);
  return body && new URLSearchParams(body.toString());
}

function describe(
  request: IncomingMessage,
  response: ServerResponse,
  form: URLSearchParams | undefined,
): AuthorizationServerRequest {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const parameters = form ?? url.searchParams;
  const grantType = parameters.get('grant_type');
  const clientId = parameters.get('client_id') ?? basicUser(request.headers.authorization);
  const resource = parameters.getAll('resource');
  const scope = parameters.get('scope');
  return {
    method: request.method ?? '',
    path: url.pathname,
    ...(grantType === null ? {} : { grantType }),
    ...(clientId === undefined ? {} : { clientId }),
    ...(resource.length === 0 ? {} : { resource }),
    ...(scope === null ? {} : { scope }),
    get status() {
      return response.headersSent ? response.statusCode : undefined;
    },
  };
}

/** The client ID of RFC 6749 §2.3.1: form-encoded, then base64. */
function basicUser(authorization: string | undefined): string | undefined {
  const credentials = /^Basic +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (credentials === undefined) return undefined;
  const [user] = Buffer.from(credentials, 'base64').toString().split(':');
  return new URLSearchParams(`user=${user}`).get('user') ?? undefined;
}
