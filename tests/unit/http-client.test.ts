import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { wasReused } from '../../app/connection-reuse.ts';
import type { HttpClient, HttpSettings } from '../../app/http-client.ts';
import { HttpFailure, type HttpFailureCode } from '../../app/oauth/http.ts';
import { makeAuthority, type TestAuthority } from '../support/certificates.ts';
import { givenHttpClient } from '../support/http-client.ts';
import { givenScriptedServer, listenUntilTestEnds, type Script } from '../support/scripted-server.ts';

let folder: string;
let authority: TestAuthority;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'http-client-'));
  authority = await makeAuthority(folder);
});
afterAll(() => rm(folder, { recursive: true }));

const LOCAL = 'http://127.0.0.1:1/mcp';
/** An address of the documentation range (RFC 5737): public by class, and nobody is there. Never contacted. */
const PUBLIC = 'https://203.0.113.7/mcp';

const givenClient = (
  settings: Partial<HttpSettings> = {},
  limits?: { answerTimeoutMs: number },
): HttpClient => givenHttpClient({ upstreamMcpUrl: LOCAL, ...settings }, limits);

async function failureOf(promise: Promise<unknown>): Promise<HttpFailure> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(HttpFailure);
  return error as HttpFailure;
}

/** A TCP server whose connections are handled by hand. */
async function givenTcpServer(serve: (socket: Socket, nth: number) => void): Promise<number> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket, ++count);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

/** A port of 127.0.0.1 that nobody listens on. */
async function givenFreePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** An HTTPS server with a certificate of the test's own CA. */
const givenTlsServer = (listener: RequestListener) =>
  listenUntilTestEnds(createTlsServer(authority.server, listener));

describe('a request', () => {
  it('sends what it is told and returns status, headers and body', async () => {
    const server = await givenScriptedServer({
      'POST /token': (_, response) => {
        response.writeHead(418, { 'X-One': 'a', 'Set-Cookie': ['b=1', 'c=2'] }).end('tëxt');
      },
    });
    const { request } = givenClient();
    const headers = { 'content-type': 'text/plain', 'x-two': 'y' };
    const answer = await request(`${server.origin}/token?q=1#fragment`, {
      method: 'POST',
      headers,
      body: 'bödy',
    });
    expect(answer.status).toBe(418);
    expect(answer.text).toBe('tëxt');
    expect(answer.header('x-ONE')).toEqual(['a']);
    expect(answer.header('set-cookie')).toEqual(['b=1', 'c=2']);
    expect(answer.header('absent')).toEqual([]);
    expect(server.asked).toEqual(['POST /token?q=1']);
    expect(server.requests[0]).toMatchObject({ headers, body: 'bödy' });
  });

  it('is a GET without a body unless it is told otherwise', async () => {
    const server = await givenScriptedServer({ '/': { json: {} } });
    await givenClient().request(server.origin);
    expect(server.requests[0]).toMatchObject({ method: 'GET', body: '' });
    expect(server.requests[0]?.headers).not.toHaveProperty('authorization');
  });

  it.each([301, 302, 303, 307, 308])('does not follow a redirect (%i)', async (status) => {
    const server = await givenScriptedServer({
      '/from': { text: '', status, headers: { location: '/to' } },
      '/to': { text: 'there' },
    });
    const answer = await givenClient().request(`${server.origin}/from`);
    expect([answer.status, answer.header('location')]).toEqual([status, ['/to']]);
    expect(server.asked).toEqual(['GET /from']);
  });

  it('does not wait for the end of a stream when only the headers are wanted, and hangs up', async () => {
    let hungUp: Promise<unknown> | undefined;
    const server = await givenScriptedServer({
      '/sse': (_, response, raw) => {
        hungUp = once(raw.socket, 'close');
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n');
      },
    });
    const answer = await givenClient().request(`${server.origin}/sse`, { headersOnly: true });
    expect([answer.status, answer.text]).toEqual([200, '']);
    await hungUp;
  });

  it.each<[string, Script]>([
    ['says nothing', { '/': () => undefined }],
    ['sends a head and no body', { '/': (_, response) => void response.writeHead(200).flushHeaders() }],
    [
      'does not come to an end',
      { '/': (_, response) => void response.writeHead(200, { 'content-length': '10' }).write('12345') },
    ],
  ])('ends after its time when the server %s', async (_, script) => {
    const server = await givenScriptedServer(script);
    const { request } = givenClient({}, { answerTimeoutMs: 50 });
    const failure = await failureOf(request(server.origin));
    expect(failure.code).toBe('timeout');
    expect(failure.message).toBe(`${server.host} did not answer within 0.05 s.`);
  });

  it.each<[string, Script]>([
    ['announced', { '/': { text: 'x'.repeat(256 * 1024 + 1) } }],
    [
      'in chunks',
      {
        '/': (_, response) =>
          void response.writeHead(200).write('x'.repeat(100_000), () => response.end('y'.repeat(200_000))),
      },
    ],
  ])('ends when the answer is larger than 256 KiB (%s)', async (_, script) => {
    const server = await givenScriptedServer(script);
    const failure = await failureOf(givenClient().request(server.origin));
    expect([failure.code, failure.message]).toEqual([
      'too_large',
      `${server.host} answered with more than 256 KiB.`,
    ]);
  });

  it('reads an answer of exactly 256 KiB', async () => {
    const server = await givenScriptedServer({ '/': { text: 'x'.repeat(256 * 1024) } });
    expect((await givenClient().request(server.origin)).text).toHaveLength(256 * 1024);
  });

  it('says why a server cannot be reached, and names no more than its host', async () => {
    const port = await givenFreePort();
    const failure = await failureOf(givenClient().request(`http://127.0.0.1:${port}/token?secret=1`));
    expect(failure.code).toBe('unreachable');
    expect(failure.message).toBe(
      `127.0.0.1:${port} cannot be reached (nothing listens there, ECONNREFUSED).`,
    );
    expect(failure.cause).toBeUndefined();
  });

  it('fails on an answer that is not HTTP', async () => {
    const port = await givenTcpServer((socket) => socket.end('SSH-2.0-x\r\n'));
    const failure = await failureOf(givenClient().request(`http://127.0.0.1:${port}`));
    expect(failure.code).toBe('unreachable');
  });

  it('ends when the client is closed', async () => {
    let asked: () => void = () => undefined;
    const arrived = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const server = await givenScriptedServer({ '/': () => asked() });
    const client = givenClient();
    const failure = failureOf(client.request(server.origin));
    await arrived;
    await client.close();
    expect((await failure).code).toBe('unreachable');
  });
});

describe('addresses that strangers name', () => {
  const code = async (upstreamMcpUrl: string, url: string, settings: Partial<HttpSettings> = {}) => {
    const { request } = givenClient({ upstreamMcpUrl, ...settings });
    return request(url).then(
      ({ status }) => status,
      (error: HttpFailure) => error.code,
    );
  };

  it.each([
    'http://127.0.0.1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://2130706433/',
    'http://10.0.0.1/',
    'http://192.168.0.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://[fe80::1]/',
    'http://[fd00::1]/',
    'http://0.0.0.0/',
    'http://[::]/',
    'http://100.64.0.1/',
  ])('are refused when the upstream is public: %s', async (url) => {
    expect(await code(PUBLIC, url)).toBe('forbidden_address' satisfies HttpFailureCode);
  });

  it('are refused when a name leads there', async () => {
    const server = await givenScriptedServer({ '/': 200 });
    const failure = await failureOf(
      givenClient({ upstreamMcpUrl: PUBLIC }).request(`http://localhost:${server.port}/`),
    );
    expect(failure.code).toBe('forbidden_address');
    expect(failure.message).toMatch(/^localhost is not a public address/);
    expect(server.asked).toEqual([]);
  });

  it('are refused on each request, also when a connection is kept', async () => {
    const server = await givenScriptedServer({ '/': 200 });
    const { request } = givenClient({ upstreamMcpUrl: PUBLIC, issuer: server.origin });
    expect((await request(server.origin)).status).toBe(200);
    expect((await failureOf(request(`http://localhost:${server.port}`))).code).toBe('forbidden_address');
    expect(server.asked).toEqual(['GET /']);
  });

  it('are allowed where the upstream is of the same kind', async () => {
    const server = await givenScriptedServer({ '/': 200 });
    for (const upstream of [LOCAL, 'http://[::1]/mcp', 'http://localhost:9/mcp', 'http://x.localhost/mcp']) {
      expect(await code(upstream, server.origin)).toBe(200);
      expect(await code(upstream, `http://localhost:${server.port}`)).toBe(200);
    }
  });

  it('are refused where the upstream is of another kind that is not public', async () => {
    expect(await code(LOCAL, 'http://169.254.169.254/')).toBe('forbidden_address');
    expect(await code('https://10.0.0.1/mcp', 'http://127.0.0.1/')).toBe('forbidden_address');
  });

  it.each(['issuer', 'tokenEndpoint', 'authorizationEndpoint'] as const)(
    'are allowed where a person entered them as %s',
    async (name) => {
      const server = await givenScriptedServer({ '/': 200 });
      expect(await code(PUBLIC, server.origin, { [name]: `http://127.0.0.1:9/x` })).toBe(200);
      expect(await code(PUBLIC, `http://localhost:${server.port}`, { [name]: `http://127.0.0.1/` })).toBe(
        'forbidden_address',
      );
    },
  );

  it('do not matter for the upstream itself, which a person has entered', async () => {
    const server = await givenScriptedServer({ '/mcp': 200 });
    const { upstream } = givenClient({ upstreamMcpUrl: PUBLIC });
    const { statusCode } = await upstream.request({ origin: server.origin, path: '/mcp', method: 'GET' });
    expect(statusCode).toBe(200);
  });
});

describe('certificates', () => {
  it('of an unknown CA are refused, with the cure', async () => {
    const port = await givenTlsServer((_, response) => response.end('secret'));
    const failure = await failureOf(givenClient().request(`https://localhost:${port}/`));
    expect(failure.code).toBe('unreachable');
    expect(failure.message).toMatch(
      /^The certificate of localhost:\d+ is not trusted \([A-Z_]+\)\. If .*EXTRA_CA_CERTS/,
    );
  });

  it('of a CA in EXTRA_CA_CERTS are accepted, by name and by address, for both pools', async () => {
    const port = await givenTlsServer((_, response) => response.end('here'));
    const client = givenClient({ extraCaCerts: authority.caFile });
    expect((await client.request(`https://localhost:${port}/`)).text).toBe('here');
    expect((await client.request(`https://127.0.0.1:${port}/`)).text).toBe('here');
    const { body } = await client.upstream.request({
      origin: `https://localhost:${port}`,
      path: '/',
      method: 'GET',
    });
    expect(await body.text()).toBe('here');
  });
});

describe('HTTPS_PROXY', () => {
  /** A proxy that leads every CONNECT to one port of this machine, whatever host was asked for. */
  async function givenProxy(
    port: number,
    status = 200,
  ): Promise<{ url: string; asked: string[]; keys: unknown[] }> {
    const asked: string[] = [];
    const keys: unknown[] = [];
    const proxy = createHttpServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(500).end();
    });
    const sockets = new Set<Socket>();
    proxy.on('connect', (request, client: Socket) => {
      asked.push(`${request.method} ${request.url}`);
      keys.push(request.headers['proxy-authorization']);
      if (status !== 200) {
        client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
        return;
      }
      const target = connect(port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        client.pipe(target).pipe(client);
      });
      for (const socket of [client, target]) {
        sockets.add(socket);
        socket.on('error', () => undefined);
      }
    });
    const proxyPort = await listenUntilTestEnds(proxy);
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    return { url: `http://me:pw@127.0.0.1:${proxyPort}`, asked, keys };
  }

  const givenTarget = () => givenTlsServer((_, response) => response.end('through'));

  it('carries https requests of both pools in a tunnel, with its own credentials', async () => {
    const proxy = await givenProxy(await givenTarget());
    // The certificate is for *.localhost, the name resolves to nothing we would reach: the proxy does that.
    const client = givenClient({
      upstreamMcpUrl: 'https://a.b.example/mcp',
      httpsProxy: proxy.url,
      extraCaCerts: authority.caFile,
      noProxy: undefined,
    });
    const failure = await failureOf(client.request('https://as.example.test/token'));
    // The tunnel was made; the certificate behind it is for other names, and so was refused.
    expect(failure.message).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(proxy.asked).toEqual(['CONNECT as.example.test:443']);
    expect(proxy.keys).toEqual([`Basic ${Buffer.from('me:pw').toString('base64')}`]);
    await client.upstream
      .request({ origin: 'https://mcp.example.test', path: '/mcp', method: 'GET' })
      .catch(() => undefined);
    expect(proxy.asked).toEqual(['CONNECT as.example.test:443', 'CONNECT mcp.example.test:443']);
  });

  it.each([
    ['other.example as.example.test', []],
    ['.example.test', []],
    ['*', []],
    [' *, other.example', []],
    ['other.example', ['CONNECT as.example.test:443']],
    ['as.example.test:8443', ['CONNECT as.example.test:443']],
  ])('is left aside for hosts in NO_PROXY: %s', async (noProxy, asked) => {
    const proxy = await givenProxy(await givenTarget());
    const { request } = givenClient(
      { upstreamMcpUrl: PUBLIC, httpsProxy: proxy.url, noProxy },
      { answerTimeoutMs: 2_000 },
    );
    await failureOf(request('https://as.example.test/token'));
    expect(proxy.asked).toEqual(asked);
  });

  it('is left aside for this machine, whatever NO_PROXY says', async () => {
    const proxy = await givenProxy(1);
    const server = await givenScriptedServer({ '/': 200 });
    for (const noProxy of [undefined, 'example.com']) {
      const { request } = givenClient({ httpsProxy: proxy.url, noProxy });
      expect((await request(server.origin)).status).toBe(200);
      expect((await request(`http://localhost:${server.port}`)).status).toBe(200);
    }
    expect(proxy.asked).toEqual([]);
  });

  it('does not lead around the address rule', async () => {
    const proxy = await givenProxy(1);
    const { request } = givenClient({ upstreamMcpUrl: PUBLIC, httpsProxy: proxy.url });
    for (const url of [
      'https://127.0.0.1/',
      'https://10.0.0.1/',
      'https://[fd00::1]/',
      'https://localhost:1/',
    ])
      expect((await failureOf(request(url))).code).toBe('forbidden_address');
    expect(proxy.asked).toEqual([]);
  });

  it('that refuses is named as the reason', async () => {
    const proxy = await givenProxy(1, 407);
    const { request } = givenClient({ upstreamMcpUrl: PUBLIC, httpsProxy: proxy.url });
    const failure = await failureOf(request('https://as.example.test/'));
    expect(failure.code).toBe('unreachable');
    expect(failure.message).toBe('as.example.test cannot be reached (the proxy answered HTTP 407).');
  });
});

describe('wasReused', () => {
  const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

  /** Sends requests one after the other on one connection and tells how the last of them failed. */
  async function lastFailure(client: HttpClient, origin: string, times: number): Promise<Error> {
    for (let count = 1; count < times; count++) {
      const { body } = await client.upstream.request({ origin, path: '/', method: 'POST', body: 'x' });
      await body.text();
      // In its next turn the pool has the connection back.
      await turn();
    }
    const failed = client.upstream
      .request({ origin, path: '/', method: 'POST', body: 'x' })
      .then(() => undefined);
    return (await failed.catch((error: unknown) => error)) as Error;
  }

  it.each<[string, (socket: Socket) => void, boolean]>([
    ['closes a kept connection without an answer', (socket) => socket.destroy(), true],
    ['ends a kept connection without an answer', (socket) => socket.end(), true],
    ['resets a kept connection', (socket) => socket.resetAndDestroy(), true],
    ['began to answer on a kept connection', (socket) => socket.end('HTTP/1.1 200 O'), false],
    ['answers nonsense on a kept connection', (socket) => socket.end('nonsense\r\n\r\n'), false],
  ])('when the server %s', async (_, second, expected) => {
    let connections = 0;
    const port = await givenTcpServer((socket, nth) => {
      connections = nth;
      let requests = 0;
      socket.on('data', () => {
        if (++requests === 1) socket.write(OK);
        else second(socket);
      });
    });
    const error = await lastFailure(givenClient(), `http://127.0.0.1:${port}`, 2);
    expect(error).toBeInstanceOf(Error);
    expect(wasReused(error)).toBe(expected);
    expect(connections).toBe(1);
  });

  it.each<[string, (socket: Socket) => void]>([
    ['closes a new connection', (socket) => socket.destroy()],
    ['resets a new connection', (socket) => socket.resetAndDestroy()],
    ['began to answer on a new connection', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent')],
    ['sends an informational answer only', (socket) => socket.end('HTTP/1.1 103 Early Hints\r\n\r\n')],
    ['answers nonsense on a new connection', (socket) => socket.end('nonsense\r\n\r\n')],
  ])('not when the server %s', async (_, first) => {
    const port = await givenTcpServer((socket) => socket.once('data', () => first(socket)));
    const error = await lastFailure(givenClient(), `http://127.0.0.1:${port}`, 1);
    expect(error).toBeInstanceOf(Error);
    expect(wasReused(error)).toBe(false);
  });

  it('not when no connection was to be had', async () => {
    const error = await lastFailure(givenClient(), `http://127.0.0.1:${await givenFreePort()}`, 1);
    expect(wasReused(error)).toBe(false);
  });

  it.each([
    [1, false],
    [2, true],
  ])('over TLS, at request %i of a connection: %s', async (times, expected) => {
    let requests = 0;
    const port = await givenTlsServer((request, response) => {
      if (++requests === times) request.socket.destroy();
      else response.end('ok');
    });
    const client = givenClient({ extraCaCerts: authority.caFile });
    expect(wasReused(await lastFailure(client, `https://localhost:${port}`, times))).toBe(expected);
  });
});

describe('the upstream’s pool', () => {
  it('gives up on headers after UPSTREAM_TIMEOUT_SECONDS', async () => {
    const server = await givenScriptedServer({ '/': () => undefined });
    const { upstream } = givenClient({ upstreamTimeoutSeconds: 1 });
    await expect(upstream.request({ origin: server.origin, path: '/', method: 'GET' })).rejects.toMatchObject(
      {
        code: 'UND_ERR_HEADERS_TIMEOUT',
      },
    );
  });

  it('reads headers up to 64 KiB', async () => {
    const server = await givenScriptedServer({
      '/large': (_, response) => void response.writeHead(200, { 'x-large': 'x'.repeat(60_000) }).end(),
      '/larger': (_, response) => void response.writeHead(200, { 'x-large': 'x'.repeat(66_000) }).end(),
    });
    const { upstream } = givenClient();
    const { headers } = await upstream.request({ origin: server.origin, path: '/large', method: 'GET' });
    expect(headers['x-large']).toHaveLength(60_000);
    await expect(
      upstream.request({ origin: server.origin, path: '/larger', method: 'GET' }),
    ).rejects.toMatchObject({
      code: 'UND_ERR_HEADERS_OVERFLOW',
    });
  });
});
