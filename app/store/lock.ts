import { mkdir, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import lockfile from 'proper-lockfile';
import { fileError, systemCode } from './file-errors.ts';
import { accountHash } from './item-name.ts';
import { SecretStoreError } from './secret-store.ts';

/** A holder that gave no sign of life for so long is taken for dead. */
const STALE_MS = 5_000;
const UPDATE_MS = 1_000;
const WAIT_MS = 20_000;
const FIRST_RETRY_MS = 20;
const LONGEST_RETRY_MS = 500;

/** The end of the line in front of each lock file, so that callers of one process take turns without polling. */
const lines = new Map<string, Promise<void>>();

/**
 * Runs `fn` while no other holder of the same lock runs, in this process or another. The lock of a process that died
 * is taken over after 5 s without a sign of life.
 *
 * @param lockFolder the store's `lockFolder`, created when missing; `undefined` runs `fn` at once
 * @param account what is locked; any text
 * @param options.waitMs longest wait for the lock, in milliseconds
 * @param options.onLost told when the lock was lost while `fn` runs, because this process slept too long
 * @returns what `fn` returns; rejects as `fn` does
 * @throws {SecretStoreError} `locked` when the lock was busy for all of `waitMs`, `unavailable` when the folder cannot be used
 */
export async function withLock<T>(
  lockFolder: string | undefined,
  account: string,
  fn: () => Promise<T>,
  { waitMs = WAIT_MS, onLost = () => undefined }: { waitMs?: number; onLost?: () => void } = {},
): Promise<T> {
  if (lockFolder === undefined) return fn();
  const file = join(lockFolder, accountHash(account));
  const limit = AbortSignal.timeout(waitMs);

  const before = lines.get(file) ?? Promise.resolve();
  let endTurn = () => {};
  const turn = new Promise<void>((resolve) => {
    endTurn = resolve;
  });
  const upToHere = before.then(() => turn);
  lines.set(file, upToHere);
  try {
    const release = await acquire({ lockFolder, file, before, giveUp: limit, onLost }).catch(
      (error: unknown) => {
        if (limit.aborted) throw busy(error);
        throw fileError(lockFolder, error);
      },
    );
    try {
      return await fn();
    } finally {
      // Rejects when the lock was lost (this process slept too long): then it is another's to release.
      await release().catch(() => undefined);
    }
  } finally {
    endTurn();
    if (lines.get(file) === upToHere) lines.delete(file);
  }
}

interface Acquisition {
  lockFolder: string;
  file: string;
  before: Promise<void>;
  giveUp: AbortSignal;
  onLost: () => void;
}

async function acquire({
  lockFolder,
  file,
  before,
  giveUp,
  onLost,
}: Acquisition): Promise<() => Promise<void>> {
  await unlessAborted(before, giveUp);
  await mkdir(lockFolder, { recursive: true, mode: 0o700 });
  const removeIfDead = watchFutureLock(`${file}.lock`);
  for (let pause = FIRST_RETRY_MS; ; pause = Math.min(pause * 1.5, LONGEST_RETRY_MS)) {
    try {
      return await lockfile.lock(file, {
        realpath: false,
        stale: STALE_MS,
        update: UPDATE_MS,
        // The default throws out of a timer. The work under way is past stopping; the release finds out.
        onCompromised: onLost,
      });
    } catch (error) {
      if (systemCode(error) !== 'ELOCKED') throw error;
    }
    await removeIfDead();
    // Waiters that woke together would collide for ever without the random part.
    await delay(pause * (0.5 + Math.random()), undefined, { signal: giveUp });
  }
}

/**
 * A lock bears the time of its holder's last sign of life. When a process died and the clock was set back since, that lies
 * in the future, and its lock would not be stale for as long. So such a lock is watched by a clock that nobody sets.
 * @param path what the holder keeps touching
 * @returns looks once; removes the lock when its time has stood still for as long as a holder may be silent
 */
function watchFutureLock(path: string): () => Promise<void> {
  let seen: number | undefined;
  let since = 0;
  return async () => {
    const touched = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => undefined,
    );
    if (touched === undefined || touched <= Date.now()) {
      seen = undefined;
    } else if (touched !== seen) {
      seen = touched;
      since = performance.now();
    } else if (performance.now() - since >= STALE_MS) {
      // Another process may have been first: what is not there, or not empty, is not ours to remove.
      await rmdir(path).catch(() => undefined);
    }
  };
}

function busy(cause: unknown): SecretStoreError {
  return new SecretStoreError(
    'locked',
    'Another process has been working on this login for too long. Try again, or end the other MCP Auth Proxy.',
    { cause },
  );
}

function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, reject);
  });
}
