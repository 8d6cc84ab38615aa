import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

/** A process, told apart from a later one that was given the same id. */
export interface ProcessIdentity {
  readonly pid: number;
  /** As the operating system writes it, to be compared and nothing else; `undefined` where it could not be read. */
  readonly startTime?: string | undefined;
}

/**
 * - `running`: the very process is alive.
 * - `gone`: it has ended, whatever has its id now.
 * - `unproven`: a process with this id is alive, and its start time could not be compared.
 */
export type Liveness = 'running' | 'gone' | 'unproven';

/** @returns the start time of a live process, or `undefined` when it has ended or the system does not tell. */
export async function readStartTime(pid: number): Promise<string | undefined> {
  const seen = await look(pid);
  return seen === 'ended' || seen === 'unknown' ? undefined : seen.startTime;
}

/** Tells whether `identity` is still alive. Never rejects. */
export async function readLiveness(identity: ProcessIdentity): Promise<Liveness> {
  const seen = await look(identity.pid);
  if (seen === 'ended') return 'gone';
  if (seen === 'unknown' || identity.startTime === undefined) return 'unproven';
  return seen.startTime === identity.startTime ? 'running' : 'gone';
}

/**
 * Asks a process to end, waits, and ends it by force when it is provably the one that is meant.
 *
 * @param graceMs milliseconds it has to end by itself
 * @param err is told why when it has not ended
 * @returns whether it has ended
 */
export async function endProcess(
  identity: ProcessIdentity,
  graceMs: number,
  err: NodeJS.WritableStream,
): Promise<boolean> {
  const { pid } = identity;
  if (!signal(pid, 'SIGTERM')) {
    err.write(`Not allowed to end pid ${pid}: it belongs to another user.\n`);
    return false;
  }
  if (await waitForEnd(identity, graceMs)) return true;
  err.write(`Pid ${pid} is still there after ${graceMs / 1_000} s.\n`);
  if ((await readLiveness(identity)) !== 'running') {
    err.write(`It cannot be proved to be the broker. If it is, end it with: kill -9 ${pid}\n`);
    return false;
  }
  signal(pid, 'SIGKILL');
  return waitForEnd(identity, 5_000);
}

/** @returns `false` when the process is another user's; one that has just ended counts as signalled. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  return true;
}

/**
 * Waits for the end of a process that need not be a child of ours; there is no event for that.
 *
 * @param timeoutMs milliseconds to wait at most
 * @returns whether it has ended
 */
async function waitForEnd(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while ((await readLiveness(identity)) !== 'gone') {
    if (performance.now() >= deadline) return false;
    await delay(50);
  }
  return true;
}

type Seen = { readonly startTime: string } | 'ended' | 'unknown';

function look(pid: number): Promise<Seen> {
  if (process.platform === 'linux') return lookInProc(pid);
  if (process.platform === 'win32') return Promise.resolve(lookBySignal(pid));
  return lookWithPs(pid);
}

async function lookInProc(pid: number): Promise<Seen> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    return ['ENOENT', 'ESRCH'].includes(errorCode(error)) ? 'ended' : 'unknown';
  }
  // proc(5): field 2 is the command in parentheses and may hold spaces and parentheses, so count from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  const startTime = fields[22 - 3];
  // A zombie has ended; where nothing reaps orphans (many containers) it stays in the table for good.
  if (state === 'Z' || state === 'X') return 'ended';
  return startTime === undefined ? 'unknown' : { startTime };
}

async function lookWithPs(pid: number): Promise<Seen> {
  try {
    // The same words in every language and time zone: a traveller's broker is still the same broker.
    const env = { LC_ALL: 'C', TZ: 'UTC' };
    const { stdout } = await promisify(execFile)(
      '/bin/ps',
      ['-o', 'stat=', '-o', 'lstart=', '-p', `${pid}`],
      {
        env,
      },
    );
    const [, state, startTime] = /^\s*(\S+)\s+(.+?)\s*$/.exec(stdout) ?? [];
    if (state?.startsWith('Z')) return 'ended';
    return startTime === undefined ? 'unknown' : { startTime };
  } catch (error) {
    // ps ends with 1 when there is no such process; a string is a failure to run it at all.
    return (error as { code?: unknown }).code === 1 ? 'ended' : 'unknown';
  }
}

function lookBySignal(pid: number): Seen {
  try {
    process.kill(pid, 0);
    return 'unknown';
  } catch (error) {
    return errorCode(error) === 'ESRCH' ? 'ended' : 'unknown';
  }
}

function errorCode(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code);
}
