import { EventEmitter, once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { watchSettings } from '../../../../main/settings/watch-settings.ts';
import { givenFolder } from '../../../support/broker.ts';

describe('the watch over settings.json', () => {
  it('tells of what is written into it, and of one that takes its place', async () => {
    const folder = await givenFolder();
    const file = path.join(folder, 'settings.json');
    const seen = new EventEmitter<{ change: [] }>();
    onTestFinished(watchSettings(file, () => void seen.emit('change')));

    let change = once(seen, 'change');
    await writeFile(file, '{}');
    await change;

    change = once(seen, 'change');
    const other = path.join(folder, 'settings.json.tmp');
    await writeFile(other, '{"version":1}');
    await rename(other, file);
    await change;
  });

  it('does without where the folder cannot be watched', async () => {
    const stop = watchSettings(path.join(await givenFolder(), 'missing', 'settings.json'), () => undefined);
    expect(stop).not.toThrow();
  });
});
