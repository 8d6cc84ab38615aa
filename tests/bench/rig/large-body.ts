import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

/** Reads a stream to its end, at no more than so many bytes a second. @returns how many there were */
export async function readSlowly(stream: Readable, bytesPerSecond: number): Promise<number> {
  let received = 0;
  const started = performance.now();
  for await (const chunk of stream) {
    received += (chunk as Buffer).length;
    const early = started + (received / bytesPerSecond) * 1_000 - performance.now();
    if (early > 1) await delay(early);
  }
  return received;
}

const CHUNK = Buffer.alloc(64 * 1024, 'x');

/** A body of so many bytes, piece by piece. */
export function* chunksOf(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= CHUNK.length) yield CHUNK.subarray(0, left);
}
