import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../support/free-port.ts';
import { cpuSeconds, pinned, residentBytes } from '../rig/process.ts';
import type { BrokerPlace, Target } from '../rig/targets.ts';
import { untilAnswered } from '../rig/until-answered.ts';

/** What `serve` costs when nobody calls. */
export interface Idle {
  readonly residentBytes: number;
  /** Share of a core. */
  readonly cpuShare: number;
}

/** Until what a login has left to do is done, which ends with garbage collection, in milliseconds. */
const SETTLE_MS = 10_000;

/** Looks at a broker that is logged in and has nothing to do. */
export async function measureIdle(broker: Target, seconds: number): Promise<Idle> {
  await delay(SETTLE_MS);
  const before = cpuSeconds(broker.pid);
  await delay(seconds * 1_000);
  return { residentBytes: residentBytes(broker.pid), cpuShare: (cpuSeconds(broker.pid) - before) / seconds };
}

/** From the start of the process until `/health` has answered, in milliseconds. */
export async function measureStart({ root, folder }: BrokerPlace): Promise<number> {
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const [file, args] = pinned('measured', process.execPath, [join(root, 'dist', 'cli.js'), 'serve']);
  const started = performance.now();
  const child = spawn(file, args, {
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      STATE_DIR: folder,
      TOKEN_STORE: 'file',
      PORT: String(port),
      UPSTREAM_MCP_URL: 'http://127.0.0.1:9/mcp',
    },
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  await untilAnswered(`http://127.0.0.1:${port}/health`);
  const taken = performance.now() - started;
  child.kill('SIGTERM');
  await ended;
  return taken;
}

/** From start to end of `node -e 0`, in milliseconds: what any program in Node takes. */
export async function measureBareNode(): Promise<number> {
  const [file, args] = pinned('measured', process.execPath, ['-e', '0']);
  const started = performance.now();
  await once(spawn(file, args, { stdio: 'ignore' }), 'exit');
  return performance.now() - started;
}
