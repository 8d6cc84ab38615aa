import { checkSettings, type Settings, SettingsError, settingOf } from '../../app/settings.ts';
import type { Members } from './document.ts';
import type { SecretName } from './server-secrets.ts';

/** The port of a server that names none, and the first that is tried for a new one. */
export const FIRST_PORT = 5177;

/** A server of the settings file. Its settings are as they were written; {@link checkSettings} judges them. */
export interface StoredServer {
  readonly id: string;
  /** What the person calls it. */
  readonly name: string | undefined;
  /** By their names in settings.ts, secrets in the clear, unknown ones included. */
  readonly settings: Members;
  /** The secrets that are in the file and cannot be read, with the reason. */
  readonly unreadable: Readonly<Partial<Record<SecretName, string>>>;
  /** Whether the system has not given out all secrets yet; it may be asking the person. */
  readonly isOpening: boolean;
}

/**
 * What a person wants a server to be. A secret that is not among its settings stays as it is, an empty one is taken
 * out; any other setting that is not there is taken out.
 */
export type ServerDraft = Pick<StoredServer, 'name' | 'settings'>;

/** A server that there is already, in the settings file or from the environment. */
export type Neighbour = Pick<StoredServer, 'id' | 'name'> & { readonly settings: Members };

/** The settings the window's form has a field for, by the words of that field; any other goes by its name in the file. */
const LABELS: Readonly<Record<string, string>> = {
  upstreamMcpUrl: 'URL of the MCP server',
  port: 'Local port',
  scopes: 'Scopes',
  profile: 'Profile',
  clientId: 'Client ID',
  clientSecret: 'Client secret',
  authorizationEndpoint: 'Authorization endpoint',
  tokenEndpoint: 'Token endpoint',
  issuer: 'Issuer',
  probePath: 'Probe path',
};

const MARK = '\u0000';
const MARKED = new RegExp(`${MARK}(\\w*)${MARK}`, 'g');

/** What a setting is called in messages. */
export function nameOf(setting: string): string {
  return LABELS[setting] ?? setting;
}

/** A variable's name, and what it is to be set to where a sentence says so. */
const VARIABLE = /\b([A-Z]+(?:_[A-Z]+)+|BIND|PORT|ISSUER|SCOPES|PROFILE)\b(?:=([a-z-]+))?/g;

/**
 * Says a broker's sentence in the words of the window: a variable goes by the name of its field, or by that in
 * settings.json where the form has none. `STATE_DIR` is a variable of the app, too, and stays.
 */
export function inWindowWords(sentence: string): string {
  return sentence.replace(VARIABLE, (whole, variable: string, value: string | undefined) => {
    const setting = variable === 'STATE_DIR' ? undefined : settingOf(variable);
    if (setting === undefined) return whole;
    const label = LABELS[setting];
    if (label !== undefined) return value === undefined ? `"${label}"` : `"${label}" to ${value}`;
    return value === undefined
      ? `"${setting}" of settings.json`
      : `"${setting}" in settings.json to ${value}`;
  });
}

/** Faults by setting, one sentence each; `''` for what belongs to none. */
export type SettingFaults = ReadonlyMap<string, string>;

/**
 * Checks the settings of one server by themselves.
 * @param stateDir where its files lie unless it says otherwise
 */
export function checkServer(
  settings: Members,
  stateDir: string,
): { readonly settings: Settings } | { readonly faults: SettingFaults } {
  if (text(settings.upstreamMcpUrl) === '') {
    const fault = 'Enter the URL of the MCP server, e.g. https://mcp.example.com/mcp.';
    return { faults: new Map([['upstreamMcpUrl', fault]]) };
  }
  try {
    // A sentence names its setting first; the mark tells which one that was.
    const marked = (name: string) => `${MARK}${name}${MARK}`;
    return { settings: checkSettings(settings, { nameOf: marked, defaultStateDir: stateDir }) };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const faults = new Map<string, string>();
    for (const sentence of error.faults) {
      const [, name = ''] = new RegExp(MARKED.source).exec(sentence) ?? [];
      if (!faults.has(name))
        faults.set(
          name,
          sentence.replace(MARKED, (_, setting) => nameOf(setting)),
        );
    }
    return { faults };
  }
}

/** What keeps a server from running beside others; see {@link checkServer} for faults of its own. */
export function clashes(settings: Members, others: readonly Neighbour[]): SettingFaults {
  const faults = new Map<string, string>();
  const port = portOf(settings);
  const samePort = port === 0 ? undefined : others.find((other) => portOf(other.settings) === port);
  if (samePort) {
    faults.set('port', `${nameOf('port')} ${port} belongs to ${shownName(samePort)}; take another one.`);
  }
  const login = loginOf(settings);
  const sameLogin = others.find((other) => loginOf(other.settings) === login);
  if (sameLogin && login !== undefined) {
    faults.set(
      'upstreamMcpUrl',
      `The same URL and profile belong to ${shownName(sameLogin)}; give this one another profile.`,
    );
  }
  return faults;
}

/** The local port of a server, as far as its settings say one; `NaN` for what is no number. */
export function portOf(settings: Members): number {
  const port: unknown = settings.port ?? FIRST_PORT;
  return typeof port === 'number' || /^\s*\d+\s*$/.test(text(port)) ? Number(port) : Number.NaN;
}

/** What a server is called: as the person said, else after the upstream's host and the profile. */
export function shownName({ name, settings }: Pick<Neighbour, 'name' | 'settings'>): string {
  if (name !== undefined) return name;
  const { host } = shownUpstream(settings);
  const profile = text(settings.profile);
  const suffix = profile === '' || profile === 'default' ? '' : ` (${profile})`;
  return (host || 'Unnamed server') + suffix;
}

/** The upstream's URL without its query, and its host; empty where it is no URL. */
export function shownUpstream(settings: Members): { upstream: string; host: string } {
  const url = text(settings.upstreamMcpUrl);
  if (!URL.canParse(url)) return { upstream: '', host: '' };
  const { origin, pathname, host } = new URL(url);
  return origin === 'null' ? { upstream: '', host: '' } : { upstream: origin + pathname, host };
}

/** The login that a server uses: one per upstream and profile; `undefined` for what is no URL. */
export function loginOf(settings: Members): string | undefined {
  const url = text(settings.upstreamMcpUrl);
  if (!URL.canParse(url)) return undefined;
  return `${new URL(url).href} ${text(settings.profile) || 'default'}`;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.trim() : '';
}
