import { createHash, randomBytes } from 'node:crypto';
import {
  LOGIN_LIFETIME_MS,
  MAX_AUTHORIZATION_URL_LENGTH,
  MAX_PENDING_LOGINS,
  PREPARING_MS,
} from '../limits.ts';
import type { Logger } from '../log.ts';
import type { Settings } from '../settings.ts';
import { SecretStoreError } from '../store/secret-store.ts';
import { type Discovery, type DiscoveryStep, discover } from './discovery.ts';
import { foreignText, LoginFailure, shownUrl, withoutSecrets } from './errors.ts';
import { HttpFailure, type HttpRequest } from './http.ts';
import type { Client } from './metadata.ts';
import { obtainClient } from './registration.ts';
import { promptFor, selectScope } from './scopes.ts';
import type { Session } from './session.ts';
import { exchangeCode, TokenEndpointError } from './token-endpoint.ts';

/** A kept registration whose login did not come back for so long may be one the server has forgotten. */
const SUSPECT_AFTER_MS = 5_000;

const CURE_OPERATOR = 'Start the login again; if it happens twice, tell the operator of the server.';

/** What logins that are begun at the same time have in common. */
interface PreparedLogin {
  readonly discovery: Discovery;
  readonly client: Client;
  readonly scope: string | undefined;
}

/** What one login has to remember between its two halves; found again by its `state`. */
interface PendingLogin extends PreparedLogin {
  readonly state: string;
  readonly codeVerifier: string;
  readonly startedAt: number;
}

/** What the last discovery did, for the status. */
export interface DiscoveryReport {
  readonly mode: Discovery['mode'] | undefined;
  readonly resource: string | undefined;
  readonly steps: readonly DiscoveryStep[];
}

interface LoginParts {
  settings: Settings;
  session: Session;
  request: HttpRequest;
  log: Logger;
  software: { readonly version: string; readonly homepage: string | undefined };
  onChange: () => void;
}

/** The two halves of a login by Authorization Code with PKCE: `start` before the browser leaves, `finish` when it is back. */
export class Login {
  readonly #parts: LoginParts;
  readonly #pending = new Map<string, PendingLogin>();
  /** Logins that look for their server or register their client. */
  readonly #starting = new Set<symbol>();
  #preparing: Promise<PreparedLogin> | undefined;
  #report: DiscoveryReport = { mode: undefined, resource: undefined, steps: [] };
  #failure: LoginFailure | undefined;
  #finishing = 0;
  #finishedAt = 0;
  /** The kept registration of a login that was cancelled when it had not come back for a while. */
  #unanswered: string | undefined;
  #expiry: NodeJS.Timeout | undefined;

  constructor(parts: LoginParts) {
    this.#parts = parts;
  }

  /** Whether a login has come back from the browser and its code is being exchanged. */
  get finishing(): boolean {
    return this.#finishing > 0;
  }

  /** Whether a login was begun and may still succeed; one that another has overtaken does not count. */
  get underWay(): boolean {
    this.#dropExpired();
    if (this.finishing || this.#starting.size > 0) return true;
    return [...this.#pending.values()].some(({ startedAt }) => startedAt > this.#finishedAt);
  }

  get report(): DiscoveryReport {
    return this.#report;
  }

  /** Why the last login failed; gone after one that worked. */
  get failure(): LoginFailure | undefined {
    return this.#failure;
  }

  /**
   * Begins a login: finds the server, obtains a client, and returns the authorization URL to open.
   * @param redirectUri where the browser comes back to
   * @throws {LoginFailure} `cancelled` after {@link cancel}, and others
   */
  async start(redirectUri: string): Promise<URL> {
    const start = Symbol('start');
    this.#starting.add(start);
    this.#parts.onChange();
    try {
      const prepared = await this.#prepare(redirectUri).finally(() => {
        if (!this.#starting.delete(start)) throw cancelledLogin();
      });
      const pending: PendingLogin = {
        ...prepared,
        state: randomBytes(32).toString('base64url'),
        codeVerifier: randomBytes(48).toString('base64url'),
        startedAt: Date.now(),
      };
      const url = authorizationUrl(pending);
      this.#remember(pending);
      this.#parts.log.info('Login started', {
        issuer: foreignText(pending.discovery.server.issuer),
        scope: pending.scope && foreignText(pending.scope),
      });
      return url;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * Ends a login: checks the callback, exchanges the code, hands the tokens to the session.
   * @param query the callback's query string
   * @returns a warning for the person, when the login works and could not be stored
   * @throws {LoginFailure}
   */
  async finish(query: URLSearchParams): Promise<{ warning: string | undefined }> {
    const pending = this.#take(query.get('state'));
    this.#finishing++;
    try {
      checkIssuer(query, pending);
      if (!query.has('code') && !query.has('error')) {
        throw new LoginFailure(
          'invalid_callback',
          'The answer holds neither a code nor an error.',
          'Start the login again.',
        );
      }
      if (query.has('error')) {
        const error = shownOf(query, 'error');
        await this.#forgetIfRefused(error, pending.client);
        throw refusedBy(pending, error, shownOf(query, 'error_description'));
      }
      const callback = new URL(pending.client.redirect_uri);
      for (const [name, value] of query) callback.searchParams.append(name, value);
      const { discovery, client } = pending;
      const endpoint = {
        server: discovery.server,
        client,
        resource: discovery.resource,
        request: this.#parts.request,
      };
      const tokens = await exchangeCode(endpoint, callback, pending).catch(async (error: unknown) => {
        throw await this.#exchangeFailure(error, pending);
      });
      const warning = await this.#adopt(pending, tokens);
      this.#failure = undefined;
      this.#unanswered = undefined;
      this.#finishedAt = Date.now();
      this.#parts.log.info('Logged in', {
        issuer: foreignText(discovery.server.issuer),
        scope: foreignText(tokens.scope ?? pending.scope) || undefined,
      });
      return { warning };
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#finishing--;
      this.#parts.onChange();
    }
  }

  /** Gives up all logins that have not come back: what is being started ends as `cancelled`, callbacks will be refused. */
  cancel(): void {
    this.#starting.clear();
    for (const { client } of this.#pending.values()) {
      if (this.#isSuspect(client)) this.#unanswered = client.client_id;
    }
    this.#pending.clear();
    clearTimeout(this.#expiry);
    this.#parts.onChange();
  }

  /** The same, and forgets how the last one went. */
  reset(): void {
    this.#failure = undefined;
    this.#unanswered = undefined;
    this.cancel();
  }

  /** Ten tabs opened at once share one discovery and one registration. */
  #prepare(redirectUri: string): Promise<PreparedLogin> {
    this.#preparing ??= this.#prepareOnce(redirectUri).finally(() => {
      this.#preparing = undefined;
    });
    return this.#preparing;
  }

  async #prepareOnce(redirectUri: string): Promise<PreparedLogin> {
    const { settings, session, software } = this.#parts;
    const request = withDeadline(this.#parts.request, Date.now() + PREPARING_MS);
    await session.retryStore();
    const steps: DiscoveryStep[] = [];
    this.#report = { mode: undefined, resource: undefined, steps };
    const discovery = await discover({
      ...settings,
      challenge: session.challenge,
      request,
      onStep: (step) => {
        steps.push(step);
      },
    });
    this.#report = {
      mode: discovery.mode,
      resource: discovery.resource && shownUrl(discovery.resource),
      steps,
    };
    const stepUp = discovery.challenge?.error === 'insufficient_scope';
    const scope = selectScope({
      configured: settings.scopes,
      challenged: discovery.challenge?.scope,
      resource: discovery.resourceScopes,
      server: discovery.server.scopes_supported,
      overridden: discovery.mode === 'override',
      kept: stepUp ? session.keptScope : undefined,
    });
    const kept = session.keptClient;
    const client = await obtainClient({
      settings,
      server: discovery.server,
      redirectUri,
      scope,
      software,
      kept: kept && this.#isSuspect(kept) ? undefined : kept,
      request,
    });
    if (client.source === 'registered' && client !== kept) {
      // Registering again next time would do no harm, so a store that is locked must not stop the login.
      await session.keepClient(client).catch(() => undefined);
    }
    return { discovery, client, scope };
  }

  /**
   * An authorization server that has forgotten a client says so on a page of its own and sends nobody back. So when a
   * login with a kept registration did not come back and the person tries again, the client is registered anew.
   */
  #isSuspect(kept: Client): boolean {
    const unanswered = (pending: PendingLogin) =>
      pending.client.client_id === kept.client_id && Date.now() - pending.startedAt >= SUSPECT_AFTER_MS;
    return kept.client_id === this.#unanswered || [...this.#pending.values()].some(unanswered);
  }

  #remember(pending: PendingLogin): void {
    this.#dropExpired();
    const oldest = this.#pending.keys().next();
    if (this.#pending.size >= MAX_PENDING_LOGINS && !oldest.done) this.#pending.delete(oldest.value);
    this.#pending.set(pending.state, pending);
    clearTimeout(this.#expiry);
    // Nobody comes to ask whether a login that was left open has ended.
    this.#expiry = setTimeout(this.#parts.onChange, LOGIN_LIFETIME_MS + 1_000).unref();
    this.#parts.onChange();
  }

  #dropExpired(): void {
    for (const [state, { startedAt }] of this.#pending) {
      if (Date.now() - startedAt >= LOGIN_LIFETIME_MS) this.#pending.delete(state);
    }
  }

  /** A state is good for one callback, whatever comes of it. */
  #take(state: string | null): PendingLogin {
    this.#dropExpired();
    const pending = state === null ? undefined : this.#pending.get(state);
    if (!pending) {
      // No failed login: a page that was loaded again, or anybody's guess. It leaves no trace but a line.
      this.#parts.log.info('A callback that belongs to no login was refused');
      throw new LoginFailure(
        'invalid_callback',
        'This answer belongs to no login that is under way: it was used already, was cancelled, is older than 10 minutes, or was not asked for.',
        this.#parts.session.state === 'authenticated'
          ? 'You are logged in: close this window.'
          : 'Start the login again.',
      );
    }
    this.#pending.delete(pending.state);
    return pending;
  }

  async #adopt(
    pending: PendingLogin,
    tokens: Awaited<ReturnType<typeof exchangeCode>>,
  ): Promise<string | undefined> {
    const { discovery, client, scope } = pending;
    try {
      await this.#parts.session.adopt(tokens, {
        server: discovery.server,
        client,
        resource: discovery.resource,
        requestedScope: scope,
      });
      return undefined;
    } catch (error) {
      if (!(error instanceof SecretStoreError)) throw error;
      return `The login could not be stored yet; until it is, it ends with this program. ${error.message}`;
    }
  }

  async #exchangeFailure(error: unknown, pending: PendingLogin): Promise<unknown> {
    if (error instanceof TokenEndpointError) {
      const origin = error.timedOut ? 'timeout' : error.definite ? 'request' : 'server';
      await this.#forgetIfRefused(error.oauthError, pending.client);
      const cure =
        error.definite && error.oauthError === undefined
          ? CURE_OPERATOR
          : cureOf(error.oauthError, pending.client);
      return new LoginFailure('token_request_failed', error.message, cure, { origin });
    }
    return error;
  }

  /** A registration that the server does not take, or no longer, would fail every login to come. */
  async #forgetIfRefused(oauthError: string | undefined, { source, client_id }: Client): Promise<void> {
    const isRefused = oauthError === 'invalid_client' || oauthError === 'unauthorized_client';
    if (isRefused && source === 'registered')
      await this.#parts.session.forgetClient(client_id).catch(() => undefined);
  }

  #failed(error: unknown): LoginFailure {
    if (error instanceof LoginFailure && (error.code === 'not_required' || error.code === 'cancelled')) {
      this.#parts.log.info(error.message);
      this.#parts.onChange();
      return error;
    }
    const failure =
      error instanceof LoginFailure
        ? error
        : new LoginFailure(
            'token_request_failed',
            'The login failed for an unknown reason.',
            'Look at the log, then try again.',
            {
              cause: error,
              origin: 'server',
            },
          );
    if (failure !== error)
      this.#parts.log.error('Login failed', { error: foreignText((error as Error).stack) });
    else
      this.#parts.log.warn('Login failed', {
        code: failure.code,
        reason: failure.message,
        cure: failure.cure,
      });
    this.#failure = failure;
    this.#parts.onChange();
    return failure;
  }
}

/**
 * RFC 9207 §2.4: `iss` is the recorded issuer, character for character, and is missed only where the server promised it.
 * Of an answer that fails here nothing else is shown and nothing is used.
 */
function checkIssuer(query: URLSearchParams, { discovery }: PendingLogin): void {
  const { issuer, authorization_response_iss_parameter_supported: promised } = discovery.server;
  const named = query.getAll('iss');
  if (named.length === 0 ? promised !== true : named.length === 1 && named[0] === issuer) return;
  const said =
    named.length === 0 ? 'does not name its issuer' : `comes from another issuer (${shownOf(query, 'iss')})`;
  throw new LoginFailure(
    'invalid_callback',
    `The answer ${said}, but ${foreignText(issuer)} was asked.`,
    discovery.mode === 'override'
      ? 'If that is the server you mean, set ISSUER to it exactly; else do not log in there.'
      : CURE_OPERATOR,
  );
}

function cancelledLogin(): LoginFailure {
  return new LoginFailure('cancelled', 'The login was cancelled.', 'Start the login again when you want it.');
}

/** A parameter of a callback for showing: a server may repeat there what else the callback holds. */
function shownOf(query: URLSearchParams, name: 'iss' | 'error' | 'error_description'): string {
  return withoutSecrets(query.get(name), [...query.getAll('code'), ...query.getAll('state')]);
}

/** RFC 6749 §4.1.2.1: the authorization server, or the person, said no. */
function refusedBy({ discovery, client }: PendingLogin, code: string, description: string): LoginFailure {
  const { host } = new URL(discovery.server.authorization_endpoint);
  const words = REFUSALS.get(code);
  const reason = words
    ? `${words} (${code}${description && `: ${description}`})`
    : `${code}${description && ` (${description})`}`;
  return new LoginFailure(
    'authorization_refused',
    `${host} did not grant the login: ${reason}.`,
    cureOf(code, client),
    { origin: TROUBLE_OF_THE_SERVER.has(code) ? 'server' : 'request' },
  );
}

/** The codes of RFC 6749 §4.1.2.1, RFC 8707 §2 and OpenID Connect Core §3.1.2.6 in words. */
const REFUSALS: ReadonlyMap<string, string> = new Map([
  ['access_denied', 'the access was denied'],
  ['invalid_scope', 'it does not give a scope that was asked for'],
  ['invalid_request', 'it finds fault with the request'],
  ['invalid_target', 'it does not know the MCP server'],
  ['unauthorized_client', 'it does not let this client log in'],
  ['unsupported_response_type', 'it does not hand out authorization codes'],
  ['server_error', 'it met an error of its own'],
  ['temporarily_unavailable', 'it is overloaded or under maintenance'],
  ['login_required', 'you are not signed in there'],
  ['interaction_required', 'it wants to ask you something first'],
  ['consent_required', 'it wants your consent first'],
  ['account_selection_required', 'you have to choose an account there'],
]);

const TROUBLE_OF_THE_SERVER: ReadonlySet<string> = new Set(['server_error', 'temporarily_unavailable']);

function cureOf(oauthError: string | undefined, { source }: Client): string {
  switch (oauthError) {
    case 'access_denied':
      return 'If that was a mistake, start the login again and allow the access.';
    case 'invalid_scope':
      return 'Set SCOPES to scopes the server knows, then start the login again.';
    case 'invalid_client':
    case 'unauthorized_client':
      return {
        configured: 'Check CLIENT_ID and CLIENT_SECRET, then start the login again.',
        'metadata-document': 'Check the document at CLIENT_METADATA_URL, then start the login again.',
        registered: 'Start the login again: the client will be registered anew.',
      }[source];
    case 'invalid_target':
      return 'Check that UPSTREAM_MCP_URL is the URL the server calls its own, then start the login again.';
    case 'invalid_request':
    case 'unsupported_response_type':
      return CURE_OPERATOR;
    case 'login_required':
    case 'interaction_required':
    case 'consent_required':
    case 'account_selection_required':
      return 'Sign in there with the same browser, then start the login again.';
    default:
      return 'Start the login again in a moment.';
  }
}

/** RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2. Parameters of the endpoint's own stay; ours win over the same name. */
function authorizationUrl({ discovery, client, scope, state, codeVerifier }: PendingLogin): URL {
  const url = new URL(discovery.server.authorization_endpoint);
  const parameters: Record<string, string | undefined> = {
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: client.redirect_uri,
    state,
    code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    resource: discovery.resource,
    scope,
    prompt: promptFor(scope),
  };
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined) url.searchParams.set(name, value);
  if (url.href.length > MAX_AUTHORIZATION_URL_LENGTH) {
    throw new LoginFailure(
      'discovery_failed',
      `The URL to log in at ${url.host} would be longer than ${MAX_AUTHORIZATION_URL_LENGTH / 1024} KiB.`,
      'If the server names too many scopes, set SCOPES to those you need; else tell its operator.',
      { origin: 'server' },
    );
  }
  return url;
}

/** Begins no request after the deadline: a stranger's metadata may name many servers, each of them slow. */
function withDeadline(request: HttpRequest, deadline: number): HttpRequest {
  return async (url, options) => {
    if (Date.now() > deadline) {
      const { host } = new URL(url);
      throw new HttpFailure(
        'timeout',
        `${host} was not asked any more: the servers before it took too long.`,
      );
    }
    return request(url, options);
  };
}
