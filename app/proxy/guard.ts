import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { addressClass } from '../address.ts';
import { MAX_HEADER_FIELDS, MAX_TARGET_BYTES } from '../limits.ts';
import type { Settings } from '../settings.ts';
import type { Refusal } from './refusals.ts';

type GuardSettings = Pick<Settings, 'bind' | 'proxyApiKey' | 'allowedHosts' | 'allowedOrigins'>;

/** Decides who may talk to us. It looks at the head of a request only; no body has been read. */
export interface Guard {
  /** Host, Origin and target: the rules for every request. */
  judge(request: IncomingMessage): Refusal | undefined;
  /** Whether a browser sends this on behalf of another site; for requests that change the login. */
  judgeSite(request: IncomingMessage): Refusal | undefined;
  /**
   * The same for a request that will be proxied. Browsers name the origin of what a script sends, and it was judged; they
   * leave it out where a page of another site has a link, a frame or an image here, which would be asked for with the token.
   */
  judgeCaller(request: IncomingMessage): Refusal | undefined;
  /** The API key of a request that will be proxied. */
  judgeKey(request: IncomingMessage): Refusal | undefined;
  /** The API key of any other request: asked for from peers that are not on this machine. */
  judgeKeyOfPeer(request: IncomingMessage): Refusal | undefined;
  /** Headers that let an allowed web origin read the answer (Fetch standard, CORS protocol); else `undefined`. */
  corsHeaders(request: IncomingMessage): OutgoingHttpHeaders | undefined;
}

const REFUSALS = {
  version: {
    code: 'bad_request',
    status: 400,
    message: 'Only HTTP/1.1 and HTTP/1.0 are spoken here; send the request as HTTP/1.1.',
  },
  framing: {
    code: 'bad_request',
    status: 400,
    message:
      'Where the request body ends, or how it is coded, cannot be passed on; send it with Content-Length, or by HTTP/1.1 as chunked alone.',
  },
  badTarget: {
    code: 'bad_request',
    status: 400,
    message: 'The request target is not a path; send it like /mcp.',
  },
  trace: {
    code: 'bad_request',
    status: 400,
    message: 'TRACE is not forwarded: its answer would hold the access token; use another method.',
  },
  longTarget: {
    code: 'too_large',
    status: 431,
    message: `The request target is longer than ${MAX_TARGET_BYTES / 1024} KiB; shorten the URL.`,
  },
  manyFields: {
    code: 'too_large',
    status: 431,
    message: `The request has more than ${MAX_HEADER_FIELDS} header fields; send fewer.`,
  },
  host: {
    code: 'forbidden_host',
    status: 421,
    message:
      'This Host is not served here; use 127.0.0.1 or localhost with the right port, or name it in ALLOWED_HOSTS.',
  },
  origin: {
    code: 'forbidden_origin',
    status: 403,
    message: 'Calls from this web origin are refused; if you trust it, name it in ALLOWED_ORIGINS.',
  },
  site: {
    code: 'cross_site',
    status: 403,
    message: 'Another web site may not log you in or out; open the address in a browser tab of its own.',
  },
  call: {
    code: 'cross_site',
    status: 403,
    message:
      'Another web site may not have the MCP server called by a link, a frame or an image; call it by a script of an origin that ALLOWED_ORIGINS names.',
  },
  key: {
    code: 'invalid_api_key',
    status: 401,
    message: 'The API key is missing or wrong; send PROXY_API_KEY as "Authorization: Bearer" or "X-Api-Key".',
  },
} as const satisfies Record<string, Refusal>;

/**
 * Builds the guard of a listener.
 * @param port the port that is really listened on
 */
export function createGuard(settings: GuardSettings, port: number): Guard {
  const hosts = allowedHosts(settings, port);
  // A TLS front that was named in ALLOWED_HOSTS serves our own pages by `https:`.
  const ownOrigins = new Set([...hosts].flatMap((host) => [`http://${host}`, `https://${host}`]));
  const origins = new Set(settings.allowedOrigins);
  const judgeKey = keyJudge(settings.proxyApiKey);
  return {
    judge: (request) => {
      // Node's parser takes any digits for a version.
      if (request.httpVersion !== '1.1' && request.httpVersion !== '1.0') return REFUSALS.version;
      if (isMisframed(request)) return REFUSALS.framing;
      // RFC 9110 §9.3.8: a TRACE must not carry credentials, as they come back in the answer.
      if (request.method === 'TRACE') return REFUSALS.trace;
      const target = request.url ?? '';
      if (target.length > MAX_TARGET_BYTES) return REFUSALS.longTarget;
      if (!target.startsWith('/')) return REFUSALS.badTarget;
      if (request.rawHeaders.length > 2 * MAX_HEADER_FIELDS) return REFUSALS.manyFields;
      const { host, origin } = request.headers;
      if (host === undefined || !hosts.has(host.toLowerCase()) || repeats(request.rawHeaders, 'host'))
        return REFUSALS.host;
      if (origin !== undefined && !ownOrigins.has(origin) && !origins.has(origin)) return REFUSALS.origin;
      return undefined;
    },
    judgeSite: (request) => (isOfAnotherSite(request) ? REFUSALS.site : undefined),
    judgeCaller: (request) =>
      request.headers.origin === undefined && isOfAnotherSite(request) ? REFUSALS.call : undefined,
    judgeKey,
    judgeKeyOfPeer: (request) =>
      addressClass(request.socket.remoteAddress ?? '0.0.0.0') === 'loopback' ? undefined : judgeKey(request),
    corsHeaders: ({ method, headers }) => {
      const { origin } = headers;
      if (origin === undefined || !origins.has(origin)) return undefined;
      const answer: OutgoingHttpHeaders = {
        'access-control-allow-origin': origin,
        'access-control-expose-headers': 'Mcp-Session-Id, Mcp-Protocol-Version, Retry-After',
        vary: 'Origin',
      };
      const asked = headers['access-control-request-headers'];
      if (method === 'OPTIONS' && headers['access-control-request-method'] !== undefined) {
        answer['access-control-allow-methods'] = 'GET, POST, DELETE, OPTIONS';
        answer['access-control-max-age'] = '600';
        if (asked !== undefined) answer['access-control-allow-headers'] = asked;
      }
      return answer;
    },
  };
}

/**
 * RFC 9112 §6.1: a transfer coding other than chunked would be lost on the way, and HTTP/1.0 knows none at all; an empty
 * field is read in one way here and in another one elsewhere.
 */
function isMisframed({ headers, httpVersion }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding'];
  return coding !== undefined && (coding.toLowerCase() !== 'chunked' || httpVersion === '1.0');
}

/** Fetch Metadata; absent from what is no browser. */
function isOfAnotherSite({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site'];
  return site !== undefined && site !== 'none' && site !== 'same-origin';
}

/** Exact names only: a name that resolves to this machine is how DNS rebinding gets in. */
function allowedHosts({ bind, allowedHosts: further }: GuardSettings, port: number): Set<string> {
  const names = new Set(['localhost', '127.0.0.1', '[::1]']);
  if (addressClass(bind) !== 'unspecified') names.add(bind.includes(':') ? `[${bind}]` : bind);
  const local = [...names].flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`]));
  // A name without a port stands for the default one of whatever is in front, and for ours.
  return new Set([
    ...local,
    ...further.flatMap((name) => (/:\d+$/.test(name) ? [name] : [name, `${name}:${port}`])),
  ]);
}

function repeats(rawHeaders: readonly string[], name: string): boolean {
  let seen = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.length === name.length && rawHeaders[i]?.toLowerCase() === name) seen++;
  }
  return seen > 1;
}

function keyJudge(key: string | undefined): Guard['judgeKey'] {
  if (key === undefined) return () => undefined;
  const expected = digest(key);
  // Digests have one length, so that the comparison takes the same time whatever was sent.
  const matches = (sent: string) => timingSafeEqual(digest(sent), expected);
  return ({ headers }) => {
    const bearer = /^Bearer +([^ ]+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
    const plain = headers['x-api-key'];
    const ofBearer = matches(bearer);
    const ofPlain = matches(typeof plain === 'string' ? plain : '');
    return ofBearer || ofPlain ? undefined : REFUSALS.key;
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
