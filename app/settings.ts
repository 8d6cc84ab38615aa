import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import * as v from 'valibot';
import { addressClass, isLoopbackHost, unbracket } from './address.ts';
import { LOG_LEVELS } from './log.ts';
import { userStateFolder } from './store/open-store.ts';
import { STORE_KINDS } from './store/secret-store.ts';

/** The `CLIENT_ID` that stands for "no client was configured". */
export const DEFAULT_CLIENT_ID = 'mcp-auth-proxy';

const text = v.pipe(v.string('must be text'), v.trim());

function number(min: number, max: number) {
  const fault = `must be a whole number from ${min} to ${max}`;
  return v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.trim(), v.regex(/^\d+$/), v.transform(Number))], fault),
    v.integer(fault),
    v.minValue(min, fault),
    v.maxValue(max, fault),
  );
}

const flag = v.union(
  [
    v.boolean(),
    v.pipe(
      text,
      v.toLowerCase(),
      v.picklist(['true', 'false', '1', '0', 'yes', 'no', 'on', 'off']),
      v.transform((word) => ['true', '1', 'yes', 'on'].includes(word)),
    ),
  ],
  'must be true or false',
);

function parsedUrl(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined;
}

/** An absolute URL without credentials and fragment; `https:`, or `http:` on loopback. Kept as it was written. */
const secureUrl = v.pipe(
  text,
  v.check(
    (value) => parsedUrl(value) !== undefined,
    'is not an absolute URL; write it like https://mcp.example.com/mcp',
  ),
  v.check((value) => {
    const url = parsedUrl(value);
    return !url || url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname));
  }, 'must use https: (http: is allowed on loopback only)'),
  v.check(
    (value) => !parsedUrl(value)?.username && !parsedUrl(value)?.password,
    'must not hold a user name or password; remove them',
  ),
  v.check((value) => !value.includes('#'), 'must not hold a fragment; remove "#" and what follows'),
);

const withoutQuery = v.check(
  (value: string) => !value.includes('?'),
  'must not hold a query; remove "?" and what follows',
);

function list(item: (entry: string) => string | undefined, fault: string) {
  return v.pipe(
    v.union(
      [
        v.array(v.string()),
        v.pipe(
          v.string(),
          v.transform((value) => value.split(',')),
        ),
      ],
      fault,
    ),
    v.transform((entries) => entries.map((entry) => entry.trim()).filter((entry) => entry !== '')),
    v.check((entries) => entries.every((entry) => item(entry) !== undefined), fault),
    v.transform((entries): readonly string[] => Object.freeze(entries.map((entry) => item(entry) ?? entry))),
  );
}

function hostEntry(entry: string): string | undefined {
  const url = parsedUrl(`http://${entry}`);
  return url && /^[^/?#@\\\s]+$/.test(entry) && url.hostname !== '' ? entry.toLowerCase() : undefined;
}

function originEntry(entry: string): string | undefined {
  const url = parsedUrl(entry);
  return url && url.origin !== 'null' && (entry === url.origin || entry === `${url.origin}/`)
    ? url.origin
    : undefined;
}

const RESERVED_PATHS = [
  '/',
  '/health',
  '/mcp',
  '/register',
  '/authorize',
  '/token',
  '/oauth/login',
  '/oauth/logout',
  '/oauth/status',
];

const redirectPath = v.pipe(
  text,
  v.regex(
    /^\/[A-Za-z0-9._~/-]*$/,
    'must be a path such as /oauth/callback (letters, digits, "-", ".", "_", "~", "/")',
  ),
  v.check((value) => !/(^|\/)\.{1,2}(\/|$)|\/\//.test(value), 'must not hold "." or ".." segments or "//"'),
  v.check(
    (value) => !RESERVED_PATHS.includes(value) && !/^\/(mcp|\.well-known)\//.test(value),
    'is a path with another meaning here; take one such as /oauth/callback',
  ),
);

/** One or more scope tokens (RFC 6749 §3.3). */
const scopes = v.pipe(
  text,
  v.transform((value) => value.split(/\s+/).join(' ')),
  v.regex(
    /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/,
    'must be scope names separated by spaces',
  ),
);

/** A client ID metadata document's URL (MCP authorization, client registration): https, with a path, nothing hidden. */
const clientMetadataUrl = v.pipe(
  text,
  v.check((value) => {
    const url = parsedUrl(value);
    return (
      url?.protocol === 'https:' && url.pathname !== '/' && url.href === value && !url.username && !url.hash
    );
  }, 'must be an https: URL with a path, written in its plain form, e.g. https://example.com/mcp-auth-proxy.json'),
);

const certificates = v.pipe(
  text,
  v.transform((file) => path.resolve(file)),
  v.check((file) => {
    try {
      return new X509Certificate(readFileSync(file)).raw.length > 0;
    } catch {
      return false;
    }
  }, 'is not a readable PEM file of certificates; check the path and the file'),
);

const bindAddress = v.pipe(
  text,
  v.transform((value) => (value === 'localhost' ? '127.0.0.1' : unbracket(value))),
  v.check((value) => isIP(value) !== 0, 'must be an IP address such as 127.0.0.1 or ::1'),
);

/** What may stand in an HTTP header as a credential (RFC 6750 §2.1 allows less; keys of other tools allow more). */
const headerSecret = v.pipe(
  v.string('must be text'),
  v.regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces'),
  v.minLength(8, 'must have at least 8 characters'),
);

const httpProxy = v.pipe(
  text,
  v.check(
    (value) => /^https?:$/.test(parsedUrl(value)?.protocol ?? ''),
    'must be a URL such as http://proxy.example.com:3128',
  ),
);

const SCHEMA = v.object({
  upstreamMcpUrl: secureUrl,
  port: v.optional(number(0, 65535), 5177),
  bind: v.optional(bindAddress, '127.0.0.1'),
  publicBaseUrl: v.optional(v.pipe(secureUrl, withoutQuery)),
  redirectPath: v.optional(redirectPath, '/oauth/callback'),
  keychainService: v.optional(
    v.pipe(text, v.regex(/^[\x20-\x7e]{1,128}$/, 'must be 1 to 128 printable ASCII characters')),
    'mcp-auth-proxy-refresh-token',
  ),
  scopes: v.optional(scopes),
  probePath: v.optional(v.pipe(text, v.regex(/^[\x21-\x7e]+$/, 'must be a path without spaces'))),
  authorizationEndpoint: v.optional(secureUrl),
  tokenEndpoint: v.optional(secureUrl),
  issuer: v.optional(v.pipe(secureUrl, withoutQuery)),
  clientId: v.optional(v.pipe(text, v.regex(/^[\x20-\x7e]+$/, 'must be printable ASCII')), DEFAULT_CLIENT_ID),
  clientSecret: v.optional(
    v.pipe(v.string('must be text'), v.regex(/^[\x20-\x7e]+$/, 'must be printable ASCII')),
  ),
  clientMetadataUrl: v.optional(clientMetadataUrl),
  autoRegisterClient: v.optional(flag, true),
  stateDir: v.optional(
    v.pipe(
      text,
      v.transform((folder) => path.resolve(folder)),
    ),
  ),
  tokenStore: v.optional(
    v.picklist(['auto', ...STORE_KINDS], `must be one of auto, ${STORE_KINDS.join(', ')}`),
    'auto',
  ),
  tokenStoreKey: v.optional(
    v.pipe(v.string('must be text'), v.minLength(8, 'must have at least 8 characters')),
  ),
  proxyApiKey: v.optional(headerSecret),
  allowedHosts: v.optional(
    list(
      hostEntry,
      'must be host names such as proxy.example.com or proxy.example.com:8443, separated by commas',
    ),
    () => [],
  ),
  allowedOrigins: v.optional(
    list(originEntry, 'must be web origins such as https://app.example.com, separated by commas'),
    () => [],
  ),
  profile: v.optional(
    v.pipe(text, v.regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, "-", "." or "_"')),
    'default',
  ),
  loginWaitSeconds: v.optional(number(0, 600), 0),
  notAuthenticatedStatus: v.optional(
    v.union(
      [
        v.pipe(
          v.union([v.literal(200), v.literal('200')]),
          v.transform(() => 200 as const),
        ),
        v.pipe(
          v.union([v.literal(401), v.literal('401')]),
          v.transform(() => 401 as const),
        ),
      ],
      'must be 200 or 401',
    ),
    200,
  ),
  requirePkceMetadata: v.optional(flag, true),
  upstreamTimeoutSeconds: v.optional(number(0, 86_400), 300),
  extraCaCerts: v.optional(certificates),
  httpsProxy: v.optional(httpProxy),
  noProxy: v.optional(text),
  logLevel: v.optional(v.picklist(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`), 'info'),
});

type Output = v.InferOutput<typeof SCHEMA>;

const SETTINGS = Object.keys(SCHEMA.entries) as ReadonlyArray<keyof Output>;

/** Everything one broker needs to know, checked and frozen. Durations are in seconds. */
export type Settings = Readonly<Output & { stateDir: string }>;

/** The settings that are secrets; their values are never shown, not even in a fault. */
export const SECRET_SETTINGS = [
  'clientSecret',
  'tokenStoreKey',
  'proxyApiKey',
] as const satisfies ReadonlyArray<keyof Settings>;

/** Bad settings. `faults` holds one sentence per fault: the variable, what is wrong, what to do. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

/**
 * Reads a broker's settings from environment variables. An empty variable counts as absent.
 * @throws {SettingsError} with every fault found
 */
export function settingsFromEnvironment(
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): Settings {
  const input: Record<string, string> = {};
  for (const name of SETTINGS) {
    const variable = variableOf(name);
    const value = env[variable] ?? (variable.endsWith('_PROXY') ? env[variable.toLowerCase()] : undefined);
    if (value !== undefined && value.trim() !== '') input[name] = value;
  }
  return checkSettings(input, { nameOf: variableOf, defaultStateDir: userStateFolder(platform, env) });
}

/**
 * Takes the secrets out of an environment whose settings were read: no child inherits them from then on, and no
 * diagnostic report of Node lists them.
 */
export function forgetSecrets(env: NodeJS.ProcessEnv): void {
  for (const name of SECRET_SETTINGS) delete env[variableOf(name)];
}

/**
 * Checks raw settings, as they stand in a file or were gathered from the environment.
 * @param options.nameOf what a setting is called in messages
 * @throws {SettingsError} with every fault found
 */
export function checkSettings(
  input: Readonly<Record<string, unknown>>,
  options: { nameOf?: (name: string) => string; defaultStateDir: string },
): Settings {
  const nameOf = options.nameOf ?? ((name) => name);
  const result = v.safeParse(SCHEMA, input);
  if (!result.success) {
    const faults = new Map<string, string>();
    for (const issue of result.issues) {
      const name = String(issue.path?.[0]?.key ?? '');
      if (!faults.has(name)) faults.set(name, faultOf(name, nameOf(name), input[name], issue.message));
    }
    throw new SettingsError([...faults.values(), ...crossFaults(result.output as Partial<Settings>, nameOf)]);
  }
  const settings: Settings = {
    ...result.output,
    stateDir: result.output.stateDir ?? options.defaultStateDir,
  };
  const faults = crossFaults(settings, nameOf);
  if (faults.length > 0) throw new SettingsError(faults);
  return Object.freeze(settings);
}

/** Faults of settings that only show beside each other. Any of them may be of the wrong kind still. */
function crossFaults(settings: Partial<Settings>, nameOf: (name: string) => string): string[] {
  const faults: string[] = [];
  const { authorizationEndpoint, tokenEndpoint } = settings;
  if ((authorizationEndpoint === undefined) !== (tokenEndpoint === undefined)) {
    const [there, missing] =
      authorizationEndpoint === undefined
        ? ['tokenEndpoint', 'authorizationEndpoint']
        : ['authorizationEndpoint', 'tokenEndpoint'];
    faults.push(
      `${nameOf(there)} is set without ${nameOf(missing)}; set both, or neither to let discovery find them.`,
    );
  }
  if (settings.clientSecret !== undefined && settings.clientId === DEFAULT_CLIENT_ID) {
    faults.push(
      `${nameOf('clientSecret')} is set without ${nameOf('clientId')}; set the client ID the secret belongs to.`,
    );
  }
  const { bind } = settings;
  const exposed = bind !== undefined && isIP(bind) !== 0 && addressClass(bind) !== 'loopback';
  if (exposed && settings.proxyApiKey === undefined) {
    faults.push(
      `${nameOf('bind')} is not a loopback address, so anyone on the network could use your login; set ${nameOf('proxyApiKey')} too, or bind to 127.0.0.1.`,
    );
  }
  return faults;
}

function faultOf(name: string, shown: string, value: unknown, message: string): string {
  if (value === undefined) {
    return name === 'upstreamMcpUrl'
      ? `${shown} is not set; set it to the URL of the MCP server, e.g. ${shown}=https://mcp.example.com/mcp.`
      : `${shown} is missing.`;
  }
  const secret = (SECRET_SETTINGS as readonly string[]).includes(name) || String(value).includes('@');
  return `${shown}${secret ? '' : ` "${printable(value)}"`} ${message}.`;
}

function printable(value: unknown): string {
  return String(value)
    .replace(/([?#]).*/s, '$1…')
    .replace(/[^\x20-\x7e…]/g, '?')
    .slice(0, 120);
}

/** The setting that a variable stands for: `upstreamMcpUrl` for `UPSTREAM_MCP_URL`; `undefined` when it is none of ours. */
export function settingOf(variable: string): keyof Settings | undefined {
  return SETTINGS.find((name) => variableOf(name) === variable);
}

/** `upstreamMcpUrl` becomes `UPSTREAM_MCP_URL`. */
function variableOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
