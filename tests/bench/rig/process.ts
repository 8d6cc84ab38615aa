import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { supervise } from '../../support/supervised.ts';

/** Where a process runs: what is measured has a core to itself, all else shares the others. */
export type Place = 'measured' | 'load';

const CORES = availableParallelism();
const TAIL_LENGTH = 4_000;

/** A command line that runs a program in its place. */
export function pinned(place: Place, command: string, args: readonly string[]): [string, string[]] {
  if (CORES < 2) return [command, [...args]];
  return ['taskset', ['--cpu-list', coresOf(place), command, ...args]];
}

/** Pins this very process, and what it starts without a place of its own. */
export function pinThisProcess(): void {
  if (CORES >= 2)
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', coresOf('load'), `${process.pid}`]);
}

function coresOf(place: Place): string {
  return place === 'measured' ? '0' : `1-${CORES - 1}`;
}

/** A program that runs until it is stopped. */
export interface Running {
  readonly pid: number;
  /** What it has sent first, where it was asked for a message. */
  readonly message: unknown;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly place: Place;
  readonly env?: NodeJS.ProcessEnv;
  /** Whether it is ready with its first message to its parent, or at once. */
  readonly sendsMessage: boolean;
}

/**
 * Starts a program; it ends with this process at the latest.
 * @throws Error with the end of its output when it ends before it is ready
 */
export async function start(
  command: string,
  args: readonly string[],
  options: StartOptions,
): Promise<Running> {
  const [file, argv] = pinned(options.place, command, args);
  const child = spawn(file, argv, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...options.env },
    stdio: ['ignore', 'ignore', 'pipe', ...(options.sendsMessage ? (['ipc'] as const) : [])],
  });
  const { ended, tail } = supervise(child);
  const message = options.sendsMessage ? await firstMessage(child, ended) : undefined;
  if (options.sendsMessage && message === undefined) throw new Error(`${args[0]} ended: ${tail()}`);
  return {
    pid: child.pid ?? 0,
    message,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function firstMessage(child: ChildProcess, ended: Promise<void>): Promise<unknown> {
  return Promise.race([once(child, 'message').then(([message]: unknown[]) => message), ended]);
}

/** Runs a program to its end. @returns what it has written to standard output */
export async function output(
  place: Place,
  command: string,
  args: readonly string[],
  env = {},
): Promise<string> {
  const [file, argv] = pinned(place, command, args);
  const child = spawn(file, argv, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-TAIL_LENGTH);
  });
  const [code] = await once(child, 'close');
  if (code !== 0)
    throw new Error(`${command} ended with code ${code}: ${complaint || said.slice(-TAIL_LENGTH)}`);
  return said;
}

/** Processor time of a process so far with all its threads, in seconds (the kernel's sched-stats: nanoseconds). */
export function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const times = threads.map((id) => readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]);
  return times.reduce((sum, time) => sum + Number(time), 0) / 1e9;
}

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}
