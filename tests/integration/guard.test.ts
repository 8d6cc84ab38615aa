import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { addressClass } from '../../app/address.ts';
import type { Broker } from '../../app/broker.ts';
import { givenBroker } from '../support/broker.ts';
import {
  givenScriptedUpstream,
  parseAnswer,
  portOf,
  requestText,
  type ScriptedUpstream,
  sendRaw,
  Wire,
} from '../support/wire.ts';

const KEY = 'the-key-of-this-proxy';
const CORS = 'access-control-allow-origin';

interface Guarded {
  readonly broker: Broker;
  readonly upstream: ScriptedUpstream;
  /** Sends a request with our own Host. */
  readonly send: (...lines: string[]) => ReturnType<typeof sendRaw>;
  /** Sends lines as they are. */
  readonly sendBare: (...lines: string[]) => ReturnType<typeof sendRaw>;
}

async function givenGuarded(environment: NodeJS.ProcessEnv = {}): Promise<Guarded> {
  const upstream = await givenScriptedUpstream((_request, response) => {
    response.writeHead(200, { [CORS]: '*', 'content-type': 'text/plain' }).end('from upstream');
  });
  const { broker } = await givenBroker(`${upstream.origin}/base/mcp`, environment);
  const port = portOf(broker.localUrl);
  return {
    broker,
    upstream,
    send: (...lines) => sendRaw(port, requestText(broker, ...lines, 'Connection: close')),
    sendBare: (...lines) => sendRaw(port, `${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`),
  };
}

/** An IPv4 address of this machine that is not loopback. */
function otherAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, address }) => family === 'IPv4' && addressClass(address) !== 'loopback')?.address;
}

const error = (rest: string) => (JSON.parse(rest) as { error: string }).error;

describe('a Host that is not ours', () => {
  it.each([
    ['another name', 'Host: evil.example'],
    ['another name with our port', 'Host: evil.example:PORT'],
    ['another port', 'Host: 127.0.0.1:1'],
    ['no port', 'Host: 127.0.0.1'],
    ['none at all', 'X: 1'],
    ['an empty one', 'Host:'],
    ['two', 'Host: 127.0.0.1:PORT\r\nHost: evil.example'],
    ['two of ours', 'Host: 127.0.0.1:PORT\r\nHost: 127.0.0.1:PORT'],
  ])('is refused on every route, and nothing reaches the upstream: %s', async (_what, host) => {
    const { broker, upstream, sendBare } = await givenGuarded();
    const line = host.replaceAll('PORT', String(portOf(broker.localUrl)));
    for (const path of ['/mcp', '/', '/health', '/oauth/status', '/oauth/logout']) {
      const answer = await sendBare(`GET ${path} HTTP/1.1`, line);
      expect([answer.status, error(answer.rest)]).toEqual([421, 'forbidden_host']);
    }
    expect(upstream.requests.entries).toEqual([]);
  });

  it('is served all the same when it is one of ours or named in ALLOWED_HOSTS', async () => {
    const { broker, sendBare } = await givenGuarded({ ALLOWED_HOSTS: 'proxy.example, other.example:8443' });
    const port = portOf(broker.localUrl);
    for (const host of [
      `127.0.0.1:${port}`,
      `LOCALHOST:${port}`,
      `[::1]:${port}`,
      'Proxy.Example',
      `proxy.example:${port}`,
      'other.example:8443',
    ]) {
      expect((await sendBare('GET /mcp HTTP/1.1', `Host: ${host}`)).rest).toContain('from upstream');
    }
  });
});

describe('an Origin', () => {
  it.each(['https://evil.example', 'null', 'http://127.0.0.1:1', ''])(
    'that is foreign is refused, also in a preflight: "%s"',
    async (origin) => {
      const { upstream, send } = await givenGuarded({ ALLOWED_ORIGINS: 'https://app.example' });
      for (const lines of [
        ['POST /mcp HTTP/1.1', 'Content-Length: 0'],
        ['GET / HTTP/1.1'],
        ['OPTIONS /mcp HTTP/1.1', 'Access-Control-Request-Method: POST'],
      ]) {
        const answer = await send(...lines, `Origin: ${origin}`);
        expect([answer.status, error(answer.rest)]).toEqual([403, 'forbidden_origin']);
        expect(answer.values(CORS)).toEqual([]);
      }
      expect(upstream.requests.entries).toEqual([]);
    },
  );

  it('that is absent or our own passes, without CORS headers', async () => {
    const { broker, send } = await givenGuarded({ ALLOWED_ORIGINS: 'https://app.example' });
    for (const origin of [[], [`Origin: ${broker.localUrl}`]]) {
      const answer = await send('GET /mcp HTTP/1.1', ...origin);
      expect(answer.rest).toContain('from upstream');
      expect(answer.values(CORS)).toEqual([]);
      expect(answer.values('vary')).toEqual([]);
    }
  });

  it('that is allowed gets CORS headers on what is forwarded, answered here and refused', async () => {
    const { send } = await givenGuarded({ ALLOWED_ORIGINS: 'https://app.example', PROXY_API_KEY: KEY });
    for (const [status, ...lines] of [
      [200, 'GET /mcp HTTP/1.1', `X-Api-Key: ${KEY}`],
      [200, 'GET /oauth/status HTTP/1.1'],
      [404, 'GET /register HTTP/1.1'],
      [401, 'GET /mcp HTTP/1.1'],
    ] as const) {
      const answer = await send(...lines, 'Origin: https://app.example');
      expect([answer.status, answer.values(CORS)]).toEqual([status, ['https://app.example']]);
      expect(answer.values('access-control-expose-headers').join()).toContain('Mcp-Session-Id');
      expect(answer.values('vary')).toEqual(['Origin']);
    }
  });

  it('that is allowed has its preflight answered here, without a key', async () => {
    const { upstream, send } = await givenGuarded({
      ALLOWED_ORIGINS: 'https://app.example',
      PROXY_API_KEY: KEY,
    });
    const answer = await send(
      'OPTIONS /mcp HTTP/1.1',
      'Origin: https://app.example',
      'Access-Control-Request-Method: POST',
      'Access-Control-Request-Headers: content-type,x-api-key,mcp-session-id',
    );
    expect(answer.status).toBe(204);
    expect(answer.values('access-control-allow-methods')).toEqual(['GET, POST, DELETE, OPTIONS']);
    expect(answer.values('access-control-allow-headers')).toEqual(['content-type,x-api-key,mcp-session-id']);
    expect(upstream.requests.entries).toEqual([]);
  });
});

describe('a browser that acts for another site', () => {
  it.each(['cross-site', 'same-site'])('may not log in or out: Sec-Fetch-Site %s', async (site) => {
    const { send } = await givenGuarded();
    for (const line of [
      'GET /oauth/login HTTP/1.1',
      'GET /oauth/logout HTTP/1.1',
      'POST /oauth/logout HTTP/1.1',
    ]) {
      const answer = await send(line, `Sec-Fetch-Site: ${site}`, 'Content-Length: 0');
      expect([answer.status, error(answer.rest)]).toEqual([403, 'cross_site']);
    }
  });

  describe('and follows a link to the login', () => {
    const link = ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document'];

    it('is asked first, on a page of ours that no other may frame', async () => {
      const { upstream, send } = await givenGuarded();
      const answer = await send('GET /oauth/login HTTP/1.1', ...link);
      expect(answer.status).toBe(403);
      expect(answer.rest).toContain('<h1>Do you want to log in?</h1>');
      expect(answer.rest).toContain('<a class="button" href="/oauth/login">Log in</a>');
      expect(answer.values('content-security-policy')[0]).toContain("frame-ancestors 'none'");
      expect(answer.values('location')).toEqual([]);
      expect(upstream.requests.entries).toEqual([]);
    });

    it.each([
      ['in a frame', 'GET /oauth/login HTTP/1.1', link.with(2, 'Sec-Fetch-Dest: iframe')],
      ['by a script', 'GET /oauth/login HTTP/1.1', link.with(1, 'Sec-Fetch-Mode: cors')],
      ['with POST', 'POST /oauth/login HTTP/1.1', [...link, 'Content-Length: 0']],
      ['to the logout', 'GET /oauth/logout HTTP/1.1', link],
    ])('is refused %s', async (_, line, headers) => {
      const { send } = await givenGuarded();
      const answer = await send(line, ...headers);
      expect([answer.status, error(answer.rest)]).toEqual([403, 'cross_site']);
    });
  });

  it('may do what does not change the login', async () => {
    const { send } = await givenGuarded();
    expect((await send('GET / HTTP/1.1', 'Sec-Fetch-Site: cross-site')).status).toBe(200);
  });

  it.each(['same-origin', 'none'])('is not one: Sec-Fetch-Site %s', async (site) => {
    const { send } = await givenGuarded();
    expect(
      (await send('POST /oauth/logout HTTP/1.1', `Sec-Fetch-Site: ${site}`, 'Content-Length: 0')).status,
    ).toBe(200);
  });
});

describe('PROXY_API_KEY', () => {
  it('is asked for on what is proxied, and no challenge goes with the refusal', async () => {
    const { upstream, send } = await givenGuarded({ PROXY_API_KEY: KEY });
    for (const lines of [
      ['POST /mcp HTTP/1.1', 'Content-Length: 0'],
      ['GET /mcp/x HTTP/1.1', 'Authorization: Bearer wrong'],
      ['DELETE /x HTTP/1.1', 'X-Api-Key: wrong'],
      ['GET / HTTP/1.1', 'Accept: text/event-stream'],
      ['POST /health HTTP/1.1', 'Content-Length: 0'],
    ]) {
      const answer = await send(...lines);
      expect([answer.status, error(answer.rest)]).toEqual([401, 'invalid_api_key']);
      expect(answer.values('www-authenticate')).toEqual([]);
    }
    expect(upstream.requests.entries).toEqual([]);
  });

  it.each([`Authorization: Bearer ${KEY}`, `X-Api-Key: ${KEY}`])(
    'opens the way in either header and is not sent on: %s',
    async (header) => {
      const { upstream, send } = await givenGuarded({ PROXY_API_KEY: KEY });
      expect((await send('GET /mcp HTTP/1.1', header)).rest).toContain('from upstream');
      expect(upstream.requests.entries).toHaveLength(1);
      expect(upstream.requests.entries[0]?.rawHeaders.join()).not.toContain(KEY);
    },
  );

  it('is not asked for from this machine on what is answered here', async () => {
    const { send } = await givenGuarded({ PROXY_API_KEY: KEY });
    for (const [path, status] of [
      ['/', 200],
      ['/health', 200],
      ['/mcp/health', 200],
      ['/oauth/status', 200],
      ['/oauth/callback', 400],
      ['/token', 404],
      ['/.well-known/oauth-protected-resource', 404],
    ] as const) {
      expect([path, (await send(`GET ${path} HTTP/1.1`)).status]).toEqual([path, status]);
    }
  });
});

describe('another address of this machine', () => {
  const address = otherAddress();
  if (address === undefined) {
    console.info('Not tested: this machine has no address but loopback ones');
    return;
  }

  it('is not listened on', async () => {
    const { broker } = await givenGuarded();
    await expect(Wire.open(portOf(broker.localUrl), address)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('is asked for the key everywhere but for /health and the callback, where BIND opens it', async () => {
    const { broker } = await givenGuarded({ BIND: '0.0.0.0', PROXY_API_KEY: KEY, ALLOWED_HOSTS: address });
    const port = portOf(broker.localUrl);
    const send = (request: string, ...headers: string[]) =>
      sendRaw(
        port,
        `${[`${request} HTTP/1.1`, `Host: ${address}:${port}`, ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`,
        address,
      );
    for (const request of [
      'GET /',
      'GET /mcp/health',
      'GET /oauth/status',
      'POST /oauth/status',
      'GET /oauth/login',
      'POST /oauth/login',
      'GET /oauth/logout',
      'GET /token',
      'GET /.well-known/oauth-authorization-server',
      'GET /mcp/.well-known/x',
      'GET /mcp',
    ]) {
      expect([request, (await send(request)).status]).toEqual([request, 401]);
    }
    expect((await send('GET /health')).status).toBe(200);
    expect((await send('GET /oauth/callback')).status).toBe(400);
    expect((await send('GET /oauth/status', `X-Api-Key: ${KEY}`)).status).toBe(200);
  });
});

describe('a way out of the base path', () => {
  it.each([
    '/..',
    '/mcp/../admin',
    '/mcp/./../admin',
    '/mcp/%2e%2e/admin',
    '/mcp/.%2E/admin',
    '/mcp/%252e%252e/admin',
    '/mcp/%25252e%25252e/admin',
    '/mcp/..;/admin',
    '/mcp/..%3bx/admin',
    '/mcp/..\\admin',
    '/mcp\\..\\admin',
    '/mcp/..%5cadmin',
    '/mcp/%255c..',
    '/mcp/..%2fadmin',
    '/mcp/..%252fadmin',
    '/mcp/%c0%ae%c0%ae/admin',
    '//evil.example/',
    '/mcp//evil.example/',
    '///evil.example/',
    'http://evil.example/mcp',
    'http://127.0.0.1/mcp',
    'https://evil.example/',
    'evil.example:443',
    '*',
    '/mcp#/../admin',
    '/mcp/%00',
    '/mcp/%0d%0aHost:%20evil.example',
    '/mcp/a%0a',
    '/mcp/\xc3\xa9',
    '/mcp/\xff',
    '/mcp?\x80',
    '/mcp/\x01',
    '/mcp/\x7f',
    '/mcp/\tx',
  ])('is a bad request, and the upstream hears nothing: %s', async (target) => {
    const { upstream, send } = await givenGuarded();
    const answer = await send(`GET ${target} HTTP/1.1`);
    expect([answer.status, error(answer.rest)]).toEqual([400, 'bad_request']);
    expect(upstream.requests.entries).toEqual([]);
  });

  it.each(['/mcp/..a', '/mcp/a..b/...', '/mcp/a?p=../../x%2f', '/mcp/%E2%82%AC', '/mcp/a;b=c', '/mcp/a%20b'])(
    'is not meant by %s, which passes as it is',
    async (target) => {
      const { upstream, send } = await givenGuarded();
      await send(`GET ${target} HTTP/1.1`);
      expect(upstream.requests.entries.map(({ url }) => url)).toEqual([`/base${target}`]);
    },
  );
});

describe('a request that is too long', () => {
  it('in its headers: 431 as JSON, after which the connection ends', async () => {
    const { broker } = await givenGuarded();
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(requestText(broker, 'GET /mcp HTTP/1.1', `X: ${'a'.repeat(65 * 1024)}`));
    await wire.until('}');
    const answer = parseAnswer(wire.text);
    expect([answer.status, error(answer.rest)]).toEqual([431, 'too_large']);
    expect(answer.values('connection')).toEqual(['close']);
    await wire.closed;
  });

  it('in its target: 431 as JSON', async () => {
    const { send } = await givenGuarded();
    const answer = await send(`GET /${'a'.repeat(16 * 1024)} HTTP/1.1`);
    expect([answer.status, error(answer.rest)]).toEqual([431, 'too_large']);
  });

  it('is not one with 60 KiB of headers', async () => {
    const { send } = await givenGuarded();
    expect((await send('GET /mcp HTTP/1.1', `X: ${'a'.repeat(60 * 1024)}`)).status).toBe(200);
  });
});

describe('what is not proper HTTP', () => {
  it.each([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    [
      'a length and chunks at once',
      'POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'chunks and a length at once',
      'POST /mcp HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
    ],
    ['two lengths', 'POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['a negative length', 'POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n'],
    [
      'chunked twice over',
      'POST /mcp HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
    ],
    ['a space before the colon', 'GET /mcp HTTP/1.1\r\nHost : h\r\n\r\n'],
    ['a folded header', 'GET /mcp HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n'],
    ['a NUL in a header', 'GET /mcp HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n'],
    ['a bare CR', 'GET /mcp HTTP/1.1\r\nHost: h\rX: a\r\n\r\n'],
  ])('is answered with 400 as JSON, and the connection ends: %s', async (_what, bytes) => {
    const { broker, upstream } = await givenGuarded();
    const answer = await sendRaw(
      portOf(broker.localUrl),
      bytes.replaceAll('Host: h', `Host: ${new URL(broker.localUrl).host}`),
    );
    expect([answer.status, error(answer.rest)]).toEqual([400, 'bad_request']);
    expect(upstream.requests.entries).toEqual([]);
  });

  it('in a chunked body: 400, and the upstream hears nothing', async () => {
    const { broker, upstream } = await givenGuarded();
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(
      `${requestText(broker, 'POST /mcp HTTP/1.1', 'Transfer-Encoding: chunked')}3\r\nabc\r\nzz\r\n`,
    );
    await wire.closed;
    expect(parseAnswer(wire.text).status).toBe(400);
    expect(upstream.requests.entries).toEqual([]);
  });

  it('behind a request whose answer streams: the stream is cut, not written into', async () => {
    const upstream = await givenScriptedUpstream((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
    });
    const { broker } = await givenBroker(upstream.origin);
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(requestText(broker, 'GET /mcp HTTP/1.1'));
    await wire.until('data: 1');
    wire.write('garbage\r\n\r\n');
    await wire.closed;
    expect(wire.text).not.toContain('bad_request');
  });

  it('by TRACE: it does not reach the upstream, whose answer would hold the token', async () => {
    const { broker, upstream } = await givenGuarded();
    const request = requestText(broker, 'TRACE /mcp HTTP/1.1', 'Connection: close');
    expect((await sendRaw(portOf(broker.localUrl), request)).status).toBe(400);
    expect(upstream.requests.entries).toEqual([]);
  });

  it('with an expectation: the guard judges it like any other, and the expectation stays here', async () => {
    const { broker, upstream } = await givenGuarded();
    const lines = ['POST /mcp HTTP/1.1', 'Expect: tea', 'Content-Length: 0', 'Connection: close'];
    expect((await sendRaw(portOf(broker.localUrl), requestText(broker, ...lines))).status).toBe(200);
    expect(upstream.requests.entries[0]?.headers).not.toHaveProperty('expect');
    const foreign = requestText(broker, ...lines, 'Origin: https://evil.example');
    expect((await sendRaw(portOf(broker.localUrl), foreign)).status).toBe(403);
  });

  it('with an expectation that is being answered is not taken for an idle connection when the broker closes', async () => {
    let finish = () => {};
    const arrived = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let end = () => {};
    const upstream = await givenScriptedUpstream((_request, response) => {
      end = () => response.end('late');
      finish();
    });
    const { broker } = await givenBroker(upstream.origin);
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(requestText(broker, 'GET /mcp HTTP/1.1', 'Expect: tea'));
    await arrived;
    const closed = broker.close();
    end();
    await closed;
    await wire.closed;
    expect(parseAnswer(wire.text)).toMatchObject({ status: 200, rest: 'late' });
  });

  it('for a tunnel: CONNECT ends the connection', async () => {
    const { broker, upstream } = await givenGuarded();
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(requestText(broker, 'CONNECT evil.example:443 HTTP/1.1'));
    await wire.closed;
    expect(wire.text).toBe('');
    expect(upstream.requests.entries).toEqual([]);
  });
});

it('decides before a body is read: the refusal comes though the body never does', async () => {
  const { broker } = await givenGuarded({ PROXY_API_KEY: KEY });
  const wire = await Wire.open(portOf(broker.localUrl));
  wire.write(requestText(broker, 'POST /mcp HTTP/1.1', 'Content-Length: 1000'));
  await wire.until('invalid_api_key');
});
