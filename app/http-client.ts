import { lookup as systemLookup } from 'node:dns';
import { readFileSync } from 'node:fs';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { rootCertificates } from 'node:tls';
import { Agent, buildConnector, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { type AddressClass, addressClass, isLoopbackHost, unbracket } from './address.ts';
import { HttpFailure, type HttpRequest } from './oauth/http.ts';
import type { Settings } from './settings.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** Headers of one upstream response, in bytes; the same bound as for requests. */
const MAX_HEADER_BYTES = 64 * 1024;
/** The largest metadata document, registration or token response that is read, in bytes. */
const MAX_BODY_BYTES = 256 * 1024;
/** An authorization server has this long for a whole answer. */
const ANSWER_TIMEOUT_MS = 10_000;

/** The connections of one broker: one pool to the upstream, one to everything that has to do with authorization. */
export interface HttpClient {
  /** Carries MCP calls. Streams have no body time-out. */
  readonly upstream: Dispatcher;
  /** Carries discovery, registration and token requests; see {@link HttpRequest}. */
  readonly request: HttpRequest;
  /** Ends idle connections and aborts what is under way. */
  close(): Promise<void>;
}

/** Opens a broker's connection pools by its settings (time-outs, further CAs, proxy, address rules). */
export function createHttpClient(settings: Settings): HttpClient {
  const tls = settings.extraCaCerts ? { ca: certificateAuthorities(settings.extraCaCerts) } : {};
  const common = {
    maxHeaderSize: MAX_HEADER_BYTES,
    bodyTimeout: 0,
    keepAliveTimeout: 30_000,
    // An upstream's own hint (`Keep-Alive: timeout=`) is honoured up to here.
    keepAliveMaxTimeout: 300_000,
  };
  const dispatcher = (options: Agent.Options, connect: buildConnector.BuildOptions): Dispatcher =>
    settings.httpsProxy === undefined
      ? new Agent({ ...options, connect: noteBytesRead(buildConnector(connect)) })
      : new EnvHttpProxyAgent({
          ...options,
          httpProxy: settings.httpsProxy,
          httpsProxy: settings.httpsProxy,
          noProxy: [settings.noProxy, 'localhost,127.0.0.1,[::1]'].filter(Boolean).join(','),
          requestTls: tls,
          proxyTls: tls,
          connect,
        });
  const upstream = dispatcher(
    { ...common, headersTimeout: settings.upstreamTimeoutSeconds * 1000 },
    { ...tls, timeout: CONNECT_TIMEOUT_MS },
  );
  const addresses = addressRule(settings);
  const authorization = dispatcher(
    { ...common, headersTimeout: ANSWER_TIMEOUT_MS, maxResponseSize: MAX_BODY_BYTES },
    { ...tls, timeout: CONNECT_TIMEOUT_MS, lookup: addresses.lookup } as buildConnector.BuildOptions,
  );
  return {
    upstream,
    request: (url, options) => requestOnce(authorization, addresses, url, options),
    close: async () => {
      await Promise.all([upstream.destroy(), authorization.destroy()]);
    },
  };
}

/** Node's own list, what `NODE_EXTRA_CA_CERTS` added to it, and the file: a `ca` option replaces, so all are named. */
function certificateAuthorities(file: string): string[] {
  const inherited = process.env.NODE_EXTRA_CA_CERTS;
  const files = inherited ? [inherited, file] : [file];
  return [...rootCertificates, ...files.map((name) => readFileSync(name, 'utf8'))];
}

/**
 * Whether a failed request met a connection that had already served others. Only the socket knows, and undici hands
 * out the socket's own error object: so the count of bytes read is noted on it.
 */
export function wasReused(error: Error): boolean {
  const noted = bytesReadAt.get(error) ?? (error as { socket?: { bytesRead?: number } }).socket?.bytesRead;
  return noted !== undefined && noted > 0;
}

const bytesReadAt = new WeakMap<Error, number>();

function noteBytesRead(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    connect(options, (...result: [null, Socket] | [Error, null]) => {
      const socket = result[1];
      socket?.prependListener('error', (error) => bytesReadAt.set(error, socket.bytesRead));
      callback(...(result as Parameters<buildConnector.Callback>));
    });
  };
}

interface AddressRule {
  lookup: LookupFunction;
  /** Refuses a URL whose host is a forbidden address literal; names are judged when they have been resolved. */
  check(url: URL): Promise<void>;
}

/**
 * Server-side request forgery: metadata is written by strangers, so what it names may only be fetched from public
 * addresses, unless the upstream that a person entered lies in the same class (MCP security best practices, SSRF).
 * Endpoints a person entered are exempt by their host name.
 */
function addressRule(settings: Settings): AddressRule {
  const entered = [
    settings.upstreamMcpUrl,
    settings.tokenEndpoint,
    settings.authorizationEndpoint,
    settings.issuer,
  ]
    .filter((url) => url !== undefined)
    .map((url) => unbracket(new URL(url).hostname));
  let upstreamClass: Promise<AddressClass> | undefined;
  const classOfUpstream = () => {
    upstreamClass ??= classOfHost(entered[0] ?? '');
    return upstreamClass;
  };
  const refused = async (hostname: string, address: string) => {
    if (entered.includes(hostname)) return false;
    const found = addressClass(address);
    return found !== 'public' && found !== (await classOfUpstream());
  };
  const failure = (hostname: string) =>
    new HttpFailure(
      'forbidden_address',
      `${hostname} is an address inside a private network, and the MCP server is not; it was not contacted.`,
    );
  return {
    lookup: (hostname, options, callback) => {
      systemLookup(hostname, { ...options, all: true }, (error, found) => {
        if (error) {
          callback(error, []);
          return;
        }
        Promise.all(found.map(({ address }) => refused(hostname, address))).then(
          (verdicts) => {
            if (verdicts.some(Boolean)) callback(failure(hostname), []);
            else if (options.all) callback(null, found);
            else callback(null, found[0]?.address ?? '', found[0]?.family);
          },
          (reason: Error) => callback(reason, []),
        );
      });
    },
    check: async (url) => {
      const host = unbracket(url.hostname);
      if (isIP(host) && (await refused(host, host))) throw failure(host);
    },
  };
}

async function classOfHost(hostname: string): Promise<AddressClass> {
  if (isIP(hostname)) return addressClass(hostname);
  if (isLoopbackHost(hostname)) return 'loopback';
  return new Promise((resolve) => {
    systemLookup(hostname, (error, address) => resolve(error ? 'public' : addressClass(address)));
  });
}

const requestOnce = async (
  dispatcher: Dispatcher,
  addresses: AddressRule,
  url: string,
  {
    method = 'GET',
    headers = {},
    body,
    signal,
    headersOnly = false,
  }: NonNullable<Parameters<HttpRequest>[1]> = {},
): ReturnType<HttpRequest> => {
  const target = new URL(url);
  await addresses.check(target);
  const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  try {
    const response = await dispatcher.request({
      origin: target.origin,
      path: target.pathname + target.search,
      method,
      headers,
      body: body ?? null,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const answer = {
      status: response.statusCode,
      header: (name: string): readonly string[] => {
        const value = response.headers[name.toLowerCase()];
        return value === undefined ? [] : typeof value === 'string' ? [value] : value;
      },
    };
    if (headersOnly) {
      response.body.on('error', () => {}).destroy();
      return { ...answer, text: '' };
    }
    return { ...answer, text: await response.body.text() };
  } catch (error) {
    throw failureOf(error, target, timeout.aborted);
  }
};

function failureOf(error: unknown, target: URL, timedOut: boolean): HttpFailure {
  if (error instanceof HttpFailure) return error;
  const cause = error as { code?: unknown; cause?: unknown };
  if (cause.cause instanceof HttpFailure) return cause.cause;
  const code = typeof cause.code === 'string' ? cause.code : 'unknown error';
  if (timedOut || /TIMEOUT|TIMEDOUT/.test(code)) {
    return new HttpFailure('timeout', `${target.host} did not answer within ${ANSWER_TIMEOUT_MS / 1000} s.`);
  }
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
    return new HttpFailure(
      'too_large',
      `${target.host} answered with more than ${MAX_BODY_BYTES / 1024} KiB.`,
    );
  }
  return new HttpFailure('unreachable', `${target.host} cannot be reached (${code}).`);
}
