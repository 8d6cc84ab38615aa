import { isUtf8 } from 'node:buffer';
import { MAX_ANNOUNCED_ENDPOINTS } from '../limits.ts';
import type { Refusal } from './refusals.ts';

/** Where a request wants to go: `path` for routing, with harmless escapes resolved; `raw` and `query` as they were sent. */
export interface Target {
  readonly path: string;
  readonly raw: string;
  /** With its question mark; empty when there is none. */
  readonly query: string;
}

/** Reached by clients of the 2024-11-05 transport when their upstream's message endpoint is not below its base path. */
const LEGACY_PREFIX = '/mcp/.legacy-sse/';
const SAFE_TARGET = /^[A-Za-z0-9/_-]*$/;
/** Where nearly all calls go. */
const MCP: Target = { path: '/mcp', raw: '/mcp', query: '' };

const UNSAFE: Refusal = {
  code: 'bad_request',
  status: 400,
  message:
    'The path holds segments or escapes that could lead out of the MCP server’s path; send it in its plain form.',
};

/** Splits a request target and refuses every spelling that some server might read as a way out of the base path. */
export function parseTarget(target: string): Target | Refusal {
  if (target === MCP.raw) return MCP;
  const mark = target.indexOf('?');
  const raw = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark);
  // With `//host` in front, a path is read as an address by some servers.
  if (/^(?:\/mcp)?\/\//.test(raw)) return UNSAFE;
  if (SAFE_TARGET.test(raw) && query === '') return { path: raw, raw, query };
  if (/[^\x21-\x7e]/.test(target) || target.includes('#')) return UNSAFE;
  return isSafePath(raw) ? { path: decodeOnce(raw), raw, query } : UNSAFE;
}

/**
 * A path is safe when it is so in every reading: as it stands and with its escapes resolved once or more, because what
 * stands behind the upstream's front may resolve them again.
 */
function isSafePath(raw: string): boolean {
  if (/%(?![0-9a-f]{2})/i.test(raw)) return false;
  for (let reading = raw, depth = 0; depth < 4; depth++) {
    // Bytes that are not UTF-8 may be an overlong form of a dot or a slash (RFC 3629 §10).
    if (!isUtf8(Buffer.from(reading, 'latin1'))) return false;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    if (reading.startsWith('//') || /[\\\x00-\x1f\x7f]/.test(reading)) return false;
    // `;` begins parameters of a segment for some servers: `..;x` is `..` there.
    if (plainForm(reading).some((segment) => /^\.{1,2}(?:;.*)?$/.test(segment))) return false;
    if (/%(?:2f|5c)/i.test(reading)) return false;
    const next = decodeOnce(reading);
    if (next === reading) return true;
    reading = next;
  }
  return false;
}

/** The segments of a path, with dots and slashes of other scripts as the plain ones that some servers take them for. */
function plainForm(path: string): string[] {
  return Buffer.from(path, 'latin1').toString().normalize('NFKC').split(/[/\\]/);
}

function decodeOnce(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Translates between local paths and the upstream's: the bearer goes nowhere but where these paths lead. */
export class UpstreamPaths {
  readonly origin: string;
  /** Path and query as they were given. */
  readonly #path: string;
  readonly #search: string;
  /** The base path without a slash at its end. */
  readonly #base: string;
  readonly #announced = new Set<string>();

  constructor(upstreamMcpUrl: string) {
    const { origin, pathname, search } = new URL(upstreamMcpUrl);
    this.origin = origin;
    this.#path = pathname;
    this.#search = search;
    this.#base = pathname.replace(/\/$/, '');
  }

  /** The upstream path and query of a local target; `undefined` for a message endpoint that was never announced. */
  toUpstream({ raw, query }: Target): string | undefined {
    if (raw.startsWith(LEGACY_PREFIX)) {
      const path = Buffer.from(raw.slice(LEGACY_PREFIX.length), 'base64url').toString('latin1');
      return this.#announced.has(path) ? path + query : undefined;
    }
    const rest = raw === '/mcp' || raw === '/' ? '' : raw.startsWith('/mcp/') ? raw.slice(4) : raw;
    // The upstream's own URL goes out exactly as it was given, with or without a slash at its end.
    const path = rest === '' ? this.#path : this.#base + rest;
    return path + joinQueries(this.#search, query);
  }

  /**
   * The local path of an upstream URL on or below the base path; `undefined` for any other.
   * @param location one character per byte
   * @param requested the upstream path and query that it answers
   */
  toLocal(location: string, requested: string): string | undefined {
    const base = `${this.origin}${requested}`;
    const text = Buffer.from(location, 'latin1').toString('utf8');
    if (!URL.canParse(text, base)) return undefined;
    const url = new URL(text, base);
    if (url.origin !== this.origin || !this.#isBelowBase(url.pathname)) return undefined;
    return `/mcp${url.pathname.slice(this.#base.length)}${this.#withoutOwnQuery(url.search)}${url.hash}`;
  }

  /** The local URL of a message endpoint that the upstream has announced on its own origin. */
  announce(endpoint: URL): string {
    if (this.#isBelowBase(endpoint.pathname))
      return `/mcp${endpoint.pathname.slice(this.#base.length)}${endpoint.search}`;
    const path = endpoint.pathname;
    this.#announced.delete(path);
    this.#announced.add(path);
    const oldest = this.#announced.keys().next();
    if (this.#announced.size > MAX_ANNOUNCED_ENDPOINTS && !oldest.done) this.#announced.delete(oldest.value);
    return LEGACY_PREFIX + Buffer.from(path, 'latin1').toString('base64url') + endpoint.search;
  }

  #isBelowBase(path: string): boolean {
    return path === this.#base || path.startsWith(`${this.#base}/`);
  }

  #withoutOwnQuery(search: string): string {
    return search === this.#search ? '' : search;
  }
}

function joinQueries(own: string, further: string): string {
  if (own === '' || further === '' || further === '?')
    return own + further.replace(/^\?$/, own === '' ? '?' : '');
  return `${own}&${further.slice(1)}`;
}
