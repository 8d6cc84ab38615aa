import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { MAX_BUFFERED_BYTES, MAX_HELD_BYTES, MAX_HELD_TOTAL_BYTES, MAX_LOOSE_CHUNKS } from '../limits.ts';

/**
 * A request's body: `held` whole, so that it can be sent more than once, or `streamed`, of which the start is in memory
 * and the rest still to come; `none` where there is no body at all.
 */
export type RequestBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'held'; readonly bytes: Buffer }
  | { readonly kind: 'streamed'; readonly stream: () => Readable; readonly length: string | undefined };

/** The client hung up before its request was complete. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** How much the held bodies of a broker take together. The small ones of everyday calls do not count. */
export class HeldBytes {
  readonly #limit: number;
  #total = 0;

  constructor(limit = MAX_HELD_TOTAL_BYTES) {
    this.#limit = limit;
  }

  /** @returns whether there is room for a body to grow from one size to another; if so, it is counted */
  grow(from: number, to: number): boolean {
    const more = counted(to) - counted(from);
    if (this.#total + more > this.#limit) return false;
    this.#total += more;
    return true;
  }

  /** A body of so many bytes is held no more. */
  letGo(size: number): void {
    this.#total -= counted(size);
  }
}

function counted(size: number): number {
  return Math.max(0, size - MAX_BUFFERED_BYTES);
}

/**
 * Reads a request's body up to {@link MAX_HELD_BYTES}; a longer one, or one for
 * which there is no room, is left to be streamed.
 * @param held counts a body that is held; to be told when it is let go of
 * @returns at once what is there already: a small body has come with its head, once the turn that brought that has ended
 * @throws {ClientGone} as a rejection
 */
export function holdBody(request: IncomingMessage, held: HeldBytes): RequestBody | Promise<RequestBody> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (request.destroyed) return Promise.reject(new ClientGone());
  if (encoding === undefined && (length === undefined || length === '0')) return { kind: 'none' };
  const size = Number(length);
  if (size > MAX_HELD_BYTES) return { kind: 'streamed', stream: () => restOf([], request), length };
  if (size === request.readableLength && size > 0 && held.grow(0, size))
    return { kind: 'held', bytes: request.read(size) as Buffer };
  return holdPieces(request, held, length);
}

async function holdPieces(
  request: IncomingMessage,
  held: HeldBytes,
  length: string | undefined,
): Promise<RequestBody> {
  const chunks: Buffer[] = [];
  const complete = await collect(request, chunks, held);
  if (complete) return { kind: 'held', bytes: Buffer.concat(chunks) };
  return { kind: 'streamed', stream: () => restOf(chunks, request), length };
}

/** Fills `chunks` until the body ends (`true`) or is longer than what is held (`false`, and the request is paused). */
function collect(request: IncomingMessage, chunks: Buffer[], held: HeldBytes): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let size = 0;
    let loose = 0;
    const keep = (chunk: Buffer) => {
      chunks.push(chunk);
      if (++loose < MAX_LOOSE_CHUNKS) return;
      chunks.push(Buffer.concat(chunks.splice(-loose)));
      loose = 0;
    };
    const settle = (finish: () => void) => {
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      finish();
    };
    const onData = (chunk: Buffer) => {
      keep(chunk);
      const isHeld = size + chunk.length <= MAX_HELD_BYTES && held.grow(size, size + chunk.length);
      if (isHeld) {
        size += chunk.length;
      } else {
        held.letGo(size);
        request.pause();
        settle(() => resolve(false));
      }
    };
    const onEnd = () => settle(() => resolve(true));
    const onClose = () => {
      held.letGo(size);
      settle(() => reject(new ClientGone()));
    };
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

/** A held body in the form in which it is sent: a buffer, or a stream, which does not keep what was read from it. */
export function sendable(bytes: Buffer): Buffer | Readable {
  if (bytes.length <= MAX_BUFFERED_BYTES) return bytes;
  const stream = new Readable({ read: () => undefined });
  stream.push(bytes);
  stream.push(null);
  return stream;
}

/** A stream of its own, so that whoever ends it does not take the client's connection along. It is to be destroyed. */
function restOf(chunks: Buffer[], request: IncomingMessage): Readable {
  const detach = () => request.off('data', onData).off('end', onEnd).off('close', onClose);
  const rest = new Readable({
    read: () => void request.resume(),
    destroy: (error, done) => {
      detach();
      done(error);
    },
  });
  const onData = (chunk: Buffer) => {
    if (!rest.push(chunk)) request.pause();
  };
  const onEnd = () => {
    detach();
    rest.push(null);
  };
  const onClose = () => rest.destroy();
  for (const chunk of chunks.splice(0)) rest.push(chunk);
  request.on('data', onData).on('end', onEnd).on('close', onClose);
  return rest;
}
