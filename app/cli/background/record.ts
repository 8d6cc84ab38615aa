import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { lock } from 'proper-lockfile';
import * as v from 'valibot';
import writeFileAtomic from 'write-file-atomic';

const BrokerRecord = v.object({
  pid: v.pipe(v.number(), v.integer(), v.minValue(2)),
  startTime: v.optional(v.string()),
  since: v.pipe(v.string(), v.isoTimestamp()),
  /** Local URL; absent until the broker listens. */
  url: v.optional(v.pipe(v.string(), v.url())),
  /** Host of the upstream. */
  upstream: v.optional(v.string()),
});

/** What is kept of a background broker: nothing secret. */
export type BrokerRecord = v.InferOutput<typeof BrokerRecord>;

/** The files of a background broker; all in `.run/` of the folder it was started from. */
export interface RunFiles {
  readonly folder: string;
  readonly run: string;
  readonly record: string;
  readonly log: string;
  readonly startErrors: string;
  readonly lock: string;
}

/** The files of a background broker that was started in a folder. */
export function runFilesIn(folder: string): RunFiles {
  const run = resolve(folder, '.run');
  return {
    folder: resolve(folder),
    run,
    record: join(run, 'broker.json'),
    log: join(run, 'broker.log'),
    startErrors: join(run, 'start.err'),
    lock: join(run, 'lock'),
  };
}

/** @returns the record, `undefined` when there is none, or `damaged` when it is not one of ours. */
export async function readRecord(files: RunFiles): Promise<BrokerRecord | 'damaged' | undefined> {
  let text: string;
  try {
    text = await readFile(files.record, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return v.parse(BrokerRecord, JSON.parse(text));
  } catch {
    return 'damaged';
  }
}

/** Replaces the record in one step, mode 0600. @throws the system's error */
export async function writeRecord(files: RunFiles, record: BrokerRecord): Promise<void> {
  await writeFileAtomic(files.record, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
}

/** Removes the record; no error when there is none. @throws the system's error for anything else */
export async function removeRecord(files: RunFiles): Promise<void> {
  await rm(files.record, { force: true });
}

/** Another command holds the folder. */
export class RunFolderBusyError extends Error {
  override readonly name = 'RunFolderBusyError';
}

/**
 * Runs `action` while no other command starts or stops the broker of this folder.
 *
 * @param waitMs milliseconds to wait for another command to finish
 * @throws {RunFolderBusyError} when it did not
 */
export async function withRunFolder<T>(
  files: RunFiles,
  waitMs: number,
  action: () => Promise<T>,
): Promise<T> {
  await mkdir(files.run, { recursive: true, mode: 0o700 });
  const step = 100;
  let release: () => Promise<void>;
  try {
    release = await lock(files.run, {
      lockfilePath: files.lock,
      realpath: false,
      stale: 5_000,
      update: 1_000,
      retries: { retries: Math.ceil(waitMs / step), minTimeout: step, maxTimeout: step },
      // The default throws where nobody can catch it. Losing the lock (a machine that slept) costs a second start
      // at most, and that one finds the port taken.
      onCompromised: () => {},
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error;
    throw new RunFolderBusyError(
      'Another start or stop is under way in this folder; try again when it is done.',
    );
  }
  try {
    return await action();
  } finally {
    // Rejects when the lock was lost meanwhile: then there is nothing to release.
    await release().catch(() => {});
  }
}
