import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { appFolder } from '../../../../main/app-folder.ts';
import { eraseFolder } from '../../../../main/reset/erase.ts';
import { givenFolder } from '../../../support/broker.ts';

/** A folder of the app with these files, by their paths in it. */
async function givenAppFolder(files: readonly string[]) {
  const root = await givenFolder();
  for (const file of files) {
    await mkdir(path.dirname(path.join(root, file)), { recursive: true });
    await writeFile(path.join(root, file), 'kept');
  }
  return appFolder({ STATE_DIR: root }, { packaged: true });
}

const OURS = [
  'settings.json',
  'settings.json.1932847561',
  'settings.broken-2026-01-31T12-00-00.000Z.json',
  'settings.broken-2026-01-31T12-00-00.000Z-2.json',
  'app.log',
  'app.old.log',
  'new-version.json',
  'new-version.json.91827364',
  'chromium/Local Storage/leveldb/000003.log',
  'chromium/Preferences',
  'chromium.reset-1700000000000/Cache/data_0',
  'secrets/store.key',
  'secrets/locks/nothing',
];
const LOGIN = `${'a'.repeat(64)}.json`;

describe('erasing the folder of the app', () => {
  it('leaves nothing of the app', async () => {
    const folder = await givenAppFolder(OURS);
    expect(await eraseFolder(folder)).toEqual([]);
    expect(await readdir(folder.root)).toEqual([]);
    expect(await eraseFolder(folder)).toEqual([]);
  });

  it('has nothing to do where there is no folder', async () => {
    const root = path.join(await givenFolder(), 'none');
    expect(await eraseFolder(appFolder({ STATE_DIR: root }, { packaged: true }))).toEqual([]);
  });

  it('leaves what others keep there', async () => {
    const others = [
      'settings.jsonc',
      'my settings.json',
      'app.log.txt',
      'broker.log',
      'chromium-2',
      'notes/settings.json',
    ];
    const folder = await givenAppFolder([...OURS, ...others]);
    expect(await eraseFolder(folder)).toEqual([]);
    const names = await readdir(folder.root, { recursive: true });
    expect(names.sort()).toEqual([...others, 'notes'].sort());
  });

  it('leaves logins that it knows nothing of, with their key, and says where', async () => {
    const folder = await givenAppFolder([...OURS, `secrets/${LOGIN}`]);
    const secrets = path.join(folder.root, 'secrets');
    expect(await eraseFolder(folder)).toEqual([expect.stringContaining(`${secrets} holds logins`)]);
    expect(await readdir(folder.root)).toEqual(['secrets']);
    expect(await readdir(secrets)).toEqual(expect.arrayContaining(['store.key', LOGIN]));
  });

  it('takes a link away, and says what it led to', async () => {
    const folder = await givenAppFolder([]);
    const target = path.join(await givenFolder(), 'dotfiles.json');
    await writeFile(target, 'mine');
    await symlink(target, folder.settingsFile);
    const [left, ...more] = await eraseFolder(folder);
    expect(left).toContain(folder.settingsFile);
    expect(left).toContain(target);
    expect(more).toEqual([]);
    expect(await readdir(folder.root)).toEqual([]);
    expect(await readFile(target, 'utf8')).toBe('mine');
    await symlink(path.join(folder.root, 'nowhere'), folder.settingsFile);
    expect(await eraseFolder(folder)).toEqual([]);
    expect(await readdir(folder.root)).toEqual([]);
  });

  it('says what it cannot delete, and deletes the rest', async () => {
    const folder = await givenAppFolder([...OURS.slice(1), 'settings.json/in the way']);
    expect(await eraseFolder(folder)).toEqual([expect.stringContaining(folder.settingsFile)]);
    expect(await readdir(folder.root)).toEqual(['settings.json']);
  });

  it('says that the folder itself cannot be read', async () => {
    const root = path.join(await givenFolder(), 'file');
    await writeFile(root, '');
    const left = await eraseFolder(appFolder({ STATE_DIR: root }, { packaged: true }));
    expect(left).toEqual([expect.stringContaining(root)]);
  });
});
