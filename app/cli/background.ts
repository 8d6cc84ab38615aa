/** One broker in the background, per folder: `start`, `status`, `logs` and `stop`. */
import { relative } from 'node:path';
import { describe, launch } from './background/launch.ts';
import { endProcess, readLiveness } from './background/process.ts';
import {
  type BrokerRecord,
  type RunFiles,
  RunFolderBusyError,
  readRecord,
  removeRecord,
  runFilesIn,
  withRunFolder,
} from './background/record.ts';
import { tail } from './background/tail.ts';

export type { ListeningMessage } from './background/launch.ts';

/** Exit code of {@link status} when nothing runs, as `systemctl status` has it. */
export const EXIT_NOT_RUNNING = 3;

const LOG_LINES = 200;

/** What all four commands need. */
export interface BackgroundOptions {
  /** The folder that holds `.run/`; default: the current one. */
  readonly folder?: string;
  readonly out: NodeJS.WritableStream;
  readonly err: NodeJS.WritableStream;
}

export interface StartOptions extends BackgroundOptions {
  /**
   * The program that serves, with its arguments; `--log-file PATH` is added. Once it listens it sends
   * {@link ListeningMessage} over its IPC channel.
   */
  readonly command: readonly [string, ...string[]];
  /** Default: this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds until a program that does not listen is given up; default 30 000. */
  readonly startTimeoutMs?: number;
}

export interface StatusOptions extends BackgroundOptions {
  /** Sent as `X-Api-Key`; a broker bound to an address that is not loopback asks for it. */
  readonly apiKey?: string | undefined;
  /** Milliseconds to wait for the broker's answer; default 2 000. */
  readonly answerTimeoutMs?: number;
}

export interface LogsOptions extends BackgroundOptions {
  /** Default 200. */
  readonly lines?: number;
  /** Goes on printing until the signal; without a signal until the process ends. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

export interface StopOptions extends BackgroundOptions {
  /** Milliseconds the broker has to end by itself; default 10 000. */
  readonly graceMs?: number;
}

/**
 * Starts the broker and returns when it listens. When one runs already, says so.
 *
 * @returns 0, the program's own exit code when it ended first, or 1
 */
export async function start(options: StartOptions): Promise<number> {
  const files = runFilesIn(options.folder ?? process.cwd());
  const startTimeoutMs = options.startTimeoutMs ?? 30_000;
  return exclusively(files, options, startTimeoutMs + 15_000, async () => {
    const found = await findBroker(files, options);
    if (found === undefined) return launch(files, options, startTimeoutMs);
    options.out.write(`Already running: ${describe(found)}\n`);
    return 0;
  });
}

/**
 * Says whether the broker runs and what it says of itself.
 *
 * @returns 0 when it runs, {@link EXIT_NOT_RUNNING} when not
 */
export async function status(options: StatusOptions): Promise<number> {
  const files = runFilesIn(options.folder ?? process.cwd());
  const record = await findBroker(files, options, (remove) => withRunFolder(files, 0, remove));
  if (record === undefined) {
    options.out.write('Not running.\n');
    return EXIT_NOT_RUNNING;
  }
  options.out.write(`Running: ${describe(record)}\n`);
  options.out.write(`Since: ${record.since}\n`);
  if (record.upstream !== undefined) options.out.write(`Upstream: ${record.upstream}\n`);
  if (record.url !== undefined) {
    options.out.write(`State: ${await askState(record.url, options)}\n`);
  }
  options.out.write(`Log: ${relative(process.cwd(), files.log)}\n`);
  return 0;
}

/**
 * Prints the end of the broker's log.
 *
 * @returns 0, or 1 when there is none
 */
export async function logs(options: LogsOptions): Promise<number> {
  const files = runFilesIn(options.folder ?? process.cwd());
  const follow = options.follow ? (options.signal ?? new AbortController().signal) : undefined;
  const lines = options.lines ?? LOG_LINES;
  try {
    if (await tail(files.log, options.out, { lines, follow })) return 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  options.err.write(`There is no log at ${relative(process.cwd(), files.log)}.\n`);
  return 1;
}

/**
 * Ends the broker and returns when it has really ended.
 *
 * @returns 0 when nothing runs any more, else 1
 */
export async function stop(options: StopOptions): Promise<number> {
  const files = runFilesIn(options.folder ?? process.cwd());
  const graceMs = options.graceMs ?? 20_000;
  return exclusively(files, options, graceMs + 5_000, async () => {
    const found = await findBroker(files, options);
    if (found === undefined) {
      options.out.write('Not running.\n');
      return 0;
    }
    if (!(await endProcess(found, graceMs, options.err))) return 1;
    await removeRecord(files);
    options.out.write(`Stopped: pid ${found.pid}\n`);
    return 0;
  });
}

/** Reads the record; one of a process that is no more is said and removed. */
async function findBroker(
  files: RunFiles,
  { err }: BackgroundOptions,
  guard: (remove: () => Promise<void>) => Promise<void> = (remove) => remove(),
): Promise<BrokerRecord | undefined> {
  const record = await readRecord(files);
  if (record === undefined) return undefined;
  if (record !== 'damaged' && (await readLiveness(record)) !== 'gone') return record;
  err.write(
    record === 'damaged'
      ? `${relative(process.cwd(), files.record)} is damaged; removing it.\n`
      : `The broker that had pid ${record.pid} has ended without a stop; removing its record.\n`,
  );
  await guard(() => removeIfStill(files, record)).catch((error) => {
    // Whoever holds the folder now deals with the record as well.
    if (!(error instanceof RunFolderBusyError)) throw error;
  });
  return undefined;
}

async function removeIfStill(files: RunFiles, stale: BrokerRecord | 'damaged'): Promise<void> {
  const now = await readRecord(files);
  if (JSON.stringify(now) === JSON.stringify(stale)) await removeRecord(files);
}

async function exclusively(
  files: RunFiles,
  { err }: BackgroundOptions,
  waitMs: number,
  action: () => Promise<number>,
): Promise<number> {
  try {
    return await withRunFolder(files, waitMs, action);
  } catch (error) {
    if (!(error instanceof RunFolderBusyError)) throw error;
    err.write(`${error.message}\n`);
    return 1;
  }
}

const STATES: ReadonlyMap<unknown, string> = new Map([
  ['logged_out', 'not logged in'],
  ['logging_in', 'a login is under way'],
  ['authenticated', 'logged in'],
  ['login_required', 'the login has ended; log in again'],
  ['not_required', 'the upstream needs no login'],
  ['error', 'trouble; see the log'],
]);

async function askState(url: string, { apiKey, answerTimeoutMs = 2_000 }: StatusOptions): Promise<string> {
  try {
    const response = await fetch(new URL('/oauth/status', url), {
      headers: { Accept: 'application/json', ...(apiKey === undefined ? {} : { 'X-Api-Key': apiKey }) },
      redirect: 'error',
      signal: AbortSignal.timeout(answerTimeoutMs),
    });
    if (response.status === 401) return 'unknown; the broker asks for PROXY_API_KEY';
    const { state } = (await response.json()) as { readonly state?: unknown };
    return STATES.get(state) ?? 'unknown; the answer was not understood';
  } catch {
    return `unknown; no answer within ${answerTimeoutMs / 1_000} s`;
  }
}
