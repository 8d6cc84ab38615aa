import { request } from 'node:http';
import { connect as connectTcp, isIPv4, isIPv6, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { unbracket } from './address.ts';

/** Why a proxy did not lead to where it should; the message is a part of a sentence, and names no credentials. */
export class ProxyFailure extends Error {
  override readonly name = 'ProxyFailure';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface TunnelOptions {
  /** `http:`, `https:` or `socks5:`, with user name and password where it wants them. */
  readonly proxy: URL;
  readonly target: TunnelTarget;
  /** Whom to trust when the proxy itself is spoken to over TLS. */
  readonly secureContext: SecureContext | undefined;
  /** Until the tunnel is there, in milliseconds. */
  readonly timeoutMs: number;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

export interface TunnelTarget {
  /** A name or an address; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([
  ['http:', 80],
  ['https:', 443],
  ['socks5:', 1080],
]);

/**
 * Opens a connection through a proxy, by CONNECT (RFC 9110 §9.3.6) or SOCKS version 5 (RFC 1928). Names are resolved by
 * the proxy.
 * @throws {ProxyFailure}
 */
export function openTunnel(options: TunnelOptions): Promise<Socket> {
  const { proxy, target, timeoutMs, signal } = options;
  return new Promise((resolve, reject) => {
    // Whoever uses the socket hears of its errors by listeners of their own; none of them may end the process in between.
    const socket = connectToProxy(options).on('error', () => undefined);
    const ended = new AbortController();
    const fail = (error: ProxyFailure) => {
      ended.abort();
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => {
      fail(new ProxyFailure('PROXY_TIMEOUT', `the proxy did not answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    ended.signal.addEventListener('abort', () => clearTimeout(timer));
    signal.addEventListener('abort', () => fail(new ProxyFailure('PROXY_ABORTED', 'given up')), {
      signal: ended.signal,
    });
    socket.setNoDelay(true).setKeepAlive(true, 60_000);
    const opened =
      proxy.protocol === 'socks5:' ? bySocks(socket, proxy, target) : byConnect(socket, proxy, target);
    opened.then(
      () => {
        ended.abort();
        resolve(socket);
      },
      (error: unknown) => fail(failureOf(error)),
    );
  });
}

function connectToProxy({ proxy, secureContext }: TunnelOptions): Socket {
  const host = unbracket(proxy.hostname);
  const defaultPort = DEFAULT_PORTS.get(proxy.protocol);
  if (defaultPort === undefined) {
    throw new ProxyFailure('PROXY_UNKNOWN', `a proxy of the kind ${proxy.protocol} is not supported`);
  }
  const port = Number(proxy.port) || defaultPort;
  if (proxy.protocol !== 'https:') return connectTcp({ host, port });
  return connectTls({
    host,
    port,
    ...(isIPv4(host) || isIPv6(host) ? {} : { servername: host }),
    ...(secureContext && { secureContext }),
  });
}

function failureOf(error: unknown): ProxyFailure {
  if (error instanceof ProxyFailure) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ERR_STREAM_PREMATURE_CLOSE') return closed();
  const reason = code ?? 'UNKNOWN';
  return new ProxyFailure(`PROXY_${reason}`, `the proxy cannot be reached, ${reason}`);
}

function closed(): ProxyFailure {
  return new ProxyFailure('PROXY_CLOSED', 'the proxy closed the connection');
}

function byConnect(socket: Socket, proxy: URL, { host, port }: TunnelTarget): Promise<void> {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    request({
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...basicCredentials(proxy) },
      createConnection: () => socket,
    })
      .once('connect', ({ statusCode = 0 }, _socket, head: Buffer) => {
        if (statusCode < 200 || statusCode > 299) {
          reject(new ProxyFailure(`PROXY_HTTP_${statusCode}`, `the proxy answered HTTP ${statusCode}`));
          return;
        }
        if (head.length > 0) socket.unshift(head);
        resolve();
      })
      .once('error', reject)
      .end();
  });
}

function basicCredentials({ username, password }: URL): Record<string, string> {
  if (username === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}

const SOCKS_VERSION = 5;
const NO_AUTHENTICATION = 0;
const USERNAME_PASSWORD = 2;
const CONNECT = 1;
const IPV4 = 1;
const DOMAIN_NAME = 3;
const IPV6 = 4;

/** Replies of RFC 1928 §6. */
const SOCKS_REPLIES: ReadonlyMap<number | undefined, string> = new Map([
  [2, 'its rules forbid the connection'],
  [3, 'it cannot reach the network'],
  [4, 'it cannot reach the host'],
  [5, 'nothing listens there'],
  [6, 'the host is too far away'],
]);

async function bySocks(socket: Socket, proxy: URL, { host, port }: TunnelTarget): Promise<void> {
  const bytes = new ByteReader(socket);
  const methods = proxy.username === '' ? [NO_AUTHENTICATION] : [NO_AUTHENTICATION, USERNAME_PASSWORD];
  socket.write(Buffer.from([SOCKS_VERSION, methods.length, ...methods]));
  const [version, method] = await bytes.take(2);
  if (version !== SOCKS_VERSION)
    throw new ProxyFailure('PROXY_NOT_SOCKS5', 'the proxy does not speak SOCKS version 5');
  if (method === USERNAME_PASSWORD) {
    // RFC 1929
    const [user, password] = [proxy.username, proxy.password].map((text) =>
      lengthAndBytes(decodeURIComponent(text)),
    );
    socket.write(Buffer.concat([Buffer.from([1]), user ?? Buffer.of(0), password ?? Buffer.of(0)]));
    const [, status] = await bytes.take(2);
    if (status !== 0) throw new ProxyFailure('PROXY_LOGIN', 'the proxy refuses its user name or password');
  } else if (method !== NO_AUTHENTICATION) {
    throw new ProxyFailure('PROXY_LOGIN', 'the proxy wants a login');
  }
  const portBytes = Buffer.from([port >> 8, port & 255]);
  socket.write(Buffer.concat([Buffer.from([SOCKS_VERSION, CONNECT, 0]), socksAddress(host), portBytes]));
  const [, reply, , kind] = await bytes.take(4);
  if (reply !== 0) {
    const reason = SOCKS_REPLIES.get(reply);
    throw new ProxyFailure(`PROXY_SOCKS_${reply}`, `the proxy refuses${reason ? `, ${reason}` : ''}`);
  }
  const [named = 0] = kind === DOMAIN_NAME ? await bytes.take(1) : [];
  await bytes.take((kind === IPV4 ? 4 : kind === IPV6 ? 16 : named) + portBytes.length);
  await bytes.release();
}

function socksAddress(host: string): Buffer {
  if (isIPv4(host)) return Buffer.from([IPV4, ...host.split('.').map(Number)]);
  if (isIPv6(host)) return Buffer.concat([Buffer.of(IPV6), ipv6Bytes(host)]);
  return Buffer.concat([Buffer.of(DOMAIN_NAME), lengthAndBytes(host)]);
}

function lengthAndBytes(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > 255) throw new ProxyFailure('PROXY_NAME', 'a name is too long for the proxy');
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

function ipv6Bytes(address: string): Buffer {
  // The URL parser writes every address in one form: lower case hexadecimal, the longest run of zeros as "::".
  const [head = '', tail = ''] = unbracket(new URL(`http://[${address}]`).hostname).split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const all = [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]));
}

/** Reads a stream in portions of known length, and leaves the rest in it. */
class ByteReader {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket.iterator({ destroyOnReturn: false });
  }

  async take(length: number): Promise<Buffer> {
    while (this.#held.length < length) {
      const { done, value } = await this.#chunks.next();
      if (done) throw closed();
      this.#held = Buffer.concat([this.#held, value]);
    }
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  async release(): Promise<void> {
    await this.#chunks.return?.();
    if (this.#held.length > 0) this.#socket.unshift(this.#held);
  }
}
