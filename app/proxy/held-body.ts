import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/** Request bodies up to this many bytes are held, so that a call can be sent again. */
export const MAX_HELD_BYTES = 4 * 1024 * 1024;

/**
 * A request's body: `held` whole, so that it can be sent more than once, or `streamed`, of which the start is in memory
 * and the rest still to come; `none` where there is no body at all.
 */
export type RequestBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'held'; readonly bytes: Buffer }
  | { readonly kind: 'streamed'; readonly stream: () => Readable; readonly length: string | undefined };

/** Larger held bodies are sent as a stream: the HTTP client keeps a buffer for as long as the answer streams. */
const MAX_BUFFERED_BYTES = 64 * 1024;

/** The client hung up before its request was complete. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/**
 * Reads a request's body up to {@link MAX_HELD_BYTES}; a longer one is left to be streamed.
 * @throws {ClientGone}
 */
export async function holdBody(request: IncomingMessage): Promise<RequestBody> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (request.destroyed) throw new ClientGone();
  if (encoding === undefined && (length === undefined || length === '0')) return { kind: 'none' };
  if (Number(length) > MAX_HELD_BYTES) return { kind: 'streamed', stream: () => restOf([], request), length };
  const chunks: Buffer[] = [];
  const complete = await collect(request, chunks);
  if (complete) return { kind: 'held', bytes: Buffer.concat(chunks) };
  return { kind: 'streamed', stream: () => restOf(chunks, request), length };
}

/** Fills `chunks` until the body ends (`true`) or is longer than what is held (`false`, and the request is paused). */
function collect(request: IncomingMessage, chunks: Buffer[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let size = 0;
    const settle = (finish: () => void) => {
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      finish();
    };
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_HELD_BYTES) {
        request.pause();
        settle(() => resolve(false));
      }
    };
    const onEnd = () => settle(() => resolve(true));
    const onClose = () => settle(() => reject(new ClientGone()));
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
