import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { median } from '../rig/statistics.ts';
import { authorizationFor, type Target } from '../rig/targets.ts';

/**
 * How long the first event of a stream is on its way, from the upstream, which runs in this process, to the client.
 * @returns the medians in milliseconds, in the order of the targets
 */
export async function measureFirstEvents(targets: readonly Target[], events: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true });
  const delays = targets.map((): number[] => []);
  // The first ones open connections and compile what they run through.
  for (let round = -20; round < events; round++) {
    for (const [at, target] of targets.entries()) {
      const delay = await eventDelay(target, agent);
      if (round >= 0) delays[at]?.push(delay);
    }
  }
  agent.destroy();
  return delays.map(median);
}

async function eventDelay(target: Target, agent: Agent): Promise<number> {
  const asking = request(`${target.origin}/mcp/event`, {
    agent,
    method: 'POST',
    headers: { accept: 'application/json, text/event-stream', ...authorizationFor(target) },
  });
  asking.end('{}');
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  let arrived = 0;
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    arrived ||= performance.now();
    text += chunk;
  }
  const [, sent] = /^data: ([\d.]+)\n/.exec(text) ?? [];
  if (sent === undefined) throw new Error(`${target.name} answered ${response.statusCode} without an event`);
  return arrived - Number(sent);
}
