import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openTunnel, ProxyFailure, type TunnelOptions } from '../../app/tunnel.ts';
import { makeAuthority, type TestAuthority } from '../support/certificates.ts';
import { givenConnectProxy, givenSocksProxy, type TestProxy } from '../support/proxies.ts';

let folder: string;
let authority: TestAuthority;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tunnel-'));
  authority = await makeAuthority(folder);
});
afterAll(() => rm(folder, { recursive: true }));

/** A server that handles its connections by hand. */
async function givenTcpServer(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const givenEcho = () => givenTcpServer((socket) => socket.pipe(socket));

async function open(proxy: string, options: Partial<TunnelOptions> = {}): Promise<Socket> {
  const socket = await openTunnel({
    proxy: new URL(proxy),
    target: { host: 'mcp.example.test', port: 443 },
    secureContext: undefined,
    timeoutMs: 5_000,
    signal: new AbortController().signal,
    ...options,
  });
  onTestFinished(() => void socket.destroy());
  return socket;
}

async function failureOf(tunnel: Promise<Socket>): Promise<ProxyFailure> {
  const error = await tunnel.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ProxyFailure);
  return error as ProxyFailure;
}

async function echoed(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [data]: Buffer[] = await once(socket, 'data');
  return String(data);
}

const withLogin = ({ url }: TestProxy, login: string) => url.replace('://', `://${login}@`);

describe('a tunnel by CONNECT', () => {
  it('leads where it was told to', async () => {
    const proxy = await givenConnectProxy(await givenEcho());
    const socket = await open(proxy.url);
    expect(await echoed(socket, 'hello')).toBe('hello');
    expect(proxy.asked).toEqual(['mcp.example.test:443']);
    expect(proxy.credentials).toEqual([undefined]);
  });

  it('names an IPv6 address in brackets, and logs in', async () => {
    const proxy = await givenConnectProxy(await givenEcho());
    await open(withLogin(proxy, 'm%40e:p%3Aw'), { target: { host: '2001:db8::1', port: 8443 } });
    expect(proxy.asked).toEqual(['[2001:db8::1]:8443']);
    expect(proxy.credentials).toEqual([`Basic ${Buffer.from('m@e:p:w').toString('base64')}`]);
  });

  it('works over TLS to the proxy, whose certificate is checked', async () => {
    const proxy = await givenConnectProxy(await givenEcho(), { tls: authority.server });
    const secureContext = createSecureContext({ ca: await readFile(authority.caFile) });
    const socket = await open(proxy.url, { secureContext });
    expect(await echoed(socket, 'hello')).toBe('hello');
    expect((await failureOf(open(proxy.url))).code).toMatch(/^PROXY_(UNABLE_TO|SELF_SIGNED)/);
  });

  it('does not lose what the other side says at once', async () => {
    const port = await givenTcpServer((socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nhello'));
    const socket = await open(`http://127.0.0.1:${port}`);
    const [data]: Buffer[] = await once(socket, 'data');
    expect(String(data)).toBe('hello');
  });

  it.each([
    [407, 'the proxy answered HTTP 407'],
    [302, 'the proxy answered HTTP 302'],
    [503, 'the proxy answered HTTP 503'],
  ])('is not there when the proxy answers %i', async (status, message) => {
    const proxy = await givenConnectProxy(1, { status });
    expect(await failureOf(open(proxy.url))).toMatchObject({ code: `PROXY_HTTP_${status}`, message });
  });

  it('fails where no proxy listens, and says so', async () => {
    const proxy = await givenConnectProxy(1);
    await proxy.stop();
    expect(await failureOf(open(withLogin(proxy, 'me:secret')))).toMatchObject({
      code: 'PROXY_ECONNREFUSED',
      message: 'the proxy cannot be reached, ECONNREFUSED',
    });
  });
});

describe('a tunnel by SOCKS', () => {
  it.each([
    ['mcp.example.test', 'mcp.example.test:443'],
    ['203.0.113.7', '203.0.113.7:443'],
    ['2001:db8::1', '20010db8000000000000000000000001:443'],
    ['::', '00000000000000000000000000000000:443'],
    ['2001:db8:1:2:3:4:5:6', '20010db8000100020003000400050006:443'],
  ])('leads where it was told to: %s', async (host, asked) => {
    const proxy = await givenSocksProxy(await givenEcho());
    const socket = await open(proxy.url, { target: { host, port: 443 } });
    expect(await echoed(socket, 'hello')).toBe('hello');
    expect(proxy.asked).toEqual([asked]);
  });

  it('logs in where the proxy wants it', async () => {
    const proxy = await givenSocksProxy(await givenEcho(), { login: { user: 'm@e', password: 'p:w' } });
    const socket = await open(withLogin(proxy, 'm%40e:p%3Aw'));
    expect(await echoed(socket, 'hello')).toBe('hello');
    expect(proxy.credentials).toEqual(['m@e:p:w']);
  });

  it.each([
    ['me:wrong', 'the proxy refuses its user name or password'],
    ['', 'the proxy wants a login'],
  ])('is not there when the login is "%s"', async (login, message) => {
    const proxy = await givenSocksProxy(1, { login: { user: 'me', password: 'right' } });
    const failure = await failureOf(open(login === '' ? proxy.url : withLogin(proxy, login)));
    expect(failure).toMatchObject({ code: 'PROXY_LOGIN', message });
  });

  it.each([
    [1, 'the proxy refuses'],
    [2, 'the proxy refuses, its rules forbid the connection'],
    [4, 'the proxy refuses, it cannot reach the host'],
    [5, 'the proxy refuses, nothing listens there'],
  ])('is not there when the proxy replies %i', async (reply, message) => {
    const proxy = await givenSocksProxy(1, { reply });
    expect(await failureOf(open(proxy.url))).toMatchObject({ code: `PROXY_SOCKS_${reply}`, message });
  });

  it('is not there when something else answers, or nobody', async () => {
    const other = await givenTcpServer((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect((await failureOf(open(`socks5://127.0.0.1:${other}`))).code).toBe('PROXY_NOT_SOCKS5');
    const closing = await givenTcpServer((socket) => socket.end(Buffer.from([5])));
    expect((await failureOf(open(`socks5://127.0.0.1:${closing}`))).code).toBe('PROXY_CLOSED');
    const proxy = await givenSocksProxy(1);
    await proxy.stop();
    expect((await failureOf(open(proxy.url))).code).toBe('PROXY_ECONNREFUSED');
  });

  it('does not lose what the other side says at once', async () => {
    const port = await givenTcpServer((socket) => {
      socket.once('data', () => {
        socket.write(Buffer.from([5, 0]));
        socket.once('data', () =>
          socket.write(Buffer.from([5, 0, 0, 3, 1, 97, 0, 0, ...Buffer.from('hello')])),
        );
      });
    });
    const socket = await open(`socks5://127.0.0.1:${port}`);
    const [data]: Buffer[] = await once(socket, 'data');
    expect(String(data)).toBe('hello');
  });
});

describe('a tunnel of any kind', () => {
  const givenSilence = () => givenTcpServer((socket) => socket.resume());

  it.each(['http', 'socks5'])('ends after its time when the proxy says nothing (%s)', async (kind) => {
    const port = await givenSilence();
    expect(await failureOf(open(`${kind}://127.0.0.1:${port}`, { timeoutMs: 50 }))).toMatchObject({
      code: 'PROXY_TIMEOUT',
      message: 'the proxy did not answer within 0.05 s',
    });
  });

  it.each(['http', 'socks5'])('ends on command, with its connection (%s)', async (kind) => {
    const closing = new AbortController();
    let closed: Promise<unknown> | undefined;
    const port = await givenTcpServer((socket) => {
      closed = once(socket.resume(), 'close');
      closing.abort();
    });
    const failure = await failureOf(open(`${kind}://127.0.0.1:${port}`, { signal: closing.signal }));
    expect(failure.code).toBe('PROXY_ABORTED');
    await closed;
  });

  it('is refused for kinds of proxies that are not known', async () => {
    expect((await failureOf(open('ftp://127.0.0.1:1'))).message).toBe(
      'a proxy of the kind ftp: is not supported',
    );
  });
});
