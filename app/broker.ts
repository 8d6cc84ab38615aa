import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpClient } from './http-client.ts';
import { CLOSE_GRACE_MS, WAKE_MS } from './limits.ts';
import type { Logger } from './log.ts';
import type { Network } from './network.ts';
import { bearerChallenge } from './oauth/challenge.ts';
import { PROBE_CALL } from './oauth/discovery.ts';
import { isWithin } from './oauth/elapsed.ts';
import { HttpFailure } from './oauth/http.ts';
import { Login } from './oauth/login.ts';
import { LoginWait } from './oauth/login-wait.ts';
import type { Revocation } from './oauth/revocation.ts';
import { Session, type SessionState } from './oauth/session.ts';
import { type BrokerCall, CallRecord } from './proxy/call-record.ts';
import { type CallCounters, type ForwardParts, forward } from './proxy/forward.ts';
import { HeldBytes } from './proxy/held-body.ts';
import { type Listener, listen, type Route } from './proxy/listener.ts';
import { refuse } from './proxy/refusals.ts';
import { localRoutes } from './proxy/routes.ts';
import { type Target, UpstreamPaths } from './proxy/target.ts';
import type { Settings } from './settings.ts';
import { openStore } from './store/open-store.ts';
import type { SecretStore } from './store/secret-store.ts';
import { HOMEPAGE, VERSION } from './version.ts';

export type { BrokerCall } from './proxy/call-record.ts';

/** The state a person is shown; see `state` in the status. */
export type BrokerState = SessionState | 'logging_in';

/** What is known of the upstream's reachability is good for so long, in milliseconds. */
const PROBE_LIFETIME_MS = 10_000;

/** Whether an MCP call could be served now. */
export interface Readiness {
  readonly ready: boolean;
  readonly authenticated: boolean;
  readonly reason: string | undefined;
}

/** What only exists once the port is known and the store is open. */
interface Parts {
  readonly http: HttpClient;
  readonly store: SecretStore;
  readonly session: Session;
  readonly login: Login;
  readonly forwarding: ForwardParts;
}

export interface BrokerOptions {
  readonly settings: Settings;
  readonly log: Logger;
  /** A store other than the one the settings ask for, or what opens it once it is needed. */
  readonly store?: SecretStore | (() => Promise<SecretStore>);
  /** How the machine reaches the network; without it, as the settings say. */
  readonly network?: Network | undefined;
}

interface BrokerEvents {
  /** The port is there. */
  listening: [];
  /** {@link Broker.status} may say something new. */
  state: [];
  /** A call has found that it needs a login, before it waits for one or is refused; streams and notifications, too. */
  login_needed: [];
  /** A proxied call has ended. Only calls that begin while somebody listens are told of. */
  call: [BrokerCall];
}

/**
 * One upstream with its login, its tokens and its local listener. Brokers in one process share nothing but the process
 * and its log.
 */
export class Broker extends EventEmitter<BrokerEvents> {
  readonly settings: Settings;
  /** Host of the upstream, for messages. */
  readonly upstreamHost: string;
  readonly #options: BrokerOptions;
  readonly #startedAt = Date.now();
  readonly #paths: UpstreamPaths;
  readonly #counters: CallCounters = { calls: 0, refused: 0, replayed: 0, failed: 0 };
  readonly #loginWait: LoginWait;
  #listener: Listener | undefined;
  #parts: Parts | undefined;
  #assembling: Promise<Parts> | undefined;
  #checkingMetadata: Promise<void> | undefined;
  readonly #warnings: string[] = [];
  #closed = false;
  #waking: Promise<void> = Promise.resolve();
  #nextWake: Promise<void> | undefined;
  #wakeAsked = false;
  #probe: { at: number; result: Promise<{ asksForLogin: boolean } | { unreachable: string }> } | undefined;

  constructor(options: BrokerOptions) {
    super();
    this.#options = options;
    this.settings = options.settings;
    this.upstreamHost = new URL(options.settings.upstreamMcpUrl).host;
    this.#paths = new UpstreamPaths(options.settings.upstreamMcpUrl);
    this.#loginWait = new LoginWait(options.settings.loginWaitSeconds);
  }

  /**
   * Listens, then opens the store and reads the login; `/health` answers as soon as it listens.
   * @throws the system error (`EADDRINUSE` …) when the port cannot be had; `SecretStoreError` when there can be no store
   */
  async start(): Promise<void> {
    const { settings, log } = this.#options;
    const local = localRoutes(this);
    const proxied: Route = {
      rule: 'key',
      handle: (request, response, target) => this.#forward(request, response, target),
    };
    this.#listener = await listen({
      settings,
      log,
      route: (request, target) => local(request, target) ?? proxied,
    });
    this.emit('listening');
    try {
      const { session } = await this.#assembled();
      await session.load();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Base URL for MCP clients and people on this machine. */
  get localUrl(): string {
    const { bind } = this.settings;
    const host = bind === '0.0.0.0' || bind === '::' ? '127.0.0.1' : bind.includes(':') ? `[${bind}]` : bind;
    return `http://${host}:${this.#listener?.port ?? this.settings.port}`;
  }

  /** What MCP clients are given. */
  get mcpUrl(): string {
    return `${this.#publicUrl}/mcp`;
  }

  get loginUrl(): string {
    return `${this.#publicUrl}/oauth/login`;
  }

  get redirectUri(): string {
    return this.#publicUrl + this.settings.redirectPath;
  }

  /** The upstream's URL for showing: its query may hold a key of its own. */
  get upstreamShown(): string {
    const { origin, pathname, search } = new URL(this.settings.upstreamMcpUrl);
    return `${origin}${pathname}${search && '?…'}`;
  }

  get state(): BrokerState {
    const state = this.#parts?.session.state ?? 'logged_out';
    return this.#parts?.login.underWay && state !== 'authenticated' ? 'logging_in' : state;
  }

  /**
   * Begins a login.
   * @returns the authorization URL, to be opened in a browser
   * @throws {LoginFailure} `cancelled` after {@link cancelLogin}, and others
   */
  async login(): Promise<URL> {
    const { login } = await this.#assembled();
    this.#loginWait.started();
    return login.start(this.redirectUri);
  }

  /**
   * Finishes a login.
   * @param url the redirect URI the browser came back to, with its query
   * @returns a warning, when the login works but could not be stored
   * @throws {LoginFailure}
   */
  async finishLogin(url: URL): Promise<{ warning: string | undefined }> {
    const { login } = await this.#assembled();
    const result = await login.finish(url.searchParams);
    this.#loginWait.ended(true);
    return result;
  }

  /**
   * The person does not want to log in now: logins that have not come back are given up, and calls that wait are refused at
   * once, as are later ones for a minute or until a login is begun. A login that is being finished goes on.
   */
  cancelLogin(): void {
    const login = this.#parts?.login;
    if (!login?.finishing) this.#loginWait.cancelled();
    login?.cancel();
  }

  /**
   * Revokes the tokens where the server lets us, and forgets tokens and client registration.
   * @throws {SecretStoreError} when the stored login could not be removed
   */
  async logout(): Promise<Revocation> {
    const { login, session } = await this.#assembled();
    login.reset();
    const revocation = await session.logout();
    this.#options.log.info('Logged out', { revocation });
    return revocation;
  }

  /**
   * Something outside has changed: the machine was resumed, the screen unlocked, the network is back. Proxies are asked for
   * again, waits after failures end, a store that failed is tried again, and an access token that is due is renewed.
   * Never fails, nor lasts longer than 30 s; what does not work is waited for as before.
   * @param options.asked the person asks for it, so a store that they have denied may ask them again
   */
  wake({ asked = false }: { asked?: boolean } = {}): Promise<void> {
    this.#wakeAsked ||= asked;
    // One that is under way has begun before this change, and may have missed it.
    this.#nextWake ??= this.#waking.then(() => {
      this.#nextWake = undefined;
      this.#waking = this.#wakeOnce();
      return this.#waking;
    });
    return this.#nextWake;
  }

  /** Changes `LOGIN_WAIT_SECONDS` while the broker runs. */
  setLoginWait(seconds: number): void {
    this.#loginWait.setPatience(seconds);
  }

  /** Whether the process lives. */
  health() {
    return { status: 'ok', version: VERSION, uptime_s: Math.floor((Date.now() - this.#startedAt) / 1000) };
  }

  /** Whether an MCP call could be served now: the upstream is there, and there is a token or none is needed. */
  async readiness(): Promise<Readiness> {
    const { session } = await this.#assembled();
    let authenticated = false;
    try {
      authenticated = (await session.token()) !== undefined && session.state === 'authenticated';
    } catch (error) {
      return {
        ready: false,
        authenticated: true,
        reason: error instanceof Error ? error.message : 'no access token',
      };
    }
    const upstream = await this.#probeUpstream();
    if ('unreachable' in upstream) return { ready: false, authenticated, reason: upstream.unreachable };
    if (authenticated || !upstream.asksForLogin) return { ready: true, authenticated, reason: undefined };
    return {
      ready: false,
      authenticated,
      reason: session.status().reason ?? `Not logged in; open ${this.loginUrl}.`,
    };
  }

  /** Everything a person or a script may know of this broker; nothing in it is secret. */
  async status() {
    const { session, store, login } = await this.#assembled();
    const status = session.status();
    const failure = login.failure;
    const { report } = login;
    return {
      state: this.state,
      reason: status.reason,
      upstream: this.upstreamShown,
      profile: this.settings.profile,
      issuer: status.issuer,
      client: status.client,
      scopes: {
        requested: status.requestedScope?.split(' ') ?? [],
        granted: status.grantedScope?.split(' ') ?? [],
      },
      step_up: status.stepUp,
      access_token: { expires_at: isoTime(status.accessTokenExpiresAt) },
      refresh_token: { present: status.refreshTokenPresent },
      last_refresh: status.lastRefresh && {
        at: isoTime(status.lastRefresh.at),
        outcome: status.lastRefresh.outcome,
        message: status.lastRefresh.message,
      },
      discovery: { mode: report.mode, resource: report.resource, requests: report.steps },
      warnings: this.#warnings,
      last_error: failure && { code: failure.code, message: failure.message, cure: failure.cure },
      store: { kind: store.kind, description: store.description },
      counters: { ...this.#counters, ...status.counters },
      login_url: this.loginUrl,
      mcp_url: this.mcpUrl,
    };
  }

  /** Refuses new connections, lets requests in flight finish for at most 5 s, and lets go of everything. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#loginWait.ended(false);
    await this.#listener?.close(CLOSE_GRACE_MS);
    const parts = await this.#assembling?.catch(() => undefined);
    parts?.login.cancel();
    await parts?.session.close();
    await parts?.http.close();
    await this.#checkingMetadata;
  }

  #forward(request: IncomingMessage, response: ServerResponse, target: Target): Promise<void> | undefined {
    const record =
      this.listenerCount('call') === 0
        ? undefined
        : new CallRecord(request, response, (call) => void this.emit('call', call));
    const path = this.#paths.toUpstream(target);
    if (path !== undefined) {
      if (this.#parts) return forward(request, response, path, this.#parts.forwarding, record);
      return this.#assembled().then(({ forwarding }) => forward(request, response, path, forwarding, record));
    }
    record?.refused('bad_request');
    refuse(response, {
      code: 'bad_request',
      status: 400,
      message: 'This message endpoint belongs to a stream that has ended; open the event stream again.',
    });
    return undefined;
  }

  async #wakeOnce(): Promise<void> {
    const asked = this.#wakeAsked;
    this.#wakeAsked = false;
    if (this.#closed || !this.#assembling) return;
    const work = this.#wakeParts(asked).catch((error: unknown) => {
      const details = { error: error instanceof Error ? error.stack : String(error) };
      this.#options.log.error('What was put off could not be made up for', details);
    });
    await new Promise<void>((resolve) => {
      const tooLong = setTimeout(resolve, WAKE_MS).unref();
      work.finally(() => {
        clearTimeout(tooLong);
        resolve();
      });
    });
    this.emit('state');
  }

  async #wakeParts(asked: boolean): Promise<void> {
    const { http, session } = await this.#assembled();
    await http.reroute();
    this.#probe = undefined;
    await session.wake({ asked });
  }

  get #publicUrl(): string {
    return this.settings.publicBaseUrl?.replace(/\/$/, '') ?? this.localUrl;
  }

  #assembled(): Promise<Parts> {
    this.#assembling ??= this.#assemble();
    return this.#assembling;
  }

  async #assemble(): Promise<Parts> {
    const { settings, log } = this.#options;
    // The HTTP library is most of what there is to load: the listener is up by now.
    const { createHttpClient } = await import('./http-client.ts');
    const http = createHttpClient(settings, { network: this.#options.network });
    const onChange = () => void this.emit('state');
    const store = await this.#openStore();
    const session = new Session({ settings, store, request: http.request, log, onChange });
    const login = new Login({
      settings,
      session,
      request: http.request,
      log,
      software: { version: VERSION, homepage: HOMEPAGE },
      onChange,
    });
    const forwarding: ForwardParts = {
      dispatcher: http.upstream,
      session,
      paths: this.#paths,
      counters: this.#counters,
      held: new HeldBytes(),
      log,
      upstreamHost: this.upstreamHost,
      apiKeyInUse: settings.proxyApiKey !== undefined,
      notAuthenticatedStatus: settings.notAuthenticatedStatus,
      loginUrl: () => this.loginUrl,
      onLoginNeeded: () => void this.emit('login_needed'),
      waitForLogin: () => this.#loginWait.wait(),
    };
    this.#parts = { http, store, session, login, forwarding };
    this.#checkingMetadata = this.#checkClientMetadata(http);
    return this.#parts;
  }

  async #openStore(): Promise<SecretStore> {
    const { settings, store } = this.#options;
    if (store !== undefined) return typeof store === 'function' ? store() : store;
    return openStore({
      kind: settings.tokenStore,
      service: settings.keychainService,
      stateDir: settings.stateDir,
      passphrase: settings.tokenStoreKey,
    });
  }

  /** Runs beside everything else: a document that is wrong is said, and keeps nobody waiting. */
  async #checkClientMetadata(http: HttpClient): Promise<void> {
    const { clientMetadataUrl } = this.settings;
    if (clientMetadataUrl === undefined) return;
    const { faultOfClientMetadata } = await import('./oauth/client-metadata-document.ts');
    const fault = await faultOfClientMetadata(clientMetadataUrl, this.redirectUri, http.request);
    if (fault === undefined || this.#closed) return;
    this.#warnings.push(fault);
    this.#options.log.warn(fault);
    this.emit('state');
  }

  /** Asks the upstream without a token: any answer shows that it is there, a 401 that it wants a login. */
  #probeUpstream() {
    if (this.#probe && isWithin(PROBE_LIFETIME_MS, this.#probe.at)) return this.#probe.result;
    const result = this.#ask();
    this.#probe = { at: Date.now(), result };
    return result;
  }

  async #ask(): Promise<{ asksForLogin: boolean } | { unreachable: string }> {
    const { http, session } = await this.#assembled();
    try {
      const answer = await http.request(this.settings.upstreamMcpUrl, { ...PROBE_CALL, headersOnly: true });
      if (answer.status === 401) session.challenged(bearerChallenge(answer.header('www-authenticate')));
      else if (answer.status < 400) session.accepted(undefined);
      return { asksForLogin: session.asksForLogin };
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error;
      return { unreachable: error.message };
    }
  }
}

function isoTime(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString();
}
