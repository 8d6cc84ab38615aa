import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFileStore } from '../../../app/store/file.ts';
import { createWorkers, type Workers } from '../../support/worker.ts';

const SECRET = 'refresh-token-of-a-test';
const NOBODY = 65_534;

let workers: Workers;
let parent: string;
let folder: string;
beforeAll(async () => {
  workers = await createWorkers();
});
afterAll(() => workers.remove());
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'file-store-'));
  folder = join(parent, 'state', 'secrets');
});
afterEach(() => rm(parent, { recursive: true, force: true }));

async function itemFiles(): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.json')).map((name) => join(folder, name));
}

async function onlyItem(): Promise<string> {
  const [file, ...others] = await itemFiles();
  expect(others).toEqual([]);
  return file ?? '';
}

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

/** What an item says about itself, changed in one field. */
async function change(file: string, edit: (item: Record<string, unknown>) => object): Promise<void> {
  await writeFile(file, JSON.stringify(edit(JSON.parse(await readFile(file, 'utf8')))));
}

function flipped(base64: unknown): string {
  const bytes = Buffer.from(String(base64), 'base64');
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  return bytes.toString('base64');
}

describe('the files of a file store', () => {
  it.each([
    ['a key file', undefined],
    ['a passphrase', 'pass'],
  ] as const)('are for their user alone and hold nothing readable, with %s', async (_what, passphrase) => {
    const store = createFileStore({ folder, ...(passphrase === undefined ? {} : { passphrase }) });
    await store.set('https://secret-host.example/mcp', SECRET);
    expect(await modeOf(join(parent, 'state'))).toBe('700');
    expect(await modeOf(folder)).toBe('700');
    const names = (await readdir(folder)).filter((name) => name !== 'locks');
    expect(names).toHaveLength(passphrase === undefined ? 2 : 1);
    for (const name of names) {
      expect(name).not.toContain('secret-host');
      expect(await modeOf(join(folder, name))).toBe('600');
      const content = await readFile(join(folder, name), 'latin1');
      for (const hidden of [SECRET, Buffer.from(SECRET).toString('base64'), 'secret-host', 'pass"']) {
        expect(content).not.toContain(hidden);
      }
    }
  });

  it('get their modes back', async () => {
    const store = createFileStore({ folder });
    await store.set('a', SECRET);
    const files = [await onlyItem(), join(folder, 'store.key')];
    await chmod(folder, 0o755);
    for (const file of files) await chmod(file, 0o644);
    expect(await store.get('a')).toBe(SECRET);
    expect(await modeOf(folder)).toBe('700');
    for (const file of files) expect(await modeOf(file)).toBe('600');
  });

  it('are not made by looking or deleting', async () => {
    const store = createFileStore({ folder });
    expect(await store.get('a')).toBeUndefined();
    await store.delete('a');
    expect(await readdir(parent)).toEqual([]);
  });

  it('are gone after a delete, and no draft is left', async () => {
    const store = createFileStore({ folder });
    for (const value of ['1', '2', '3']) await store.set('a', value);
    await store.delete('a');
    expect((await readdir(folder)).toSorted()).toEqual(['locks', 'store.key']);
  });

  it('never hold the same bytes twice', async () => {
    const store = createFileStore({ folder });
    await store.set('a', SECRET);
    const first = await readFile(await onlyItem(), 'utf8');
    await store.set('a', SECRET);
    expect(await readFile(await onlyItem(), 'utf8')).not.toBe(first);
  });
});

describe('an item that cannot be read', () => {
  const corrupt = (message: string) => ({
    name: 'SecretStoreError',
    code: 'corrupt',
    message: expect.stringContaining(message),
  });

  it('is corrupt under another passphrase, and readable under the former', async () => {
    await createFileStore({ folder, passphrase: 'one' }).set('a', SECRET);
    const other = createFileStore({ folder, passphrase: 'two' });
    await expect(other.get('a')).rejects.toMatchObject(
      corrupt('Set the former TOKEN_STORE_KEY or log in again.'),
    );
    expect(await createFileStore({ folder, passphrase: 'one' }).get('a')).toBe(SECRET);
    await other.set('a', 'new');
    expect(await other.get('a')).toBe('new');
  });

  it('says when a passphrase came or went', async () => {
    await createFileStore({ folder }).set('without', SECRET);
    await createFileStore({ folder, passphrase: 'one' }).set('with', SECRET);
    const withOne = createFileStore({ folder, passphrase: 'one' }).get('without');
    await expect(withOne).rejects.toMatchObject(corrupt('Unset TOKEN_STORE_KEY'));
    const withNone = createFileStore({ folder, passphrase: '' }).get('with');
    await expect(withNone).rejects.toMatchObject(corrupt('Set that TOKEN_STORE_KEY'));
  });

  it.each([
    ['lost', undefined],
    ['cut', 'short'],
    ['replaced', 'x'.repeat(32)],
  ])('is corrupt when its key file is %s, and the store goes on with a new login', async (_how, key) => {
    const store = createFileStore({ folder });
    await store.set('a', SECRET);
    const keyFile = join(folder, 'store.key');
    await (key === undefined ? rm(keyFile) : writeFile(keyFile, key));
    await expect(store.get('a')).rejects.toMatchObject(corrupt('Log in again.'));
    await store.set('a', 'new');
    expect(await store.get('a')).toBe('new');
    expect(await createFileStore({ folder }).get('a')).toBe('new');
    expect(await readFile(keyFile)).toHaveLength(32);
  });

  it('is corrupt in the place of another', async () => {
    const store = createFileStore({ folder });
    await store.set('a', SECRET);
    const first = await onlyItem();
    await rename(first, `${first}.kept`);
    await store.set('b', 'other');
    await rename(`${first}.kept`, await onlyItem());
    await expect(store.get('b')).rejects.toMatchObject(corrupt('Log in again.'));
  });

  const changes: [what: string, edit: (item: Record<string, unknown>) => object][] = [
    ['ciphertext', (item) => ({ ...item, ciphertext: flipped(item.ciphertext) })],
    ['tag', (item) => ({ ...item, tag: flipped(item.tag) })],
    ['short tag', (item) => ({ ...item, tag: String(item.tag).slice(0, 8) })],
    ['iv', (item) => ({ ...item, iv: flipped(item.iv) })],
    ['empty iv', (item) => ({ ...item, iv: '' })],
    ['version', (item) => ({ ...item, version: 2 })],
    ['format', (item) => ({ ...item, format: 'another' })],
    ['no key', ({ key: _, ...item }) => item],
    ['ciphertext that is no base64', (item) => ({ ...item, ciphertext: '%%' })],
    ['array', () => []],
  ];
  it.each(changes)('is corrupt with another %s', async (_what, edit) => {
    const store = createFileStore({ folder });
    await store.set('a', SECRET);
    await change(await onlyItem(), edit);
    await expect(store.get('a')).rejects.toMatchObject(corrupt('og in again.'));
  });

  const keys: [what: string, key: object][] = [
    ['a cost beyond reason', { N: 2 ** 30 }],
    ['a cost that is no power of two', { N: 2 ** 15 + 1 }],
    ['a weak cost', { N: 2 }],
    ['another cost', { N: 2 ** 14 }],
    ['many threads', { p: 1e9 }],
    ['a large block', { r: 1e9 }],
    ['another salt', { salt: 'AAAAAAAAAAAAAAAAAAAAAA==' }],
    ['a short salt', { salt: 'AAAA' }],
    ['a salt that is no text', { salt: 1 }],
    ['an unknown origin', { from: 'elsewhere' }],
  ];
  it.each(keys)('is corrupt with %s', async (_what, key) => {
    const store = createFileStore({ folder, passphrase: 'one' });
    await store.set('a', SECRET);
    await change(await onlyItem(), (item) => ({ ...item, key: { ...Object(item.key), ...key } }));
    await expect(store.get('a')).rejects.toMatchObject(corrupt('og in again.'));
    await store.set('a', 'new');
    expect(await store.get('a')).toBe('new');
  });
});

describe('several processes on one folder', () => {
  it('agree on one key when all start at once', async () => {
    const all = [workers.start(), workers.start(), workers.start()];
    for (let round = 0; round < 6; round++) {
      const fresh = join(folder, `${round}`);
      const answers = await Promise.all(
        all.map((worker, index) =>
          worker.ask({ task: 'set', folder: fresh, account: `${index}`, value: `of ${index}` }),
        ),
      );
      expect(answers).toEqual(['done', 'done', 'done']);
      const store = createFileStore({ folder: fresh });
      for (const index of all.keys()) expect(await store.get(`${index}`)).toBe(`of ${index}`);
    }
  });
});

describe('a folder that cannot be used', () => {
  it('is unavailable when something else lies in its way', async () => {
    await writeFile(join(parent, 'state'), '');
    const store = createFileStore({ folder });
    const failure = {
      name: 'SecretStoreError',
      code: 'unavailable',
      message: expect.stringMatching(/state.*STATE_DIR/),
    };
    await expect(store.set('a', SECRET)).rejects.toMatchObject(failure);
    await expect(store.get('a')).rejects.toMatchObject(failure);
    await expect(store.delete('a')).rejects.toMatchObject(failure);
  });

  it('is unavailable when a folder has the name of an item', async () => {
    const store = createFileStore({ folder });
    await store.set('a', SECRET);
    const file = await onlyItem();
    await rm(file);
    await mkdir(file);
    await expect(store.get('a')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(store.set('a', SECRET)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('is unavailable without permission, and says so', async () => {
    await chmod(parent, 0o500);
    // Root may write anywhere: then the worker is another user.
    const worker = workers.start(process.getuid?.() === 0 ? { uid: NOBODY } : {});
    const answer = await worker.ask({ task: 'set', folder, account: 'a', value: SECRET });
    await chmod(parent, 0o700);
    expect(answer).toMatchObject({
      error: {
        name: 'SecretStoreError',
        code: 'unavailable',
        message: expect.stringMatching(/^No permission to use .*STATE_DIR/),
      },
    });
  });
});
