import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { LOG_LEVELS } from '../../app/log.ts';
import { SettingsError } from '../../app/settings.ts';
import type { AppSettings } from '../view.ts';

/** The version of settings.json that this app writes. */
export const SETTINGS_VERSION = 1;

/** The server that comes from the environment has this id; none of the file's has it. */
export const ENVIRONMENT_ID = 'environment';

/** Members as they stand in the file, those of other versions among them. */
export type Members = Readonly<Record<string, unknown>>;

/** A server as it stands in the file: its secrets are sealed or as a person wrote them, nothing else is checked. */
export type ServerEntry = Members & { readonly id: string };

/** settings.json as it was read or is to be written. What is no {@link ServerEntry} is kept where it stands. */
export interface SettingsDocument extends Members {
  readonly version: number;
  readonly servers: readonly unknown[];
}

const WAIT_FAULT = 'must be a whole number of seconds from 0 to 600';
const wait = v.pipe(
  v.number(WAIT_FAULT),
  v.integer(WAIT_FAULT),
  v.minValue(0, WAIT_FAULT),
  v.maxValue(600, WAIT_FAULT),
);

const APP_SETTINGS: { readonly [Name in keyof AppSettings]: v.GenericSchema<unknown, AppSettings[Name]> } = {
  loginWay: v.picklist(['popup', 'browser'], 'must be popup or browser'),
  loginWaitSeconds: wait,
  loginOnDemand: v.boolean('must be true or false'),
  lookForNewVersions: v.boolean('must be true or false'),
  logLevel: v.picklist(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`),
};

export const DEFAULT_APP_SETTINGS: AppSettings = Object.freeze({
  loginWay: 'popup',
  loginWaitSeconds: 20,
  loginOnDemand: false,
  lookForNewVersions: true,
  logLevel: 'info',
});

export const EMPTY_DOCUMENT: SettingsDocument = Object.freeze({ version: SETTINGS_VERSION, servers: [] });

/** A file that a person began may say no version yet. */
const DOCUMENT = v.object({
  version: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), SETTINGS_VERSION),
  servers: v.optional(v.array(v.unknown()), () => []),
});

/** Far beyond what anybody writes: JSON of any depth can be read, and cannot be written again. */
const MAX_DEPTH = 100;

const SHAPE_FAULTS: Readonly<Record<string, string>> = {
  version: 'its "version" is not a whole number above 0',
  servers: 'its "servers" is not a list',
};

/**
 * Reads the text of settings.json. Every server gets an id that has none of its own; it is the same at each reading.
 * @returns `fault`: why it is not such a file, as the end of a sentence that quotes nothing of it
 */
export function parseDocument(text: string): { document: SettingsDocument } | { fault: string } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { fault: `it is not valid JSON${placeOf(error, text)}` };
  }
  if (!isMembers(json)) return { fault: 'it is not a JSON object' };
  if (isDeeperThan(MAX_DEPTH, json)) return { fault: 'it is nested too deeply' };
  const parsed = v.safeParse(DOCUMENT, json);
  if (!parsed.success) {
    const member = String(parsed.issues[0].path?.[0]?.key);
    return { fault: SHAPE_FAULTS[member] ?? 'it has another form' };
  }
  const { version, servers } = parsed.output;
  return { document: { ...json, version, servers: withIds(servers) } };
}

/** The text that {@link parseDocument} reads. */
export function serializeDocument(document: SettingsDocument): string {
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** The entries that are servers, in their order. */
export function entriesOf(document: SettingsDocument): readonly ServerEntry[] {
  return document.servers.filter(isEntry);
}

/**
 * The app's settings that a document holds; the default stands in for what is missing or wrong.
 * @returns also one sentence for each that is wrong
 */
export function appSettingsOf(document: SettingsDocument): { settings: AppSettings; faults: string[] } {
  const faults: string[] = [];
  const settings: Partial<Record<keyof AppSettings, unknown>> = {};
  for (const name of settingNames()) {
    const value = document[name];
    const fault = value === undefined ? undefined : faultOf(name, value);
    if (fault !== undefined) faults.push(fault);
    settings[name] = value === undefined || fault !== undefined ? DEFAULT_APP_SETTINGS[name] : value;
  }
  return { settings: settings as AppSettings, faults };
}

/**
 * Checks changes of the app's settings.
 * @returns the members that are to be changed
 * @throws {SettingsError} with every fault found
 */
export function checkAppSettings(changes: Partial<AppSettings>): Partial<AppSettings> {
  const given = settingNames().filter((name) => changes[name] !== undefined);
  const faults = given.map((name) => faultOf(name, changes[name])).filter((fault) => fault !== undefined);
  if (faults.length > 0) throw new SettingsError(faults);
  return Object.fromEntries(given.map((name) => [name, changes[name]]));
}

/** Members with some of them changed; `undefined` takes one out. */
export function withMembers<M extends Members>(members: M, changes: Members): M {
  const changed = { ...members, ...changes };
  return Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined)) as M;
}

/** The document with another entry in the place of each server; `undefined` takes it out. */
export function mapEntries(
  document: SettingsDocument,
  map: (entry: ServerEntry) => ServerEntry | undefined,
): SettingsDocument {
  const servers = document.servers.map((entry) => (isEntry(entry) ? map(entry) : entry));
  return { ...document, servers: servers.filter((entry) => entry !== undefined) };
}

function settingNames(): ReadonlyArray<keyof AppSettings> {
  return Object.keys(APP_SETTINGS) as Array<keyof AppSettings>;
}

function faultOf(name: keyof AppSettings, value: unknown): string | undefined {
  const result = v.safeParse(APP_SETTINGS[name], value);
  return result.success ? undefined : `${name} ${result.issues[0].message}.`;
}

function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeperThan(levels - 1, member));
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEntry(value: unknown): value is ServerEntry {
  return isMembers(value) && typeof value.id === 'string';
}

/** Ids that are missing or there twice are replaced by ones that follow from what the server is. */
function withIds(servers: readonly unknown[]): readonly unknown[] {
  const taken = new Set<string>([ENVIRONMENT_ID]);
  return servers.map((entry) => {
    if (!isMembers(entry)) return entry;
    const id = isUsableId(entry.id) && !taken.has(entry.id) ? entry.id : derivedId(entry, taken);
    taken.add(id);
    return { ...entry, id };
  });
}

function isUsableId(id: unknown): id is string {
  return typeof id === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(id);
}

function derivedId(entry: Members, taken: ReadonlySet<string>): string {
  const seed = JSON.stringify([entry.upstreamMcpUrl, entry.profile]);
  for (let count = 0; ; count++) {
    const id = createHash('sha256').update(`${seed}${count}`).digest('hex').slice(0, 8);
    if (!taken.has(id)) return id;
  }
}

/** The parser's own words would quote the text, and a secret with it. */
function placeOf(error: unknown, text: string): string {
  const [, position] = /at position (\d+)/.exec(error instanceof Error ? error.message : '') ?? [];
  if (position === undefined) return '';
  return ` (line ${text.slice(0, Number(position)).split('\n').length})`;
}
