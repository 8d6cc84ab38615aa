import * as v from 'valibot';
import { isLoopbackHost } from '../address.ts';
import { DEFAULT_CLIENT_ID, type Settings } from '../settings.ts';
import { foreignText, LoginFailure, shownUrl } from './errors.ts';
import { type HttpAnswer, HttpFailure, type HttpRequest, jsonOrUndefined, originOf } from './http.ts';
import type { AuthorizationServerMetadata, Client } from './metadata.ts';
import { coversScope } from './scopes.ts';

/** Identifies this software to authorization servers (RFC 7591 §2); never changes. */
const SOFTWARE_ID = 'a0f4c2de-5c1b-4d58-9c07-3f6f1c1b7e52';

/** What a registration answers (RFC 7591 §3.2.1), as far as it is used. */
const REGISTRATION_RESPONSE = v.object({
  client_id: v.pipe(v.string(), v.minLength(1)),
  client_secret: v.optional(v.nullable(v.string())),
  client_secret_expires_at: v.optional(v.nullable(v.number())),
  token_endpoint_auth_method: v.optional(v.nullable(v.string())),
  scope: v.optional(v.nullable(v.string())),
});

export interface RegistrationInput {
  settings: Pick<
    Settings,
    'clientId' | 'clientSecret' | 'clientMetadataUrl' | 'autoRegisterClient' | 'issuer'
  >;
  server: AuthorizationServerMetadata;
  redirectUri: string;
  scope: string | undefined;
  software: { readonly version: string; readonly homepage: string | undefined };
  /** The client of the last login; a registration is used again when it fits. */
  kept: Client | undefined;
  request: HttpRequest;
}

const CURE_CLIENT =
  'Register a client with the operator of the server by hand and set CLIENT_ID (and CLIENT_SECRET).';

/**
 * The client to log in with: pre-registered, then client ID metadata document, then a kept or new dynamic
 * registration (RFC 7591). Source: MCP authorization 2026-07-28, client registration.
 * @throws {LoginFailure} `registration_failed`
 */
export async function obtainClient(input: RegistrationInput): Promise<Client> {
  const { settings, server, redirectUri, kept } = input;
  checkRedirect(redirectUri);
  const base = { issuer: server.issuer, redirect_uri: redirectUri };
  if (settings.clientId !== DEFAULT_CLIENT_ID) {
    if (isForAnother(kept, input)) {
      throw new LoginFailure(
        'registration_failed',
        `The server now names the authorization server ${foreignText(server.issuer)}, but CLIENT_ID was used at ${foreignText(kept?.issuer)}; it was not sent to the new one.`,
        'Set CLIENT_ID (and CLIENT_SECRET) to those of the new one; if they are the same, set ISSUER to the new one.',
      );
    }
    const secret = settings.clientSecret === undefined ? {} : { client_secret: settings.clientSecret };
    return { ...base, source: 'configured', client_id: settings.clientId, ...secret };
  }
  if (settings.clientMetadataUrl !== undefined && server.client_id_metadata_document_supported === true) {
    return { ...base, source: 'metadata-document', client_id: settings.clientMetadataUrl };
  }
  if (kept && isUsable(kept, input)) return kept;
  if (!settings.autoRegisterClient) {
    throw new LoginFailure(
      'registration_failed',
      'No client is configured, and AUTO_REGISTER_CLIENT is false.',
      CURE_CLIENT,
    );
  }
  if (server.registration_endpoint === undefined) {
    throw new LoginFailure(
      'registration_failed',
      `The authorization server ${foreignText(server.issuer)} does not let clients register themselves.`,
      CURE_CLIENT,
    );
  }
  return register(input, server.registration_endpoint);
}

/** MCP authorization 2026-07-28, security considerations: a code comes back on this machine or by https: only. */
function checkRedirect(redirectUri: string): void {
  const { protocol, hostname } = new URL(redirectUri);
  if (protocol === 'https:' || isLoopbackHost(hostname)) return;
  throw new LoginFailure(
    'registration_failed',
    `The redirect URI ${redirectUri} is neither on this machine nor https:, so that others could read the answer to a login.`,
    'Set PUBLIC_BASE_URL to an https: address that leads here, or leave BIND at 127.0.0.1.',
  );
}

/** Credentials belong to the issuer they were made at (MCP authorization 2026-07-28, client registration). */
function isForAnother(kept: Client | undefined, { settings, server }: RegistrationInput): boolean {
  return (
    kept?.source === 'configured' &&
    kept.client_id === settings.clientId &&
    kept.issuer !== server.issuer &&
    settings.issuer !== server.issuer
  );
}

function isUsable(kept: Client, { server, redirectUri, scope }: RegistrationInput): boolean {
  const expires = kept.client_secret_expires_at ?? 0;
  return (
    kept.source === 'registered' &&
    kept.issuer === server.issuer &&
    [redirectUri, adjustedRedirect(redirectUri)].includes(kept.redirect_uri) &&
    // A step-up may ask for more than the client was registered for.
    (kept.scope === undefined || coversScope(kept.scope, scope)) &&
    (expires === 0 || expires * 1000 > Date.now())
  );
}

/**
 * Registers the client; once more in another form when its redirect URI was refused (MCP authorization 2026-07-28,
 * client registration).
 */
async function register(input: RegistrationInput, endpoint: string): Promise<Client> {
  const first = await attempt(input, endpoint, { redirectUri: input.redirectUri, applicationType: 'native' });
  if ('client' in first) return first.client;
  if (!first.forRedirect) throw refused(input, first);
  const adjusted = adjustedRedirect(input.redirectUri);
  const applicationType = adjusted.startsWith('https:') ? 'web' : 'native';
  const second = await attempt(input, endpoint, { redirectUri: adjusted, applicationType });
  if ('client' in second) return second.client;
  throw refused(input, first);
}

/**
 * The other form of a redirect URI that a server may want: `localhost` for a loopback address and the reverse (RFC 8252
 * §7.3 and §8.3 leave servers both ways). An `https:` one stays, but for a web application (OpenID Connect Dynamic Client Registration §2).
 */
function adjustedRedirect(redirectUri: string): string {
  const url = new URL(redirectUri);
  if (url.protocol === 'https:') return redirectUri;
  url.hostname = url.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
  return url.href;
}

interface Refused {
  readonly status: number;
  readonly reason: string;
  /** Whether it was refused for its redirect URI. */
  readonly forRedirect: boolean;
}

async function attempt(
  input: RegistrationInput,
  endpoint: string,
  { redirectUri, applicationType }: { redirectUri: string; applicationType: 'native' | 'web' },
): Promise<{ client: Client } | Refused> {
  const { server, scope, software, request } = input;
  const supported = server.token_endpoint_auth_methods_supported;
  const methods = ['none', 'client_secret_basic', 'client_secret_post'] as const;
  const method = methods.find((name) => supported === undefined || supported.includes(name)) ?? 'none';
  let answer: HttpAnswer;
  try {
    answer = await request(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({
        client_name: 'MCP Auth Proxy',
        client_uri: software.homepage,
        application_type: applicationType,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: method,
        software_id: SOFTWARE_ID,
        software_version: software.version,
        scope,
      }),
    });
  } catch (error) {
    if (!(error instanceof HttpFailure)) throw error;
    throw new LoginFailure(
      'registration_failed',
      `The client cannot be registered: ${error.reason}`,
      error.cure ?? 'Try again in a moment.',
      { cause: error, origin: originOf(error) },
    );
  }
  const json = jsonOrUndefined(answer.text);
  const parsed = v.safeParse(REGISTRATION_RESPONSE, json);
  if (answer.status < 200 || answer.status > 299 || !parsed.success) {
    const reason = refusalOf(answer.status, json);
    return { status: answer.status, reason, forRedirect: answer.status < 500 && /redirect/i.test(reason) };
  }
  const { client_id, client_secret, client_secret_expires_at, token_endpoint_auth_method } = parsed.output;
  const registeredScope = parsed.output.scope ?? scope;
  const client: Client = {
    issuer: server.issuer,
    redirect_uri: redirectUri,
    source: 'registered',
    client_id,
    // A server that gives a secret and names no method has not done what was asked; its metadata decides then.
    ...(token_endpoint_auth_method
      ? { token_endpoint_auth_method }
      : client_secret
        ? {}
        : { token_endpoint_auth_method: method }),
    ...(client_secret ? { client_secret } : {}),
    ...(client_secret_expires_at ? { client_secret_expires_at } : {}),
    ...(registeredScope === undefined ? {} : { scope: registeredScope }),
  };
  return { client };
}

function refused(
  { server, redirectUri }: RegistrationInput,
  { status, reason, forRedirect }: Refused,
): LoginFailure {
  const issuer = `The authorization server ${foreignText(server.issuer)}`;
  const origin = status >= 500 ? 'server' : 'request';
  const failure = (message: string, cure: string) =>
    new LoginFailure('registration_failed', message, cure, { origin });
  if (forRedirect) {
    const other = adjustedRedirect(redirectUri);
    const both = other === redirectUri ? redirectUri : `${redirectUri}, nor ${other}`;
    return failure(
      `${issuer} does not accept the redirect URI ${both}: ${reason}.`,
      `Set PUBLIC_BASE_URL to an address it accepts. Or: ${CURE_CLIENT}`,
    );
  }
  if ([404, 405, 410].includes(status)) {
    const endpoint = shownUrl(server.registration_endpoint ?? '');
    return failure(
      `${issuer} does not let clients register themselves: there is nothing at ${endpoint} (${reason}).`,
      `${CURE_CLIENT} If the server documents other endpoints, set AUTHORIZATION_ENDPOINT and TOKEN_ENDPOINT as well.`,
    );
  }
  const passing = status >= 500 || status === 429;
  return failure(
    `${issuer} did not register the client: ${reason}.`,
    passing ? `Try again in a moment. If it stays so: ${CURE_CLIENT}` : CURE_CLIENT,
  );
}

function refusalOf(status: number, json: unknown): string {
  const { error, error_description } = (json ?? {}) as { error?: unknown; error_description?: unknown };
  const words = [foreignText(error), foreignText(error_description)].filter((word) => word !== '');
  if (words.length > 0) return words.join(', ');
  return status < 300 ? `its answer (HTTP ${status}) is not a registration` : `HTTP ${status}`;
}
