import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, readlink, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { readSettings, setAside, writeSettings } from '../../../../main/settings/settings-disk.ts';
import { givenFolder } from '../../../support/broker.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = path.join(await givenFolder(), 'app');
  file = path.join(folder, 'settings.json');
});

const modeOf = async (name: string) => (await stat(name)).mode & 0o777;

describe('writeSettings', () => {
  it('writes for this user alone, in a folder for this user alone', async () => {
    await writeSettings(file, '{}\n');
    expect(await readFile(file, 'utf8')).toBe('{}\n');
    expect([await modeOf(folder), await modeOf(file)]).toEqual([0o700, 0o600]);
    expect(await readdir(folder)).toEqual(['settings.json']);
  });

  it('leaves a link a link, also one whose target is not there yet', async () => {
    const target = path.join(path.dirname(folder), 'dotfiles.json');
    await mkdir(folder);
    await symlink('link-to-link', file);
    await symlink(target, path.join(folder, 'link-to-link'));
    expect(await readSettings(file)).toEqual({ kind: 'missing' });
    for (const text of ['{"a":1}', '{"a":2}']) {
      await writeSettings(file, text);
      expect(await readlink(file)).toBe('link-to-link');
      expect(await readFile(target, 'utf8')).toBe(text);
    }
  });

  it('fails on a circle of links', async () => {
    await mkdir(folder);
    await symlink('settings.json', file);
    await expect(writeSettings(file, '{}')).rejects.toMatchObject({ code: 'ELOOP' });
    expect(await readSettings(file)).toMatchObject({ kind: 'unreadable', error: { code: 'ELOOP' } });
  });
});

describe('readSettings', () => {
  it('takes away what others may do', async () => {
    await mkdir(folder);
    await writeFile(file, '{}', { mode: 0o644 });
    expect(await readSettings(file)).toMatchObject({ kind: 'document', text: '{}' });
    expect(await modeOf(file)).toBe(0o600);
  });

  it('reads a file that begins with a byte order mark', async () => {
    await mkdir(folder);
    await writeFile(file, '\uFEFF{"loginWay":"browser"}');
    expect(await readSettings(file)).toMatchObject({ document: { loginWay: 'browser' } });
  });

  it('tells what is no text and what is no file', async () => {
    await mkdir(folder);
    await writeFile(file, Buffer.from([0x7b, 0xff, 0x7d]));
    expect(await readSettings(file)).toEqual({ kind: 'broken', fault: 'it is not text in UTF-8' });
    expect(await readSettings(folder)).toMatchObject({ kind: 'unreadable', error: { code: 'EISDIR' } });
  });
});

describe('what would hold the app up', () => {
  it('is not read when it is huge', async () => {
    await mkdir(folder);
    await writeFile(file, '{}');
    await truncate(file, 5 * 1024 * 1024 * 1024);
    expect(await readSettings(file)).toEqual({ kind: 'broken', fault: 'it is larger than 4 MiB' });
    expect(path.dirname(await setAside(file, new Date()))).toBe(folder);
  });

  it('is not read when it is a pipe', async () => {
    await mkdir(folder);
    execFileSync('mkfifo', [file]);
    expect(await readSettings(file)).toMatchObject({ kind: 'unreadable', error: { code: 'EINVAL' } });
  });
});

describe('setAside', () => {
  const now = new Date('2026-03-01T12:34:56.789Z');

  it('takes the place of nothing', async () => {
    const asides: string[] = [];
    for (const text of ['first', 'second', 'third']) {
      await writeSettings(file, text);
      asides.push(await setAside(file, now));
    }
    expect(asides.map((aside) => path.basename(aside))).toEqual([
      'settings.broken-2026-03-01T12-34-56.789Z.json',
      'settings.broken-2026-03-01T12-34-56.789Z-2.json',
      'settings.broken-2026-03-01T12-34-56.789Z-3.json',
    ]);
    expect(await Promise.all(asides.map((aside) => readFile(aside, 'utf8')))).toEqual([
      'first',
      'second',
      'third',
    ]);
    expect(await readSettings(file)).toEqual({ kind: 'missing' });
  });

  it('moves the target of a link, so that the link stays one', async () => {
    const target = path.join(path.dirname(folder), 'dotfiles.json');
    await mkdir(folder);
    await writeFile(target, 'broken');
    await symlink(target, file);
    const aside = await setAside(file, now);
    expect(path.dirname(aside)).toBe(path.dirname(target));
    expect(await readFile(aside, 'utf8')).toBe('broken');
    await writeSettings(file, '{}');
    expect(await readlink(file)).toBe(target);
    expect(await readFile(target, 'utf8')).toBe('{}');
  });

  it('leaves nothing behind when it fails', async () => {
    await mkdir(folder);
    await expect(setAside(file, now)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readdir(folder)).toEqual([]);
  });
});
