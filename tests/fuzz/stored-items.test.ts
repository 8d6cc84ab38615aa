import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFileStore } from '../../app/store/file.ts';
import { parseSealed } from '../../app/store/sealed.ts';
import { type SecretStore, SecretStoreError } from '../../app/store/secret-store.ts';
import { createSplitStore, type ItemKeeper } from '../../app/store/split-items.ts';
import { createAppStore } from '../../main/secrets/app-store.ts';
import { createSafeStorageCipher } from '../../main/secrets/safe-storage-cipher.ts';
import { givenFolder } from '../support/broker.ts';
import {
  expectNoneOf,
  expectSentence,
  hostileJson,
  hostileText,
  jsonText,
  runs,
  settled,
} from '../support/fuzz.ts';
import { StandInSafeStorage } from '../support/safe-storage.ts';

const ACCOUNT = 'mcp.example default 0123456789abcdef';
const SECRET = 'rt-3Hn8YwT5sBc1';
/** What is stored is JSON, which escapes whatever could not be written as UTF-8. */
const value = fc.jsonValue({ maxDepth: 2 }).map((json) => JSON.stringify({ token: SECRET, json }));

/** Damage to a text: a byte changed, some lost, some doubled, or all of it replaced. */
type Damage = (text: string) => string;
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.tuple(fc.nat(), fc.constantFrom('A', '0', '"', '{', '=', '\0', 'é')).map(
    ([at, one]): Damage =>
      (text) =>
        text.slice(0, at % text.length) + one + text.slice((at % text.length) + 1),
  ),
  fc.nat().map(
    (at): Damage =>
      (text) =>
        text.slice(0, at % text.length),
  ),
  fc.nat().map(
    (at): Damage =>
      (text) =>
        text.slice(at % text.length),
  ),
  fc.nat().map(
    (at): Damage =>
      (text) =>
        text + text.slice(at % text.length),
  ),
  fc.oneof(hostileText, hostileJson.map(jsonText)).map(
    (other): Damage =>
      () =>
        other,
  ),
  fc
    .record({
      name: fc.constantFrom('format', 'version', 'key', 'iv', 'tag', 'ciphertext'),
      other: fc.oneof(
        hostileJson,
        fc.constantFrom<unknown>(
          '',
          'AAAA',
          2,
          { from: 'file' },
          { from: 'scrypt', N: 2 ** 30, r: 8, p: 1, salt: 'AAAAAAAAAAAAAAAAAAAAAA==' },
          { from: 'scrypt', N: 2 ** 15, r: 8, p: 1, salt: 'AAAAAAAAAAAAAAAAAAAAAA==' },
        ),
      ),
    })
    .map(
      ({ name, other }): Damage =>
        (text) => {
          try {
            return jsonText({ ...JSON.parse(text), [name]: other });
          } catch {
            return text.slice(1);
          }
        },
    ),
);

/** What was stored comes back as it was, or is known to be damaged: it never comes back as something else. */
async function expectIntact(store: SecretStore, stored: readonly string[]): Promise<void> {
  const { value: read, error } = await settled(store.get(ACCOUNT));
  if (error === undefined) {
    expect(stored).toContain(read);
    return;
  }
  expect(error).toBeInstanceOf(SecretStoreError);
  const { code, message } = error as SecretStoreError;
  expect(code).toBe('corrupt');
  expectSentence(message);
  expectNoneOf([SECRET], error);
}

async function expectUsable(store: SecretStore, next: string): Promise<void> {
  await store.set(ACCOUNT, next);
  expect(await store.get(ACCOUNT)).toBe(next);
  await store.delete(ACCOUNT);
  expect(await store.get(ACCOUNT)).toBeUndefined();
}

describe('an item of the file store, damaged in any way', () => {
  it('is read as it was stored, or called damaged, and can be stored anew', async () => {
    const folder = await givenFolder();
    const store = createFileStore({ folder });
    await fc.assert(
      fc.asyncProperty(value, damage, async (stored, damaged) => {
        await store.set(ACCOUNT, stored);
        const file = await itemFile(folder);
        await writeFile(file, damaged(await readFile(file, 'utf8')));
        await expectIntact(store, [stored]);
        await expectUsable(store, stored);
      }),
      runs(250),
    );
  });

  it('does not open in the place of another one', async () => {
    const folder = await givenFolder();
    const store = createFileStore({ folder });
    await store.set('another', JSON.stringify({ token: SECRET }));
    const other = await readFile(await itemFile(folder), 'utf8');
    await store.delete('another');
    await store.set(ACCOUNT, '{}');
    await writeFile(await itemFile(folder), other);
    await expect(store.get(ACCOUNT)).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('never asks for a key that costs more than 512 MiB', () => {
    const origin = fc.record({
      from: fc.constantFrom('scrypt', 'file', 'x'),
      N: fc.oneof(
        fc.integer(),
        fc.nat(40).map((power) => 2 ** power),
        hostileJson,
      ),
      r: fc.oneof(fc.nat(64), hostileJson),
      p: fc.oneof(fc.nat(64), hostileJson),
      salt: fc.oneof(fc.base64String(), hostileJson),
    });
    const sealed = {
      format: 'mcp-auth-proxy secret',
      version: 1,
      iv: Buffer.alloc(12).toString('base64'),
      tag: Buffer.alloc(16).toString('base64'),
      ciphertext: '',
    };
    fc.assert(
      fc.property(origin, (key) => {
        const read = parseSealed(jsonText({ ...sealed, key }))?.key;
        if (read?.from !== 'scrypt') return;
        // RFC 7914 §2: the memory it takes.
        expect(128 * read.N * read.r).toBeLessThanOrEqual(2 ** 29);
        expect(read.p).toBeLessThanOrEqual(8);
      }),
      runs(3_000),
    );
  });
});

describe('an item of the app, damaged in any way', () => {
  it('is read as it was stored, or called damaged, and can be stored anew', async () => {
    const stateDir = await givenFolder();
    const appName = 'MCP Auth Proxy';
    const safeStorage = new StandInSafeStorage({ calls: 'both', platform: 'linux' }).calls;
    const told: SecretStoreError[] = [];
    const store = await createAppStore({
      settings: { tokenStore: 'file', keychainService: 'x', stateDir, tokenStoreKey: undefined },
      cipher: createSafeStorageCipher({ safeStorage, appName, platform: 'linux' }),
      appName,
      onCorrupt: (error) => void told.push(error),
      env: {},
      platform: 'linux',
    });
    const inner = createFileStore({ folder: path.join(stateDir, 'secrets') });
    const item = `${appName}: ${ACCOUNT}`;
    await fc.assert(
      fc.asyncProperty(value, damage, async (stored, damaged) => {
        told.length = 0;
        await store.set(ACCOUNT, stored);
        const sealed = (await inner.get(item)) ?? '';
        expectNoneOf([SECRET], sealed);
        await inner.set(item, damaged(sealed));
        await expectIntact(store, [stored]);
        expectNoneOf([SECRET], told);
        await expectUsable(store, stored);
      }),
      runs(200),
    );
  });
});

describe('an item that is cut into parts', () => {
  const long = fc.string({ unit: 'grapheme', maxLength: 120 });

  /** A keeper in memory whose process dies at a given operation. */
  function keeperOver(items: Map<string, string>, diesAfter = Number.POSITIVE_INFINITY): ItemKeeper {
    let operations = 0;
    const live = () => {
      operations++;
      if (operations > diesAfter) throw new SecretStoreError('unavailable', 'The process has died.');
    };
    return {
      capacity: () => 40,
      async read(name) {
        live();
        return items.get(name);
      },
      async write(name, text) {
        live();
        items.set(name, text);
      },
      async remove(name) {
        live();
        items.delete(name);
      },
    };
  }
  const open = (keeper: ItemKeeper) =>
    createSplitStore({
      kind: 'keychain',
      description: 'a store of the test',
      service: 'test',
      lockFolder: undefined,
      keeper,
    });

  it('is the old one or the new one wherever a process dies, and leaves nothing behind', async () => {
    let died = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(long, { minLength: 2, maxLength: 5 }),
        fc.array(fc.nat(40)),
        async (values, deaths) => {
          const items = new Map<string, string>();
          let known: (string | undefined)[] = [undefined];
          for (const [index, next] of values.entries()) {
            const { error } = await settled(open(keeperOver(items, deaths[index])).set(ACCOUNT, next));
            if (error !== undefined) died++;
            // Once it is written a store says so, whatever is left to be tidied.
            known = error === undefined ? [next] : [...known, next];
            expect(known).toContain(await open(keeperOver(items)).get(ACCOUNT));
          }
          const store = open(keeperOver(items));
          await store.set(ACCOUNT, 'short');
          expect([...items.keys()]).toHaveLength(1);
          await store.delete(ACCOUNT);
          expect(items.size).toBe(0);
        },
      ),
      runs(1_000),
    );
    expect(died).toBeGreaterThan(100);
  });

  it('damaged in any way, is read as it was stored, or called damaged, and can be stored anew', async () => {
    await fc.assert(
      fc.asyncProperty(long, long, fc.nat(), damage, async (first, stored, which, damaged) => {
        const items = new Map<string, string>();
        const store = open(keeperOver(items));
        await store.set(ACCOUNT, first);
        await store.set(ACCOUNT, stored);
        const names = [...items.keys()];
        const name = names[which % names.length] ?? '';
        items.set(name, damaged(items.get(name) ?? ''));
        const { value: read, error } = await settled(store.get(ACCOUNT));
        if (error === undefined && read !== stored) {
          // A single item has no digest: its damage shows by its form, and in what reads the value.
          expect(names).toHaveLength(1);
        } else if (error !== undefined) expect(error).toMatchObject({ code: 'corrupt' });
        await expectUsable(store, stored);
        expect(items.size).toBe(0);
      }),
      runs(1_000),
    );
  });
});

async function itemFile(folder: string): Promise<string> {
  const [name] = (await readdir(folder)).filter((one) => one.endsWith('.json'));
  if (name === undefined) throw new Error('no item is stored');
  return path.join(folder, name);
}
