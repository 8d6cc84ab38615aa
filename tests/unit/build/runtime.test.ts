import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeFolderOnce, verifyIntegrity } from '../../../build/runtime.mjs';

let parent: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'runtime-'));
});
afterEach(() => rm(parent, { recursive: true }));

describe('makeFolderOnce', () => {
  const fillWith = (text: string) => (partial: string) => writeFile(join(partial, 'content'), text);

  it('makes the folder and those above it', async () => {
    const folder = join(parent, 'a/b');
    await makeFolderOnce(folder, fillWith('whole'));
    expect(await readFile(join(folder, 'content'), 'utf8')).toBe('whole');
    expect(await readdir(join(parent, 'a'))).toEqual(['b']);
  });

  it('does not show a folder that is not whole', async () => {
    await makeFolderOnce(join(parent, 'b'), async (partial) => {
      expect(partial).not.toBe(join(parent, 'b'));
      expect(await readdir(parent)).not.toContain('b');
      await fillWith('whole')(partial);
    });
    expect(await readdir(parent)).toEqual(['b']);
  });

  it('leaves nothing behind when it fails', async () => {
    const failing = makeFolderOnce(join(parent, 'b'), async (partial) => {
      await fillWith('half')(partial);
      throw new Error('no more space');
    });
    await expect(failing).rejects.toThrow('no more space');
    expect(await readdir(parent)).toEqual([]);
  });

  it('lets the first of two stand and both succeed', async () => {
    const folder = join(parent, 'b');
    await makeFolderOnce(folder, async (partial) => {
      await makeFolderOnce(folder, fillWith('first'));
      await fillWith('second')(partial);
    });
    expect(await readFile(join(folder, 'content'), 'utf8')).toBe('first');
    expect(await readdir(parent)).toEqual(['b']);
  });

  it('removes what a killed one left, once that is old', async () => {
    const [old, young] = [join(parent, 'b.partial-old'), join(parent, 'b.partial-young')];
    await Promise.all([old, young, join(parent, 'c.partial-other')].map((path) => mkdir(path)));
    const twoDaysAgo = Date.now() / 1000 - 2 * 86_400;
    await utimes(old, twoDaysAgo, twoDaysAgo);
    await makeFolderOnce(join(parent, 'b'), fillWith('whole'));
    expect((await readdir(parent)).sort()).toEqual(['b', 'b.partial-young', 'c.partial-other']);
  });
});

describe('verifyIntegrity', () => {
  it('accepts the file and no other', async () => {
    const file = join(parent, 'archive.tgz');
    await writeFile(file, 'the right bytes');
    const integrity = `sha512-${createHash('sha512').update('the right bytes').digest('base64')}`;
    await verifyIntegrity(file, integrity);
    await writeFile(file, 'the wrong bytes');
    await expect(verifyIntegrity(file, integrity)).rejects.toThrow(
      'archive.tgz is not the file it should be',
    );
  });
});
