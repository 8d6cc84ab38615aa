import { buffer as bytesOf } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { givenBroker } from '../support/broker.ts';
import { givenScriptedUpstream, portOf, Wire } from '../support/wire.ts';

/**
 * Request smuggling: bytes that one reader takes for the body of a request and another one for a request of its own. Each
 * case ends on such a request. `HOST` stands for the broker's, `LENGTH` for the length of that request.
 */
const HIDDEN = 'GET /mcp/hidden HTTP/1.1\r\nHost: HOST\r\n\r\n';
const POST = 'POST /mcp HTTP/1.1\r\nHost: HOST\r\n';
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n`;
const GET = 'GET /mcp HTTP/1.1\r\nHost: HOST\r\n';

interface Given {
  readonly send: (bytes: string) => Promise<Wire>;
  /** What has reached the upstream, with the bytes of its body, in the order of the client's requests. */
  readonly reached: () => string[];
  /** Calls that were begun, whether or not they have reached the upstream. */
  readonly begun: () => Promise<number>;
}

async function givenBoth(): Promise<Given> {
  const upstream = await givenScriptedUpstream(
    (request, response) => {
      bytesOf(request).then((body) => response.end(`<${body.toString('latin1')}>`));
    },
    { readBody: false },
  );
  const { broker } = await givenBroker(`${upstream.origin}/base`);
  const { host } = new URL(broker.localUrl);
  return {
    send: async (bytes) => {
      const wire = await Wire.open(portOf(broker.localUrl));
      const ours = (text: string) => text.replaceAll('HOST', host);
      wire.write(ours(bytes).replace('LENGTH', String(ours(HIDDEN).length)));
      return wire;
    },
    begun: async () => (await broker.status()).counters.calls,
    reached: () => upstream.requests.entries.map(({ method, url }) => `${method} ${url}`).sort(),
  };
}

const statusesOf = ({ text }: Wire) =>
  [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => Number(code));

describe('a request that two readers could read in two ways', () => {
  it.each([
    ['CL.TE', `${POST}Content-Length: 64\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['TE.CL', `${CHUNKED}Content-Length: 3\r\n\r\n8\r\nSMUGGLED\r\n0\r\n\r\n`],
    ['TE.TE, the second one hidden', `${CHUNKED}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n`],
    [
      'TE with a space before the colon',
      `${POST}Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    ],
    ['TE with another name', `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    ['TE with a vertical tab', `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`],
    ['TE on a folded line', `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`],
    ['TE that is empty', `${POST}Transfer-Encoding:\r\nContent-Length: 3\r\n\r\nabc`],
    ['TE of two codings', `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['TE chunked twice', `${POST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`],
    ['TE identity', `${POST}Transfer-Encoding: identity\r\n\r\n`],
    ['TE by HTTP/1.0', `${CHUNKED.replace('1.1', '1.0')}Connection: keep-alive\r\n\r\n0\r\n\r\n`],
    ['two lengths that agree', `${POST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`],
    ['two lengths that do not', `${POST}Content-Length: 3\r\nContent-Length: 40\r\n\r\nabc`],
    ['a list of lengths', `${POST}Content-Length: 3, 3\r\n\r\nabc`],
    ['a length with a sign', `${POST}Content-Length: +3\r\n\r\nabc`],
    ['a length in hexadecimal', `${POST}Content-Length: 0x3\r\n\r\nabc`],
    ['a length that is empty', `${POST}Content-Length:\r\n\r\n`],
    ['a length with a space in it', `${POST}Content-Length: 3 3\r\n\r\nabc`],
    ['a length beyond 64 bits', `${POST}Content-Length: 18446744073709551619\r\n\r\nabc`],
    ['lines that end on LF', `POST /mcp HTTP/1.1\nHost: HOST\nContent-Length: 3\n\nabc`],
    ['a field that ends on LF', `POST /mcp HTTP/1.1\r\nHost: HOST\nContent-Length: 3\r\n\r\nabc`],
    ['a head that ends on LF', `${POST}Content-Length: 3\r\n\nabc`],
    ['a field that ends on CR', `${POST}X: y\rContent-Length: 3\r\n\r\nabc`],
    ['a NUL in a name', `${POST}Content-Length\0: 3\r\n\r\nabc`],
    ['a NUL in the target', `POST /mcp\0 HTTP/1.1\r\nHost: HOST\r\n\r\n`],
    ['a field without a name', `${POST}: chunked\r\n\r\n`],
    ['a field without a colon', `${POST}Content-Length\r\n\r\n`],
    ['a first field that is folded', 'POST /mcp HTTP/1.1\r\n Content-Length: 3\r\nHost: HOST\r\n\r\nabc'],
    ['a chunk whose size ends on LF', `${CHUNKED}\r\n3\nabc\r\n0\r\n\r\n`],
    ['a chunk whose extension ends on LF', `${CHUNKED}\r\n3;x\nabc\r\n0\r\n\r\n`],
    ['a chunk longer than its size', `${CHUNKED}\r\n3\r\nabcdef\r\n0\r\n\r\n`],
    ['a chunk of a negative size', `${CHUNKED}\r\n-3\r\nabc\r\n0\r\n\r\n`],
    ['a chunk size with a prefix', `${CHUNKED}\r\n0x3\r\nabc\r\n0\r\n\r\n`],
    ['a chunk size beyond 64 bits', `${CHUNKED}\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n`],
    ['a chunk extension without end', `${CHUNKED}\r\n3;${'x'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`],
    ['a length in a trailer', `${CHUNKED}\r\n0\r\nContent-Length: 40\r\n\r\n`],
    ['HTTP/0.9', 'GET /mcp\r\n\r\n'],
    ['HTTP/0.9 by name', 'GET /mcp HTTP/0.9\r\nHost: HOST\r\n\r\n'],
    ['HTTP/1.2', 'GET /mcp HTTP/1.2\r\nHost: HOST\r\n\r\n'],
    ['HTTP/2.0 in the form of HTTP/1', 'GET /mcp HTTP/2.0\r\nHost: HOST\r\n\r\n'],
    ['a version in small letters', 'GET /mcp http/1.1\r\nHost: HOST\r\n\r\n'],
    ['a method in small letters', 'get /mcp HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['a target with a space', 'GET /mcp /x HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['a target with our own address', 'GET http://HOST/mcp HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['a target with another address', 'GET http://evil.example/mcp HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['the target *', 'OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n'],
  ])('is refused, and nothing behind it is acted on: %s', async (_, bytes) => {
    const { send, begun, reached } = await givenBoth();
    const wire = await send(bytes + HIDDEN);
    await wire.closed;
    expect(statusesOf(wire)).toEqual([400]);
    expect(wire.text).toContain('"error":"bad_request"');
    // What is wrong in its body is a call for as long as its head is all there is; it never leaves.
    expect(await begun()).toBe(bytes.startsWith(`${CHUNKED}\r\n`) ? 1 : 0);
    expect(reached()).toEqual([]);
  });

  it('is refused behind one that is being answered, too: the connection ends', async () => {
    const { send, begun } = await givenBoth();
    const wire = await send(`${GET}\r\n${POST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc${HIDDEN}`);
    await wire.closed;
    expect(await begun()).toBe(1);
  });

  it('is no tunnel: CONNECT ends the connection', async () => {
    const { send, begun } = await givenBoth();
    const wire = await send(`CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n${HIDDEN}`);
    await wire.closed;
    expect(wire.text).toBe('');
    expect(await begun()).toBe(0);
  });
});

describe('a body that looks like a request', () => {
  it.each(['POST', 'GET', 'DELETE', 'OPTIONS'])('is the body it is: %s', async (method) => {
    const { send, reached } = await givenBoth();
    const wire = await send(
      `${method} /mcp HTTP/1.1\r\nHost: HOST\r\nContent-Length: LENGTH\r\n\r\n${HIDDEN}`,
    );
    await wire.until('>');
    expect(wire.text).toContain('<GET /mcp/hidden');
    expect(reached()).toEqual([`${method} /base`]);
  });

  it.each([
    ['another Host', 'Host: evil.example'],
    ['a foreign Origin', 'Host: HOST\r\nOrigin: https://evil.example'],
    ['the path of the callback', 'Host: HOST', '/oauth/callback'],
  ])('is thrown away with the request that is refused: %s', async (_, lines, path = '/mcp') => {
    const { send, begun } = await givenBoth();
    const wire = await send(
      `POST ${path} HTTP/1.1\r\n${lines}\r\nContent-Length: LENGTH\r\n\r\n${HIDDEN}GET /health HTTP/1.1\r\nHost: HOST\r\n\r\n`,
    );
    await wire.until('"status":"ok"');
    expect(statusesOf(wire)).toHaveLength(2);
    expect(await begun()).toBe(0);
  });
});

describe('several requests on one connection', () => {
  it.each([
    ['a length', `${POST}Content-Length: 3\r\n\r\nabc`, '<abc>'],
    ['chunks', `${CHUNKED}\r\n3\r\nabc\r\n0\r\n\r\n`, '<abc>'],
    ['chunks with extensions', `${CHUNKED}\r\n3;a=b\r\nabc\r\n0\r\n\r\n`, '<abc>'],
    ['chunks and trailers', `${CHUNKED}\r\n3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n`, '<abc>'],
    ['chunks in other letters', `${POST}tRANSFER-eNCODING:\tChUnKeD\r\n\r\n3\r\nabc\r\n0\r\n\r\n`, '<abc>'],
    [
      'a Connection that names the length',
      `${POST}Connection: content-length\r\nContent-Length: 3\r\n\r\nabc`,
      '<abc>',
    ],
    ['a length of another name', `${POST}Content_Length: 40\r\n\r\n`, '<>'],
  ])('are taken apart where the first one ends, and have an answer each: %s', async (_, bytes, first) => {
    const { send, reached } = await givenBoth();
    const wire = await send(`${bytes}${HIDDEN}`);
    await wire.until(/<.*<>/s);
    expect(wire.text.match(/<[^>]*>/g)).toEqual([first, '<>']);
    expect(statusesOf(wire)).toEqual([200, 200]);
    expect(reached()).toEqual(['GET /base/hidden', `${bytes.slice(0, 4).trim()} /base`]);
  });

  it.each([
    ['WebSocket', 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13'],
    ['HTTP/2', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x'],
  ])('stay requests when the first one wishes for %s: it is answered as what it is', async (_, wish) => {
    const { send, reached } = await givenBoth();
    const wire = await send(`${GET}${wish}\r\n\r\n`);
    await wire.until('<>');
    wire.write(HIDDEN.replace('HOST', `127.0.0.1:${wire.socket.remotePort}`));
    await wire.until(/<>.*<>/s);
    expect(statusesOf(wire)).toEqual([200, 200]);
    expect(reached()).toEqual(['GET /base', 'GET /base/hidden']);
  });
});
