import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { Broker, BrokerCall } from '../../app/broker.ts';
import type { Logger } from '../../app/log.ts';
import type { Revocation } from '../../app/oauth/revocation.ts';
import type { Settings } from '../../app/settings.ts';
import { systemCode } from '../../app/store/file-errors.ts';
import { SecretStoreError } from '../../app/store/secret-store.ts';
import { FIRST_PORT } from '../settings/server-settings.ts';
import type { ServerFault, ServerView } from '../view.ts';
import type { ServerConfiguration } from './configuration.ts';
import { findFreePort } from './free-port.ts';
import { viewOf, viewWithoutBroker } from './server-view.ts';

export interface ServerParts {
  readonly createBroker: (settings: Settings) => Broker;
  readonly log: Logger;
  /** Ports that are not to be proposed: those of the other servers. */
  readonly portsOfOthers: () => ReadonlySet<number>;
}

interface ServerEvents {
  /** The view is another. */
  view: [];
  call: [BrokerCall];
  login_needed: [];
  /** A login was completed. */
  logged_in: [];
}

/** One server from its start to its end, with one configuration. What goes wrong is a fault in its view. */
export class RunningServer extends EventEmitter<ServerEvents> {
  readonly #parts: ServerParts;
  #configuration: ServerConfiguration;
  #view: ServerView;
  #broker: Broker | undefined;
  /** Resolves when the port is there, or will not be. */
  #bound: Promise<unknown> = Promise.resolve();
  #isBound = false;
  #isStarted = false;
  #closing: Promise<void> | undefined;
  #reading: Promise<void> | undefined;
  #isOutdated = false;
  #logins = 0;

  constructor(configuration: ServerConfiguration, parts: ServerParts) {
    super();
    this.#parts = parts;
    this.#configuration = configuration;
    this.#view = viewWithoutBroker(configuration, undefined);
  }

  get configuration(): ServerConfiguration {
    return this.#configuration;
  }

  get view(): ServerView {
    return this.#view;
  }

  /** `undefined` as long as there is no port, and when there can be none. */
  get broker(): Broker | undefined {
    return this.#isBound && !this.#closing ? this.#broker : undefined;
  }

  /** Takes over a configuration that differs in nothing but what needs no new start. */
  describe(configuration: ServerConfiguration): void {
    this.#configuration = configuration;
    if (configuration.checked) this.#broker?.setLoginWait(configuration.checked.loginWaitSeconds);
    const { name } = viewWithoutBroker(configuration, undefined);
    this.#show({ ...this.#view, name });
  }

  /**
   * Starts the broker. Never rejects; resolves when the view says how that went.
   * @param free resolves when nothing of ours holds the port or the login any more
   */
  async start(free: Promise<unknown>): Promise<void> {
    await free;
    if (this.#closing) return;
    const { checked, fault, portClash } = this.#configuration;
    if (fault !== undefined) return this.#fail({ kind: 'settings', message: fault });
    if (!checked) return;
    if (portClash !== undefined) return this.#fail(await this.#portTaken(portClash, checked));
    try {
      await this.#run(checked);
    } catch (error) {
      this.#broker = undefined;
      if (this.#closing) return;
      this.#fail(await this.#faultOf(error, checked));
    }
  }

  /** Lets go of port, store and connections, after at most 5 s for calls in flight. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /**
   * Ends the login, also of a server that could not be started.
   * @returns `undefined` when its settings are too wrong for that
   * @throws {SecretStoreError} when the stored login could not be removed
   */
  async logOut(): Promise<Revocation | undefined> {
    const { checked } = this.#configuration;
    if (this.broker) return this.broker.logout();
    if (!checked || this.#closing) return undefined;
    const broker = this.#parts.createBroker(checked);
    return broker.logout().finally(() => broker.close());
  }

  async #run(settings: Settings): Promise<void> {
    const broker = this.#parts.createBroker(settings);
    this.#broker = broker;
    broker.on('state', () => void this.#refresh());
    broker.on('call', (call) => this.emit('call', call));
    broker.on('login_needed', () => void this.#tellLoginNeeded());
    const listening = new Promise<void>((resolve) => {
      broker.once('listening', () => {
        this.#isBound = true;
        resolve();
      });
    });
    const started = broker.start();
    this.#bound = Promise.race([listening, started.catch(() => undefined)]);
    await started;
    if (this.#closing) return;
    this.#isStarted = true;
    this.#parts.log.info('Listening', { url: broker.mcpUrl, upstream: broker.upstreamShown });
    await this.#refresh();
    void this.#probe(broker);
  }

  /** Renews a token that has ended while nobody ran, and sees whether the upstream wants a login at all. */
  async #probe(broker: Broker): Promise<void> {
    const { ready, reason } = await broker.readiness();
    if (!ready && !this.#closing) this.#parts.log.info('No call can be served yet', { reason });
  }

  async #close(): Promise<void> {
    // A broker that is closed before it listens would listen afterwards.
    await this.#bound;
    await this.#broker?.close();
  }

  /** Told once the view says what the login is needed for. */
  async #tellLoginNeeded(): Promise<void> {
    await this.#refresh();
    if (!this.#closing) this.emit('login_needed');
  }

  /** Brings the view up to date; one that is asked for while another one is under way follows it. */
  #refresh(): Promise<void> {
    // Before the login was read, the state is not what it is going to be.
    if (!this.#isStarted || this.#closing) return Promise.resolve();
    this.#isOutdated = true;
    this.#reading ??= this.#read();
    return this.#reading;
  }

  async #read(): Promise<void> {
    try {
      while (this.#isOutdated && this.#broker) {
        this.#isOutdated = false;
        const status = await this.#broker.status();
        if (this.#closing) return;
        this.#show(viewOf(this.#configuration, this.#broker, status));
        const { logins } = status.counters;
        if (logins > this.#logins) this.emit('logged_in');
        this.#logins = logins;
      }
    } finally {
      this.#reading = undefined;
    }
  }

  #show(view: ServerView): void {
    if (isDeepStrictEqual(view, this.#view)) return;
    this.#view = view;
    this.emit('view');
  }

  #fail(fault: ServerFault): void {
    if (this.#closing) return;
    const { name } = this.#view;
    this.#parts.log.warn('A server could not be started', { name, fault: fault.kind, reason: fault.message });
    this.#show(viewWithoutBroker(this.#configuration, fault));
  }

  async #faultOf(error: unknown, settings: Settings): Promise<ServerFault> {
    const { port, bind } = settings;
    switch (systemCode(error)) {
      case 'EADDRINUSE':
        return this.#portTaken(`Port ${port} is taken by another program; ${this.#portCure}`, settings);
      case 'EACCES':
        return { kind: 'start', message: `Port ${port} may not be used by your user; take one above 1023.` };
      case 'EADDRNOTAVAIL':
        return {
          kind: 'start',
          message: `"bind": "${bind}" is not an address of this machine; set it to one that is, or to 127.0.0.1.`,
        };
      default:
        if (error instanceof SecretStoreError) return { kind: 'start', message: error.message };
        this.#parts.log.error('A server could not be started for an unknown reason', {
          error: error instanceof Error ? error.stack : String(error),
        });
        return { kind: 'start', message: 'It could not be started for an unknown reason; look at the log.' };
    }
  }

  get #portCure(): string {
    return this.#configuration.source === 'environment'
      ? 'end that, or start the app with another PORT.'
      : 'end that, or take another port.';
  }

  async #portTaken(message: string, { port, bind }: Settings): Promise<ServerFault> {
    const from = Math.max(port + 1, FIRST_PORT);
    return {
      kind: 'port_taken',
      message,
      freePort: await findFreePort(from, { bind, skip: this.#parts.portsOfOthers() }),
    };
  }
}
