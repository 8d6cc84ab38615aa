import { readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { keepLeftovers, takeLeftovers } from '../../../../main/reset/leftovers.ts';
import { givenFolder } from '../../../support/broker.ts';

describe('what a reset could not undo', () => {
  it('is told by the next start, once', async () => {
    const folder = await givenFolder();
    const file = path.join(folder, 'reset.json');
    expect(await takeLeftovers(file)).toEqual([]);
    await keepLeftovers(file, ['One.', 'Two.']);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await takeLeftovers(file)).toEqual(['One.', 'Two.']);
    expect(await readdir(folder)).toEqual([]);
    expect(await takeLeftovers(file)).toEqual([]);
  });

  it.each(['', '{', '{"a":1}', '[1]'])('is nothing when it is damaged: %s', async (content) => {
    const folder = await givenFolder();
    const file = path.join(folder, 'reset.json');
    await writeFile(file, content);
    expect(await takeLeftovers(file)).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  });
});
