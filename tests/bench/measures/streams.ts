import { once } from 'node:events';
import { Agent, type ClientRequest, get, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { residentBytes } from '../rig/process.ts';
import { median } from '../rig/statistics.ts';
import { authorizationFor, type Target } from '../rig/targets.ts';

/** What many open event streams cost. */
export interface Streams {
  /** Resident memory of the proxy for each stream, in bytes. */
  readonly bytesEach: number;
  /** How long `/health` takes meanwhile: in the middle and at worst, in milliseconds. */
  readonly healthMs: number;
  readonly slowestHealthMs: number;
}

const WARM_UP = 50;
/** Until memory has settled, in milliseconds. */
const SETTLE_MS = 1_500;

/**
 * Opens event streams, as MCP clients hold one per session, and keeps them open.
 * @param healthCalls how often `/health` is asked for, where there is one
 */
export async function measureStreams(
  target: Target,
  { count, healthCalls }: { count: number; healthCalls: number },
): Promise<Streams> {
  const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY });
  const warm = await openStreams(target, agent, WARM_UP);
  for (const stream of warm) stream.destroy();
  await delay(SETTLE_MS);
  const before = residentBytes(target.pid);
  const streams = await openStreams(target, agent, count);
  await delay(SETTLE_MS);
  const bytesEach = (residentBytes(target.pid) - before) / count;
  const health: number[] = [];
  while (health.length < healthCalls) health.push(await healthMs(target));
  for (const stream of streams) stream.destroy();
  return { bytesEach, healthMs: median(health), slowestHealthMs: Math.max(...health) };
}

async function openStreams(target: Target, agent: Agent, count: number): Promise<ClientRequest[]> {
  const streams = Array.from({ length: count }, () => {
    const asking = get(`${target.origin}/mcp`, {
      agent,
      headers: {
        accept: 'text/event-stream',
        'mcp-session-id': 'bench',
        'mcp-protocol-version': '2025-11-25',
        ...authorizationFor(target),
      },
    });
    asking.on('error', () => undefined);
    return asking;
  });
  await Promise.all(
    streams.map(async (asking) => {
      const [response] = (await once(asking, 'response')) as [IncomingMessage];
      if (response.statusCode !== 200) throw new Error(`a stream was answered with ${response.statusCode}`);
      // The upstream greets each stream.
      await once(response, 'data');
    }),
  );
  return streams;
}

/** On a connection of its own, which is how something new asks. */
async function healthMs(target: Target): Promise<number> {
  const started = performance.now();
  const asking = get(`${target.origin}/health`, { agent: false });
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return performance.now() - started;
}
