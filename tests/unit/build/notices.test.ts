import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundledPackages, thirdPartyNotices } from '../../../build/notices.mjs';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'notices-'));
});
afterEach(() => rm(root, { recursive: true }));

async function givenPackage(folder: string, version: string, files: Record<string, string>): Promise<void> {
  const name = folder.split('node_modules/').at(-1);
  const manifest = JSON.stringify({ name, version, license: 'MIT' });
  for (const [path, text] of Object.entries({ 'package.json': manifest, ...files })) {
    const file = join(root, folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}

describe('thirdPartyNotices', () => {
  it('has the licence of each bundled package once, with its notice, in order', async () => {
    await givenPackage('node_modules/b', '2.0.0', { License: 'Terms of b' });
    await givenPackage('node_modules/@scope/a', '1.0.0', {
      'LICENSE.md': 'Terms of a',
      NOTICE: 'Notice of a',
    });
    await givenPackage('node_modules/b/node_modules/c', '3.0.0', { 'LICENCE.txt': 'Terms of c' });
    await givenPackage('node_modules/unused', '4.0.0', { LICENSE: 'Terms of nobody' });
    const inputs = [
      'app/broker.ts',
      'node_modules/b/lib/one.js',
      'node_modules/b/lib/two.js',
      'node_modules/@scope/a/index.js',
      'node_modules/b/node_modules/c/index.js',
    ];
    const text = await thirdPartyNotices(bundledPackages(inputs), root);
    const lines = text.split('\n').filter((line) => /^(@scope|b |c |Terms|Notice)/.test(line));
    expect(lines).toEqual([
      '@scope/a 1.0.0 (MIT)',
      'Terms of a',
      'Notice of a',
      'b 2.0.0 (MIT)',
      'Terms of b',
      'c 3.0.0 (MIT)',
      'Terms of c',
    ]);
  });

  it('does not pass over a package without a licence text', async () => {
    await givenPackage('node_modules/a', '1.0.0', { 'licensed.js': '' });
    await expect(thirdPartyNotices(['node_modules/a'], root)).rejects.toThrow(
      'The package a 1.0.0 comes without the text of its licence.',
    );
  });
});
