import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { chunksOf, readSlowly } from '../rig/large-body.ts';
import { residentBytes } from '../rig/process.ts';
import { authorizationFor, type Target } from '../rig/targets.ts';

export type Direction = 'down' | 'up';

/** What passing a large body came to. */
export interface Passage {
  readonly bytesPerSecond: number;
  /** Most resident memory of the proxy over what it had before, in bytes. */
  readonly grown: number;
}

const SAMPLE_MS = 20;

/**
 * Passes a body through.
 * @param rate how much the side that reads takes in a second, in bytes
 */
export async function passBody(
  target: Target,
  direction: Direction,
  { bytes, rate = Number.POSITIVE_INFINITY }: { bytes: number; rate?: number },
): Promise<Passage> {
  const before = residentBytes(target.pid);
  let most = before;
  const sampling = setInterval(() => {
    most = Math.max(most, residentBytes(target.pid));
  }, SAMPLE_MS);
  const started = performance.now();
  const received =
    direction === 'down' ? await download(target, bytes, rate) : await upload(target, bytes, rate);
  const seconds = (performance.now() - started) / 1_000;
  clearInterval(sampling);
  if (received !== bytes) throw new Error(`${target.name}: ${received} of ${bytes} bytes came ${direction}`);
  return { bytesPerSecond: bytes / seconds, grown: most - before };
}

async function download(target: Target, bytes: number, rate: number): Promise<number> {
  const asking = request(`${target.origin}/mcp/down?bytes=${bytes}`, {
    agent: false,
    headers: authorizationFor(target),
  });
  asking.end();
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  return readSlowly(response, rate);
}

async function upload(target: Target, bytes: number, rate: number): Promise<number> {
  const limit = Number.isFinite(rate) ? `?rate=${rate}` : '';
  const asking = request(`${target.origin}/mcp/up${limit}`, {
    agent: false,
    method: 'POST',
    headers: { 'content-length': bytes, ...authorizationFor(target) },
  });
  const answered = once(asking, 'response') as Promise<[IncomingMessage]>;
  await pipeline(Readable.from(chunksOf(bytes)), asking);
  const [response] = await answered;
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return (JSON.parse(text) as { received?: number }).received ?? 0;
}
