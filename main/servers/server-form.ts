import type { Outcome, ServerForm, ServerInput } from '../ipc/contract.ts';
import { separate, withoutEmptySecrets } from '../settings/server-secrets.ts';
import {
  checkServer,
  clashes,
  FIRST_PORT,
  type Neighbour,
  nameOf,
  portOf,
  type ServerDraft,
  type SettingFaults,
  type StoredServer,
  shownName,
} from '../settings/server-settings.ts';
import { findFreePort } from './free-port.ts';

type Faults = Extract<Outcome, { ok: false }>['faults'];

/** What the window's form has a text field for and the settings know by the same name. */
const TEXT_FIELDS = [
  'upstreamMcpUrl',
  'scopes',
  'profile',
  'clientId',
  'authorizationEndpoint',
  'tokenEndpoint',
  'issuer',
  'probePath',
] as const satisfies ReadonlyArray<keyof ServerInput>;

/** What decides where a client secret is sent. */
const DESTINATION = ['upstreamMcpUrl', 'tokenEndpoint', 'issuer'] as const satisfies ReadonlyArray<
  (typeof TEXT_FIELDS)[number]
>;

const LONGEST_NAME = 80;

/** What the form shows of a server when it is edited. */
export function formOf(server: StoredServer): ServerForm {
  const { name, settings } = server;
  const shown = (field: string) => shownIn(settings, field);
  const texts = Object.fromEntries(TEXT_FIELDS.map((field) => [field, shown(field)]));
  return {
    ...(texts as Record<(typeof TEXT_FIELDS)[number], string>),
    name: name ?? '',
    port: shown('port') || String(FIRST_PORT),
    clientSecretPresent: hasClientSecret(server),
  };
}

function shownIn(settings: StoredServer['settings'], field: string): string {
  const value = settings[field];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function hasClientSecret({ settings, unreadable }: StoredServer): boolean {
  return settings.clientSecret !== undefined || unreadable.clientSecret !== undefined;
}

/** A secret is for the server that it was entered for: nothing else that a form says may send it to another. */
function sendsSecretElsewhere(input: ServerInput, previous: StoredServer): boolean {
  const isElsewhere = DESTINATION.some(
    (field) => input[field].trim() !== shownIn(previous.settings, field).trim(),
  );
  return isElsewhere && hasClientSecret(previous);
}

/**
 * What a filled-in form makes of a server, to be handed to the settings file.
 * @param context.previous the server that is edited; what the form has no field for stays as it is
 * @param context.others all other servers there are, the environment's among them
 * @param context.stateDir the app's own folder
 * @returns the server, or what is wrong with it by field
 */
export async function storedFrom(
  input: ServerInput,
  context: { previous?: StoredServer | undefined; others: readonly Neighbour[]; stateDir: string },
): Promise<{ readonly draft: ServerDraft } | { readonly faults: Faults }> {
  const { previous, others, stateDir } = context;
  const name = input.name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ').trim();
  if (name.length > LONGEST_NAME) {
    return { faults: { name: `Name must have at most ${LONGEST_NAME} characters.` } };
  }
  const namesake =
    name !== '' && others.some((other) => shownName(other).toLowerCase() === name.toLowerCase());
  if (namesake) return { faults: { name: `Another server is called ${name} already.` } };
  const port = portFrom(input.port);
  if (port === undefined) {
    return { faults: { port: `${nameOf('port')} must be a whole number from 1 to 65535.` } };
  }
  const { plain, secrets } = separate(previous?.settings ?? {});
  const settings: Record<string, unknown> = { ...plain };
  for (const field of TEXT_FIELDS) {
    const text = input[field].trim();
    if (text === '') delete settings[field];
    else settings[field] = text;
  }
  settings.port = port === 'any' ? await anyPort(previous, others) : port;
  if (input.clientSecret !== 'keep') settings.clientSecret = input.clientSecret.value;
  else if (previous && sendsSecretElsewhere(input, previous)) {
    const fault = `${nameOf('clientSecret')} would go to another server now; enter it again, or remove it.`;
    return { faults: { clientSecret: fault } };
  }

  const checked = checkServer(withoutEmptySecrets({ ...secrets, ...settings }), stateDir);
  const faults = 'faults' in checked ? checked.faults : clashes(settings, others);
  return faults.size > 0 ? { faults: byField(faults) } : { draft: { name: name || undefined, settings } };
}

/** The same server on another port. */
export function movedTo({ name, settings }: StoredServer, port: number): ServerDraft {
  return { name, settings: { ...separate(settings).plain, port } };
}

/** @returns `any` for an empty field, `undefined` for what is no port that could be told to a client */
function portFrom(text: string): number | 'any' | undefined {
  const digits = text.trim();
  if (digits === '') return 'any';
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** The port a server has already, or the next one that nobody has. */
async function anyPort(
  previous: StoredServer | undefined,
  others: readonly Neighbour[],
): Promise<number | undefined> {
  if (previous) return portOf(previous.settings);
  return findFreePort(FIRST_PORT, { skip: new Set(others.map(({ settings }) => portOf(settings))) });
}

/** What belongs to no field of the form is told above all of them. */
function byField(faults: SettingFaults): Faults {
  const found: Partial<Record<keyof ServerInput | '', string>> = {};
  for (const [setting, fault] of faults) {
    const field = isField(setting) ? setting : '';
    found[field] = found[field] === undefined ? fault : `${found[field]} ${fault}`;
  }
  return found;
}

function isField(setting: string): setting is keyof ServerInput {
  return (
    setting === 'port' || setting === 'clientSecret' || (TEXT_FIELDS as readonly string[]).includes(setting)
  );
}
