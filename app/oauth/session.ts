import { LONGEST_BACK_OFF_MS } from '../limits.ts';
import type { Logger } from '../log.ts';
import { DEFAULT_CLIENT_ID, type Settings } from '../settings.ts';
import { type SecretStore, SecretStoreError } from '../store/secret-store.ts';
import { BackOff } from './back-off.ts';
import type { BearerChallenge } from './challenge.ts';
import { discoverServer } from './discovery.ts';
import { isWithin } from './elapsed.ts';
import { LoginFailure, withoutSecrets } from './errors.ts';
import type { HttpRequest } from './http.ts';
import type { Grant } from './login-record.ts';
import type { AuthorizationServerMetadata, Client } from './metadata.ts';
import { type Revocation, revokeLogin } from './revocation.ts';
import { unionOfScopes } from './scopes.ts';
import { StepUps } from './step-up.ts';
import { StoredLogin } from './stored-login.ts';
import { refreshTokens, TokenEndpointError, type TokenSet } from './token-endpoint.ts';

/** What the session can say of itself; see `state` in the status. */
export type SessionState = 'logged_out' | 'authenticated' | 'login_required' | 'not_required' | 'error';

/** An access token as it is handed out for one call. The object is its identity: compare with `===`. */
export interface AccessToken {
  readonly value: string;
}

/** What the proxy needs to know of a session. */
export interface TokenSource {
  /**
   * The access token for a call: at once when there is one; after a refresh when the old one has ended;
   * `undefined` when the call should go out without.
   * @throws {RefreshUnavailable} (as a rejection)
   */
  token(): AccessToken | undefined | Promise<AccessToken | undefined>;
  /**
   * The upstream refused this token with a 401: another one to send the call again with, or `undefined` when only a
   * login helps. Many calls that were refused at once share one refresh.
   * @throws {RefreshUnavailable}
   */
  renew(refused: AccessToken | undefined): Promise<AccessToken | undefined>;
  /** The upstream let a call with this token (or with none) in. */
  accepted(token: AccessToken | undefined): void;
  /** The upstream asked for a login with this challenge. */
  challenged(challenge: BearerChallenge | undefined): void;
  /**
   * The upstream asked for more scope (RFC 6750 §3.1, `insufficient_scope`).
   * @param operation what the call wanted to do
   * @returns whether a login that asks for it is worth a try
   */
  scopeRefused(challenge: BearerChallenge, operation: string): boolean;
}

/** A login is there, but no access token can be had at the moment. */
export class RefreshUnavailable extends Error {
  override readonly name = 'RefreshUnavailable';
  /** When another try makes sense, in seconds from now. */
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterSeconds: number) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** What the status shows of a session; nothing in it is secret. Times are milliseconds since the epoch. */
export interface SessionStatus {
  state: SessionState;
  issuer: string | undefined;
  client: { id: string; source: Client['source'] } | undefined;
  requestedScope: string | undefined;
  grantedScope: string | undefined;
  accessTokenExpiresAt: number | undefined;
  refreshTokenPresent: boolean;
  lastRefresh: { at: number; outcome: 'ok' | 'failed'; message: string | undefined } | undefined;
  /**
   * The upstream has refused a call of this login for want of scope, and another login is worth a try. `scope` is what it
   * asked for, if it said so.
   */
  stepUp: { scope: string | undefined } | undefined;
  reason: string | undefined;
  counters: { logins: number; refreshes: number; refresh_failures: number };
}

interface SessionParts {
  settings: Pick<
    Settings,
    'upstreamMcpUrl' | 'profile' | 'clientId' | 'clientSecret' | 'requirePkceMetadata'
  >;
  store: SecretStore;
  request: HttpRequest;
  log: Logger;
  /** Told whenever {@link Session.status} may say something new. */
  onChange: () => void;
}

/** The share of its lifetime at whose end a token is renewed ahead of time, and the longest such time. */
const RENEW_SHARE = 0.2;
const RENEW_AHEAD_MS = 300_000;
/** How often a broker without a login looks whether another process has logged in, at most. */
const LOOK_AGAIN_MS = 2_000;
/** How often a login that could not be stored is tried to be stored while calls come, at most. */
const SAVE_AGAIN_MS = 30_000;
/** Servers count in whole seconds (`exp`, RFC 7662 §2.2), so a token may end by so much before its time. */
const CLOCK_STEP_MS = 1_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const NO_REFRESH_TOKEN =
  'The login has ended: the server gave no refresh token, so it lasted as long as its access token.';

interface LiveToken extends AccessToken {
  readonly expiresAt: number;
  readonly renewAt: number;
  readonly obtainedAt: number;
  /** Whether it was asked for because the upstream refused the one before. */
  readonly replacement: boolean;
  /** Whether the upstream has let a call with it in. */
  accepted: boolean;
}

/**
 * The login of one broker at one upstream: the only holder of its tokens. One refresh at a time, in this process and,
 * by a lock on the stored item, across processes; a rotated refresh token is stored before its access token is used.
 */
export class Session implements TokenSource {
  readonly #parts: SessionParts;
  readonly #stored: StoredLogin;
  readonly #backOff = new BackOff();
  #loading: Promise<void> | undefined;
  #loaded = false;
  #access: LiveToken | undefined;
  #refreshing: Promise<AccessToken | undefined> | undefined;
  /** Where the access token can be revoked when no grant says so. */
  #issuedBy: Pick<Grant, 'server' | 'client'> | undefined;
  /** The last look for a login of another process. */
  #look: { at: number; done: Promise<void> } | undefined;
  /** When a login that could not be stored was last tried to be stored by itself. */
  #savedAgainAt: number | undefined;
  /** The token the upstream has refused and a refresh is to replace. */
  #replacing: AccessToken | undefined;
  #expiry: NodeJS.Timeout | undefined;
  #moved = false;
  #open: boolean | undefined;
  #refused = false;
  #challenge: BearerChallenge | undefined;
  readonly #stepUps = new StepUps();
  #stepUp: SessionStatus['stepUp'];
  #lastRefresh: SessionStatus['lastRefresh'];
  readonly #counters = { logins: 0, refreshes: 0, refresh_failures: 0 };

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#stored = new StoredLogin(parts);
  }

  /** Reads the stored login; later calls return at once. A store that cannot be read is no error here: see the status. */
  load(): Promise<void> {
    this.#loading ??= this.#stored
      .exclusive(() => this.#readStore())
      .finally(() => {
        if (!this.#loaded) this.#loading = undefined;
      });
    return this.#loading;
  }

  /** Asks a store again that was locked or that a person has denied, because something has changed. */
  async retryStore(): Promise<void> {
    if (this.#loaded) return;
    this.#backOff.lift();
    await this.load();
  }

  /**
   * Something outside has changed, such as the network: ends waits, and makes up for what was put off for them. A store
   * that a person has denied is left alone, unless they ask for it. What fails again is waited for as before.
   */
  async wake({ asked }: { asked: boolean }): Promise<void> {
    // Its request may have left before the change. It is not aborted: the token it brings would be lost.
    await this.#refreshing?.catch(() => undefined);
    if (this.#stored.failure?.code === 'denied' && !asked) return;
    this.#backOff.lift();
    await this.load();
    if (!this.#loaded) return;
    if (this.#stored.failure) await this.#retryLoadedStore();
    const access = this.#access;
    const isDue = access === undefined || Date.now() >= access.renewAt;
    if (this.#stored.record.grant && isDue) await this.#refresh().catch(onlyUnavailable);
  }

  token(): AccessToken | undefined | Promise<AccessToken | undefined> {
    if (this.#stored.unsaved) this.#saveAgain();
    const access = this.#access;
    if (access) {
      const now = Date.now();
      if (now < access.renewAt) return access;
      if (now < access.expiresAt) {
        if (this.#stored.record.grant && !this.#backOff.isOn) this.#refresh().catch(() => undefined);
        return access;
      }
    }
    if (this.#loaded && !this.#stored.record.grant) return undefined;
    return this.#tokenAfterLoading();
  }

  async renew(refused: AccessToken | undefined): Promise<AccessToken | undefined> {
    await this.#loadUnlessWaiting();
    if (!this.#loaded) throw this.#waiting();
    const access = this.#access;
    if (access && access !== refused && Date.now() < access.expiresAt) return access;
    if (!this.#stored.record.grant) {
      if (access && access === refused)
        this.#endLogin('the server refused the access token, and there is no refresh token');
      await this.#lookForLogin();
      return this.#stored.record.grant && this.#refresh();
    }
    if (access && access === refused) {
      // A server that refuses even the replacement would have a token renewed, and rotated, for every call.
      const lifetime = access.expiresAt - access.obtainedAt;
      const patience = Math.min(lifetime - CLOCK_STEP_MS, LONGEST_BACK_OFF_MS);
      if (access.replacement && !access.accepted && isWithin(patience, access.obtainedAt)) {
        this.#setRefused(true);
        return undefined;
      }
      this.#replacing = refused;
    }
    return this.#refresh();
  }

  accepted(token: AccessToken | undefined): void {
    if (token === undefined) {
      if (this.#open === true) return;
      // One open method (`initialize`) does not open a server that has asked for a login before.
      if (this.#open === undefined) {
        this.#open = true;
        this.#parts.onChange();
      }
    } else if (token === this.#access && !this.#access.accepted) {
      this.#access.accepted = true;
      this.#setRefused(false);
    }
  }

  challenged(challenge: BearerChallenge | undefined): void {
    if (challenge) this.#challenge = challenge;
    if (this.#open !== false) {
      this.#open = false;
      this.#parts.onChange();
    }
  }

  scopeRefused(challenge: BearerChallenge, operation: string): boolean {
    this.challenged(challenge);
    const worthATry = this.#stepUps.refused(operation, this.#counters.logins);
    if (worthATry) this.#setStepUp(challenge.scope);
    return worthATry;
  }

  /** Whether the upstream has asked for a login so far. */
  get asksForLogin(): boolean {
    return this.#open === false;
  }

  /** The last challenge a call has met: authoritative for the next login. */
  get challenge(): BearerChallenge | undefined {
    return this.#challenge;
  }

  /** The registration that was used last, for the next login. */
  get keptClient(): Client | undefined {
    return this.#stored.record.client;
  }

  /** Scopes that were asked for or granted so far. */
  get keptScope(): string | undefined {
    return unionOfScopes(this.#stored.record.requestedScope, this.#stored.record.grantedScope);
  }

  /** Keeps a registration, so that a login that is never finished does not leave another one behind each time. */
  keepClient(client: Client): Promise<void> {
    return this.#stored.exclusiveAcrossProcesses(async () => {
      await this.#reread();
      await this.#stored.save({ ...this.#stored.record, client });
    });
  }

  /** Forgets a registration that the server no longer knows. */
  forgetClient(clientId: string): Promise<void> {
    return this.#stored.exclusiveAcrossProcesses(async () => {
      await this.#reread();
      if (this.#stored.record.client?.client_id === clientId)
        await this.#stored.save({ ...this.#stored.record, client: undefined });
    });
  }

  /**
   * Takes over what a login granted: stored first, used then.
   * @param login.requestedScope counts as granted when the answer does not say (RFC 6749 §5.1)
   * @throws {SecretStoreError} `denied` or others, when nothing could be stored; the login is used all the same
   */
  adopt(
    tokens: TokenSet,
    login: {
      server: AuthorizationServerMetadata;
      client: Client;
      resource: string | undefined;
      requestedScope: string | undefined;
    },
  ): Promise<void> {
    const { server, client, resource, requestedScope } = login;
    return this.#stored.exclusiveEvenUnlocked(async () => {
      const grant: Grant | undefined =
        tokens.refreshToken === undefined
          ? undefined
          : {
              refreshToken: tokens.refreshToken,
              server,
              client,
              resource,
              grantedAt: tokens.obtainedAt,
            };
      const record = this.#stored.blank({
        client,
        requestedScope,
        grantedScope: tokens.scope ?? requestedScope,
        ...(grant ? { grant } : { ended: NO_REFRESH_TOKEN }),
      });
      if (!grant)
        this.#parts.log.warn('The server gave no refresh token; the login ends with its access token');
      this.#loaded = true;
      this.#challenge = undefined;
      this.#stepUp = undefined;
      this.#counters.logins++;
      this.#backOff.reset();
      this.#issuedBy = { server, client };
      try {
        await this.#stored.save(record);
      } finally {
        this.#setRefused(false);
        this.#setAccess(tokens, { replacement: false });
      }
    });
  }

  /**
   * Ends the login: revokes both tokens where the server can (RFC 7009), then forgets them and the registration.
   * @throws {SecretStoreError} when the stored item could not be removed
   */
  logout(): Promise<Revocation> {
    return this.#stored.exclusiveEvenUnlocked(async () => {
      await this.#reread().catch(() => undefined);
      const { grant } = this.#stored.record;
      const from = grant ?? this.#issuedBy;
      const client = from && (this.#currentClient(from.client) ?? from.client);
      const { request, log } = this.#parts;
      const endpoint = from && client && { server: from.server, client, resource: undefined, request };
      const tokens = { refresh: grant?.refreshToken, access: this.#access?.value };
      this.#access = undefined;
      this.#issuedBy = undefined;
      this.#loaded = true;
      this.#refused = false;
      this.#stepUps.clear();
      this.#stepUp = undefined;
      this.#backOff.reset();
      const [revocation, removal] = await Promise.allSettled([
        revokeLogin(endpoint, tokens, log),
        this.#stored.remove(),
      ]);
      if (removal.status === 'rejected') throw removal.reason;
      return revocation.status === 'fulfilled' ? revocation.value : 'failed';
    });
  }

  status(): SessionStatus {
    const { grant, client } = this.#stored.record;
    const shown = grant?.client ?? client;
    return {
      state: this.state,
      issuer: shown?.issuer,
      client: shown && { id: shown.client_id, source: shown.source },
      requestedScope: this.#stored.record.requestedScope,
      grantedScope: this.#stored.record.grantedScope,
      accessTokenExpiresAt:
        this.#access && Number.isFinite(this.#access.expiresAt) ? this.#access.expiresAt : undefined,
      refreshTokenPresent: grant !== undefined,
      lastRefresh: this.#lastRefresh,
      stepUp: this.#shownStepUp,
      reason: this.#reason(),
      counters: { ...this.#counters },
    };
  }

  get state(): SessionState {
    if (this.#refused) return 'login_required';
    if (this.#stored.record.grant) return 'authenticated';
    if (this.#access) return Date.now() < this.#access.expiresAt ? 'authenticated' : 'login_required';
    if (this.#stored.failure) return 'error';
    if (this.#stored.record.ended !== undefined) return 'login_required';
    return this.#open === true ? 'not_required' : 'logged_out';
  }

  /** Stores what could not be stored before, and waits for a refresh that is under way: its token must not be lost. */
  async close(): Promise<void> {
    clearTimeout(this.#expiry);
    // A store that has not answered yet, with a prompt on the screen, has nothing to be waited for.
    if (!this.#loaded) return;
    await this.#stored.exclusive(() => this.#saveUnsaved()).catch(() => undefined);
  }

  #reason(): string | undefined {
    if (this.#refused) return 'The server refuses the tokens of this login.';
    if (this.#backOff.isOn) return this.#backOff.reason;
    if (this.#stored.failure) return this.#stored.failure.message;
    const stepUp = this.#shownStepUp;
    if (stepUp) {
      const scope = stepUp.scope === undefined ? '' : ` (${stepUp.scope})`;
      return `The server wants more access${scope}; log in again to grant it.`;
    }
    return this.state === 'login_required' ? this.#stored.record.ended : undefined;
  }

  /** Without a login, the next one asks for the scope anyway. */
  get #shownStepUp(): SessionStatus['stepUp'] {
    return this.state === 'authenticated' ? this.#stepUp : undefined;
  }

  #setStepUp(wanted: string | undefined): void {
    const secrets = [this.#access?.value, this.#stored.record.grant?.refreshToken];
    const scope =
      withoutSecrets(
        wanted,
        secrets.filter((secret) => secret !== undefined),
      ) || undefined;
    if (this.#stepUp && this.#stepUp.scope === scope) return;
    this.#stepUp = { scope };
    this.#parts.onChange();
  }

  async #tokenAfterLoading(): Promise<AccessToken | undefined> {
    await this.#loadUnlessWaiting();
    // A store that cannot be read now may hold a login; the upstream says whether one is needed.
    if (!this.#stored.record.grant) return undefined;
    const access = this.#access;
    return access && Date.now() < access.expiresAt ? access : this.#refresh();
  }

  async #retryLoadedStore(): Promise<void> {
    await this.#stored
      .exclusiveEvenUnlocked(() => (this.#stored.unsaved ? this.#saveUnsaved() : this.#reread()))
      .catch(onlyStoreTrouble);
  }

  /**
   * A full disk has room again at some time, and until the next refresh a crash would cost the login. Not where a person
   * has to unlock or allow something: they would get one prompt after the other.
   */
  #saveAgain(): void {
    if (this.#stored.failure?.code !== 'unavailable') return;
    if (this.#savedAgainAt !== undefined && isWithin(SAVE_AGAIN_MS, this.#savedAgainAt)) return;
    this.#savedAgainAt = Date.now();
    this.#stored
      .exclusiveEvenUnlocked(() => this.#saveUnsaved())
      .catch(onlyStoreTrouble)
      .finally(this.#parts.onChange);
  }

  async #saveUnsaved(): Promise<void> {
    if (this.#stored.unsaved) await this.#stored.save(this.#stored.record);
  }

  async #loadUnlessWaiting(): Promise<void> {
    if (!this.#loaded && !this.#backOff.isOn) await this.load();
  }

  #refresh(): Promise<AccessToken | undefined> {
    this.#refreshing ??= this.#refreshOnce(this.#access).finally(() => {
      this.#refreshing = undefined;
      this.#replacing = undefined;
      this.#parts.onChange();
    });
    return this.#refreshing;
  }

  async #refreshOnce(before: AccessToken | undefined): Promise<AccessToken | undefined> {
    if (this.#backOff.isOn) throw this.#waiting();
    const refresh = async () => {
      // A login that was completed meanwhile has brought a token.
      const access = this.#access;
      return access && access !== before ? access : this.#refreshHoldingLock();
    };
    try {
      // What could not be stored is nobody else's to refresh, and the place of the lock may be out of order as well.
      return await (this.#stored.unsaved
        ? this.#stored.exclusiveEvenUnlocked(refresh)
        : this.#stored.exclusiveAcrossProcesses(refresh));
    } catch (error) {
      if (error instanceof SecretStoreError) throw this.#unavailable(error.message);
      throw error;
    }
  }

  async #refreshHoldingLock(): Promise<AccessToken | undefined> {
    await this.#reread();
    const { grant } = this.#stored.record;
    if (!grant) return undefined;
    const client = this.#currentClient(grant.client);
    if (!client) {
      await this.#endGrant('CLIENT_ID has changed since the login');
      return undefined;
    }
    let tokens: TokenSet;
    const server = await this.#currentServer(grant);
    try {
      const { request } = this.#parts;
      tokens = await refreshTokens({ server, client, resource: grant.resource, request }, grant.refreshToken);
    } catch (error) {
      return this.#refreshFailed(error, grant);
    }
    const next: Grant = {
      ...grant,
      server,
      refreshToken: tokens.refreshToken ?? grant.refreshToken,
    };
    const before = this.#stored.record.grantedScope;
    const grantedScope = tokens.scope ?? before;
    const changed =
      next.refreshToken !== grant.refreshToken || grantedScope !== before || server !== grant.server;
    if (changed || this.#stored.unsaved) {
      // The token is good even when it cannot be stored; then it is kept here and stored later.
      await this.#stored.save({ ...this.#stored.record, grant: next, grantedScope }).catch(() => undefined);
    }
    this.#counters.refreshes++;
    this.#lastRefresh = { at: Date.now(), outcome: 'ok', message: undefined };
    this.#backOff.reset();
    this.#parts.log.info('Access token refreshed', { rotated: next.refreshToken !== grant.refreshToken });
    const replacement = this.#refused || (this.#replacing !== undefined && this.#replacing === this.#access);
    return this.#setAccess(tokens, { replacement });
  }

  async #refreshFailed(error: unknown, grant: Grant): Promise<AccessToken | undefined> {
    this.#counters.refresh_failures++;
    const message = error instanceof Error ? error.message : 'unknown failure';
    this.#lastRefresh = { at: Date.now(), outcome: 'failed', message };
    const oauthError = error instanceof TokenEndpointError ? error.oauthError : undefined;
    if (oauthError === 'invalid_grant') {
      await this.#reread();
      const { refreshToken } = this.#stored.record.grant ?? grant;
      // This process may have slept beyond its lock, and another has stored the next token since.
      if (refreshToken !== grant.refreshToken) return this.#refreshHoldingLock();
      await this.#endGrant(message);
      return undefined;
    }
    if (oauthError === 'invalid_client' && grant.client.source === 'registered') {
      this.#stored.replace({ ...this.#stored.record, client: undefined });
      await this.#endGrant(`the server has forgotten the client registration: ${message}`);
      return undefined;
    }
    if (!(error instanceof TokenEndpointError)) throw error;
    this.#moved = error.missing;
    throw this.#unavailable(message);
  }

  /** The stored endpoints; asked for again after a failure, in case they have moved. */
  async #currentServer(grant: Grant): Promise<AuthorizationServerMetadata> {
    if (!this.#moved) return grant.server;
    this.#moved = false;
    const { request, log, settings } = this.#parts;
    const input = {
      request,
      requirePkceMetadata: settings.requirePkceMetadata,
      upstreamMcpUrl: settings.upstreamMcpUrl,
      onStep: () => undefined,
    };
    try {
      return await discoverServer(input, grant.server.issuer);
    } catch (error) {
      if (!(error instanceof LoginFailure)) throw error;
      log.debug('Endpoints were not looked up again', { reason: error.message });
      return grant.server;
    }
  }

  /** A configured client's secret comes from the settings of today, never from the store. */
  #currentClient(client: Client): Client | undefined {
    const { clientId, clientSecret } = this.#parts.settings;
    if (client.source !== 'configured') return clientId === DEFAULT_CLIENT_ID ? client : undefined;
    if (client.client_id !== clientId) return undefined;
    return { ...client, client_secret: clientSecret };
  }

  async #endGrant(reason: string): Promise<void> {
    const { grant: _, ...rest } = this.#stored.record;
    if (this.#access === this.#replacing) this.#access = undefined;
    await this.#stored.save({ ...rest, ended: `The login has ended: ${reason}` }).catch(() => undefined);
    this.#parts.log.warn('The login has ended; log in again', { reason });
  }

  #endLogin(reason: string): void {
    this.#access = undefined;
    this.#stored.replace({ ...this.#stored.record, ended: `The login has ended: ${reason}.` });
    this.#parts.log.warn('The login has ended; log in again', { reason });
    this.#parts.onChange();
  }

  #setAccess(tokens: TokenSet, { replacement }: { replacement: boolean }): AccessToken {
    const lifetime =
      tokens.expiresAt === undefined ? Number.POSITIVE_INFINITY : tokens.expiresAt - tokens.obtainedAt;
    const expiresAt = tokens.obtainedAt + lifetime;
    const access: LiveToken = {
      value: tokens.accessToken,
      obtainedAt: tokens.obtainedAt,
      expiresAt,
      renewAt: expiresAt - Math.min(lifetime * RENEW_SHARE, RENEW_AHEAD_MS),
      replacement,
      accepted: false,
    };
    this.#access = access;
    clearTimeout(this.#expiry);
    if (!this.#stored.record.grant && Number.isFinite(lifetime)) {
      // The login ends with it, and no call may come to notice.
      this.#expiry = setTimeout(this.#parts.onChange, Math.min(lifetime, LONGEST_TIMER_MS)).unref();
    }
    this.#parts.onChange();
    return access;
  }

  #setRefused(refused: boolean): void {
    if (this.#refused === refused) return;
    this.#refused = refused;
    if (refused) this.#parts.log.warn('The server refuses a token that was just issued; log in again');
    this.#parts.onChange();
  }

  #unavailable(message: string): RefreshUnavailable {
    const delay = this.#backOff.failed(message);
    this.#parts.log.warn('No new access token for now; the login is kept', {
      reason: message,
      retry_in_ms: delay,
    });
    return this.#waiting();
  }

  #waiting(): RefreshUnavailable {
    return new RefreshUnavailable(this.#backOff.reason, this.#backOff.secondsLeft);
  }

  async #readStore(): Promise<void> {
    try {
      await this.#reread();
      this.#loaded = true;
    } catch (error) {
      if (!(error instanceof SecretStoreError)) throw error;
      this.#backOff.failed(error.message);
      // A person said no: asking again on every call would put one prompt after the other on the screen.
      if (error.code === 'denied') this.#backOff.hold();
    }
  }

  /** Without a login here, another process may have logged in since the store was read last. */
  async #lookForLogin(): Promise<void> {
    if (!this.#stored.isShared) return;
    if (this.#look === undefined || !isWithin(LOOK_AGAIN_MS, this.#look.at)) {
      const done = this.#stored.exclusive(() => this.#reread()).catch(onlyStoreTrouble);
      this.#look = { at: Date.now(), done };
    }
    await this.#look.done;
  }

  async #reread(): Promise<void> {
    // Logged out, or ended, by another process.
    if ((await this.#stored.reread()) === 'ended') this.#access = undefined;
  }
}

/** For a failing store, which the status and the log tell of. */
function onlyStoreTrouble(error: unknown): void {
  if (!(error instanceof SecretStoreError)) throw error;
}

/** For a refresh that failed, which the status and the log tell of and calls are told of when they come. */
function onlyUnavailable(error: unknown): void {
  if (!(error instanceof RefreshUnavailable)) throw error;
}
