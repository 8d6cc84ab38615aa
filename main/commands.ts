import { SettingsError } from '../app/settings.ts';
import type { AppModel } from './app-model.ts';
import { type ClientSetup, type McpClientId, setupFor } from './clients.ts';
import { plainMessage } from './ipc/answer.ts';
import type { Outcome, ServerForm, ServerInput } from './ipc/contract.ts';
import type { Logins } from './login/logins.ts';
import { configurationsOf, type ServerConfiguration } from './servers/configuration.ts';
import { formOf, movedTo, storedFrom } from './servers/server-form.ts';
import type { Servers } from './servers/servers.ts';
import type { SettingsFile, StoredServer } from './settings/settings-file.ts';
import type { AppSettings, LoginWay } from './view.ts';

interface CommandParts {
  readonly settings: SettingsFile;
  readonly servers: Servers;
  readonly logins: Pick<Logins, 'start' | 'cancel'>;
  readonly model: AppModel;
  readonly env: NodeJS.ProcessEnv;
  /** The app's own folder. */
  readonly stateDir: string;
  readonly copy: (text: string) => void;
  readonly openWindow: () => void;
  /** Forgets who was signed in at a server's provider. */
  readonly forgetProvider: (serverId: string) => Promise<void>;
}

/** What a person can do with the servers and settings, whether from the tray or from the window. */
export class Commands {
  readonly #parts: CommandParts;

  constructor(parts: CommandParts) {
    this.#parts = parts;
  }

  /** Everything that is to run now. */
  get configurations(): readonly ServerConfiguration[] {
    const { settings, env, stateDir } = this.#parts;
    return configurationsOf({ settings: settings.settings, servers: settings.servers, env, stateDir });
  }

  /** Brings the servers in line with the settings. Never rejects. */
  apply(): Promise<void> {
    return this.#parts.servers.apply(this.configurations);
  }

  logIn(serverId: string, way: LoginWay | 'preferred'): void {
    const { logins, settings } = this.#parts;
    logins.start(serverId, way === 'preferred' ? settings.settings.loginWay : way);
  }

  /** Gives up a login under way, also one that has left for the browser. */
  cancelLogin(serverId: string): void {
    this.#parts.logins.cancel(serverId);
  }

  /**
   * Revokes and forgets a server's login.
   * @throws {SecretStoreError} when the stored login could not be removed
   */
  async logOut(serverId: string): Promise<void> {
    const { servers, logins, forgetProvider } = this.#parts;
    logins.cancel(serverId);
    await Promise.all([servers.brokerOf(serverId)?.logout(), forgetProvider(serverId)]);
  }

  /** The same for who cannot be answered: what goes wrong becomes a notice. */
  async logOutOrSay(serverId: string): Promise<void> {
    try {
      await this.logOut(serverId);
    } catch (error) {
      const message = `${this.#nameOf(serverId)} could not be logged out.`;
      this.#parts.model.notify({ id: `login ${serverId}`, message, cure: plainMessage(error) });
      this.#parts.openWindow();
    }
  }

  copyMcpUrl(serverId: string): void {
    const { servers, copy } = this.#parts;
    const server = servers.views.find(({ id }) => id === serverId);
    if (server) copy(server.mcpUrl);
  }

  /**
   * Copies what adds a server to an MCP client.
   * @throws {SettingsError} for a server that there is not
   */
  copyForClient(serverId: string, client: McpClientId): ClientSetup {
    const { servers, copy } = this.#parts;
    const server = servers.views.find(({ id }) => id === serverId);
    if (!server) throw new SettingsError([GONE]);
    const apiKeyRequired = servers.brokerOf(serverId)?.settings.proxyApiKey !== undefined;
    const setup = setupFor(client, { name: server.name, mcpUrl: server.mcpUrl, apiKeyRequired });
    copy(setup.text);
    return setup;
  }

  formOf(serverId: string): ServerForm | undefined {
    const stored = this.#stored(serverId);
    return stored && formOf(stored);
  }

  /** Adds a server, or says what is wrong with the form. Resolves once it is saved and starting. */
  async addServer(input: ServerInput): Promise<Outcome> {
    const { settings, stateDir } = this.#parts;
    const result = await storedFrom(input, { others: this.configurations, stateDir });
    if ('faults' in result) return { ok: false, faults: result.faults };
    return this.#attempt(() => settings.addServer(result.draft));
  }

  /** Makes a server what the form says, or says what is wrong with that; a login under way is given up. */
  async changeServer(serverId: string, input: ServerInput): Promise<Outcome> {
    const { settings, logins, stateDir } = this.#parts;
    const previous = this.#stored(serverId);
    const others = this.configurations.filter(({ id }) => id !== serverId);
    const result = await storedFrom(input, { previous, others, stateDir });
    if ('faults' in result) return { ok: false, faults: result.faults };
    logins.cancel(serverId);
    return this.#attempt(() => settings.changeServer(serverId, result.draft));
  }

  async movePort(serverId: string, port: number): Promise<Outcome> {
    const stored = this.#stored(serverId);
    if (!stored) return { ok: false, faults: { '': GONE } };
    return this.#attempt(() => this.#parts.settings.changeServer(serverId, movedTo(stored, port)));
  }

  /** Logs a server out and takes it away. Resolves once it is out of the settings; its logout goes on beside. */
  async removeServer(serverId: string): Promise<void> {
    const { settings, servers, logins, forgetProvider } = this.#parts;
    if (!this.#stored(serverId)) return;
    logins.cancel(serverId);
    void servers.remove(serverId);
    void forgetProvider(serverId);
    await settings.removeServer(serverId);
  }

  /** Starts a server anew that could not be started, or asks its store again. */
  async restart(serverId: string): Promise<void> {
    const { servers, settings } = this.#parts;
    await settings.reread();
    const broker = servers.brokerOf(serverId);
    if (broker) await broker.wake({ asked: true });
    else await servers.restart(serverId);
  }

  changeSettings(changes: Partial<AppSettings>): Promise<Outcome> {
    return this.#attempt(() => this.#parts.settings.changeSettings(changes));
  }

  #nameOf(serverId: string): string {
    return this.#parts.servers.views.find(({ id }) => id === serverId)?.name ?? 'The server';
  }

  #stored(serverId: string): StoredServer | undefined {
    return this.#parts.settings.servers.find(({ id }) => id === serverId);
  }

  async #attempt<T>(change: () => Promise<T>): Promise<Outcome> {
    try {
      await change();
      return { ok: true };
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      return { ok: false, faults: { '': error.faults.join(' ') } };
    }
  }
}

const GONE = 'This server is not there any more.';
