import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer as bytesOf } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import { MAX_HELD_BYTES } from '../../app/limits.ts';
import { givenBroker, givenUpstream, logIn, rpc } from '../support/broker.ts';
import { memoryInUse } from '../support/memory.ts';
import {
  givenRawUpstream,
  givenScriptedUpstream,
  onHeads,
  parseAnswer,
  portOf,
  type RawAnswer,
  requestText,
  sendRaw,
  Wire,
} from '../support/wire.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A broker in front of an upstream that answers every request with the same bytes. */
async function givenAnswer(bytes: string): Promise<(...request: string[]) => Promise<RawAnswer>> {
  const upstream = await givenRawUpstream((socket) =>
    onHeads(socket, () => void socket.write(bytes, 'latin1')),
  );
  const { broker } = await givenBroker(`${upstream.origin}/base/mcp`);
  return (...request) => sendTo(broker, ...(request.length > 0 ? request : ['GET /mcp HTTP/1.1']));
}

function sendTo(broker: Broker, ...lines: string[]): Promise<RawAnswer> {
  return sendRaw(portOf(broker.localUrl), requestText(broker, ...lines, 'Connection: close'));
}

/** Pairs without those that belong to the connection between client and broker. */
function endToEnd({ headers }: RawAnswer) {
  return headers.filter(([name]) => !/^(connection|keep-alive|transfer-encoding)$/i.test(name));
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe('request headers', () => {
  it('reach the upstream byte for byte, in order, as they were spelled, repetitions too', async () => {
    const upstream = await givenScriptedUpstream((_request, response) => void response.end());
    const { broker } = await givenBroker(`${upstream.origin}/base/mcp`);
    await sendTo(
      broker,
      'GET /mcp?a=%20b HTTP/1.1',
      'Mcp-Method: tools/call',
      'mcp-NAME: =?base64?w7ZmZm5lbg==?=',
      'Mcp-Param-City: M\xc3\xbcnchen \xff',
      'X-Twice: 1',
      'x-twice: 2',
      'Mcp-Session-Id: s-1',
      'Last-Event-ID: e/17',
      'MCP-Protocol-Version: 2025-11-25',
      'Accept-Encoding: gzip, br',
    );
    const [seen] = upstream.requests.entries;
    expect(seen?.url).toBe('/base/mcp?a=%20b');
    expect(seen?.rawHeaders).toEqual([
      'host',
      `127.0.0.1:${upstream.port}`,
      'connection',
      'keep-alive',
      'Mcp-Method',
      'tools/call',
      'mcp-NAME',
      '=?base64?w7ZmZm5lbg==?=',
      'Mcp-Param-City',
      'M\xc3\xbcnchen \xff',
      'X-Twice',
      '1',
      'x-twice',
      '2',
      'Mcp-Session-Id',
      's-1',
      'Last-Event-ID',
      'e/17',
      'MCP-Protocol-Version',
      '2025-11-25',
      'Accept-Encoding',
      'gzip, br',
    ]);
  });

  it('stay here when they belong to the client or to its connection', async () => {
    const upstream = await givenScriptedUpstream((_request, response) => void response.end());
    const { broker } = await givenBroker(upstream.origin);
    await sendTo(
      broker,
      'POST /mcp HTTP/1.1',
      'Authorization: Bearer of-the-client',
      'Cookie: a=b',
      `Origin: ${broker.localUrl}`,
      'Proxy-Authorization: Basic x',
      'Proxy-Connection: keep-alive',
      'Keep-Alive: timeout=5',
      'TE: trailers',
      'Trailer: X-End',
      'Upgrade: websocket',
      'HTTP2-Settings: x',
      'X-Hop: 1',
      'X-Stays: 2',
      'Connection: X-Hop, Upgrade',
      'Content-Length: 0',
    );
    expect(upstream.requests.entries[0]?.headers).toEqual({
      host: `127.0.0.1:${upstream.port}`,
      connection: 'keep-alive',
      'content-length': '0',
      'x-stays': '2',
    });
  });
});

describe('the head of an answer', () => {
  it('reaches the client byte for byte, in order, as it was spelled, repetitions too', async () => {
    const send = await givenAnswer(
      'HTTP/1.1 299 Quite Fine\r\nmcp-session-ID: \xe9\xff\r\nX-Twice: 1\r\nx-twice: 2\r\nDate: yesterday\r\n' +
        'Content-Type: text/plain; charset=x\r\nWWW-Authenticate: Basic realm="a"\r\nContent-Length: 2\r\n\r\nok',
    );
    const answer = await send();
    expect(answer.statusLine).toBe('HTTP/1.1 299 Quite Fine');
    expect(endToEnd(answer)).toEqual([
      ['mcp-session-ID', '\xe9\xff'],
      ['X-Twice', '1'],
      ['x-twice', '2'],
      ['Date', 'yesterday'],
      ['Content-Type', 'text/plain; charset=x'],
      ['WWW-Authenticate', 'Basic realm="a"'],
      ['Content-Length', '2'],
    ]);
    expect(answer.rest).toBe('ok');
  });

  it('gets no field that the upstream did not send', async () => {
    const send = await givenAnswer('HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n');
    const answer = await send();
    expect(answer.statusLine).toBe('HTTP/1.1 200 ');
    expect(endToEnd(answer)).toEqual([['Content-Length', '0']]);
  });

  it.each([
    ['UTF-8', 'Gr\xc3\xbc\xc3\x9f', 'HTTP/1.1 200 Gr\xc3\xbc\xc3\x9f'],
    ['control characters', 'a\x01b', 'HTTP/1.1 200 OK'],
  ])('is passed on when its reason phrase holds %s', async (_what, phrase, statusLine) => {
    const send = await givenAnswer(`HTTP/1.1 200 ${phrase}\r\nContent-Length: 2\r\n\r\nok`);
    expect(await send()).toMatchObject({ statusLine, rest: 'ok' });
  });

  it('loses what would act on the local origin', async () => {
    const send = await givenAnswer(
      [
        'HTTP/1.1 200 OK',
        'Set-Cookie: a=b',
        'Access-Control-Allow-Origin: *',
        'access-control-expose-headers: X',
        'Clear-Site-Data: "*"',
        'Strict-Transport-Security: max-age=1',
        'Alt-Svc: h3=":443"',
        'Proxy-Authenticate: Basic',
        'Connection: X-Hop',
        'X-Hop: 1',
        'Content-Length: 2',
        '',
        'ok',
      ].join('\r\n'),
    );
    expect(endToEnd(await send())).toEqual([['Content-Length', '2']]);
  });

  it.each([
    ['http://ORIGIN/base/mcp/x?y=1', '/mcp/x?y=1'],
    ['/base/mcp', '/mcp'],
    ['mcp/other', '/mcp/other'],
    ['/elsewhere', '/elsewhere'],
    ['https://idp.example/login?a=b', 'https://idp.example/login?a=b'],
  ])('has its Location %s turned into %s, and nobody follows it', async (location, expected) => {
    const upstream = await givenScriptedUpstream((_request, response) => {
      response.writeHead(307, { location: location.replace('ORIGIN', `127.0.0.1:${upstream.port}`) }).end();
    });
    const { broker } = await givenBroker(`${upstream.origin}/base/mcp`);
    const answer = await sendTo(broker, 'GET /mcp HTTP/1.1');
    expect([answer.status, answer.values('location')]).toEqual([307, [expected]]);
    expect(upstream.requests.entries).toHaveLength(1);
  });

  it('may say 403 without a challenge of scope, and then it is an answer like any other', async () => {
    const send = await givenAnswer(
      'HTTP/1.1 403 Forbidden\r\nWWW-Authenticate: Bearer error="invalid_request"\r\nContent-Length: 2\r\n\r\nno',
    );
    const answer = await send();
    expect([answer.status, answer.values('www-authenticate'), answer.rest]).toEqual([
      403,
      ['Bearer error="invalid_request"'],
      'no',
    ]);
  });

  it('may come after informational ones', async () => {
    const send = await givenAnswer(
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${OK}`,
    );
    expect(await send()).toMatchObject({ status: 200, rest: 'ok' });
  });
});

describe('an answer without a body', () => {
  it('may be a 304 that tells the length the body would have', async () => {
    const upstream = await givenRawUpstream((socket) =>
      onHeads(
        socket,
        () => void socket.write('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n'),
      ),
    );
    const { broker } = await givenBroker(upstream.origin);
    const answer = await fetch(broker.mcpUrl, { headers: { 'if-none-match': '"x"' } });
    expect([answer.status, answer.headers.get('etag')]).toEqual([304, '"x"']);
  });

  it('may not be HTTP at all: the refusal says so', async () => {
    const upstream = await givenRawUpstream((socket) =>
      onHeads(socket, () => void socket.write('SSH-2.0-x\r\n')),
    );
    const { broker } = await givenBroker(upstream.origin);
    const answer = await fetch(broker.mcpUrl);
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({
      error: 'upstream_unreachable',
      message: expect.stringContaining('not valid HTTP'),
    });
  });
});

describe('the body of an answer', () => {
  it.each([
    ['a HEAD', 'HEAD /mcp HTTP/1.1', 'HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: "1"\r\n\r\n', '12'],
    ['a 204', 'DELETE /mcp HTTP/1.1', 'HTTP/1.1 204 No Content\r\nETag: "1"\r\n\r\n', undefined],
    ['a 304', 'GET /mcp HTTP/1.1', 'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n', undefined],
    ['a 202', 'GET /mcp HTTP/1.1', 'HTTP/1.1 202 Accepted\r\nETag: "1"\r\nContent-Length: 0\r\n\r\n', '0'],
  ])('is absent: %s', async (_what, request, bytes, length) => {
    const send = await givenAnswer(bytes);
    const answer = await send(request);
    expect(answer.values('etag')).toEqual(['"1"']);
    expect(answer.values('content-length')).toEqual(length === undefined ? [] : [length]);
    expect(answer.rest).toBe('');
  });

  it('keeps its coding: compressed bytes are not touched', async () => {
    const packed = gzipSync('x'.repeat(1000));
    const send = await givenAnswer(
      `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${packed.length}\r\n\r\n${packed.toString('latin1')}`,
    );
    const answer = await send();
    expect(answer.values('content-encoding')).toEqual(['gzip']);
    expect(answer.rest).toBe(packed.toString('latin1'));
  });

  it('may be ended by the end of the connection, and be followed by trailers, which stay here', async () => {
    const upstream = await givenRawUpstream((socket, nth) =>
      onHeads(socket, () => {
        if (nth === 1) socket.end('HTTP/1.1 200 OK\r\n\r\nto the end');
        else
          socket.write(
            'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n',
          );
      }),
    );
    const { broker } = await givenBroker(upstream.origin);
    expect((await sendTo(broker, 'GET /mcp HTTP/1.1')).rest).toBe('a\r\nto the end\r\n0\r\n\r\n');
    const chunked = await sendTo(broker, 'GET /mcp HTTP/1.1');
    expect(chunked.rest).toBe('3\r\nabc\r\n0\r\n\r\n');
    expect(chunked.values('trailer')).toEqual([]);
  });

  it.each([400, 404, 405, 410, 500])('of a %d is unchanged, with its session ID', async (status) => {
    const send = await givenAnswer(
      `HTTP/1.1 ${status} X\r\nMcp-Session-Id: s-1\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"error" : 1 }`,
    );
    expect(endToEnd(await send('DELETE /mcp HTTP/1.1', 'Mcp-Session-Id: s-1'))).toEqual([
      ['Mcp-Session-Id', 's-1'],
      ['Content-Type', 'application/json'],
      ['Content-Length', '14'],
    ]);
    expect((await send()).rest).toBe('{"error" : 1 }');
  });
});

describe('a request body', () => {
  const echo = async (request: IncomingMessage, response: ServerResponse) => {
    const bytes = await bytesOf(request);
    response.end(JSON.stringify({ size: bytes.length, sha256: sha256(bytes), headers: request.headers }));
  };
  const sending = async (bytes: Buffer, chunked = false) => {
    const upstream = await givenScriptedUpstream(echo, { readBody: false });
    const { broker } = await givenBroker(upstream.origin);
    const wire = await Wire.open(portOf(broker.localUrl));
    const framing = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes.length}`;
    wire.write(requestText(broker, 'POST /mcp HTTP/1.1', framing, 'Connection: close'));
    if (chunked) wire.write(`${bytes.length.toString(16)};ext=1\r\n`);
    wire.write(bytes);
    if (chunked) wire.write('\r\n0\r\nX-Trailer: 1\r\n\r\n');
    await wire.closed;
    const { rest } = parseAnswer(wire.text);
    return JSON.parse(/\{.*\}/.exec(rest)?.[0] ?? '') as {
      size: number;
      sha256: string;
      headers: Record<string, string>;
    };
  };

  it.each([
    ['one byte', 1],
    ['a batch of the usual size', 2_000],
    ['64 KiB and one byte', 64 * 1024 + 1],
    ['exactly 4 MiB', MAX_HELD_BYTES],
    ['4 MiB and one byte', MAX_HELD_BYTES + 1],
    ['12 MiB', 3 * MAX_HELD_BYTES],
  ])('arrives unchanged and with its length: %s', async (_what, size) => {
    const bytes = randomBytes(size);
    const seen = await sending(bytes);
    expect([seen.size, seen.sha256]).toEqual([size, sha256(bytes)]);
    expect(seen.headers['content-length']).toBe(String(size));
    expect(seen.headers['transfer-encoding']).toBeUndefined();
  });

  it.each([
    ['small, then with its length', 2_000, '2000'],
    ['larger than 4 MiB, then chunked again', MAX_HELD_BYTES + 1, undefined],
  ])('arrives unchanged when it is chunked: %s', async (_what, size, length) => {
    const bytes = randomBytes(size);
    const seen = await sending(bytes, true);
    expect([seen.size, seen.sha256]).toEqual([size, sha256(bytes)]);
    expect(seen.headers['content-length']).toBe(length);
  });

  it('is a JSON-RPC batch whose bytes are not looked at', async () => {
    const batch = Buffer.from(' [ {"jsonrpc":"2.0","id":1e0 ,"method":"\\u0061"},\r\n{"jsonrpc" : "2.0"}]\n');
    expect((await sending(batch)).sha256).toBe(sha256(batch));
  });

  it('is sent after 100 Continue when the client waits for it', async () => {
    const upstream = await givenScriptedUpstream(echo, { readBody: false });
    const { broker } = await givenBroker(upstream.origin);
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(
      requestText(
        broker,
        'POST /mcp HTTP/1.1',
        'Expect: 100-continue',
        'Content-Length: 3',
        'Connection: close',
      ),
    );
    await wire.until('HTTP/1.1 100 Continue\r\n\r\n');
    wire.write('abc');
    await wire.closed;
    expect(wire.text).toContain('"size":3');
    expect(wire.text).not.toContain('"expect"');
  });

  it('may be part of a GET', async () => {
    const upstream = await givenScriptedUpstream(echo, { readBody: false });
    const { broker } = await givenBroker(upstream.origin);
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(`${requestText(broker, 'GET /mcp HTTP/1.1', 'Content-Length: 3', 'Connection: close')}abc`);
    await wire.closed;
    expect(wire.text).toContain('"size":3');
  });

  it('is not kept in memory while its answer streams', async () => {
    const calls = 8;
    const upstream = await givenScriptedUpstream(
      async (request, response) => {
        for await (const _ of request);
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n');
      },
      { readBody: false },
    );
    const { broker } = await givenBroker(upstream.origin);
    const wires: Wire[] = [];
    for (let n = 0; n < calls; n++) {
      const wire = await Wire.open(portOf(broker.localUrl));
      wire.write(requestText(broker, 'POST /mcp HTTP/1.1', `Content-Length: ${MAX_HELD_BYTES}`));
      wire.write(Buffer.alloc(MAX_HELD_BYTES));
      await wire.until(': open');
      wires.push(wire);
    }
    expect((await memoryInUse()).buffers).toBeLessThan((calls * MAX_HELD_BYTES) / 2);
    for (const wire of wires) wire.socket.destroy();
  });
});

describe('a path', () => {
  it.each([
    ['/mcp', '/base/mcp'],
    ['/', '/base/mcp'],
    ['/mcp?x=1', '/base/mcp?x=1'],
    ['/mcp/a/b', '/base/mcp/a/b'],
    ['/a/b', '/base/mcp/a/b'],
    ['/mcp/', '/base/mcp/'],
  ])('POST %s goes to %s', async (local, upstreamPath) => {
    const upstream = await givenScriptedUpstream((_request, response) => void response.end());
    const { broker } = await givenBroker(`${upstream.origin}/base/mcp`);
    await sendTo(broker, `POST ${local} HTTP/1.1`, 'Content-Length: 0');
    expect(upstream.requests.entries.map(({ url }) => url)).toEqual([upstreamPath]);
  });
});

describe('a client', () => {
  it('may speak HTTP/1.0: its answer is not chunked and ends with the connection', async () => {
    const send = await givenAnswer(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
    );
    const answer = await send('GET /mcp HTTP/1.0');
    expect(answer.values('transfer-encoding')).toEqual([]);
    expect(answer.rest).toBe('abcde');
  });

  it('may send many requests at once on one connection: they are answered in order, without a warning', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on('warning', note);
    onTestFinished(() => void process.off('warning', note));
    const upstream = await givenScriptedUpstream((request, response) => {
      // The first answer comes last.
      if (request.url?.endsWith('/1')) void upstream.requests.next(({ url }) => url === '/20').then(answer);
      else answer();
      function answer() {
        response.end(`<${request.url}>`);
      }
    });
    const { broker } = await givenBroker(upstream.origin);
    const wire = await Wire.open(portOf(broker.localUrl));
    for (let n = 1; n <= 20; n++) wire.write(requestText(broker, `GET /mcp/${n} HTTP/1.1`));
    await wire.until('</20>');
    expect(wire.text.match(/<\/\d+>/g)).toEqual(Array.from({ length: 20 }, (_, n) => `</${n + 1}>`));
    for (let n = 21; n <= 40; n++) {
      wire.write(requestText(broker, `GET /mcp/${n} HTTP/1.1`));
      await wire.until(`</${n}>`);
    }
    expect(warnings).toEqual([]);
  });

  it('that hangs up ends also those of its requests that wait behind another one', async () => {
    const upstream = await givenScriptedUpstream(() => undefined);
    const { broker } = await givenBroker(upstream.origin);
    const wire = await Wire.open(portOf(broker.localUrl));
    const both = upstream.requests.next(({ url }) => url === '/2');
    wire.write(requestText(broker, 'GET /mcp/1 HTTP/1.1') + requestText(broker, 'GET /mcp/2 HTTP/1.1'));
    await both;
    wire.socket.destroy();
    expect(await Promise.all(upstream.requests.entries.map(({ ended }) => ended))).toEqual([false, false]);
  });
});

describe('an upstream that answers before it has read the body', () => {
  it('is heard by a client that is still sending, and the connection can be used on', async () => {
    const upstream = await givenScriptedUpstream(
      (request, response) => {
        request.resume();
        response.writeHead(413, { 'content-type': 'text/plain' }).end('too much');
      },
      { readBody: false },
    );
    const { broker } = await givenBroker(upstream.origin);
    const wire = await Wire.open(portOf(broker.localUrl));
    const size = 4 * MAX_HELD_BYTES;
    wire.write(requestText(broker, 'POST /mcp HTTP/1.1', `Content-Length: ${size}`));
    wire.write(Buffer.alloc(MAX_HELD_BYTES + 1));
    await wire.until('too much');
    expect(parseAnswer(wire.text).status).toBe(413);
    wire.write(Buffer.alloc(size - MAX_HELD_BYTES - 1));
    wire.write(requestText(broker, 'GET /health HTTP/1.1'));
    await wire.until('"status":"ok"');
  });

  it('is heard by a client that reads only when it has sent everything', async () => {
    const upstream = await givenRawUpstream((socket) => {
      socket.once('data', () => {
        socket.pause();
        socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\ntoo much');
      });
    });
    const { broker } = await givenBroker(upstream.origin);
    expect(await answerAfterSending(broker, 16 * MAX_HELD_BYTES)).toMatchObject({
      status: 413,
      rest: 'too much',
    });
  });

  it('or cannot be reached at all: the refusal, too, is heard after everything was sent', async () => {
    const { broker } = await givenBroker('http://127.0.0.1:1/mcp');
    expect((await answerAfterSending(broker, 16 * MAX_HELD_BYTES)).status).toBe(502);
  });

  async function answerAfterSending(broker: Broker, size: number): Promise<RawAnswer> {
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(requestText(broker, 'POST /mcp HTTP/1.1', `Content-Length: ${size}`));
    await new Promise<void>((resolve, reject) => {
      wire.socket.write(Buffer.alloc(size), (error) => (error ? reject(error) : resolve()));
    });
    return parseAnswer(await wire.until(/\r\n\r\n.*[}h]$/s));
  }
});

describe('a refused token', () => {
  it('is renewed and the call is sent once more, with the same body', async () => {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl);
    await logIn(broker);
    const bodies: string[] = [];
    upstream.mcpServer.behaviour.respond = async (request, response) => {
      bodies.push(sha256(await bytesOf(request)));
      response.writeHead(bodies.length === 1 ? 401 : 200).end(`answer ${bodies.length}`);
      return true;
    };
    const body = randomBytes(3 * 1024 * 1024);
    const response = await fetch(broker.mcpUrl, { method: 'POST', body });
    expect([response.status, await response.text()]).toEqual([200, 'answer 2']);
    expect(bodies).toEqual([sha256(body), sha256(body)]);
    expect((await broker.status()).counters).toMatchObject({ replayed: 1, refreshes: 1 });
  });

  it('is renewed once for twenty calls at once, and each of them is replayed with its own body', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 600 } });
    const { broker } = await givenBroker(upstream.mcpUrl);
    await logIn(broker);
    const session = await openSession(broker);
    upstream.mcpServer.rejectCurrentTokens();
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const response = await fetch(broker.mcpUrl, {
          ...rpc('tools/call', n, { name: 'echo', arguments: { text: `call ${n}` } }),
          headers: { ...rpc('').headers, 'mcp-session-id': session } as Record<string, string>,
        });
        return response.text();
      }),
    );
    for (const [n, text] of answers.entries()) expect(text).toContain(`"call ${n}"`);
    const refreshes = upstream.authorizationServer.requests.entries.filter(
      ({ grantType }) => grantType === 'refresh_token',
    );
    expect(refreshes).toHaveLength(1);
  });

  it.each(['tools/list', 'GET', 'DELETE'])('may meet its first 401 on %s', async (what) => {
    const upstream = await givenUpstream({
      authorizationServer: { accessTokenSeconds: 600 },
      mcpServer: { openInitialize: true },
    });
    const { broker } = await givenBroker(upstream.mcpUrl);
    await logIn(broker);
    const session = await openSession(broker);
    upstream.mcpServer.rejectCurrentTokens();
    const headers = {
      'content-type': 'application/json',
      accept: what === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
      'mcp-session-id': session,
    };
    const hangUp = new AbortController();
    const response = await fetch(broker.mcpUrl, {
      ...(what === 'tools/list' ? rpc(what) : { method: what }),
      headers,
      signal: hangUp.signal,
    });
    expect(response.status).toBe(200);
    expect((await broker.status()).counters.replayed).toBe(1);
    hangUp.abort();
  });

  it('with a body too large to be held: 503, Retry-After 0, and a new token is really there', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 600 } });
    const { broker } = await givenBroker(upstream.mcpUrl);
    await logIn(broker);
    upstream.mcpServer.rejectCurrentTokens();
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(requestText(broker, 'POST /mcp HTTP/1.1', `Content-Length: ${2 * MAX_HELD_BYTES}`));
    wire.write(Buffer.alloc(2 * MAX_HELD_BYTES, ' '));
    await wire.until('}');
    const refused = parseAnswer(wire.text);
    expect([refused.status, refused.values('retry-after')]).toEqual([503, ['0']]);
    expect(JSON.parse(refused.rest)).toMatchObject({ error: 'token_renewed' });
    const again = await fetch(broker.mcpUrl, rpc('initialize', 1, INITIALIZE));
    expect(again.status).toBe(200);
    await again.text();
    expect((await broker.status()).counters).toMatchObject({ refreshes: 1, replayed: 0 });
  });

  it('has an endless body thrown away instead of being waited for', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 600 } });
    const { broker } = await givenBroker(upstream.mcpUrl);
    await logIn(broker);
    upstream.mcpServer.requests.clear();
    let calls = 0;
    let sent = 0;
    const sendMore = (response: ServerResponse) => {
      response.write(Buffer.alloc(64 * 1024), (error) => {
        sent += 64 * 1024;
        if (!error) sendMore(response);
      });
    };
    upstream.mcpServer.behaviour.respond = (_request, response) => {
      calls += 1;
      if (calls === 1) sendMore(response.writeHead(401));
      else response.end('answered');
      return true;
    };
    const response = await fetch(broker.mcpUrl, rpc('tools/list'));
    expect(await response.text()).toBe('answered');
    expect(await upstream.mcpServer.requests.entries[0]?.ended).toBe(false);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  it('never follows a redirect, neither to another origin nor below the base path', async () => {
    const other = await givenScriptedUpstream((_request, response) => void response.end());
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl);
    await logIn(broker);
    upstream.mcpServer.requests.clear();
    for (const location of [`${other.origin}/x`, '/mcp/x']) {
      upstream.mcpServer.behaviour.respond = (_request, response) => {
        response.writeHead(307, { location }).end();
        return true;
      };
      const response = await fetch(broker.mcpUrl, { ...rpc('tools/list'), redirect: 'manual' });
      expect(response.status).toBe(307);
    }
    expect(other.requests.entries).toEqual([]);
    expect(upstream.mcpServer.requests.entries.map(({ url }) => url)).toEqual(['/mcp', '/mcp']);
  });
});

describe('a connection that the upstream had kept', () => {
  /** The second request on each connection meets `onSecond`; any other is answered. */
  async function givenStale(
    onSecond: (end: () => void, write: (text: string) => void) => void,
    environment: NodeJS.ProcessEnv = {},
  ) {
    const heads: string[] = [];
    const upstream = await givenRawUpstream((socket) =>
      onHeads(socket, (head, nth) => {
        heads.push(head.split(' ', 1)[0] ?? '');
        if (nth === 2)
          onSecond(
            () => void socket.destroy(),
            (text) => void socket.write(text),
          );
        else socket.write(OK);
      }),
    );
    const { broker } = await givenBroker(upstream.origin, environment);
    expect((await sendTo(broker, 'GET /mcp HTTP/1.1')).status).toBe(200);
    return { broker, heads, connections: upstream.connections };
  }

  it.each(['GET', 'DELETE', 'PUT'])(
    'and closes as a %s arrives: sent once more, exactly once',
    async (method) => {
      const { broker, heads, connections } = await givenStale((end) => end());
      expect(await sendTo(broker, `${method} /mcp HTTP/1.1`)).toMatchObject({ status: 200, rest: 'ok' });
      expect(heads).toEqual(['GET', method, method]);
      expect(connections()).toBe(2);
    },
  );

  it('and on which no answer comes in time: not repeated', async () => {
    const { broker, heads } = await givenStale(() => undefined, { UPSTREAM_TIMEOUT_SECONDS: '1' });
    expect((await sendTo(broker, 'DELETE /mcp HTTP/1.1')).status).toBe(504);
    expect(heads).toEqual(['GET', 'DELETE']);
  });

  it('and closes as a POST with a held body arrives: sent once more, with the body', async () => {
    const bodies: string[] = [];
    const upstream = await givenScriptedUpstream(
      async (request, response) => {
        bodies.push((await bytesOf(request)).toString());
        if (bodies.length === 2) request.socket.destroy();
        else response.end('ok');
      },
      { readBody: false },
    );
    const { broker } = await givenBroker(upstream.origin);
    for (const body of ['first', 'second']) {
      const response = await fetch(broker.mcpUrl, { method: 'POST', body });
      expect(await response.text()).toBe('ok');
    }
    expect(bodies).toEqual(['first', 'second', 'second']);
  });

  it('and closes twice: no third time', async () => {
    let requests = 0;
    const upstream = await givenRawUpstream((socket) =>
      onHeads(socket, () => {
        requests += 1;
        if (requests === 1) socket.write(OK);
        else socket.destroy();
      }),
    );
    const { broker } = await givenBroker(upstream.origin);
    await sendTo(broker, 'GET /mcp HTTP/1.1');
    expect((await sendTo(broker, 'GET /mcp HTTP/1.1')).status).toBe(502);
    expect(requests).toBe(3);
  });

  it('and closes as a POST without a body arrives: not repeated, because it may have been acted on', async () => {
    const { broker, heads } = await givenStale((end) => end());
    expect((await sendTo(broker, 'POST /mcp HTTP/1.1', 'Content-Length: 0')).status).toBe(502);
    expect(heads).toEqual(['GET', 'POST']);
  });

  it('and closes in the middle of an answer’s head: not repeated', async () => {
    const { broker, heads } = await givenStale((end, write) => {
      write('HTTP/1.1 200 OK\r\nContent-');
      setImmediate(end);
    });
    expect((await sendTo(broker, 'GET /mcp HTTP/1.1')).status).toBe(502);
    expect(heads).toEqual(['GET', 'GET']);
  });

  it('and closes as a streamed body arrives: never repeated', async () => {
    const { broker, heads } = await givenStale((end) => end());
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(requestText(broker, 'PUT /mcp HTTP/1.1', `Content-Length: ${MAX_HELD_BYTES + 1}`));
    wire.write(Buffer.alloc(MAX_HELD_BYTES + 1));
    await wire.until('upstream_unreachable');
    expect(heads).toEqual(['GET', 'PUT']);
  });
});

describe('a fresh connection that the upstream closes', () => {
  it.each([
    ['without an answer', ''],
    ['in the middle of an answer’s head', 'HTTP/1.1 200 OK\r\nContent-'],
  ])('%s: 502, and the call is not repeated', async (_what, bytes) => {
    let requests = 0;
    const upstream = await givenRawUpstream((socket) =>
      onHeads(socket, () => {
        requests += 1;
        socket.end(bytes);
      }),
    );
    const { broker } = await givenBroker(upstream.origin);
    expect((await sendTo(broker, 'GET /mcp HTTP/1.1')).status).toBe(502);
    expect(requests).toBe(1);
  });
});

async function openSession(broker: Broker): Promise<string> {
  const response = await fetch(broker.mcpUrl, rpc('initialize', 'i', INITIALIZE));
  await response.text();
  return response.headers.get('mcp-session-id') ?? '';
}

const INITIALIZE = {
  protocolVersion: '2025-06-18',
  capabilities: {},
  clientInfo: { name: 'raw', version: '1' },
};

it('leaves no connection open when the broker is closed, on neither side', async () => {
  const upstreamSides: Promise<unknown>[] = [];
  const upstream = await givenRawUpstream((socket) => {
    upstreamSides.push(once(socket, 'close'));
    onHeads(socket, () => void socket.write(OK));
  });
  const { broker } = await givenBroker(upstream.origin);
  const [used, idle] = [await Wire.open(portOf(broker.localUrl)), await Wire.open(portOf(broker.localUrl))];
  used.write(requestText(broker, 'GET /mcp HTTP/1.1'));
  await used.until('ok');
  await broker.close();
  await Promise.all([used.closed, idle.closed, ...upstreamSides]);
  expect(upstreamSides).toHaveLength(1);
  await expect(Wire.open(portOf(broker.localUrl))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});
