import {
  SECRET_SETTINGS,
  type Settings,
  SettingsError,
  settingsFromEnvironment,
} from '../../app/settings.ts';
import { ENVIRONMENT_ID, type Members } from '../settings/document.ts';
import {
  checkServer,
  clashes,
  FIRST_PORT,
  type Neighbour,
  nameOf,
  portOf,
  type StoredServer,
} from '../settings/server-settings.ts';
import type { AppSettings, ServerView } from '../view.ts';

/** One server that is to run, or what keeps it from running. */
export interface ServerConfiguration extends Neighbour {
  readonly source: ServerView['source'];
  /** As they were written; what is shown of a server whose settings are bad. */
  readonly settings: Members;
  /** The same, checked; `undefined` where there is a fault, and as long as secrets are being opened. */
  readonly checked: Settings | undefined;
  /** What is wrong with the settings, in sentences for people. */
  readonly fault: string | undefined;
  /** Why it may not have its port, which is another server's. */
  readonly portClash: string | undefined;
}

export interface ConfigurationOptions {
  readonly settings: AppSettings;
  /** Servers of the settings file. */
  readonly servers: readonly StoredServer[];
  readonly env: NodeJS.ProcessEnv;
  /** The app's own folder. */
  readonly stateDir: string;
}

/**
 * Everything that is to run: the environment's server, if there is one, and those of the settings file. Of two that
 * cannot run side by side the first one does.
 */
export function configurationsOf(options: ConfigurationOptions): readonly ServerConfiguration[] {
  const fromEnvironment = environmentServer(options);
  const configured: ServerConfiguration[] = fromEnvironment ? [fromEnvironment] : [];
  for (const server of options.servers) {
    // What cannot run holds nothing from another one.
    const before = configured.filter(({ fault }) => fault === undefined);
    configured.push(withClashes(configurationOf(server, options), before.map(spokenOf)));
  }
  return configured;
}

/** Every secret in the settings of these servers, to be kept out of logs. */
export function secretsOf(configurations: readonly ServerConfiguration[]): readonly string[] {
  const values = configurations.flatMap(({ settings }) => SECRET_SETTINGS.map((name) => settings[name]));
  return values.filter((value) => typeof value === 'string');
}

/**
 * The server that `UPSTREAM_MCP_URL` and its like describe, for this run only. Without `PORT` it gets the first one from
 * 5177 that no other server has, without `LOGIN_WAIT_SECONDS` the app's. Bad variables make a server with a fault.
 * @returns `undefined` when the variable is not set
 */
export function environmentServer({
  env,
  settings: app,
  servers,
  stateDir,
}: ConfigurationOptions): ServerConfiguration | undefined {
  if (!env.UPSTREAM_MCP_URL?.trim()) return undefined;
  const variables = {
    ...env,
    PORT: env.PORT?.trim() || String(firstPortBeside(servers)),
    LOGIN_WAIT_SECONDS: env.LOGIN_WAIT_SECONDS?.trim() || String(app.loginWaitSeconds),
    STATE_DIR: env.STATE_DIR?.trim() || stateDir,
  };
  const described = { id: ENVIRONMENT_ID, name: undefined, source: 'environment' } as const;
  try {
    const checked = settingsFromEnvironment(variables);
    return { ...described, settings: checked, checked, fault: undefined, portClash: undefined };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const settings = { upstreamMcpUrl: env.UPSTREAM_MCP_URL, port: variables.PORT };
    return {
      ...described,
      settings,
      checked: undefined,
      fault: error.faults.join(' '),
      portClash: undefined,
    };
  }
}

function configurationOf(
  { id, name, settings, unreadable, isOpening }: StoredServer,
  { settings: app, stateDir }: ConfigurationOptions,
): ServerConfiguration {
  const described = { id, name, source: 'settings', settings, portClash: undefined } as const;
  if (isOpening) return { ...described, checked: undefined, fault: undefined };
  const checked = checkServer({ loginWaitSeconds: app.loginWaitSeconds, ...settings }, stateDir);
  const faults = 'faults' in checked ? [...checked.faults.values()] : [];
  for (const secret of SECRET_SETTINGS) {
    const reason = unreadable[secret];
    if (reason !== undefined) faults.push(unreadableSecret(secret, reason));
  }
  return 'settings' in checked && faults.length === 0
    ? { ...described, checked: checked.settings, fault: undefined }
    : { ...described, checked: undefined, fault: faults.join(' ') };
}

function unreadableSecret(secret: (typeof SECRET_SETTINGS)[number], reason: string): string {
  const cure =
    secret === 'clientSecret' ? 'edit this server and enter it again' : 'write it into settings.json again';
  return `${nameOf(secret)} cannot be read; ${cure}. ${reason}`;
}

function spokenOf(server: ServerConfiguration): Neighbour {
  return server.source === 'environment' ? { ...server, name: 'the server from the environment' } : server;
}

function withClashes(server: ServerConfiguration, before: readonly Neighbour[]): ServerConfiguration {
  if (!server.checked) return server;
  const found = clashes(server.checked, before);
  const sameLogin = found.get('upstreamMcpUrl');
  if (sameLogin !== undefined) return { ...server, checked: undefined, fault: sameLogin };
  return { ...server, portClash: found.get('port') };
}

function firstPortBeside(servers: readonly StoredServer[]): number {
  const taken = new Set(servers.map(({ settings }) => portOf(settings)));
  let port = FIRST_PORT;
  while (taken.has(port)) port++;
  return port;
}
