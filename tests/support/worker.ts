import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Answer, Request } from './store-worker.ts';

/** Real processes that use the stores of this source tree. */
export interface Workers {
  start(options?: { uid?: number }): Worker;
  remove(): Promise<void>;
}

export interface Worker {
  /** Sends a request and returns the next answer. */
  ask(request: Request): Promise<Answer>;
  answer(): Promise<Answer>;
  end(signal?: NodeJS.Signals): Promise<void>;
}

/** Bundles the worker program, which plain Node cannot run from TypeScript. */
export async function createWorkers(): Promise<Workers> {
  const folder = await mkdtemp(join(tmpdir(), 'workers-'));
  // Workers may run as another user.
  await chmod(folder, 0o755);
  const program = join(folder, 'store-worker.cjs');
  await build({
    entryPoints: [fileURLToPath(new URL('store-worker.ts', import.meta.url))],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
  });
  const running = new Set<Worker>();
  return {
    start(options = {}) {
      const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'], ...options });
      const worker = talkTo(child, () => running.delete(worker));
      running.add(worker);
      return worker;
    },
    async remove() {
      for (const worker of running) await worker.end();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function talkTo(child: ChildProcessByStdio<Writable, Readable, null>, onEnd: () => void): Worker {
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  async function answer(): Promise<Answer> {
    const line = await lines.next();
    if (line.done) throw new Error('the worker ended without an answer');
    return JSON.parse(line.value);
  }
  return {
    ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return answer();
    },
    answer,
    async end(signal = 'SIGTERM') {
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
      onEnd();
    },
  };
}
