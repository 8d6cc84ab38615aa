import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Broker } from '../../app/broker.ts';
import type { Logger } from '../../app/log.ts';
import type { Revocation } from '../../app/oauth/revocation.ts';
import type { Settings } from '../../app/settings.ts';
import { SecretStoreError } from '../../app/store/secret-store.ts';
import { loginOf, portOf } from '../settings/server-settings.ts';
import type { CallView, ServerView } from '../view.ts';
import type { ServerConfiguration } from './configuration.ts';
import { RecentCalls } from './recent-calls.ts';
import { RunningServer } from './running-server.ts';

/** A logout at a server that does not answer holds a removal up for so long at most, in milliseconds. */
const LOGOUT_MS = 15_000;
/** When everything is reset there is no later: both tokens are waited for, for which a server has 10 s each. */
const FORGETTING_MS = 25_000;

/** What became of a server's login when everything was reset. */
export interface Farewell {
  /** What the server was called. */
  readonly name: string;
  /**
   * How the revocation went, or why nothing is known of it: `still_stored` when the login could not be removed, with the
   * `reason` for people; `late` when there was no time left; `misconfigured` when there could be no broker to do it.
   */
  readonly outcome: Revocation | 'still_stored' | 'late' | 'misconfigured';
  readonly reason?: string;
}

export interface ServersOptions {
  /** Makes the broker of a server; it is not started yet. */
  readonly createBroker: (settings: Settings) => Broker;
  readonly log: Logger;
}

interface ServersEvents {
  /** {@link Servers.views} says something new. */
  change: [];
  call: [CallView];
  /** A call has found that it needs a login. */
  login_needed: [serverId: string];
  logged_in: [serverId: string];
}

/** All servers of the app: one broker each, side by side, so that a fault of one never touches another. */
export class Servers extends EventEmitter<ServersEvents> {
  readonly #options: ServersOptions;
  readonly #calls = new RecentCalls();
  /** In the order in which they were configured. */
  #servers: ReadonlyMap<string, RunningServer> = new Map();
  /** Servers that end, and may hold their port and login still. */
  readonly #ending = new Map<RunningServer, Promise<void>>();
  /** Those that are being removed, whatever the next configurations say. */
  readonly #removed = new Set<string>();
  #views: readonly ServerView[] = [];
  #isClosed = false;

  constructor(options: ServersOptions) {
    super();
    this.#options = options;
  }

  /** Everything that may be shown; the same array as long as nothing changes. */
  get views(): readonly ServerView[] {
    return this.#views;
  }

  /** The last 200 calls of all servers, oldest first. */
  get recentCalls(): readonly CallView[] {
    return this.#calls.list;
  }

  /** The broker of a server, once it listens; `undefined` for one that has a fault or is not there. */
  brokerOf(id: string): Broker | undefined {
    return this.#servers.get(id)?.broker;
  }

  /**
   * Makes these the servers that run: new ones start, missing ones end, those whose settings are others are started
   * anew. A changed name or log level starts nothing anew. A login that belongs to none of them any more is ended.
   * Resolves when all of that is done; never rejects.
   */
  async apply(configurations: readonly ServerConfiguration[]): Promise<void> {
    if (this.#isClosed) return;
    const ids = new Set(configurations.map(({ id }) => id));
    for (const id of this.#removed) if (!ids.has(id)) this.#removed.delete(id);
    const wanted = configurations.filter(({ id }) => !this.#removed.has(id));
    const isKept = (server: RunningServer | undefined, configuration: ServerConfiguration) =>
      server !== undefined && isDeepStrictEqual(essence(server.configuration), essence(configuration));

    const former = this.#servers;
    const kept = new Set(wanted.filter((one) => isKept(former.get(one.id), one)).map(({ id }) => id));
    const servers = wanted.map((configuration) => {
      const server = kept.has(configuration.id) ? former.get(configuration.id) : undefined;
      return server ?? this.#create(configuration);
    });
    this.#servers = new Map(servers.map((server) => [server.configuration.id, server]));
    const left = [...former]
      .filter(([id]) => !kept.has(id))
      .map(([, server]) =>
        this.#end(server, this.#isLoginUsed(server) ? undefined : () => this.#logOut(server)),
      );
    const started = servers
      .filter((server) => !kept.has(server.configuration.id))
      .map((server) => server.start(this.#freed(server.configuration)));
    for (const configuration of wanted) this.#servers.get(configuration.id)?.describe(configuration);
    this.#update();
    await Promise.all([...left, ...started]);
  }

  /** Ends a server and starts it again as it was configured. Resolves when that is done; never rejects. */
  async restart(id: string): Promise<void> {
    const former = this.#servers.get(id);
    if (!former || this.#isClosed) return;
    const server = this.#create(former.configuration);
    this.#servers = new Map([...this.#servers].map(([key, one]) => [key, key === id ? server : one]));
    const ended = this.#end(former);
    this.#update();
    await Promise.all([ended, server.start(this.#freed(server.configuration))]);
  }

  /**
   * Ends a server for good: it is logged out, for which it has 15 s, and closed. It is gone from the views at once, and
   * does not come back by {@link Servers.apply} before it was missing there once. Never rejects.
   */
  async remove(id: string): Promise<void> {
    const server = this.#servers.get(id);
    if (!server) return;
    this.#removed.add(id);
    this.#servers = new Map([...this.#servers].filter(([key]) => key !== id));
    const ended = this.#end(server, this.#isLoginUsed(server) ? undefined : () => this.#logOut(server));
    this.#update();
    await ended;
  }

  /**
   * Ends all servers for good, side by side: each is logged out, for which it has 25 s, and closed. Never rejects.
   * @returns what became of the logins
   */
  async forget(): Promise<readonly Farewell[]> {
    this.#isClosed = true;
    const farewells: Farewell[] = [];
    for (const server of this.#servers.values())
      this.#end(server, async () => {
        const farewell = await this.#takeLeave(server, FORGETTING_MS);
        // Another one has the same login, and ends it.
        if (farewell.outcome !== 'misconfigured' || !this.#isLoginOfAnother(server)) farewells.push(farewell);
      });
    await Promise.all(this.#ending.values());
    return farewells;
  }

  /** Ends all servers side by side and keeps their logins. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const server of this.#servers.values()) this.#end(server);
    await Promise.all(this.#ending.values());
  }

  #create(configuration: ServerConfiguration): RunningServer {
    const { id } = configuration;
    const server: RunningServer = new RunningServer(configuration, {
      ...this.#options,
      portsOfOthers: () => this.#portsOfOthers(server),
    });
    server.on('view', () => this.#update());
    server.on('call', (call) => this.emit('call', this.#calls.add(id, call)));
    server.on('login_needed', () => this.emit('login_needed', id));
    server.on('logged_in', () => this.emit('logged_in', id));
    return server;
  }

  /** Whether one of the servers there are has this one's login; else nothing could ever end it. */
  #isLoginUsed({ configuration: { settings } }: RunningServer): boolean {
    const login = loginOf(settings);
    return [...this.#servers.values()].some((one) => loginOf(one.configuration.settings) === login);
  }

  #isLoginOfAnother({ configuration: { settings } }: RunningServer): boolean {
    const login = loginOf(settings);
    return [...this.#servers.values()].some(
      ({ configuration: { checked } }) => checked !== undefined && loginOf({ ...checked }) === login,
    );
  }

  #end(server: RunningServer, before?: () => Promise<void>): Promise<void> {
    server.removeAllListeners('view');
    server.removeAllListeners('login_needed');
    const ended = Promise.resolve(before?.())
      .then(() => server.close())
      .catch((error: unknown) => {
        this.#options.log.error('A server could not be closed', { reason: String(error) });
      })
      .finally(() => this.#ending.delete(server));
    this.#ending.set(server, ended);
    return ended;
  }

  /** Resolves when no server that ends holds this one's port or login. */
  #freed({ id, settings }: ServerConfiguration): Promise<unknown> {
    const holders = [...this.#ending].filter(([{ configuration: other }]) => {
      const samePort = portOf(other.settings) === portOf(settings);
      return other.id === id || samePort || loginOf(other.settings) === loginOf(settings);
    });
    return Promise.all(holders.map(([, ended]) => ended));
  }

  async #logOut(server: RunningServer): Promise<void> {
    const { outcome, reason } = await this.#takeLeave(server, LOGOUT_MS);
    const { log } = this.#options;
    if (outcome === 'still_stored') log.warn('The login of a removed server stays stored', { reason });
    if (outcome === 'late') log.warn('A removed server could not be logged out in time');
  }

  /** Logs a server out. Never rejects. */
  async #takeLeave(server: RunningServer, withinMs: number): Promise<Farewell> {
    const { name } = server.view;
    const inTime = new AbortController();
    const logout = server.logOut().then(
      (revocation): Farewell => ({ name, outcome: revocation ?? 'misconfigured' }),
      (error: unknown): Farewell => {
        if (error instanceof SecretStoreError)
          return { name, outcome: 'still_stored', reason: error.message };
        const reason = error instanceof Error ? error.stack : String(error);
        this.#options.log.error('A logout failed for an unknown reason', { reason });
        return { name, outcome: 'still_stored' };
      },
    );
    const late: Farewell = { name, outcome: 'late' };
    const patience = delay(withinMs, late, { signal: inTime.signal, ref: false }).catch(() => late);
    const farewell = await Promise.race([logout, patience]);
    inTime.abort();
    return farewell;
  }

  #portsOfOthers(server: RunningServer): ReadonlySet<number> {
    const others = [...this.#servers.values()].filter((one) => one !== server);
    return new Set(
      others.flatMap(({ configuration, view }) => [
        portOf(configuration.settings),
        ...(view.fault?.kind === 'port_taken' && view.fault.freePort ? [view.fault.freePort] : []),
      ]),
    );
  }

  #update(): void {
    const views = [...this.#servers.values()].map(({ view }) => view);
    if (views.length === this.#views.length && views.every((view, at) => view === this.#views[at])) return;
    this.#views = views;
    this.emit('change');
  }
}

/** Everything of a configuration that a broker is made of. */
function essence({ checked, settings, fault, portClash, source }: ServerConfiguration) {
  // The log is the app's and has one level; how long calls wait can be changed on the way.
  const rest = checked && { ...checked, logLevel: undefined, loginWaitSeconds: undefined };
  return { settings: rest ?? settings, fault, portClash, source };
}
