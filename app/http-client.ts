import { lookup as systemLookup } from 'node:dns';
import { readFileSync } from 'node:fs';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { rootCertificates } from 'node:tls';
import { Agent, buildConnector, type Dispatcher, EnvHttpProxyAgent, Pool } from 'undici';
import { type AddressClass, addressClass, isLoopbackHost, unbracket } from './address.ts';
import { watchConnection } from './connection-reuse.ts';
import { type HttpAnswer, HttpFailure, type HttpRequest } from './oauth/http.ts';
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

/** The settings that connections depend on. */
export type HttpSettings = Pick<
  Settings,
  | 'upstreamMcpUrl'
  | 'authorizationEndpoint'
  | 'tokenEndpoint'
  | 'issuer'
  | 'clientMetadataUrl'
  | 'upstreamTimeoutSeconds'
  | 'extraCaCerts'
  | 'httpsProxy'
  | 'noProxy'
>;

/**
 * Opens a broker's connection pools by its settings (time-outs, further CAs, proxy, address rules).
 * @param limits.answerTimeoutMs how long {@link HttpClient.request} waits for a whole answer
 */
export function createHttpClient(
  settings: HttpSettings,
  { answerTimeoutMs = ANSWER_TIMEOUT_MS }: { answerTimeoutMs?: number } = {},
): HttpClient {
  const tls = settings.extraCaCerts ? { ca: certificateAuthorities(settings.extraCaCerts) } : {};
  const common = {
    maxHeaderSize: MAX_HEADER_BYTES,
    bodyTimeout: 0,
    keepAliveTimeout: 30_000,
    // An upstream's own hint (`Keep-Alive: timeout=`) is honoured up to here.
    keepAliveMaxTimeout: 300_000,
    factory: createPool,
  };
  const dispatcher = (options: Agent.Options, connect: buildConnector.BuildOptions): Dispatcher =>
    settings.httpsProxy === undefined
      ? new Agent({ ...options, connect })
      : new EnvHttpProxyAgent({
          ...options,
          httpProxy: settings.httpsProxy,
          httpsProxy: settings.httpsProxy,
          noProxy: withoutProxy(settings.noProxy),
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
    { ...common, headersTimeout: answerTimeoutMs, maxResponseSize: MAX_BODY_BYTES },
    { ...tls, timeout: CONNECT_TIMEOUT_MS, lookup: addresses.lookup } as buildConnector.BuildOptions,
  );
  return {
    upstream,
    request: (url, options) =>
      requestOnce({ dispatcher: authorization, addresses, answerTimeoutMs }, url, options),
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

/** Hosts that are reached directly. undici knows `*` only where it stands alone. */
function withoutProxy(noProxy = ''): string {
  const entries = noProxy.split(/[,\s]+/).filter((entry) => entry !== '');
  return entries.includes('*') ? '*' : [...entries, 'localhost', '127.0.0.1', '[::1]'].join(',');
}

/** A pool whose connections know whether they had carried answers before they failed. */
function createPool(origin: string | URL, options: Pool.Options): Pool {
  const connect = typeof options.connect === 'function' ? options.connect : buildConnector(options.connect);
  return new Pool(origin, {
    ...options,
    connect: (target, callback) => {
      connect(target, (...result: [null, Socket] | [Error, null]) => {
        const [, socket] = result;
        if (socket) watchConnection(socket);
        callback(...(result as Parameters<buildConnector.Callback>));
      });
    },
  });
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
function addressRule(settings: HttpSettings): AddressRule {
  const entered = [
    settings.upstreamMcpUrl,
    settings.tokenEndpoint,
    settings.authorizationEndpoint,
    settings.issuer,
    settings.clientMetadataUrl,
  ]
    .filter((url) => url !== undefined)
    .map((url) => unbracket(new URL(url).hostname));
  const upstreamHost = unbracket(new URL(settings.upstreamMcpUrl).hostname);
  const refused = async (hostname: string, address: string) => {
    if (entered.includes(hostname)) return false;
    const found = addressClass(address);
    // Asked anew each time: networks change while a broker runs.
    return found !== 'public' && found !== (await classOfHost(upstreamHost));
  };
  const failure = (hostname: string) =>
    new HttpFailure(
      'forbidden_address',
      `${hostname} is not a public address, and the MCP server's is not of its kind, so it was not contacted.`,
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

async function requestOnce(
  {
    dispatcher,
    addresses,
    answerTimeoutMs,
  }: { dispatcher: Dispatcher; addresses: AddressRule; answerTimeoutMs: number },
  url: string,
  { method = 'GET', headers = {}, body, headersOnly = false }: Parameters<HttpRequest>[1] = {},
): Promise<HttpAnswer> {
  const target = new URL(url);
  await addresses.check(target);
  const timeout = AbortSignal.timeout(answerTimeoutMs);
  try {
    const response = await dispatcher.request({
      origin: target.origin,
      path: target.pathname + target.search,
      method,
      headers,
      body: body ?? null,
      signal: timeout,
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
    throw failureOf(error, target, timeout.aborted ? answerTimeoutMs : undefined);
  }
}

function failureOf(error: unknown, { host }: URL, timedOutAfterMs: number | undefined): HttpFailure {
  if (error instanceof HttpFailure) return error;
  const { code: given, cause, message } = error as { code?: unknown; cause?: unknown; message?: unknown };
  if (cause instanceof HttpFailure) return cause;
  const code = typeof given === 'string' ? given : 'unknown error';
  if (timedOutAfterMs !== undefined || /TIMEOUT|TIMEDOUT/.test(code)) {
    const seconds = (timedOutAfterMs ?? CONNECT_TIMEOUT_MS) / 1000;
    return new HttpFailure('timeout', `${host} did not answer within ${seconds} s.`);
  }
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
    return new HttpFailure('too_large', `${host} answered with more than ${MAX_BODY_BYTES / 1024} KiB.`);
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(code)) return certificateFailure(host, code);
  const proxy = /^Proxy response \((\d{3})\)/.exec(String(message))?.[1];
  const words = IN_WORDS.get(code);
  const reason =
    proxy === undefined ? (words ? `${words}, ${code}` : code) : `the proxy answered HTTP ${proxy}`;
  return new HttpFailure('unreachable', `${host} cannot be reached (${reason}).`);
}

/** The system's error codes that people meet most. */
const IN_WORDS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there'],
  ['ECONNRESET', 'it closed the connection'],
  ['UND_ERR_SOCKET', 'it closed the connection'],
  ['EHOSTUNREACH', 'there is no way to it from here'],
  ['ENETUNREACH', 'there is no way to it from here'],
  ['ENOTFOUND', 'there is no host of that name'],
  ['EAI_AGAIN', 'its name cannot be looked up now'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not speak https:'],
  ['EPROTO', 'it does not speak https:'],
]);

function certificateFailure(host: string, code: string): HttpFailure {
  const [fault, cure] = {
    CERT_HAS_EXPIRED: ['has expired', "Check this machine's clock, else tell the operator of the server."],
    ERR_TLS_CERT_ALTNAME_INVALID: [
      'is for another name',
      'Check the URL, else tell the operator of the server.',
    ],
  }[code] ?? [
    'is not trusted',
    'If its CA is one of your own, name its PEM file with EXTRA_CA_CERTS; else do not log in there.',
  ];
  return new HttpFailure('unreachable', `The certificate of ${host} ${fault} (${code}).`, cure);
}
