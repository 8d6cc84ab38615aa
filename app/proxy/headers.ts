/**
 * What crosses between MCP client and upstream, in both directions; nobody else decides it. Header lists are flat:
 * name, value, name, value, each character one byte (latin1), in the order and spelling they arrived in.
 */

/** Meant for one connection only (RFC 9110 §7.6.1), and what the connection's own rules replace. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'];

/** Stays here on the way up. `content-length` is set anew from the body that is sent. */
const NOT_UPWARDS = new Set([
  ...HOP_BY_HOP,
  'authorization',
  'content-length',
  'cookie',
  'expect',
  'host',
  'http2-settings',
  'origin',
]);

/** Stays here on the way down: what would act on the local origin instead of the upstream's. */
const NOT_DOWNWARDS = new Set([
  ...HOP_BY_HOP,
  'alt-svc',
  'clear-site-data',
  'nel',
  'report-to',
  'service-worker-allowed',
  'set-cookie',
  'strict-transport-security',
]);

export interface UpwardHeaders {
  readonly accessToken: string | undefined;
  /** `PROXY_API_KEY`: when it is set, `X-Api-Key` is ours. */
  readonly apiKeyInUse: boolean;
  /** Asks for an uncompressed answer, because an event in it may have to be rewritten. */
  readonly plainAnswer: boolean;
  /** Length of a body that is streamed, when the client told it. */
  readonly contentLength: string | undefined;
}

/** The headers of a request to the upstream. */
export function upwardHeaders(raw: readonly string[], options: UpwardHeaders): string[] {
  const named = namedByConnection(raw);
  const headers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const lower = name.toLowerCase();
    if (NOT_UPWARDS.has(lower) || lower.startsWith('proxy-') || named?.has(lower)) continue;
    if (options.apiKeyInUse && lower === 'x-api-key') continue;
    if (options.plainAnswer && lower === 'accept-encoding') continue;
    headers.push(name, raw[i + 1] ?? '');
  }
  if (options.plainAnswer) headers.push('Accept-Encoding', 'identity');
  if (options.contentLength !== undefined) headers.push('Content-Length', options.contentLength);
  if (options.accessToken !== undefined) headers.push('Authorization', `Bearer ${options.accessToken}`);
  return headers;
}

export interface DownwardHeaders {
  /** Maps a `Location` below the upstream's base path to the local one; `undefined` leaves it as it is. */
  readonly localLocation: (location: string) => string | undefined;
  /** Whether the body's length may change on its way, or must not be told. */
  readonly bodyMayChange: boolean;
}

/** The headers of the response to the MCP client. */
export function downwardHeaders(raw: readonly Buffer[], options: DownwardHeaders): string[] {
  const pairs = raw.map((bytes) => bytes.toString('latin1'));
  const named = namedByConnection(pairs);
  const headers: string[] = [];
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const name = pairs[i] ?? '';
    const value = pairs[i + 1] ?? '';
    const lower = name.toLowerCase();
    if (NOT_DOWNWARDS.has(lower) || lower.startsWith('proxy-') || lower.startsWith('access-control-'))
      continue;
    if (named?.has(lower) || (options.bodyMayChange && lower === 'content-length')) continue;
    headers.push(name, lower === 'location' ? (options.localLocation(value) ?? value) : value);
  }
  return headers;
}

/** The values of one header field in a raw list, in order. */
export function valuesOf(raw: readonly Buffer[], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.length === name.length && raw[i]?.toString('latin1').toLowerCase() === name) {
      values.push(raw[i + 1]?.toString('latin1') ?? '');
    }
  }
  return values;
}

/** Header fields that `Connection` declares to be hop-by-hop too (RFC 9110 §7.6.1). */
function namedByConnection(pairs: readonly string[]): Set<string> | undefined {
  let named: Set<string> | undefined;
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    if (pairs[i]?.length !== 10 || pairs[i]?.toLowerCase() !== 'connection') continue;
    named ??= new Set();
    for (const option of (pairs[i + 1] ?? '').split(',')) named.add(option.trim().toLowerCase());
  }
  return named;
}
