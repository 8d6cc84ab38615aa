import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import { MAX_HELD_BYTES } from '../../app/limits.ts';
import { givenBroker, givenUpstream, logIn, rpc } from '../support/broker.ts';
import {
  givenRawUpstream,
  givenScriptedUpstream,
  onHeads,
  parseAnswer,
  portOf,
  requestText,
  Wire,
} from '../support/wire.ts';

const SSE = { 'content-type': 'text/event-stream' };
const MIB = 1024 * 1024;

async function givenStream(broker: Broker, ...lines: string[]): Promise<Wire> {
  const wire = await Wire.open(portOf(broker.localUrl));
  wire.write(
    requestText(
      broker,
      ...(lines.length > 0 ? lines : ['GET /mcp HTTP/1.1', `Accept: ${SSE['content-type']}`]),
    ),
  );
  return wire;
}

/** The bytes of a chunked body. */
function dechunked(rest: string): string {
  let body = '';
  for (let at = 0; ; ) {
    const end = rest.indexOf('\r\n', at);
    const size = Number.parseInt(rest.slice(at, end), 16);
    if (!(size > 0)) return body;
    body += rest.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}

/** Lets the broker work until a count stands still, though every party had its turn many times. */
async function standstill(broker: Broker, count: () => number): Promise<number> {
  for (;;) {
    const before = count();
    for (let turn = 0; turn < 20; turn++) await (await fetch(`${broker.localUrl}/health`)).text();
    if (count() === before) return before;
  }
}

describe('an answer', () => {
  it('has its first event at the client before the upstream ends, and comments pass', async () => {
    let stream: ServerResponse | undefined;
    const upstream = await givenScriptedUpstream((_request, response) => {
      stream = response.writeHead(200, SSE);
      stream.write('data: 1\n\n');
    });
    const { broker } = await givenBroker(upstream.origin);
    const wire = await givenStream(broker, 'POST /mcp HTTP/1.1', 'Content-Length: 0');
    await wire.until('data: 1\n\n');
    stream?.write(': still there\n\n');
    await wire.until(': still there\n\n');
    stream?.end();
    await wire.until('\r\n0\r\n\r\n');
  });

  it.each(['text/event-stream', 'application/json', 'application/x-unknown'])(
    'has its head at the client before its body begins: %s',
    async (type) => {
      let stream: ServerResponse | undefined;
      const upstream = await givenScriptedUpstream((_request, response) => {
        stream = response.writeHead(200, { 'content-type': type, 'mcp-session-id': 's-1' });
        stream.flushHeaders();
      });
      const { broker } = await givenBroker(upstream.origin);
      const wire = await givenStream(broker, 'POST /mcp HTTP/1.1', 'Content-Length: 0');
      await wire.until('\r\n\r\n');
      expect(parseAnswer(wire.text).values('content-type')).toEqual([type]);
      stream?.end('{}');
      await wire.until('{}');
    },
  );

  it('is passed on as what the upstream calls it, whatever it looks like', async () => {
    const upstream = await givenScriptedUpstream((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('event: endpoint\ndata: /messages\n\n');
    });
    const { broker } = await givenBroker(upstream.origin);
    const response = await fetch(broker.mcpUrl, { headers: { accept: SSE['content-type'] } });
    expect(response.headers.get('content-type')).toBe('text/plain');
    expect(await response.text()).toBe('event: endpoint\ndata: /messages\n\n');
  });

  it('keeps its bytes in whatever pieces it comes: id, retry, CR, CRLF, UTF-8 split in two', async () => {
    const events = Buffer.from(
      '\u{feff}: priming\r\nid: e/1\r\nretry: 1500\r\n\r\ndata: \u{1f600} é\rid\r\rid: \0\nevent: message\ndata: {}\ndata\n\n:\n\ndata: last',
    );
    const upstream = await givenScriptedUpstream(async (_request, response) => {
      response.writeHead(200, SSE);
      for (const byte of events) await new Promise((next) => response.write(Buffer.of(byte), next));
      response.end();
    });
    const { broker } = await givenBroker(upstream.origin);
    const wire = await givenStream(broker);
    await wire.until('\r\n0\r\n\r\n');
    expect(dechunked(parseAnswer(wire.text).rest)).toBe(events.toString('latin1'));
  });

  it('resumes where the client says: Last-Event-ID reaches the upstream as it is', async () => {
    const upstream = await givenScriptedUpstream((request, response) => {
      response.writeHead(200, SSE).end(`id: ${request.headers['last-event-id']}\n\n`);
    });
    const { broker } = await givenBroker(upstream.origin);
    const headers = { accept: SSE['content-type'], 'last-event-id': 'stream/7 ~ü' };
    const response = await fetch(broker.mcpUrl, { headers });
    expect(Buffer.from(await response.text()).toString('latin1')).toContain('stream/7 ~');
    const seen = upstream.requests.entries[0]?.rawHeaders ?? [];
    expect(seen[seen.findIndex((name) => name.toLowerCase() === 'last-event-id') + 1]).toBe('stream/7 ~\xfc');
  });

  it('comes from the upstream for a GET of the bare origin that asks for events', async () => {
    const upstream = await givenScriptedUpstream((_request, response) => {
      response.writeHead(200, SSE).end('data: from upstream\n\n');
    });
    const { broker } = await givenBroker(`${upstream.origin}/base/mcp`);
    const response = await fetch(broker.localUrl, {
      headers: { accept: 'application/json, text/event-stream' },
    });
    expect(await response.text()).toBe('data: from upstream\n\n');
    expect(upstream.requests.entries[0]?.url).toBe('/base/mcp');
  });

  it('that is cut off by the upstream is cut off for the client, too: never complete', async () => {
    const upstream = await givenRawUpstream((socket) =>
      onHeads(socket, (head) => {
        const framing = head.includes('/sized') ? 'Content-Length: 100' : 'Transfer-Encoding: chunked';
        const body = head.includes('/sized') ? 'half' : '4\r\nhalf\r\n';
        socket.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${body}`);
        setImmediate(() => socket.resetAndDestroy());
      }),
    );
    const { broker } = await givenBroker(upstream.origin);
    for (const path of ['/mcp/sized', '/mcp/chunked']) {
      const wire = await givenStream(broker, `GET ${path} HTTP/1.1`);
      await wire.closed;
      expect(parseAnswer(wire.text).rest).toMatch(/^(?:half|4\r\nhalf\r\n)?$/);
      await expect(fetch(broker.localUrl + path).then((response) => response.text())).rejects.toThrow();
    }
    // The broker itself goes on.
    expect((await fetch(`${broker.localUrl}/health`)).status).toBe(200);
  });
});

describe('a slow client', () => {
  it('holds the upstream up instead of filling our memory, and gets everything in the end', async () => {
    const total = 128 * MIB;
    let sent = 0;
    const upstream = await givenScriptedUpstream(async (_request, response) => {
      response.writeHead(200, { 'content-length': total });
      for (; sent < total; sent += MIB) {
        if (!response.write(Buffer.alloc(MIB, sent / MIB))) await once(response, 'drain');
      }
      response.end();
    });
    const { broker } = await givenBroker(upstream.origin);
    const wire = await givenStream(broker, 'GET /mcp HTTP/1.1', 'Connection: close');
    wire.socket.pause();
    expect(await standstill(broker, () => sent)).toBeLessThan(total / 2);
    let received = 0;
    wire.socket.removeAllListeners('data').on('data', (text: string) => {
      received += text.length;
    });
    wire.socket.resume();
    await wire.closed;
    expect(received).toBeGreaterThan(total);
  });
});

describe('a slow upstream', () => {
  it('holds the client up while it sends 64 MiB, and gets every byte in the end', async () => {
    const size = 64 * MIB;
    const hash = createHash('sha256');
    let read: () => void = () => undefined;
    const mayRead = new Promise<void>((resolve) => {
      read = resolve;
    });
    const upstream = await givenScriptedUpstream(
      async (request, response) => {
        await mayRead;
        for await (const chunk of request) hash.update(chunk as Buffer);
        response.end('taken');
      },
      { readBody: false },
    );
    const { broker } = await givenBroker(upstream.origin);
    const wire = await givenStream(broker, 'POST /mcp HTTP/1.1', `Content-Length: ${size}`);
    const body = Buffer.alloc(size, 'some text ');
    let flushed = 0;
    for (let at = 0; at < size; at += MIB) {
      wire.socket.write(body.subarray(at, at + MIB), () => {
        flushed += MIB;
      });
    }
    const before = process.memoryUsage().arrayBuffers;
    expect(await standstill(broker, () => flushed)).toBeLessThan(size / 2);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(size / 4);
    read();
    await wire.until('taken');
    expect(hash.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'));
  });
});

describe('a client that hangs up', () => {
  it('before an answer has come: the upstream’s request is aborted', async () => {
    const upstream = await givenScriptedUpstream(() => undefined);
    const { broker } = await givenBroker(upstream.origin);
    const arrived = upstream.requests.next();
    const wire = await givenStream(broker, 'POST /mcp HTTP/1.1', 'Content-Length: 0');
    const { ended } = await arrived;
    wire.socket.destroy();
    expect(await ended).toBe(false);
  });

  it('during an event stream: the upstream’s stream is aborted', async () => {
    const upstream = await givenScriptedUpstream((_request, response) => {
      response.writeHead(200, SSE).write('data: 1\n\n');
    });
    const { broker } = await givenBroker(upstream.origin);
    const arrived = upstream.requests.next();
    const wire = await givenStream(broker);
    await wire.until('data: 1');
    wire.socket.destroy();
    expect(await (await arrived).ended).toBe(false);
  });

  it('while the upstream is held up by it: the upstream’s answer is aborted', async () => {
    const upstream = await givenScriptedUpstream(async (_request, response) => {
      while (!response.destroyed)
        if (!response.write(Buffer.alloc(MIB)))
          await Promise.race([once(response, 'drain'), once(response, 'close')]);
    });
    const { broker } = await givenBroker(upstream.origin);
    const arrived = upstream.requests.next();
    const wire = await givenStream(broker, 'GET /mcp HTTP/1.1');
    wire.socket.pause();
    const { ended } = await arrived;
    await standstill(broker, () => wire.socket.bytesRead);
    wire.socket.destroy();
    expect(await ended).toBe(false);
  });

  it('in the middle of a held body: the upstream never hears of the call', async () => {
    const upstream = await givenScriptedUpstream((_request, response) => void response.end('ok'));
    const { broker, log } = await givenBroker(upstream.origin);
    const wire = await givenStream(broker, 'POST /mcp HTTP/1.1', 'Content-Length: 10');
    wire.write('12345');
    await standstill(broker, () => wire.socket.bytesWritten);
    wire.socket.resetAndDestroy();
    await wire.closed;
    expect(await (await fetch(broker.mcpUrl)).text()).toBe('ok');
    expect(upstream.requests.entries.map(({ method }) => method)).toEqual(['GET']);
    expect(log.entries.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('in the middle of a streamed body: the upstream’s request is cut off', async () => {
    const upstream = await givenScriptedUpstream(() => undefined);
    const { broker, log } = await givenBroker(upstream.origin);
    const arrived = upstream.requests.next();
    const wire = await givenStream(broker, 'POST /mcp HTTP/1.1', `Content-Length: ${2 * MAX_HELD_BYTES}`);
    wire.write(Buffer.alloc(MAX_HELD_BYTES));
    const { body } = await arrived;
    wire.socket.resetAndDestroy();
    await expect(body).rejects.toThrow();
    expect(log.entries.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('while its call waits for a login: the call is not made when the login has come', async () => {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl, { LOGIN_WAIT_SECONDS: '60' });
    const hangUp = new AbortController();
    const leaving = fetch(broker.mcpUrl, { ...rpc('tools/list'), signal: hangUp.signal });
    const staying = fetch(broker.mcpUrl, rpc('tools/list'));
    const asked = () => upstream.mcpServer.requests.entries.length;
    while (asked() < 2) await standstill(broker, asked);
    hangUp.abort();
    await expect(leaving).rejects.toThrow();
    await standstill(broker, asked);
    upstream.mcpServer.requests.clear();
    await logIn(broker);
    // It waited on, and the upstream misses a session in it.
    expect((await staying).status).toBe(400);
    expect(upstream.mcpServer.requests.entries.filter(({ authorized }) => authorized)).toHaveLength(1);
  });
});
