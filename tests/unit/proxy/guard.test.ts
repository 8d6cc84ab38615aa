import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_TARGET_BYTES } from '../../../app/limits.ts';
import { createGuard } from '../../../app/proxy/guard.ts';

const PORT = 5177;
const SETTINGS = { bind: '127.0.0.1', proxyApiKey: undefined, allowedHosts: [], allowedOrigins: [] };

const server = createServer({ requireHostHeader: false, maxHeaderSize: 64 * 1024 });
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
afterAll(() => new Promise((resolve) => server.close(resolve)));

/** A request as Node's parser reads it from these lines. */
function requestOf(...lines: string[]): Promise<IncomingMessage> {
  return new Promise((resolve) => {
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1', () => socket.write(`${lines.join('\r\n')}\r\n\r\n`));
    server.once('request', (request: IncomingMessage) => {
      resolve(request);
      socket.destroy();
    });
  });
}

const get = (...headers: string[]) => requestOf('GET /mcp HTTP/1.1', `Host: 127.0.0.1:${PORT}`, ...headers);
const code = (refusal: { code: string } | undefined) => refusal?.code;

describe('Host', () => {
  const guard = createGuard({ ...SETTINGS, allowedHosts: ['proxy.example', 'tls.example:8443'] }, PORT);

  it.each([
    `127.0.0.1:${PORT}`,
    `localhost:${PORT}`,
    `LocalHost:${PORT}`,
    `[::1]:${PORT}`,
    'proxy.example',
    'Proxy.Example',
    `proxy.example:${PORT}`,
    'tls.example:8443',
  ])('%s is ours', async (host) => {
    expect(guard.judge(await requestOf('GET / HTTP/1.1', `Host: ${host}`))).toBeUndefined();
  });

  it.each([
    'evil.example',
    `evil.example:${PORT}`,
    `127.0.0.1.evil.example:${PORT}`,
    `localhost.:${PORT}`,
    `foo.localhost:${PORT}`,
    '127.0.0.1',
    'localhost',
    '127.0.0.1:80',
    `127.0.0.1:0${PORT}`,
    `127.0.0.2:${PORT}`,
    `0.0.0.0:${PORT}`,
    `user@127.0.0.1:${PORT}`,
    'tls.example',
    `tls.example:${PORT}`,
    '',
  ])('"%s" is refused', async (host) => {
    expect(guard.judge(await requestOf('GET / HTTP/1.1', `Host: ${host}`))).toMatchObject({
      code: 'forbidden_host',
      status: 421,
    });
  });

  it('is refused when it is missing or there are two', async () => {
    expect(code(guard.judge(await requestOf('GET / HTTP/1.1')))).toBe('forbidden_host');
    expect(code(guard.judge(await get(`Host: 127.0.0.1:${PORT}`)))).toBe('forbidden_host');
  });

  it('may leave the port out when ours is 80', async () => {
    const at80 = createGuard(SETTINGS, 80);
    expect(at80.judge(await requestOf('GET / HTTP/1.1', 'Host: localhost'))).toBeUndefined();
    expect(at80.judge(await requestOf('GET / HTTP/1.1', 'Host: localhost:80'))).toBeUndefined();
  });

  it('is the address that is bound, too, but not the unspecified one', async () => {
    const bound = createGuard({ ...SETTINGS, bind: '192.0.2.7' }, PORT);
    expect(bound.judge(await requestOf('GET / HTTP/1.1', `Host: 192.0.2.7:${PORT}`))).toBeUndefined();
    const everywhere = createGuard({ ...SETTINGS, bind: '0.0.0.0' }, PORT);
    expect(code(everywhere.judge(await requestOf('GET / HTTP/1.1', `Host: 0.0.0.0:${PORT}`)))).toBe(
      'forbidden_host',
    );
    const six = createGuard({ ...SETTINGS, bind: 'fd00::7' }, PORT);
    expect(six.judge(await requestOf('GET / HTTP/1.1', `Host: [fd00::7]:${PORT}`))).toBeUndefined();
  });
});

describe('Origin', () => {
  const guard = createGuard(
    { ...SETTINGS, allowedOrigins: ['https://app.example'], allowedHosts: ['proxy.example'] },
    PORT,
  );

  it.each([
    `http://127.0.0.1:${PORT}`,
    `http://localhost:${PORT}`,
    'https://proxy.example',
    'https://app.example',
  ])('%s may call', async (origin) => {
    expect(guard.judge(await get(`Origin: ${origin}`))).toBeUndefined();
  });

  it.each([
    'https://evil.example',
    'null',
    '',
    'http://127.0.0.1:3000',
    'http://localhost',
    'http://app.example',
    'https://app.example:8443',
    'https://app.example.evil.example',
    'https://app.example, https://evil.example',
    'file://',
  ])('"%s" may not', async (origin) => {
    expect(guard.judge(await get(`Origin: ${origin}`))).toMatchObject({
      code: 'forbidden_origin',
      status: 403,
    });
  });

  it('is not asked for', async () => {
    expect(guard.judge(await get())).toBeUndefined();
  });

  it('may not be hidden behind a second one', async () => {
    const request = await get('Origin: https://app.example', 'Origin: https://evil.example');
    expect(code(guard.judge(request))).toBe('forbidden_origin');
  });

  it('gets CORS headers when it is allowed, and nobody else does', async () => {
    expect(guard.corsHeaders(await get('Origin: https://app.example'))).toEqual({
      'access-control-allow-origin': 'https://app.example',
      'access-control-expose-headers': 'Mcp-Session-Id, Mcp-Protocol-Version, Retry-After',
      vary: 'Origin',
    });
    expect(guard.corsHeaders(await get())).toBeUndefined();
    expect(guard.corsHeaders(await get(`Origin: http://127.0.0.1:${PORT}`))).toBeUndefined();
  });

  it('has its preflight answered with what it asked for', async () => {
    const preflight = await requestOf(
      'OPTIONS /mcp HTTP/1.1',
      `Host: 127.0.0.1:${PORT}`,
      'Origin: https://app.example',
      'Access-Control-Request-Method: POST',
      'Access-Control-Request-Headers: content-type, mcp-method',
    );
    expect(guard.corsHeaders(preflight)).toMatchObject({
      'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
      'access-control-allow-headers': 'content-type, mcp-method',
    });
  });
});

describe('a request that changes the login', () => {
  const guard = createGuard(SETTINGS, PORT);
  it.each([
    [undefined, undefined],
    ['none', undefined],
    ['same-origin', undefined],
    ['same-site', 'cross_site'],
    ['cross-site', 'cross_site'],
    ['anything', 'cross_site'],
  ])('with Sec-Fetch-Site %s: %s', async (site, refusal) => {
    const request = await get(...(site === undefined ? [] : [`Sec-Fetch-Site: ${site}`]));
    expect(code(guard.judgeSite(request))).toBe(refusal);
  });
});

describe('the API key', () => {
  const guard = createGuard({ ...SETTINGS, proxyApiKey: 'k-1' }, PORT);

  it.each(['Authorization: Bearer k-1', 'authorization: bearer   k-1', 'X-Api-Key: k-1'])(
    'is right: %s',
    async (header) => {
      expect(guard.judgeKey(await get(header))).toBeUndefined();
    },
  );

  it('is right in one header, whatever is in the other', async () => {
    expect(guard.judgeKey(await get('Authorization: Bearer other', 'X-Api-Key: k-1'))).toBeUndefined();
    expect(guard.judgeKey(await get('Authorization: Bearer k-1', 'X-Api-Key: other'))).toBeUndefined();
  });

  it.each([
    'Authorization: Bearer k-2',
    'Authorization: k-1',
    'Authorization: Basic k-1',
    'Authorization: Bearer k-1 k-1',
    'Authorization: Bearer',
    'X-Api-Key: k-',
    'X-Api-Key: K-1',
    'X-Api-Key: k-1, k-1',
    'Accept: */*',
  ])('is wrong: %s', async (header) => {
    expect(guard.judgeKey(await get(header))).toMatchObject({ code: 'invalid_api_key', status: 401 });
  });

  it('is asked for from nobody where there is none', async () => {
    expect(createGuard(SETTINGS, PORT).judgeKey(await get())).toBeUndefined();
  });

  it('is not asked for from a peer on this machine where only others need it', async () => {
    expect(guard.judgeKeyOfPeer(await get())).toBeUndefined();
  });
});

describe('the request target', () => {
  const guard = createGuard(SETTINGS, PORT);
  const judge = async (target: string) =>
    guard.judge(await requestOf(`GET ${target} HTTP/1.1`, `Host: 127.0.0.1:${PORT}`));

  it('has at most 16 KiB', async () => {
    expect(await judge(`/${'a'.repeat(MAX_TARGET_BYTES - 1)}`)).toBeUndefined();
    expect(await judge(`/${'a'.repeat(MAX_TARGET_BYTES)}`)).toMatchObject({ code: 'too_large', status: 431 });
  });

  it('is a path, not an address', async () => {
    expect(await judge(`http://127.0.0.1:${PORT}/mcp`)).toMatchObject({ code: 'bad_request', status: 400 });
    expect(await judge('http://evil.example/mcp')).toMatchObject({ code: 'bad_request', status: 400 });
  });
});
