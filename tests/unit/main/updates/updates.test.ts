import { once } from 'node:events';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Latest } from '../../../../main/updates/release-feed.ts';
import { Updates } from '../../../../main/updates/updates.ts';
import { givenFolder, RecordingLog } from '../../../support/broker.ts';

const HOUR = 60 * 60 * 1_000;
const DAY = 24 * HOUR;
/** Beyond the time after the start at which there is a first look. */
const A_WHILE = HOUR / 2;
const REPOSITORY = { owner: 'octo-org', name: 'hello' };

type Answer = Latest | 'unchanged' | { refused: string } | Error;

/** A machine with a folder, a feed and a clock; the app can be started on it again and again. */
async function givenMachine(answer: Answer = { tag: 'v1.1.0', etag: '"one"' }) {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const file = path.join(await givenFolder(), 'new-version.json');
  const log = new RecordingLog();
  const machine = {
    file,
    log,
    answer,
    wanted: true,
    online: true,
    /** The ETags that the feed was asked with. */
    asked: [] as (string | undefined)[],
    askedAt: [] as number[],
    async start({ repository = REPOSITORY, version = '1.0.0' } = {}): Promise<Updates> {
      const updates = new Updates({
        repository,
        version,
        file,
        look: async (_, { etag }) => {
          machine.asked.push(etag);
          machine.askedAt.push(Date.now());
          if (machine.answer instanceof Error) throw machine.answer;
          return machine.answer;
        },
        wanted: () => machine.wanted,
        online: () => machine.online,
        log,
      });
      onTestFinished(() => updates.close());
      await updates.start();
      return updates;
    },
  };
  return machine;
}

/** Lets time pass, and what it brings about come to its end. */
async function pass(updates: Updates, ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await updates.check();
}

describe('looking for new versions', () => {
  it('begins some time after the start, and tells what there is', async () => {
    const machine = await givenMachine();
    const updates = await machine.start();
    await updates.check();
    expect(machine.asked).toEqual([]);
    const changed = once(updates, 'change');
    await pass(updates, A_WHILE);
    await changed;
    expect(updates.canLook).toBe(true);
    expect(updates.available).toBe('1.1.0');
    expect(updates.page?.href).toBe('https://github.com/octo-org/hello/releases/tag/v1.1.0');
    expect((await stat(machine.file)).mode & 0o777).toBe(0o600);
  });

  it('happens once a day at most, over all starts, and asks only for what is new', async () => {
    const machine = await givenMachine();
    for (let start = 0; start < 10; start++) {
      const updates = await machine.start();
      for (let hour = 0; hour < 7; hour++) await pass(updates, HOUR);
      expect(updates.available).toBe('1.1.0');
      machine.answer = 'unchanged';
      await updates.close();
    }
    expect(machine.asked).toEqual([undefined, '"one"', '"one"']);
    const [first = 0, second = 0, third = 0] = machine.askedAt;
    expect(Math.min(second - first, third - second)).toBeGreaterThanOrEqual(DAY);
    machine.answer = { tag: 'v1.2.0', etag: '"two"' };
    const updates = await machine.start();
    await pass(updates, DAY);
    expect(updates.available).toBe('1.2.0');
  });

  it('goes on by itself while the app runs', async () => {
    const machine = await givenMachine();
    const updates = await machine.start();
    for (let day = 0; day < 5; day++) await pass(updates, DAY);
    expect(machine.asked).toHaveLength(5);
    expect(vi.getTimerCount()).toBe(1);
    await updates.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('says from the start on what an earlier start has found', async () => {
    const machine = await givenMachine();
    const first = await machine.start();
    await pass(first, A_WHILE);
    await first.close();
    expect((await machine.start()).available).toBe('1.1.0');
    expect((await machine.start({ version: '1.1.0' })).available).toBeUndefined();
    const elsewhere = await machine.start({ repository: { owner: 'another', name: 'hello' } });
    expect(elsewhere.available).toBeUndefined();
    await pass(elsewhere, A_WHILE);
    expect(machine.asked).toEqual([undefined, undefined]);
  });

  it.each([
    ['an hour', -HOUR],
    ['a year', -365 * DAY],
  ])('neither happens more often nor ends when the clock is set back by %s', async (_, change) => {
    const machine = await givenMachine();
    const first = await machine.start();
    await pass(first, A_WHILE);
    vi.setSystemTime(Date.now() + change);
    await pass(first, A_WHILE);
    await first.close();
    for (let start = 0; start < 3; start++) {
      const updates = await machine.start();
      await pass(updates, A_WHILE);
      await updates.close();
    }
    expect(machine.asked).toHaveLength(1);
    await pass(await machine.start(), DAY);
    expect(machine.asked).toHaveLength(2);
  });

  it('is made up for after an hour when there was no answer, without a word above debug', async () => {
    const machine = await givenMachine(new Error('api.github.com cannot be reached.'));
    const updates = await machine.start();
    await pass(updates, A_WHILE);
    await updates.check();
    expect(machine.asked).toHaveLength(1);
    await pass(updates, HOUR);
    expect(machine.asked).toHaveLength(2);
    machine.answer = { tag: 'v1.1.0', etag: undefined };
    await pass(updates, HOUR);
    expect(updates.available).toBe('1.1.0');
    await pass(updates, HOUR);
    expect(machine.asked).toHaveLength(3);
    expect(machine.log.entries.map(({ level }) => level)).toEqual(['debug', 'debug']);
  });

  it('waits for a network, and happens as soon as somebody says that there is one', async () => {
    const machine = await givenMachine();
    machine.online = false;
    const updates = await machine.start();
    await pass(updates, A_WHILE);
    expect(machine.asked).toEqual([]);
    machine.online = true;
    await updates.check();
    expect(machine.asked).toHaveLength(1);
    expect(machine.log.entries).toEqual([]);
  });

  it('counts an answer that is of no use as a look, and keeps what was known', async () => {
    const machine = await givenMachine();
    const updates = await machine.start();
    await pass(updates, A_WHILE);
    machine.answer = { refused: 'status 403' };
    await pass(updates, DAY);
    await pass(updates, HOUR);
    expect(machine.asked).toHaveLength(2);
    expect(updates.available).toBe('1.1.0');
  });

  it('does not happen, and tells of nothing, as long as nobody wants it', async () => {
    const machine = await givenMachine();
    machine.wanted = false;
    const updates = await machine.start();
    await pass(updates, 2 * DAY);
    expect(machine.asked).toEqual([]);
    machine.wanted = true;
    await updates.check();
    expect(updates.available).toBe('1.1.0');
    machine.wanted = false;
    expect([updates.available, updates.page]).toEqual([undefined, undefined]);
  });

  it.each(['v1.0.0', 'v0.9.0', 'v2.0.0-beta.1', 'nightly', undefined])('offers no %s', async (tag) => {
    const updates = await (await givenMachine({ tag, etag: undefined })).start();
    await pass(updates, A_WHILE);
    expect([updates.available, updates.page]).toEqual([undefined, undefined]);
  });

  it('does not happen in a build that does not know where, which only a talkative log says', async () => {
    const { log, file } = await givenMachine();
    const look = () => Promise.reject(new Error('nowhere'));
    const always = () => true;
    const parts = { version: '1.0.0', file, look, wanted: always, online: always, log };
    const updates = new Updates({ ...parts, repository: undefined });
    await updates.start();
    await pass(updates, 2 * DAY);
    expect(updates.canLook).toBe(false);
    expect(updates.available).toBeUndefined();
    expect(log.entries).toEqual([
      { level: 'debug', event: expect.stringContaining('names no repository'), details: {} },
    ]);
    await expect(stat(file)).rejects.toThrow();
  });

  it.each(['', '{', '[]', '{"repository":"octo-org/hello","lookedAt":null}', '{"lookedAt":1}'])(
    'happens when what was kept of the last one is damaged: %s',
    async (content) => {
      const machine = await givenMachine();
      await writeFile(machine.file, content);
      const updates = await machine.start();
      await pass(updates, A_WHILE);
      expect(updates.available).toBe('1.1.0');
      expect(JSON.parse(await readFile(machine.file, 'utf8'))).toMatchObject({ tag: 'v1.1.0' });
    },
  );

  it('is good for this run where nothing can be kept', async () => {
    const machine = await givenMachine();
    await mkdir(machine.file);
    const updates = await machine.start();
    await pass(updates, A_WHILE);
    await pass(updates, HOUR);
    expect(updates.available).toBe('1.1.0');
    expect(machine.asked).toHaveLength(1);
  });

  it('writes nothing once it is closed', async () => {
    const machine = await givenMachine();
    const updates = await machine.start();
    let answer = (_: Answer) => {};
    machine.answer = new Promise((resolve) => {
      answer = resolve;
    }) as never;
    vi.advanceTimersByTime(A_WHILE);
    const looking = updates.check();
    await updates.close();
    answer({ tag: 'v1.1.0', etag: undefined });
    await looking;
    await expect(stat(machine.file)).rejects.toThrow();
  });
});
