import { channel } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/**
 * Whether a request failed because it met a kept connection just as the other side closed that: the connection had
 * carried answers before, and nothing came in answer to this request (RFC 9112 §9.3.1). undici hands out the socket's
 * own error object, so this is noted on it.
 */
export function wasReused(error: Error): boolean {
  return metIdleClose.has(error);
}

/** How the other side's close shows. A time-out of ours ends a connection too, and is no reason to ask twice. */
const CLOSED = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);
const metIdleClose = new WeakSet<Error>();
/** Bytes a connection had read when it was opened, by a proxy's answer, and when a request was last sent on it. */
const bytesRead = new WeakMap<Socket, { atOpening: number; atRequest: number | undefined }>();

channel('undici:client:sendHeaders').subscribe((message) => {
  const { socket } = message as { socket: Socket };
  const read = bytesRead.get(socket);
  if (read) read.atRequest = socket.bytesRead;
});

/** Lets a new connection know how much it reads, and what it fails of. */
export function watchConnection(socket: Socket): void {
  const read = { atOpening: socket.bytesRead, atRequest: undefined };
  bytesRead.set(socket, read);
  socket.prependListener('error', (error) => {
    const { atOpening, atRequest = atOpening }: { atOpening: number; atRequest: number | undefined } = read;
    const closed = CLOSED.has((error as NodeJS.ErrnoException).code ?? '');
    if (closed && atRequest > atOpening && socket.bytesRead === atRequest) metIdleClose.add(error);
  });
}
