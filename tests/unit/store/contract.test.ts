import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFileStore } from '../../../app/store/file.ts';
import { createKeychainStore } from '../../../app/store/keychain.ts';
import { createMemoryStore } from '../../../app/store/memory.ts';
import { runCommand } from '../../../app/store/run-command.ts';
import { createSecretServiceStore } from '../../../app/store/secret-service.ts';
import type { SecretStore, StoreKind } from '../../../app/store/secret-store.ts';
import { createStandInKeychain } from '../../support/keychain.ts';
import { startKeyring } from '../../support/keyring.ts';

/** One place for items, of a kind of store, for all the tests of that kind. */
interface Place {
  open(): SecretStore;
  /** Puts something else in the place of a stored item; undefined where nobody else can. */
  corrupt?: (account: string) => Promise<void>;
  remove(): Promise<void>;
}

const SERVICE = 'contract "test" \\ ünï';

async function memoryPlace(): Promise<Place> {
  const store = createMemoryStore();
  return { open: () => store, remove: async () => {} };
}

async function filePlace(passphrase?: string): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'file-store-'));
  return {
    open: () => createFileStore({ folder, ...(passphrase === undefined ? {} : { passphrase }) }),
    async corrupt() {
      for (const name of await readdir(folder)) {
        if (name.endsWith('.json')) await writeFile(join(folder, name), 'something else');
      }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function keychainPlace(): Promise<Place> {
  const { securityBin, lockFolder, plant, remove } = await createStandInKeychain();
  return {
    open: () => createKeychainStore({ service: SERVICE, securityBin, lockFolder }),
    corrupt: (account) => plant(SERVICE, account, 'kÿ'),
    remove,
  };
}

async function secretServicePlace(): Promise<Place> {
  const keyring = await startKeyring();
  const lockFolder = await mkdtemp(join(tmpdir(), 'locks-'));
  return {
    open: () => createSecretServiceStore({ service: SERVICE, env: keyring.env, lockFolder }),
    async corrupt(account) {
      const item = ['service', SERVICE, 'account', account];
      await runCommand('secret-tool', ['store', '--label=x', ...item], {
        env: { ...keyring.env, LC_ALL: 'C.UTF-8' },
        input: 'something else',
        timeoutMs: 10_000,
      });
    },
    async remove() {
      await keyring.stop();
      await rm(lockFolder, { recursive: true, force: true });
    },
  };
}

const PLACES: [name: string, kind: StoreKind, make: () => Promise<Place>][] = [
  ['memory', 'memory', memoryPlace],
  ['file with a key file', 'file', () => filePlace()],
  ['file with a passphrase', 'file', () => filePlace('pass phrase "ü"')],
  ['keychain on the stand-in', 'keychain', keychainPlace],
  ['secret-service on a real keyring', 'secret-service', secretServicePlace],
];

const ODD_TEXTS = [
  ['the empty text', ''],
  ['one byte', 'x'],
  ['unicode', 'Grüße, 世界 🔑 \u0000 \ufeff'],
  ['quotes and backslashes', `'single' "double" \\back\\ \`tick\` $HOME $(id) %s`],
  ['line breaks and white space', ' a\nb\r\nc\td \n\n'],
  ['words like options', '-w -U -- --label=x'],
] as const;

/** In characters: grows and shrinks over the limits of one item, about 3 kB (Keychain) and 6 kB (Secret Service). */
const SIZES = [1, 3_000, 4_100, 64 * 1024, 8_200, 3_000, 1];

/** Looks like a token set: no run that an accidental cut or shift would leave unchanged. */
function text(length: number): string {
  let made = '';
  for (let number = length; made.length < length; number++) made += `${number.toString(36)}.`;
  return made.slice(0, length);
}

describe.each(PLACES)('%s keeps the contract of a secret store', (_name, kind, make) => {
  let place: Place;
  let store: SecretStore;
  beforeAll(async () => {
    place = await make();
    store = place.open();
  });
  afterAll(() => place?.remove());

  it('says what and where it is', () => {
    expect(store.kind).toBe(kind);
    expect(store.description).not.toBe('');
    expect(store.lockFolder === undefined).toBe(kind === 'memory');
  });

  it('has no item that was never set', async () => {
    expect(await store.get('nobody')).toBeUndefined();
    await expect(store.delete('nobody')).resolves.toBeUndefined();
  });

  it('gets, replaces and deletes', async () => {
    await store.set('account', 'first');
    expect(await store.get('account')).toBe('first');
    await store.set('account', 'second');
    expect(await store.get('account')).toBe('second');
    await store.delete('account');
    expect(await store.get('account')).toBeUndefined();
    await store.delete('account');
  });

  it.each(ODD_TEXTS)('takes %s as a value', async (_what, value) => {
    await store.set('odd value', value);
    expect(await store.get('odd value')).toBe(value);
  });

  it('takes any text as an account and mixes none up', async () => {
    const accounts = [
      ...ODD_TEXTS.map(([, account]) => account),
      'a/../b',
      'https://h.example/mcp?k=v#f',
      text(5_000),
    ];
    for (const [index, account] of accounts.entries()) await store.set(account, `value ${index}`);
    for (const [index, account] of accounts.entries())
      expect(await store.get(account)).toBe(`value ${index}`);
    for (const account of accounts) await store.delete(account);
    for (const account of accounts) expect(await store.get(account)).toBeUndefined();
  });

  it('takes values of any size, growing and shrinking', { timeout: 120_000 }, async () => {
    for (const size of SIZES) {
      await store.set('size', text(size));
      expect(await store.get('size')).toBe(text(size));
    }
    await store.delete('size');
    expect(await store.get('size')).toBeUndefined();
  });

  it('runs overlapping calls in their order', async () => {
    const values = ['one', text(9_000), 'three'];
    const results = await Promise.all(
      values.flatMap((value) => [store.set('overlap', value), store.get('overlap')]),
    );
    expect(results).toEqual(values.flatMap((value) => [undefined, value]));
    const [, gone] = await Promise.all([store.delete('overlap'), store.get('overlap')]);
    expect(gone).toBeUndefined();
  });

  it('shows two instances the same items', async () => {
    const other = place.open();
    await store.set('shared', 'from one');
    expect(await other.get('shared')).toBe('from one');
    await other.set('shared', text(9_000));
    expect(await store.get('shared')).toBe(text(9_000));
    await store.delete('shared');
    expect(await other.get('shared')).toBeUndefined();
  });

  it('leaves a complete value when two instances write at once', { timeout: 120_000 }, async () => {
    const other = place.open();
    const values = [text(6_500), text(6_501), text(9_000), text(9_001)];
    await Promise.all(values.map((value, index) => (index % 2 === 0 ? store : other).set('race', value)));
    expect(values).toContain(await store.get('race'));
    await other.delete('race');
  });

  it('calls a damaged item corrupt and lets it be replaced or deleted', async () => {
    if (place.corrupt === undefined) return expect(kind).toBe('memory');
    for (const length of [10, 9_000]) {
      await store.set('damaged', text(length));
      await place.corrupt('damaged');
      await expect(store.get('damaged')).rejects.toMatchObject({ name: 'SecretStoreError', code: 'corrupt' });
      await store.set('damaged', 'whole again');
      expect(await store.get('damaged')).toBe('whole again');
      await place.corrupt('damaged');
      await store.delete('damaged');
      expect(await store.get('damaged')).toBeUndefined();
    }
  });
});
