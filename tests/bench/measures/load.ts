import { join } from 'node:path';
import * as v from 'valibot';
import { cpuSeconds, output } from '../rig/process.ts';
import type { Program } from '../rig/programs.ts';
import type { Target } from '../rig/targets.ts';

const FIGURES = v.object({
  requests: v.number(),
  seconds: v.number(),
  failed: v.number(),
  medianMs: v.number(),
  p99Ms: v.number(),
});

/** What a time of load came to. */
export interface Load {
  readonly requests: number;
  readonly perSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  /** Requests per second of the proxy's processor time; `NaN` where there is no proxy. */
  readonly perCpuSecond: number;
}

/**
 * Has wrk send small MCP calls.
 * @throws Error when a call fails
 */
export async function applyLoad(
  { file, env }: Program,
  root: string,
  target: Target,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<Load> {
  const before = target.pid && cpuSeconds(target.pid);
  const said = await output(
    'load',
    file,
    [
      ...['-t1', `-c${connections}`, `-d${seconds}s`, '-s', join(root, 'tests/bench/rig/wrk.lua')],
      // Where no proxy is in the way, nobody else adds it.
      ...(target.name === 'direct' ? ['-H', 'Authorization: Bearer none'] : []),
      `${target.origin}/mcp`,
    ],
    env,
  );
  const used = target.pid && cpuSeconds(target.pid) - before;
  const figures = v.parse(FIGURES, JSON.parse(said.trim().split('\n').at(-1) ?? ''));
  if (figures.failed > 0) throw new Error(`${target.name}: ${figures.failed} calls failed`);
  return {
    requests: figures.requests,
    perSecond: figures.requests / figures.seconds,
    medianMs: figures.medianMs,
    p99Ms: figures.p99Ms,
    perCpuSecond: figures.requests / used,
  };
}
