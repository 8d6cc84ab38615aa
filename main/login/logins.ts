import { EventEmitter } from 'node:events';
import type { Broker } from '../../app/broker.ts';
import type { Logger } from '../../app/log.ts';
import { LoginFailure } from '../../app/oauth/errors.ts';
import { SecretStoreError } from '../../app/store/secret-store.ts';
import type { LoginWay } from '../view.ts';
import type { LoginPopup, LoginPopupOptions } from './login-popup.ts';

/** What a login needs of a broker. */
export type LoginBroker = Pick<
  Broker,
  'state' | 'redirectUri' | 'loginUrl' | 'login' | 'finishLogin' | 'cancelLogin'
> & {
  on(event: 'state', listener: () => void): unknown;
  off(event: 'state', listener: () => void): unknown;
};

/** Why a login did not go on, for people: what happened, and what to do. Neither holds a secret. */
export interface LoginTrouble {
  readonly message: string;
  readonly cure: string;
  /** Whether the broker's status tells of it as well. */
  readonly isKnown?: true;
}

/** How a login has ended. A login that has left for the system's browser has ended here: the broker waits for it. */
export type LoginEnd =
  /** `warning`: it works but could not be stored. `undefined` too when it was finished elsewhere. */
  | { readonly kind: 'done'; readonly warning: string | undefined }
  | { readonly kind: 'in-browser' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly trouble: LoginTrouble };

interface LoginsEvents {
  /** {@link Logins.underWay} says something new. */
  change: [];
  /**
   * A login has ended. One that has left for the system's browser ends once more when it is given up there.
   * `asked`: whether the person has asked for it, at its begin or later
   */
  ended: [serverId: string, end: LoginEnd, { readonly asked: boolean }];
}

interface LoginsParts {
  /** The server with this id, as long as it has a broker. */
  readonly find: (serverId: string) => { readonly name: string; readonly broker: LoginBroker } | undefined;
  readonly openPopup: (options: LoginPopupOptions) => LoginPopup;
  readonly openExternal: (url: URL) => Promise<void>;
  readonly log: Logger;
}

/** One login of one server, until it has ended or has left for the system's browser. */
interface Attempt {
  readonly serverId: string;
  readonly name: string;
  readonly broker: LoginBroker;
  asked: boolean;
  /** The window, while the login goes that way. */
  popup: LoginPopup | undefined;
  /** Known once the broker has prepared the login. */
  authorizationUrl: URL | undefined;
  /** It has come back, and its code is being exchanged: it can neither be moved nor given up any more. */
  isFinishing: boolean;
  stopWatching: () => void;
}

/** Logs people in: at most one login per server at a time. */
export class Logins extends EventEmitter<LoginsEvents> {
  readonly #parts: LoginsParts;
  readonly #attempts = new Map<string, Attempt>();

  constructor(parts: LoginsParts) {
    super();
    this.#parts = parts;
  }

  /** Whether a login of this server is being prepared, has a window, or is being finished. */
  underWay(serverId: string): boolean {
    return this.#attempts.has(serverId);
  }

  /**
   * Begins a login. While one is under way, the same way again brings it to the front, the other way takes it over; one
   * that is being finished goes on as it is.
   * @param asked whether the person has asked for it just now; see {@link LoginPopupOptions}
   */
  start(serverId: string, way: LoginWay, { asked = true }: { asked?: boolean } = {}): void {
    const current = this.#attempts.get(serverId);
    if (current === undefined) {
      this.#begin(serverId, way, asked);
      return;
    }
    current.asked ||= asked;
    if (current.isFinishing) return;
    if (way === 'browser') this.#moveToBrowser(current);
    else if (current.popup === undefined) this.#showPopup(current, asked);
    else if (asked) current.popup.focus();
  }

  /**
   * Gives up the login of a server, as when the person closes its window; also one that the broker waits for, such as
   * one that has left for the system's browser. A login that is being finished goes on.
   */
  cancel(serverId: string): void {
    const attempt = this.#attempts.get(serverId);
    if (attempt === undefined) this.#cancelElsewhere(serverId);
    else if (!attempt.isFinishing) this.#cancel(attempt);
  }

  /** The servers are others: ends the logins of those that are gone or have another broker, which finish nothing any more. */
  refresh(): void {
    for (const attempt of [...this.#attempts.values()]) {
      if (!this.#hasItsBroker(attempt)) this.#end(attempt, { kind: 'cancelled' });
    }
  }

  /** Closes all windows and tells the end of every login, even of one that is being finished. */
  close(): void {
    for (const attempt of [...this.#attempts.values()]) this.#cancel(attempt);
  }

  #begin(serverId: string, way: LoginWay, asked: boolean): void {
    const server = this.#parts.find(serverId);
    if (server === undefined) return;
    const { name, broker } = server;
    const attempt: Attempt = {
      serverId,
      name,
      broker,
      asked,
      popup: undefined,
      authorizationUrl: undefined,
      isFinishing: false,
      stopWatching: this.#watch(broker, () => this.#end(attempt, { kind: 'done', warning: undefined })),
    };
    this.#attempts.set(serverId, attempt);
    // On the screen before anything is known, since preparing may take long: a click must not seem dead.
    if (way === 'popup') this.#showPopup(attempt, asked);
    this.emit('change');
    void this.#prepare(attempt);
  }

  async #prepare(attempt: Attempt): Promise<void> {
    let url: URL;
    try {
      url = await attempt.broker.login();
    } catch (error) {
      // Given up elsewhere, as by a log-out: nobody waits for an explanation.
      const cancelled = error instanceof LoginFailure && error.code === 'cancelled';
      const end: LoginEnd = cancelled
        ? { kind: 'cancelled' }
        : { kind: 'failed', trouble: this.#troubleOf(error) };
      return this.#end(attempt, end);
    }
    if (!this.#isCurrent(attempt)) {
      // Cancelled on the way. A later login of this server must not be given up along with it.
      const isLast = !this.underWay(attempt.serverId) && this.#hasItsBroker(attempt);
      if (isLast && attempt.broker.state === 'logging_in') attempt.broker.cancelLogin();
      return;
    }
    attempt.authorizationUrl = url;
    if (attempt.popup) attempt.popup.load(url);
    else await this.#openInBrowser(attempt, url);
  }

  #showPopup(attempt: Attempt, asked: boolean): void {
    const { serverId, name, broker, authorizationUrl } = attempt;
    const popup = this.#parts.openPopup({ serverId, server: name, redirectUri: broker.redirectUri, asked });
    attempt.popup = popup;
    if (authorizationUrl) popup.load(authorizationUrl);
    void popup.result.then((result) => {
      if (!this.#isCurrent(attempt) || attempt.popup !== popup) return;
      if (result.kind === 'redirected') return this.#finish(attempt, result.url);
      if (result.kind === 'browser') return this.#moveToBrowser(attempt);
      return this.#cancel(attempt);
    });
  }

  /** The authorization request stays the same; the listener's callback will finish the login. */
  #moveToBrowser(attempt: Attempt): void {
    const { popup, authorizationUrl } = attempt;
    attempt.popup = undefined;
    popup?.close();
    if (popup && authorizationUrl) void this.#openInBrowser(attempt, authorizationUrl);
  }

  async #openInBrowser(attempt: Attempt, url: URL): Promise<void> {
    // Opening may take a while, in which the login can end, or come back to a window.
    const isHere = () => this.#isCurrent(attempt) && attempt.popup === undefined;
    try {
      await this.#parts.openExternal(url);
      if (isHere()) this.#end(attempt, { kind: 'in-browser' });
    } catch (error) {
      this.#parts.log.warn('The browser could not be opened', { reason: (error as Error).message });
      if (!isHere()) return;
      // Nobody will come back from it.
      attempt.broker.cancelLogin();
      this.#end(attempt, {
        kind: 'failed',
        trouble: {
          message: 'Your browser could not be opened.',
          cure: `Open ${attempt.broker.loginUrl} in a browser yourself.`,
        },
      });
    }
  }

  async #finish(attempt: Attempt, redirect: URL): Promise<void> {
    attempt.isFinishing = true;
    // From here on a new state is this login's own doing.
    attempt.stopWatching();
    try {
      const { warning } = await attempt.broker.finishLogin(redirect);
      this.#end(attempt, { kind: 'done', warning });
    } catch (error) {
      this.#end(attempt, { kind: 'failed', trouble: this.#troubleOf(error) });
    }
  }

  #cancel(attempt: Attempt): void {
    if (!this.#isCurrent(attempt)) return;
    this.#end(attempt, { kind: 'cancelled' });
    attempt.broker.cancelLogin();
  }

  #cancelElsewhere(serverId: string): void {
    const broker = this.#parts.find(serverId)?.broker;
    if (broker?.state !== 'logging_in') return;
    broker.cancelLogin();
    // One whose code is being exchanged goes on.
    if (broker.state !== 'logging_in') this.emit('ended', serverId, { kind: 'cancelled' }, { asked: true });
  }

  #end(attempt: Attempt, end: LoginEnd): void {
    if (!this.#isCurrent(attempt)) return;
    this.#attempts.delete(attempt.serverId);
    attempt.stopWatching();
    attempt.popup?.close();
    this.emit('ended', attempt.serverId, end, { asked: attempt.asked });
    this.emit('change');
  }

  #isCurrent(attempt: Attempt): boolean {
    return this.#attempts.get(attempt.serverId) === attempt;
  }

  #hasItsBroker({ serverId, broker }: Attempt): boolean {
    return this.#parts.find(serverId)?.broker === broker;
  }

  /** Calls back once the broker is logged in by another way, such as its own login page. */
  #watch(broker: LoginBroker, loggedIn: () => void): () => void {
    // One that is logged in already, and is asked for more scope, does not show by its state that it got it.
    let before = broker.state;
    const look = () => {
      const now = broker.state;
      if (now === 'authenticated' && before !== now) loggedIn();
      before = now;
    };
    broker.on('state', look);
    return () => void broker.off('state', look);
  }

  #troubleOf(error: unknown): LoginTrouble {
    if (error instanceof LoginFailure) return { message: error.message, cure: error.cure, isKnown: true };
    if (error instanceof SecretStoreError)
      return { message: 'The login could not be begun.', cure: error.message };
    this.#parts.log.error('Login failed', { error: (error as Error).stack });
    return { message: 'The login failed for an unknown reason.', cure: 'Look at the log, then try again.' };
  }
}
