import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { withLock } from '../../../app/store/lock.ts';
import { createWorkers, type Workers } from '../../support/worker.ts';

let workers: Workers;
let folder: string;
beforeAll(async () => {
  workers = await createWorkers();
});
afterAll(() => workers.remove());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'locks-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Takes the lock in this process until `release` is called. */
async function hold(account: string): Promise<{ release: () => Promise<void> }> {
  let end = () => {};
  let finished: Promise<void> = Promise.resolve();
  await new Promise<void>((held) => {
    finished = withLock(folder, account, () => {
      held();
      return new Promise<void>((resolve) => {
        end = resolve;
      });
    });
  });
  return {
    release: () => {
      end();
      return finished;
    },
  };
}

describe('withLock', () => {
  it('runs at once without a folder, even inside itself', async () => {
    const inner = () => withLock(undefined, 'a', async () => 'done');
    expect(await withLock(undefined, 'a', inner)).toBe('done');
  });

  it('lets callers of one process take turns in their order', async () => {
    const events: string[] = [];
    const work = (name: string) =>
      withLock(folder, 'a', async () => {
        events.push(`in ${name}`);
        await readdir(folder);
        events.push(`out ${name}`);
      });
    await Promise.all(['1', '2', '3'].map(work));
    expect(events).toEqual(['in 1', 'out 1', 'in 2', 'out 2', 'in 3', 'out 3']);
    expect(await readdir(folder)).toEqual([]);
  });

  it('does not let accounts wait for each other', async () => {
    const holder = await hold('a');
    expect(await withLock(folder, 'b', async () => 'free')).toBe('free');
    await holder.release();
  });

  it('makes its folder, with names that tell nothing', async () => {
    const below = join(folder, 'not', 'there');
    const names = await withLock(below, 'https://h/../secret', () => readdir(below));
    expect(names).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.lock$/)]);
  });

  it('passes errors on and frees the lock', async () => {
    const failure = new Error('of the work');
    const failing = withLock(folder, 'a', () => Promise.reject(failure));
    await expect(failing).rejects.toBe(failure);
    expect(await withLock(folder, 'a', async () => 'free')).toBe('free');
  });

  it('keeps processes apart', async () => {
    const log = join(folder, 'log');
    const request = {
      task: 'take turns',
      folder: join(folder, 'locks'),
      account: 'a',
      log,
      times: 8,
    } as const;
    const all = [workers.start(), workers.start(), workers.start()];
    expect(await Promise.all(all.map((worker) => worker.ask(request)))).toEqual(['done', 'done', 'done']);
    const lines = (await readFile(log, 'utf8')).trim().split('\n');
    expect(lines).toHaveLength(48);
    for (let at = 0; at < lines.length; at += 2) {
      expect(lines[at + 1]).toBe(lines[at]?.replace('in', 'out'));
    }
  });

  it('waits for another process to finish', async () => {
    const worker = workers.start();
    expect(await worker.ask({ task: 'hold', folder, account: 'a' })).toBe('held');
    const events: string[] = [];
    const waiting = withLock(folder, 'a', async () => events.push('mine'));
    await expect(withLock(folder, 'a', async () => {}, { waitMs: 100 })).rejects.toMatchObject({
      code: 'locked',
    });
    events.push('released');
    await worker.ask({ task: 'release' });
    await waiting;
    expect(events).toEqual(['released', 'mine']);
  });

  it('takes over from a process that was killed', async () => {
    const worker = workers.start();
    await worker.ask({ task: 'hold', folder, account: 'a' });
    await worker.end('SIGKILL');
    expect(await readdir(folder)).toHaveLength(1);
    expect(await withLock(folder, 'a', async () => 'taken over')).toBe('taken over');
  });

  it('takes over from a process that died before the clock was set back', async () => {
    const [name = ''] = await withLock(folder, 'a', () => readdir(folder));
    const inFiveHours = new Date(Date.now() + 5 * 3_600_000);
    await mkdir(join(folder, name));
    await utimes(join(folder, name), inFiveHours, inFiveHours);
    expect(await withLock(folder, 'a', async () => 'taken over')).toBe('taken over');
  });

  it('waits for a process that lives when the clock was set back', async () => {
    const worker = workers.start();
    await worker.ask({ task: 'hold', folder, account: 'a' });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 5 * 3_600_000 });
    onTestFinished(() => void vi.useRealTimers());
    // Longer than a holder may be silent; this one touches its lock every second.
    const waiting = withLock(folder, 'a', async () => {}, { waitMs: 7_000 });
    await expect(waiting).rejects.toMatchObject({ code: 'locked' });
    await worker.ask({ task: 'release' });
  });

  it('gives up after its time with an error that says what to do', async () => {
    const holder = await hold('a');
    await expect(withLock(folder, 'a', async () => {}, { waitMs: 50 })).rejects.toMatchObject({
      name: 'SecretStoreError',
      code: 'locked',
      message: expect.stringContaining('Try again'),
    });
    await holder.release();
    expect(await withLock(folder, 'a', async () => 'free')).toBe('free');
  });

  it('lets the work end when the lock is lost', async () => {
    let lost = () => {};
    const loss = new Promise<void>((resolve) => {
      lost = resolve;
    });
    const work = async () => {
      for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true });
      await loss;
      return 'done';
    };
    const result = await withLock(folder, 'a', work, { onLost: lost });
    expect(result).toBe('done');
    expect(await withLock(folder, 'a', async () => 'free')).toBe('free');
  });

  it('says where it cannot put its lock', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    await expect(withLock(join(file, 'locks'), 'a', async () => {})).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(join(file, 'locks')),
    });
  });
});
