import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { HttpClient, HttpSettings } from '../../app/http-client.ts';
import type { Network } from '../../app/network.ts';
import type { HttpFailure } from '../../app/oauth/http.ts';
import { makeAuthority, type TestAuthority } from '../support/certificates.ts';
import { givenHttpClient } from '../support/http-client.ts';
import { givenConnectProxy, givenSocksProxy } from '../support/proxies.ts';
import {
  givenScriptedServer,
  listenUntilTestEnds,
  type Script,
  scriptedListener,
} from '../support/scripted-server.ts';

const UPSTREAM = 'https://mcp.example.test';
const AS = 'https://as.example.test';

let folder: string;
let authority: TestAuthority;
let ca: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'http-client-network-'));
  authority = await makeAuthority(folder, ['*.example.test']);
  ca = await readFile(authority.caFile, 'utf8');
});
afterAll(() => rm(folder, { recursive: true }));

/** A network that counts what it is asked, and whose proxy can be changed. */
class TestNetwork implements Network {
  readonly asked: string[] = [];
  caRequests = 0;
  proxy: string | undefined;

  constructor(proxy: string | undefined) {
    this.proxy = proxy;
  }

  async proxyFor(url: string): Promise<string | undefined> {
    this.asked.push(url);
    return this.proxy;
  }

  async certificateAuthorities(): Promise<readonly string[]> {
    this.caRequests++;
    return [ca];
  }
}

const givenTlsServer = (script: Script = { '/': { text: 'there' }, '/token': { text: 'token' } }) =>
  listenUntilTestEnds(createTlsServer(authority.server, scriptedListener(script)));

const givenClient = (network: Network, settings: Partial<HttpSettings> = {}): HttpClient =>
  givenHttpClient({ upstreamMcpUrl: `${UPSTREAM}/mcp`, ...settings }, { network });

async function ask({ upstream }: HttpClient, origin = UPSTREAM): Promise<string> {
  const { body } = await upstream.request({ origin, path: '/', method: 'GET' });
  const text = await body.text();
  // In its next turn the pool has the connection back.
  await turn();
  return text;
}

/** How a request ended that got no answer. */
async function failureOf(promise: Promise<unknown>): Promise<HttpFailure> {
  return (await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )) as HttpFailure;
}

describe('the proxies of the system', () => {
  it.each([
    ['http', givenConnectProxy],
    ['socks5', givenSocksProxy],
  ])('carry calls and authorization alike (%s), and are asked for once per origin', async (_, givenProxy) => {
    const proxy = await givenProxy(await givenTlsServer());
    const network = new TestNetwork(proxy.url);
    const client = givenClient(network);
    expect(network.asked).toEqual([]);
    for (const _ of [1, 2]) {
      expect(await ask(client)).toBe('there');
      expect((await client.request(`${AS}/token`)).text).toBe('token');
    }
    expect(network.asked).toEqual([`${UPSTREAM}/`, `${AS}/`]);
    expect(proxy.asked).toEqual(['mcp.example.test:443', 'as.example.test:443']);
  });

  it('pass on a header that comes twice', async () => {
    let seen: string[] = [];
    const proxy = await givenConnectProxy(
      await givenTlsServer({
        '/': (_, response, raw) => {
          seen = raw.rawHeaders;
          response.end();
        },
      }),
    );
    const { upstream } = givenClient(new TestNetwork(proxy.url));
    const headers = ['X-One', 'a', 'X-One', 'b'];
    const { body } = await upstream.request({ origin: UPSTREAM, path: '/', method: 'GET', headers });
    await body.dump();
    expect(seen.join(' ')).toContain('X-One a X-One b');
  });

  it('are not asked for this machine', async () => {
    const server = await givenScriptedServer({ '/': { text: 'here' } });
    const network = new TestNetwork('http://127.0.0.1:1');
    const client = givenClient(network, { upstreamMcpUrl: server.origin });
    expect(await ask(client, server.origin)).toBe('here');
    expect((await client.request(`http://localhost:${server.port}`)).text).toBe('here');
    expect(network.asked).toEqual([]);
    expect(network.caRequests).toBe(0);
  });

  it('give way to a proxy of the settings, and to NO_PROXY', async () => {
    const proxy = await givenConnectProxy(await givenTlsServer());
    const network = new TestNetwork('http://127.0.0.1:1');
    expect(await ask(givenClient(network, { httpsProxy: proxy.url }))).toBe('there');
    await failureOf(ask(givenClient(network, { noProxy: 'example.test' })));
    expect(network.asked).toEqual([]);
    expect(proxy.asked).toEqual(['mcp.example.test:443']);
  });

  it('may take their time: calls wait', async () => {
    const proxy = await givenConnectProxy(await givenTlsServer());
    const network = new TestNetwork(proxy.url);
    let answer: (url: string) => void = () => undefined;
    network.proxyFor = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const client = givenClient(network);
    const calls = [ask(client), ask(client)];
    await turn();
    answer(proxy.url);
    expect(await Promise.all(calls)).toEqual(['there', 'there']);
  });

  it('are done without when the system fails to name them, and asked for anew', async () => {
    const proxy = await givenConnectProxy(await givenTlsServer());
    const network = new TestNetwork(proxy.url);
    const { proxyFor } = network;
    network.proxyFor = async () => {
      network.proxyFor = proxyFor;
      throw new Error('no');
    };
    const client = givenClient(network);
    expect((await failureOf(client.request(`${AS}/token`))).message).toMatch(/ENOTFOUND|EAI_AGAIN/);
    expect((await client.request(`${AS}/token`)).text).toBe('token');
  });

  it('are asked for anew when a connection fails', async () => {
    const port = await givenTlsServer();
    const [gone, proxy] = [await givenConnectProxy(port), await givenConnectProxy(port)];
    await gone.stop();
    const network = new TestNetwork(gone.url);
    const client = givenClient(network);
    const failure = await failureOf(client.request(`${AS}/token`));
    expect([failure.code, failure.message]).toEqual([
      'unreachable',
      'as.example.test cannot be reached (the proxy cannot be reached, ECONNREFUSED).',
    ]);
    await expect(ask(client)).rejects.toMatchObject({ code: 'PROXY_ECONNREFUSED' });
    network.proxy = proxy.url;
    expect(await ask(client)).toBe('there');
    expect((await client.request(`${AS}/token`)).text).toBe('token');
  });

  it('do not lead around the address rule', async () => {
    const network = new TestNetwork('http://127.0.0.1:1');
    const { request } = givenClient(network, { upstreamMcpUrl: 'https://203.0.113.7/mcp' });
    for (const url of [
      'https://127.0.0.1/',
      'https://10.0.0.1/',
      'https://[fd00::1]/',
      'https://localhost:1/',
    ])
      expect((await failureOf(request(url))).code).toBe('forbidden_address');
    expect(network.asked).toEqual([]);
  });
});

describe('reroute', () => {
  const STREAMING: Script = {
    '/': { text: 'there' },
    '/token': { text: 'token' },
    '/stream': (_, response) => void response.writeHead(200).write('first'),
  };

  async function givenStream({ upstream }: HttpClient) {
    const { body } = await upstream.request({ origin: UPSTREAM, path: '/stream', method: 'GET' });
    const [first]: Buffer[] = await once(body, 'data');
    expect(String(first)).toBe('first');
    return body;
  }

  it('takes new requests to the new proxy and lets streams live on, until the client is closed', async () => {
    const port = await givenTlsServer(STREAMING);
    const [one, two] = [await givenConnectProxy(port), await givenConnectProxy(port)];
    const network = new TestNetwork(one.url);
    const client = givenClient(network);
    const stream = await givenStream(client);
    await client.request(`${AS}/token`);
    network.proxy = two.url;
    await client.reroute();
    expect(await ask(client)).toBe('there');
    await client.request(`${AS}/token`);
    expect(one.asked).toEqual(['mcp.example.test:443', 'as.example.test:443']);
    expect(two.asked).toEqual(['mcp.example.test:443', 'as.example.test:443']);
    expect(stream.readableEnded || stream.destroyed).toBe(false);
    const failed = once(stream, 'error');
    await client.close();
    await failed;
  });

  it('lets a call under way be answered on the old connection', async () => {
    let answer: () => void = () => undefined;
    let arrived: () => void = () => undefined;
    const isThere = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const port = await givenTlsServer({
      '/': (_, response) => {
        answer = () => response.end('late');
        arrived();
      },
    });
    const [one, two] = [await givenConnectProxy(port), await givenConnectProxy(port)];
    const network = new TestNetwork(one.url);
    const client = givenClient(network);
    const call = ask(client);
    await isThere;
    network.proxy = two.url;
    await client.reroute();
    answer();
    expect(await call).toBe('late');
  });

  it('leaves connections alone when nothing has changed', async () => {
    const proxy = await givenConnectProxy(await givenTlsServer());
    const network = new TestNetwork(proxy.url);
    const client = givenClient(network);
    await ask(client);
    await client.reroute();
    await ask(client);
    expect(network.asked).toHaveLength(2);
    expect(proxy.asked).toHaveLength(1);
  });

  it('asks for nothing before there was a connection, nor without a network', async () => {
    const network = new TestNetwork(undefined);
    await givenClient(network).reroute();
    await givenHttpClient({ upstreamMcpUrl: UPSTREAM }).reroute();
    expect(network.asked).toEqual([]);
  });

  it('does not open anything again once the client is closed', async () => {
    const proxy = await givenConnectProxy(await givenTlsServer());
    const network = new TestNetwork(proxy.url);
    const client = givenClient(network);
    await ask(client);
    await client.close();
    network.proxy = undefined;
    await client.reroute();
    await expect(ask(client)).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' });
  });
});

describe('the certificate authorities of the system', () => {
  it('are asked for once, and not before there is a TLS connection', async () => {
    const port = await givenTlsServer();
    const network = new TestNetwork(undefined);
    const client = givenClient(network, { upstreamMcpUrl: `https://localhost:${port}/mcp` });
    expect(network.caRequests).toBe(0);
    expect(await ask(client, `https://localhost:${port}`)).toBe('there');
    expect((await client.request(`https://localhost:${port}/token`)).text).toBe('token');
    expect(network.caRequests).toBe(1);
  });

  it('add to EXTRA_CA_CERTS and NODE_EXTRA_CA_CERTS, and neither replaces the other', async () => {
    const { NODE_EXTRA_CA_CERTS } = process.env;
    onTestFinished(() => {
      if (NODE_EXTRA_CA_CERTS === undefined) delete process.env.NODE_EXTRA_CA_CERTS;
      else process.env.NODE_EXTRA_CA_CERTS = NODE_EXTRA_CA_CERTS;
    });
    const authorities = await Promise.all(
      ['file', 'variable'].map(async () => {
        const own = await mkdtemp(path.join(tmpdir(), 'http-client-ca-'));
        onTestFinished(() => rm(own, { recursive: true }));
        return makeAuthority(own);
      }),
    );
    const [file, variable] = authorities;
    process.env.NODE_EXTRA_CA_CERTS = variable?.caFile;
    const client = givenClient(new TestNetwork(undefined), {
      upstreamMcpUrl: 'https://localhost/mcp',
      extraCaCerts: file?.caFile,
    });
    for (const { server } of [authority, ...authorities]) {
      const listener = scriptedListener({ '/': { text: 'trusted' } });
      const port = await listenUntilTestEnds(createTlsServer(server, listener));
      expect((await client.request(`https://localhost:${port}/`)).text).toBe('trusted');
    }
  });

  it('that cannot be had leave those of Node', async () => {
    const port = await givenTlsServer();
    const network = new TestNetwork(undefined);
    network.certificateAuthorities = () => Promise.reject(new Error('no'));
    const { request } = givenClient(network, { upstreamMcpUrl: 'https://localhost/mcp' });
    expect((await failureOf(request(`https://localhost:${port}/`))).message).toContain('is not trusted');
  });
});
