import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { supervise } from '../../support/supervised.ts';
import { pinned } from '../rig/process.ts';
import { RawClient } from '../rig/raw-client.ts';
import { median } from '../rig/statistics.ts';
import type { Target } from '../rig/targets.ts';

/** A way for a client to make calls, one after the other. */
export interface Caller {
  /** @returns how long the call took, in milliseconds */
  call(id: number): Promise<number>;
  stop(): Promise<void>;
}

const toolCall = (id: number) =>
  JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'ping', arguments: {} } });

/** Calls by HTTP on a connection that is kept; the client does as little as the one that talks to a program does. */
export async function openHttpCaller({ origin }: Target): Promise<Caller> {
  const client = await RawClient.open(origin);
  return {
    async call(id) {
      const started = performance.now();
      await client.call(toolCall(id));
      return performance.now() - started;
    },
    stop: async () => client.close(),
  };
}

/** Calls through mcp-remote, a program that a client starts and talks to by its standard input and output. */
export async function startMcpRemote(peers: string, folder: string, url: string): Promise<Caller> {
  const program = join(peers, 'node_modules', 'mcp-remote', 'dist', 'proxy.js');
  const [file, args] = pinned('measured', process.execPath, [
    program,
    url,
    '--allow-http',
    '--transport',
    'http-only',
  ]);
  const child = spawn(file, args, {
    env: { PATH: process.env.PATH, HOME: folder, MCP_REMOTE_CONFIG_DIR: folder },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const { ended } = supervise(child);
  const ask = answersOf(child, ended);
  const clientInfo = { name: 'bench', version: '1' };
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
  await ask(0, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
  child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
  return {
    async call(id) {
      const started = performance.now();
      await ask(id, toolCall(id));
      return performance.now() - started;
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** @returns a function that sends a line and resolves with the answer to it */
function answersOf(child: ChildProcess, exited: Promise<unknown>) {
  const waiting = new Map<number, () => void>();
  if (child.stdout) {
    createInterface(child.stdout).on('line', (line) => {
      const { id } = JSON.parse(line) as { id?: number };
      if (id !== undefined) waiting.get(id)?.();
    });
  }
  const ended = exited.then(() => {
    throw new Error('mcp-remote ended by itself');
  });
  ended.catch(() => undefined);
  return async (id: number, line: string): Promise<void> => {
    const answered = new Promise<void>((resolve) => waiting.set(id, resolve));
    child.stdin?.write(`${line}\n`);
    await Promise.race([answered, ended]);
    waiting.delete(id);
  };
}

/** So many calls are made in one way before the next one's turn. */
const TURN = 100;
const WARM_UP_TURNS = 5;

/**
 * Makes calls in several ways in turn.
 * @returns the medians in milliseconds, in the order of the callers
 */
export async function measureCalls(callers: readonly Caller[], calls: number): Promise<number[]> {
  const times = callers.map((): number[] => []);
  // What is measured is compiled code.
  for (let turn = -WARM_UP_TURNS; turn < calls / TURN; turn++) {
    for (const [at, caller] of callers.entries()) {
      for (let id = 1; id <= TURN; id++) {
        const taken = await caller.call(id);
        if (turn >= 0) times[at]?.push(taken);
      }
    }
  }
  return times.map(median);
}
