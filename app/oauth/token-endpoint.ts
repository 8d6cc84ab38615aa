import type { ClientAuth } from 'openid-client';
import { isLoopbackHost } from '../address.ts';
import { MAX_LIFETIME_SECONDS } from '../limits.ts';
import { formEncoded, withoutSecrets } from './errors.ts';
import { type HttpAnswer, HttpFailure, type HttpRequest, jsonOrUndefined } from './http.ts';
import type { AuthorizationServerMetadata, Client } from './metadata.ts';
import { unionOfScopes } from './scopes.ts';

/** What a token endpoint granted. Times are milliseconds since the epoch. */
export interface TokenSet {
  readonly accessToken: string;
  readonly refreshToken: string | undefined;
  readonly scope: string | undefined;
  readonly obtainedAt: number;
  /** When the access token ends; `undefined` when the server did not say. */
  readonly expiresAt: number | undefined;
}

/**
 * A token endpoint's refusal or failure. `oauthError` is the error code of RFC 6749 §5.2 when there was one;
 * `definite` tells a refusal, which another try cannot change, from trouble that may pass.
 */
export class TokenEndpointError extends Error {
  override readonly name = 'TokenEndpointError';
  readonly oauthError: string | undefined;
  readonly definite: boolean;
  readonly timedOut: boolean;
  /** Whether there is no token endpoint at this URL any more. */
  readonly missing: boolean;

  constructor(
    message: string,
    options: { oauthError?: string; definite: boolean; timedOut?: boolean; missing?: boolean },
  ) {
    // No cause: what openid-client attaches holds the whole response, tokens included.
    super(message);
    this.oauthError = options.oauthError;
    this.definite = options.definite;
    this.timedOut = options.timedOut ?? false;
    this.missing = options.missing ?? false;
  }
}

/** The parts of an authorization server that one client talks to. */
export interface TokenEndpoint {
  server: AuthorizationServerMetadata;
  client: Client;
  resource: string | undefined;
  request: HttpRequest;
}

/** Errors of RFC 6749 §5.2 that describe the moment, not the grant. */
const PASSING_ERRORS = new Set([
  'temporarily_unavailable',
  'server_error',
  'slow_down',
  'rate_limit_exceeded',
]);

/**
 * Exchanges the code in a callback URL for tokens, after `state` and `iss` have been checked (RFC 6749 §4.1.3,
 * RFC 7636 §4.5, RFC 9207 §2.4).
 * @throws {TokenEndpointError}
 */
export async function exchangeCode(
  endpoint: TokenEndpoint,
  callback: URL,
  checks: { state: string; codeVerifier: string },
): Promise<TokenSet> {
  const { oidc, config } = await configure(endpoint, plainAnswer);
  const secrets = [callback.searchParams.get('code') ?? '', checks.codeVerifier, checks.state];
  return attempt(endpoint, secrets, () =>
    oidc.authorizationCodeGrant(
      config,
      callback,
      { expectedState: checks.state, pkceCodeVerifier: checks.codeVerifier },
      resourceParameter(endpoint),
    ),
  );
}

/**
 * Uses a refresh token once (RFC 6749 §6).
 * @throws {TokenEndpointError}
 */
export async function refreshTokens(endpoint: TokenEndpoint, refreshToken: string): Promise<TokenSet> {
  const { oidc, config } = await configure(endpoint, plainAnswer);
  return attempt(endpoint, [refreshToken], () =>
    oidc.refreshTokenGrant(config, refreshToken, resourceParameter(endpoint)),
  );
}

/**
 * Revokes a token (RFC 7009 §2.1).
 * @throws {TokenEndpointError}
 */
export async function revokeToken(
  endpoint: TokenEndpoint,
  token: string,
  hint: 'refresh_token' | 'access_token',
): Promise<void> {
  const { oidc, config } = await configure(endpoint, revocationAnswer);
  try {
    await oidc.tokenRevocation(config, token, { token_type_hint: hint });
  } catch (error) {
    throw endpointError(endpoint, error, [token]);
  }
}

/** The authentication method: what registration answered, else what the server allows (RFC 7591 §2, RFC 8414 §2). */
export function authenticationMethod(
  client: Pick<Client, 'client_secret' | 'token_endpoint_auth_method'>,
  supported: readonly string[] | undefined,
): 'none' | 'client_secret_basic' | 'client_secret_post' {
  if (client.client_secret === undefined || client.token_endpoint_auth_method === 'none') return 'none';
  const known = ['client_secret_basic', 'client_secret_post'] as const;
  return (
    known.find((method) => method === client.token_endpoint_auth_method) ??
    known.find((method) => supported?.includes(method)) ??
    'client_secret_basic'
  );
}

async function configure(
  { server, client, request }: TokenEndpoint,
  read: (answer: HttpAnswer) => PlainAnswer,
) {
  const oidc = await import('openid-client');
  const secret = client.client_secret ?? '';
  const authentication = {
    none: () => oidc.None(),
    client_secret_basic: () => basicAuthentication(secret),
    client_secret_post: () => oidc.ClientSecretPost(secret),
  }[authenticationMethod(client, server.token_endpoint_auth_methods_supported)]();
  const metadata = Object.fromEntries(Object.entries(server).filter(([, value]) => value !== undefined));
  const config = new oidc.Configuration(
    { issuer: server.issuer, ...metadata },
    client.client_id,
    {},
    authentication,
  );
  // Discovery and settings let http: pass on loopback only; see there.
  if (isLoopbackHost(new URL(server.token_endpoint).hostname)) oidc.allowInsecureRequests(config);
  config[oidc.customFetch] = async (url, { method, headers, body }) => {
    const answer = await request(url, {
      method,
      headers: { ...headers },
      ...(body === undefined || body === null ? {} : { body: String(body) }),
    });
    const { status, json } = read(answer);
    return new Response(JSON.stringify(json), { status, headers: { 'content-type': 'application/json' } });
  };
  return { oidc, config };
}

interface PlainAnswer {
  readonly status: 200 | 400;
  readonly json: Record<string, unknown>;
}

/** RFC 7009 §2.2: the body says nothing; deployed servers answer with 204 as well. */
function revocationAnswer(answer: HttpAnswer): PlainAnswer {
  return answer.status >= 200 && answer.status < 300 ? { status: 200, json: {} } : plainAnswer(answer);
}

/**
 * RFC 6749 §2.3.1: both parts form-encoded. openid-client's own way escapes `-`, `_` and `.` too, which that encoding
 * leaves alone, and a server that compares without decoding then refuses the secret it has issued.
 */
function basicAuthentication(secret: string): ClientAuth {
  return (_server, client, _body, headers) => {
    headers.set('authorization', `Basic ${basicCredentials(client.client_id, secret)}`);
  };
}

function basicCredentials(clientId: string, secret: string): string {
  return btoa(`${formEncoded(clientId)}:${formEncoded(secret)}`);
}

/**
 * Makes what deployed token endpoints answer into what RFC 6749 §5 says: errors sent with HTTP 200 become errors, what
 * is no bearer token is refused, lifetimes that make no sense are dropped, and so is all that is of no use here, such as
 * an ID token: nobody is identified.
 */
function plainAnswer({ status, text }: HttpAnswer): PlainAnswer {
  const missing = [404, 405, 410].includes(status);
  const json = jsonOrUndefined(text);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new TokenEndpointError(`answered HTTP ${status} without a JSON object`, {
      definite: false,
      missing,
    });
  }
  const answer = json as Record<string, unknown>;
  // What a gateway, a rate limit or a missing page puts under `error` is none of RFC 6749 §5.2.
  const passing = status >= 500 || status === 429 || missing;
  if (typeof answer.error === 'string' && !passing) {
    const { error, error_description, access_token, refresh_token, id_token } = answer;
    const granted = [access_token, refresh_token, id_token].filter((text) => typeof text === 'string');
    const shown = (text: unknown) => withoutSecrets(text, granted);
    return { status: 400, json: { error: shown(error), error_description: shown(error_description) } };
  }
  if (status < 200 || status > 299) {
    throw new TokenEndpointError(`answered HTTP ${status}`, { definite: false, missing });
  }
  const { token_type: type, access_token: token } = answer;
  const isBearer = typeof type === 'string' && type.toLowerCase() === 'bearer';
  if (!isBearer || typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    throw new TokenEndpointError('granted no token that is a bearer token (RFC 6750)', { definite: true });
  }
  const { refresh_token: next } = answer;
  return {
    status: 200,
    json: {
      access_token: token,
      token_type: type,
      ...(typeof next === 'string' && next !== '' ? { refresh_token: next } : {}),
      expires_in: lifetimeOf(answer.expires_in),
      scope: scopeOf(answer.scope),
    },
  };
}

function lifetimeOf(expiresIn: unknown): number | undefined {
  const seconds = typeof expiresIn === 'string' ? Number(expiresIn) : expiresIn;
  return typeof seconds === 'number' && seconds > 0 && seconds <= MAX_LIFETIME_SECONDS ? seconds : undefined;
}

/** Some servers answer with a list, others with an empty text for "as asked". */
function scopeOf(scope: unknown): string | undefined {
  const lists: unknown[] = Array.isArray(scope) ? scope : [scope];
  return unionOfScopes(...lists.filter((list) => typeof list === 'string'));
}

interface Granted {
  access_token: string;
  refresh_token?: string;
  scope?: string;
  expires_in?: number;
}

async function attempt(
  endpoint: TokenEndpoint,
  secrets: readonly string[],
  grant: () => Promise<Granted>,
): Promise<TokenSet> {
  // Lifetimes count from before the request, so that a slow answer never makes a token look younger than it is.
  const obtainedAt = Date.now();
  let granted: Granted;
  try {
    granted = await grant();
  } catch (error) {
    throw endpointError(endpoint, error, secrets);
  }
  return {
    accessToken: granted.access_token,
    refreshToken: granted.refresh_token,
    scope: granted.scope,
    obtainedAt,
    expiresAt: granted.expires_in === undefined ? undefined : obtainedAt + granted.expires_in * 1000,
  };
}

/** @param sent secrets of the request: a server that repeats them in its answer must not have them shown */
function endpointError(endpoint: TokenEndpoint, error: unknown, sent: readonly string[]): TokenEndpointError {
  const host = hostOf(endpoint);
  const { client_id, client_secret: secret } = endpoint.client;
  const credentials = secret === undefined ? [] : [secret, basicCredentials(client_id, secret)];
  const shown = (text: unknown) => withoutSecrets(text, [...sent, ...credentials]);
  const chain = [error, (error as { cause?: unknown }).cause];
  for (const link of chain) {
    if (link instanceof TokenEndpointError) {
      return new TokenEndpointError(`${host} ${link.message}.`, {
        definite: link.definite,
        missing: link.missing,
      });
    }
    if (link instanceof HttpFailure) {
      return new TokenEndpointError(link.message, { definite: false, timedOut: link.code === 'timeout' });
    }
  }
  const failure = error as { name?: string; code?: string; error?: unknown; error_description?: unknown };
  if (failure.name === 'ResponseBodyError' && typeof failure.error === 'string') {
    const description = shown(failure.error_description);
    const oauthError = shown(failure.error);
    return new TokenEndpointError(`${host} answered "${oauthError}"${description && ` (${description})`}.`, {
      oauthError,
      definite: !PASSING_ERRORS.has(failure.error),
    });
  }
  const reason = shown((error as Error).message);
  if (typeof failure.code === 'string' && failure.code.startsWith('OAUTH_')) {
    return new TokenEndpointError(`The answer of ${host} is not valid: ${reason}.`, { definite: true });
  }
  return new TokenEndpointError(`${host} could not be asked: ${reason}.`, { definite: false });
}

function resourceParameter({ resource }: TokenEndpoint): Record<string, string> {
  return resource === undefined ? {} : { resource };
}

function hostOf({ server }: TokenEndpoint): string {
  return new URL(server.token_endpoint).host;
}
