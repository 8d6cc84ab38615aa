import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { buffer as bytesOf } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MAX_BUFFERED_BYTES, MAX_HELD_BYTES } from '../../../app/limits.ts';
import { ClientGone, HeldBytes, holdBody, sendable } from '../../../app/proxy/held-body.ts';
import { memoryInUse } from '../../support/memory.ts';
import { Wire } from '../../support/wire.ts';

async function givenRequest(head: string): Promise<{ wire: Wire; request: IncomingMessage }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => void server.close());
  const wire = await Wire.open((server.address() as { port: number }).port);
  wire.write(`${head}\r\nHost: h\r\n\r\n`);
  const [request] = (await once(server, 'request')) as [IncomingMessage];
  return { wire, request };
}

const post = (length: number) => givenRequest(`POST / HTTP/1.1\r\nContent-Length: ${length}`);

describe('a request body', () => {
  it.each(['GET / HTTP/1.1', 'POST / HTTP/1.1', 'POST / HTTP/1.1\r\nContent-Length: 0'])(
    'is not there: %s',
    async (head) => {
      const { request } = await givenRequest(head);
      expect(await holdBody(request, new HeldBytes())).toEqual({ kind: 'none' });
    },
  );

  it('is held, in whatever pieces it comes', async () => {
    const { wire, request } = await givenRequest('POST / HTTP/1.1\r\nTransfer-Encoding: chunked');
    const held = holdBody(request, new HeldBytes());
    wire.write('3\r\nab');
    wire.write('\xff\r\n1\r\nd\r\n0\r\n\r\n');
    expect(await held).toEqual({ kind: 'held', bytes: Buffer.from('ab\xffd', 'latin1') });
  });

  it('takes hardly more memory than it has bytes, in however many chunks they come', async () => {
    const COUNT = 100_000;
    const { wire, request } = await givenRequest('POST / HTTP/1.1\r\nTransfer-Encoding: chunked');
    const before = await memoryInUse();
    const held = holdBody(request, new HeldBytes());
    let left = COUNT;
    const arrived = new Promise<void>((resolve) => {
      request.on('data', () => --left === 0 && resolve());
    });
    wire.write('1\r\nx\r\n'.repeat(COUNT));
    await arrived;
    const now = await memoryInUse();
    expect(now.objects - before.objects).toBeLessThan(50 * COUNT);
    expect(now.buffers - before.buffers).toBeLessThan(50 * COUNT);
    wire.write('0\r\n\r\n');
    expect(await held).toEqual({ kind: 'held', bytes: Buffer.alloc(COUNT, 'x') });
  });

  it('is held up to exactly 4 MiB', async () => {
    const { wire, request } = await post(MAX_HELD_BYTES);
    const held = holdBody(request, new HeldBytes());
    wire.write(Buffer.alloc(MAX_HELD_BYTES, 7));
    const body = await held;
    expect(body.kind === 'held' && body.bytes.equals(Buffer.alloc(MAX_HELD_BYTES, 7))).toBe(true);
  });

  it('is streamed when its length says that it is longer, before a byte was read', async () => {
    const { wire, request } = await post(MAX_HELD_BYTES + 1);
    const body = await holdBody(request, new HeldBytes());
    expect(body).toMatchObject({ kind: 'streamed', length: String(MAX_HELD_BYTES + 1) });
    const bytes = Buffer.alloc(MAX_HELD_BYTES + 1, 'abc');
    wire.write(bytes);
    expect(body.kind === 'streamed' && (await bytesOf(body.stream())).equals(bytes)).toBe(true);
  });

  it('is streamed from its first byte on when it turns out to be longer', async () => {
    const { wire, request } = await givenRequest('POST / HTTP/1.1\r\nTransfer-Encoding: chunked');
    const bytes = Buffer.alloc(MAX_HELD_BYTES + 70_000, 'abc');
    wire.write(`${bytes.length.toString(16)}\r\n`);
    wire.write(bytes);
    wire.write('\r\n0\r\n\r\n');
    const body = await holdBody(request, new HeldBytes());
    expect(body).toMatchObject({ kind: 'streamed', length: undefined });
    expect(body.kind === 'streamed' && (await bytesOf(body.stream())).equals(bytes)).toBe(true);
  });

  it('is given up when the client hangs up, before or while it is read', async () => {
    const early = await post(10);
    const aborted = new Promise((resolve) => early.request.once('close', resolve));
    early.wire.socket.resetAndDestroy();
    await aborted;
    await expect(holdBody(early.request, new HeldBytes())).rejects.toBeInstanceOf(ClientGone);

    const late = await post(10);
    const held = holdBody(late.request, new HeldBytes());
    late.wire.write('12345');
    late.wire.socket.resetAndDestroy();
    await expect(held).rejects.toBeInstanceOf(ClientGone);
  });
});

describe('bodies for which there is no room', () => {
  const SIZE = 2 * MAX_BUFFERED_BYTES;
  async function hold(held: HeldBytes, size = SIZE) {
    const { wire, request } = await post(size);
    const body = holdBody(request, held);
    wire.write(Buffer.alloc(size, 'abc'));
    return body;
  }

  it('pass as streams, whole, and there is room again when one is let go of', async () => {
    const held = new HeldBytes(1.5 * MAX_BUFFERED_BYTES);
    expect(await hold(held)).toMatchObject({ kind: 'held' });
    const second = await hold(held);
    expect(second.kind === 'streamed' && (await bytesOf(second.stream()))).toEqual(Buffer.alloc(SIZE, 'abc'));
    held.letGo(SIZE);
    expect(await hold(held)).toMatchObject({ kind: 'held' });
  });

  it('are not those of everyday calls', async () => {
    const held = new HeldBytes(0);
    expect(await hold(held, MAX_BUFFERED_BYTES)).toMatchObject({ kind: 'held' });
    expect(await hold(held, MAX_BUFFERED_BYTES + 1)).toMatchObject({ kind: 'streamed' });
  });

  it('are not counted when their client hangs up or when they turn out too long', async () => {
    const held = new HeldBytes(MAX_HELD_BYTES);
    const { wire, request } = await post(MAX_HELD_BYTES);
    const body = holdBody(request, held);
    wire.write(Buffer.alloc(MAX_HELD_BYTES - 1));
    wire.socket.end();
    await expect(body).rejects.toBeInstanceOf(ClientGone);
    const chunked = await givenRequest('POST / HTTP/1.1\r\nTransfer-Encoding: chunked');
    const long = holdBody(chunked.request, held);
    chunked.wire.write(`${(2 * MAX_HELD_BYTES).toString(16)}\r\n`);
    chunked.wire.write(Buffer.alloc(2 * MAX_HELD_BYTES));
    expect(await long).toMatchObject({ kind: 'streamed' });
    expect(await hold(held, MAX_HELD_BYTES)).toMatchObject({ kind: 'held' });
  });
});

describe('the stream of a longer body', () => {
  it('leaves the request readable, and nothing attached to it, when it is destroyed early', async () => {
    const { wire, request } = await post(MAX_HELD_BYTES + 1);
    const before = request.eventNames();
    const body = await holdBody(request, new HeldBytes());
    if (body.kind !== 'streamed') throw new Error('not streamed');
    const stream = body.stream();
    wire.write(Buffer.alloc(100_000));
    await once(stream, 'readable');
    stream.destroy();
    await once(stream, 'close');
    expect(request.eventNames()).toEqual(before);

    request.resume();
    wire.write(Buffer.alloc(MAX_HELD_BYTES + 1 - 100_000));
    await once(request, 'end');
  });

  it('ends without an error of its own when the client hangs up', async () => {
    const { wire, request } = await post(MAX_HELD_BYTES + 1);
    const body = await holdBody(request, new HeldBytes());
    if (body.kind !== 'streamed') throw new Error('not streamed');
    const stream = body.stream();
    const closed = once(stream, 'close');
    wire.socket.resetAndDestroy();
    await closed;
    expect(stream.readableEnded).toBe(false);
  });
});

describe('a held body that is sent', () => {
  it('is a buffer when it is small, and else a stream of the same bytes', async () => {
    const small = Buffer.alloc(64 * 1024, 1);
    expect(sendable(small)).toBe(small);
    const large = Buffer.alloc(64 * 1024 + 1, 2);
    const stream = sendable(large);
    expect(stream).toBeInstanceOf(Readable);
    expect((await bytesOf(stream as Readable)).equals(large)).toBe(true);
  });
});
