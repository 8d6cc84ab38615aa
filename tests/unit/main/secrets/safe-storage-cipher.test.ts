import { describe, expect, it } from 'vitest';
import { SecretStoreError } from '../../../../app/store/secret-store.ts';
import type { Cipher } from '../../../../main/secrets/cipher.ts';
import { createSafeStorageCipher } from '../../../../main/secrets/safe-storage-cipher.ts';
import { type StandInOptions, StandInSafeStorage } from '../../../support/safe-storage.ts';

const APP = 'MCP Auth Proxy';
const SECRET = 'a refresh token, äöü 🔑';

function given(options: Partial<StandInOptions> = {}): { storage: StandInSafeStorage; cipher: Cipher } {
  const all: StandInOptions = { calls: 'both', platform: 'darwin', ...options };
  const storage = new StandInSafeStorage(all);
  const cipher = createSafeStorageCipher({
    safeStorage: storage.calls,
    appName: APP,
    platform: all.platform,
  });
  return { storage, cipher };
}

async function failureOf(promise: Promise<unknown>): Promise<SecretStoreError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SecretStoreError);
  return error as SecretStoreError;
}

const EVERY_WAY = (['synchronous', 'asynchronous', 'both'] as const).flatMap((calls) =>
  (['darwin', 'linux'] as const).map((platform) => ({ calls, platform })),
);

describe.each(EVERY_WAY)('a cipher by $calls calls on $platform', (way) => {
  it('gives back what it has encrypted, and shows nothing of it', async () => {
    const { cipher } = given(way);
    const ciphertext = await cipher.encrypt(SECRET);
    expect(ciphertext).toMatch(/^[A-Za-z0-9+/]+=*$/);
    expect(Buffer.from(ciphertext, 'base64').includes('refresh')).toBe(false);
    expect(await cipher.decrypt(ciphertext)).toEqual({ text: SECRET, stale: false });
    expect(await cipher.encrypt('').then((empty) => cipher.decrypt(empty))).toMatchObject({ text: '' });
    expect(cipher.weakness).toBeUndefined();
  });

  it('asks the system for nothing before it is used, and probes once', async () => {
    const { storage, cipher } = given(way);
    expect(cipher.weakness).toBeUndefined();
    expect(storage.called).toEqual([]);
    await Promise.all([cipher.encrypt('1'), cipher.encrypt('2')]);
    expect(storage.called.filter((name) => name.includes('Available'))).toHaveLength(1);
    const suffix = way.calls === 'synchronous' ? /String$|isEnc/ : /Async$|isAsync/;
    expect(storage.called.every((name) => suffix.test(name))).toBe(true);
  });

  it.each([
    ['of another key', async () => given({ ...way, key: 'another' }).cipher.encrypt(SECRET)],
    ['damaged', async () => `${(await given(way).cipher.encrypt(SECRET)).slice(0, -8)}AAAAAAA=`],
    ['of another program', async () => Buffer.from('hello').toString('base64')],
    ['empty', async () => ''],
  ])('calls corrupt what is %s', async (_, make) => {
    const failure = await failureOf(given(way).cipher.decrypt(await make()));
    expect([failure.code, failure.message]).toEqual([
      'corrupt',
      'This was encrypted by another build or user of MCP Auth Proxy.',
    ]);
  });

  it('says what to do when the system gives no key, keeps its word, and tries again', async () => {
    const { storage, cipher } = given(way);
    storage.givesKey = false;
    for (const call of [cipher.encrypt(SECRET), cipher.decrypt('djEw')]) {
      const failure = await failureOf(call);
      expect(failure.code).toBe(way.platform === 'darwin' ? 'denied' : 'unavailable');
      expect(failure.message).toContain(
        way.platform === 'darwin' ? '"MCP Auth Proxy Safe Storage"' : 'keyring, then start the app again',
      );
    }
    expect(cipher.weakness).toBeUndefined();
    storage.givesKey = true;
    expect(await cipher.decrypt(await cipher.encrypt(SECRET))).toMatchObject({ text: SECRET });
  });
});

it('ciphertexts of both ways are the same', async () => {
  const [older, newer] = [given({ calls: 'synchronous' }).cipher, given({ calls: 'asynchronous' }).cipher];
  expect(await newer.decrypt(await older.encrypt(SECRET))).toMatchObject({ text: SECRET });
  expect(await older.decrypt(await newer.encrypt(SECRET))).toMatchObject({ text: SECRET });
});

it('says when the key has changed', async () => {
  const { storage, cipher } = given();
  const ciphertext = await cipher.encrypt(SECRET);
  storage.keyHasChanged = true;
  expect(await cipher.decrypt(ciphertext)).toEqual({ text: SECRET, stale: true });
});

it.each(['darwin', 'linux'] as const)(
  'a key that cannot be had now counts as locked (%s)',
  async (platform) => {
    const { storage, cipher } = given({ platform });
    const ciphertext = await cipher.encrypt(SECRET);
    storage.temporarilyUnavailable = true;
    const failure = await failureOf(cipher.decrypt(ciphertext));
    expect(failure.code).toBe('locked');
    expect(failure.message).toMatch(/[Uu]nlock/);
  },
);

it('a prompt that nobody answers counts as locked; once answered, all goes on', async () => {
  const storage = new StandInSafeStorage({ calls: 'both', platform: 'darwin' });
  let press: () => void = () => undefined;
  storage.prompt = new Promise((resolve) => {
    press = resolve;
  });
  const cipher = createSafeStorageCipher({
    safeStorage: storage.calls,
    appName: APP,
    platform: 'darwin',
    timeoutMs: 20,
  });
  const failure = await failureOf(cipher.encrypt(SECRET));
  expect(failure).toMatchObject({ code: 'locked', message: expect.stringContaining('Always Allow') });
  expect((await failureOf(cipher.encrypt(SECRET))).code).toBe('locked');
  expect(storage.called).toEqual(['isAsyncEncryptionAvailable']);
  press();
  await storage.prompt;
  expect(await cipher.decrypt(await cipher.encrypt(SECRET))).toMatchObject({ text: SECRET });
});

describe('on Linux without a keyring', () => {
  it('older versions say so by the backend, at once', () => {
    const { storage, cipher } = given({ calls: 'synchronous', platform: 'linux', backend: 'basic_text' });
    expect(cipher.weakness).toContain('no keyring');
    expect(storage.called).toEqual([]);
  });

  it.each(['synchronous', 'asynchronous'] as const)(
    'nothing leaves under the password of Chromium’s source (%s)',
    async (calls) => {
      const { storage, cipher } = given({ calls, platform: 'linux' });
      storage.usesHardCodedPassword = true;
      const failure = await failureOf(cipher.encrypt(SECRET));
      expect([failure.code, failure.message]).toEqual(['unavailable', expect.stringContaining('no keyring')]);
      expect(cipher.weakness).toContain('no keyring');
    },
  );

  it('nothing is taken either that anybody could have made', async () => {
    const other = given({ platform: 'darwin' }).cipher;
    const planted = await other.encrypt(SECRET);
    expect((await failureOf(given({ platform: 'linux' }).cipher.decrypt(planted))).code).toBe('corrupt');
  });

  it('newer versions that find no key on a desktop without a backend are weak', async () => {
    const { storage, cipher } = given({ calls: 'asynchronous', platform: 'linux', backend: 'basic_text' });
    storage.givesKey = false;
    expect((await failureOf(cipher.encrypt(SECRET))).code).toBe('unavailable');
    expect(cipher.weakness).toContain('no keyring');
  });

  it('newer versions may find a keyring by themselves, whatever the desktop is called', async () => {
    const { cipher } = given({ calls: 'asynchronous', platform: 'linux', backend: 'basic_text' });
    expect(await cipher.decrypt(await cipher.encrypt(SECRET))).toMatchObject({ text: SECRET });
    expect(cipher.weakness).toBeUndefined();
  });
});
