import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { Agent, buildConnector, Dispatcher, Pool } from 'undici';
import { type AddressClass, addressClass, isLoopbackHost, unbracket } from './address.ts';
import { watchConnection } from './connection-reuse.ts';
import {
  AUTHORIZATION_TIMEOUT_MS,
  CONNECT_TIMEOUT_MS,
  MAX_AUTHORIZATION_ANSWER_BYTES,
  MAX_HEAD_BYTES,
  MAX_UPSTREAM_KEEP_ALIVE_MS,
  UPSTREAM_KEEP_ALIVE_MS,
} from './limits.ts';
import type { Network } from './network.ts';
import { type HttpAnswer, HttpFailure, type HttpRequest } from './oauth/http.ts';
import { type ProxyRoutes, proxyRoutes } from './proxy-routes.ts';
import type { Settings } from './settings.ts';
import { trust } from './trust.ts';
import { openTunnel, ProxyFailure } from './tunnel.ts';

/** The connections of one broker: one pool to the upstream, one to everything that has to do with authorization. */
export interface HttpClient {
  /** Carries MCP calls. Streams have no body time-out. */
  readonly upstream: Dispatcher;
  /** Carries discovery, registration and token requests; see {@link HttpRequest}. */
  readonly request: HttpRequest;
  /**
   * Asks the network for its proxies again. When one is another, new requests take new connections; those under way end
   * on the old ones. Never rejects.
   */
  reroute(): Promise<void>;
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

export interface HttpClientOptions {
  /** How long {@link HttpClient.request} waits for a whole answer, in milliseconds. */
  readonly answerTimeoutMs?: number;
  /** Knows the system's proxies and CAs. A proxy that the settings name wins; CAs are added to one another. */
  readonly network?: Network | undefined;
}

/** Opens a broker's connection pools by its settings (time-outs, further CAs, proxy, address rules). */
export function createHttpClient(
  settings: HttpSettings,
  { answerTimeoutMs = AUTHORIZATION_TIMEOUT_MS, network }: HttpClientOptions = {},
): HttpClient {
  const closing = new AbortController();
  const ways = {
    routes: proxyRoutes(settings, network),
    secureContext: trust(settings.extraCaCerts, network),
    signal: closing.signal,
  };
  const common = {
    maxHeaderSize: MAX_HEAD_BYTES,
    bodyTimeout: 0,
    keepAliveTimeout: UPSTREAM_KEEP_ALIVE_MS,
    keepAliveMaxTimeout: MAX_UPSTREAM_KEEP_ALIVE_MS,
  };
  const upstream = new ReplaceableAgent({
    ...common,
    headersTimeout: settings.upstreamTimeoutSeconds * 1000,
    connect: connector(ways),
  });
  const addresses = addressRule(settings);
  const authorization = new ReplaceableAgent({
    ...common,
    headersTimeout: answerTimeoutMs,
    maxResponseSize: MAX_AUTHORIZATION_ANSWER_BYTES,
    connect: connector(ways, addresses.lookup),
  });
  return {
    upstream,
    request: (url, options) =>
      requestOnce({ dispatcher: authorization, addresses, answerTimeoutMs }, url, options),
    reroute: async () => {
      if (!(await ways.routes.refresh()) || closing.signal.aborted) return;
      upstream.replace();
      authorization.replace();
    },
    close: async () => {
      closing.abort();
      await Promise.all([upstream.destroy(), authorization.destroy()]);
    },
  };
}

/** An agent that can go on with new connections while the old ones carry on with what they were given. */
class ReplaceableAgent extends Dispatcher {
  readonly #options: Agent.Options;
  #agent: Agent;
  /** Also the pools of former agents: an agent that closes lets go of its pools, and could not end them any more. */
  readonly #pools = new Set<Pool>();

  constructor(options: Agent.Options) {
    super();
    this.#options = options;
    this.#agent = this.#create();
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.#agent.dispatch(options, handler);
  }

  /** Closes the agent's connections as they fall idle, and has a new one take its place. */
  replace(): void {
    const former = this.#agent;
    this.#agent = this.#create();
    void former.close();
  }

  override async close(): Promise<void> {
    await this.#agent.close();
  }

  override async destroy(): Promise<void> {
    await Promise.all([this.#agent.destroy(), ...[...this.#pools].map((pool) => pool.destroy())]);
  }

  #create(): Agent {
    return new Agent({
      ...this.#options,
      factory: (origin, options: Pool.Options) => {
        for (const pool of this.#pools) if (pool.destroyed) this.#pools.delete(pool);
        const pool = new Pool(origin, options);
        this.#pools.add(pool);
        return pool;
      },
    });
  }
}

interface Ways {
  routes: ProxyRoutes;
  secureContext: () => Promise<SecureContext | undefined>;
  signal: AbortSignal;
}

/**
 * Opens connections, directly or through a proxy, that know whether they had carried answers before they failed.
 * @param lookup resolves names where no proxy does
 */
function connector(ways: Ways, lookup?: LookupFunction): buildConnector.connector {
  const own = { timeout: CONNECT_TIMEOUT_MS, ...(lookup && { lookup }) } as buildConnector.BuildOptions;
  const plain = buildConnector(own);
  let secure: buildConnector.connector | undefined;

  async function open(target: buildConnector.Options, origin: string): Promise<Socket> {
    const { protocol, hostname, port } = target;
    const proxy = await ways.routes.of(origin);
    const proxyUrl = proxy === undefined ? undefined : new URL(proxy);
    const isSecure = protocol === 'https:';
    const secureContext =
      isSecure || proxyUrl?.protocol === 'https:' ? await ways.secureContext() : undefined;
    const httpSocket =
      proxyUrl &&
      (await openTunnel({
        proxy: proxyUrl,
        target: { host: hostname, port: Number(port) || (isSecure ? 443 : 80) },
        secureContext,
        timeoutMs: CONNECT_TIMEOUT_MS,
        signal: ways.signal,
      }));
    if (httpSocket && !isSecure) return httpSocket;
    if (isSecure) secure ??= buildConnector({ ...own, ...(secureContext && { secureContext }) });
    return connected(isSecure && secure ? secure : plain, { ...target, ...(httpSocket && { httpSocket }) });
  }

  return (target, callback) => {
    const origin = `${target.protocol}//${target.host}`;
    open(target, origin).then(
      (socket) => {
        watchConnection(socket);
        callback(null, socket);
      },
      (error: Error) => {
        ways.routes.forget(origin);
        callback(error, null);
      },
    );
  };
}

function connected(connect: buildConnector.connector, target: buildConnector.Options): Promise<Socket> {
  return new Promise((resolve, reject) => {
    connect(target, (...[error, socket]: [null, Socket] | [Error, null]) => {
      if (socket) resolve(socket);
      else reject(error);
    });
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
  if (error instanceof ProxyFailure) {
    const reason = `${host} cannot be reached (${error.message}).`;
    return new HttpFailure(error.code === 'PROXY_TIMEOUT' ? 'timeout' : 'unreachable', reason);
  }
  const { code: given, cause } = error as { code?: unknown; cause?: unknown };
  if (cause instanceof HttpFailure) return cause;
  const code = typeof given === 'string' ? given : 'unknown error';
  if (timedOutAfterMs !== undefined || /TIMEOUT|TIMEDOUT/.test(code)) {
    const seconds = (timedOutAfterMs ?? CONNECT_TIMEOUT_MS) / 1000;
    return new HttpFailure('timeout', `${host} did not answer within ${seconds} s.`);
  }
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
    return new HttpFailure(
      'too_large',
      `${host} answered with more than ${MAX_AUTHORIZATION_ANSWER_BYTES / 1024} KiB.`,
    );
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(code)) return certificateFailure(host, code);
  const words = IN_WORDS.get(code);
  const reason = words ? `${words}, ${code}` : code;
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
