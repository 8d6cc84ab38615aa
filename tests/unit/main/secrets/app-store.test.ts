import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { settingsFromEnvironment } from '../../../../app/settings.ts';
import { type SecretStore, SecretStoreError } from '../../../../app/store/secret-store.ts';
import { createAppStore } from '../../../../main/secrets/app-store.ts';
import { createSafeStorageCipher } from '../../../../main/secrets/safe-storage-cipher.ts';
import { givenBroker, givenFolder, givenUpstream, logIn } from '../../../support/broker.ts';
import type { StandInKeychain } from '../../../support/keychain.ts';
import {
  altering,
  call,
  givenClock,
  givenKeychain,
  onPath,
  outcomeOf,
  TOKEN_SECONDS,
} from '../../../support/login.ts';
import { type StandInOptions, StandInSafeStorage } from '../../../support/safe-storage.ts';

const APP = 'MCP Auth Proxy';
const SERVICE = 'mcp-auth-proxy-refresh-token';
const LOCKED = 36;
const CANCELLED = 128;

interface OpenOptions extends Partial<StandInOptions> {
  stateDir: string;
  keychain?: StandInKeychain;
  variables?: NodeJS.ProcessEnv;
}

interface OpenedStore {
  store: SecretStore;
  safeStorage: StandInSafeStorage;
  corrupt: SecretStoreError[];
}

/** Opens the store as the app does at its start: a start is another safeStorage on the same key. */
async function open({ stateDir, keychain, variables = {}, ...options }: OpenOptions): Promise<OpenedStore> {
  const platform = options.platform ?? (keychain ? 'darwin' : 'linux');
  const safeStorage = new StandInSafeStorage({ calls: 'both', ...options, platform });
  const corrupt: SecretStoreError[] = [];
  const store = await createAppStore({
    settings: settingsFromEnvironment({
      UPSTREAM_MCP_URL: 'https://mcp.example.com/mcp',
      STATE_DIR: stateDir,
      ...variables,
    }),
    cipher: createSafeStorageCipher({ safeStorage: safeStorage.calls, appName: APP, platform }),
    appName: APP,
    onCorrupt: (error) => void corrupt.push(error),
    env: { HOME: stateDir, ...(keychain && { SECURITY_BIN: keychain.securityBin }) },
    platform,
  });
  return { store, safeStorage, corrupt };
}

async function failureOf(promise: Promise<unknown>): Promise<SecretStoreError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SecretStoreError);
  return error as SecretStoreError;
}

/** Everything that lies in a folder, and below, in one string. */
async function contentOf(folder: string): Promise<string> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const contents = files
    .filter((file) => file.isFile())
    .map((file) => readFile(path.join(file.parentPath, file.name), 'latin1'));
  return (await Promise.all(contents)).join('\n');
}

/** The forms a text might be found in by someone who searches for it. */
function formsOf(text: string): string[] {
  const bytes = Buffer.from(text);
  return [text, bytes.toString('base64').slice(0, -4), bytes.toString('hex')];
}

describe('on macOS, a login', () => {
  async function givenLogin() {
    const keychain = await givenKeychain();
    const stateDir = await givenFolder();
    const tokens: string[] = [];
    const collect = altering((json) => {
      for (const name of ['access_token', 'refresh_token']) tokens.push(String(json[name]));
      return json;
    });
    const upstream = await givenUpstream({
      authorizationServer: { accessTokenSeconds: TOKEN_SECONDS, respond: onPath('/token', collect) },
    });
    const url = upstream.mcpServer.jsonUrl;
    /** The app's next start. */
    const start = async (options: Partial<StandInOptions> = {}, prepare?: (opened: OpenedStore) => void) => {
      const opened = await open({ stateDir, keychain, ...options });
      prepare?.(opened);
      return { ...opened, ...(await givenBroker(url, {}, opened.store)) };
    };
    return { keychain, stateDir, tokens, url, start };
  }

  it('lies in the Keychain as a ciphertext and outlives the app', async () => {
    const { keychain, stateDir, tokens, start } = await givenLogin();
    const first = await start();
    await logIn(first.broker);
    expect(await outcomeOf(first.broker)).toBe('ok');
    await first.broker.close();

    const items = await keychain.items(SERVICE);
    expect(Object.keys(items).every((name) => name.startsWith(`${APP}: 127.0.0.1:`))).toBe(true);
    const { kind, description } = (await first.broker.status()).store;
    expect([kind, description]).toEqual([
      'keychain',
      `the macOS Keychain (service "${SERVICE}"), with a key of this app alone`,
    ]);

    const second = await start();
    expect((await second.broker.status()).state).toBe('authenticated');
    expect(await outcomeOf(second.broker)).toBe('ok');
    await second.broker.close();

    expect(tokens.length).toBeGreaterThan(3);
    const inKeychain = Object.values(items).map((item) => Buffer.from(item.replace(/^v1:/, ''), 'base64'));
    const commands = (await keychain.calls()).flatMap(({ args = [] }) => args);
    const folder = path.dirname(keychain.securityBin);
    const everything = [
      ...inKeychain.map((bytes) => bytes.toString('latin1')),
      ...commands,
      await contentOf(folder),
      await contentOf(stateDir),
    ].join('\n');
    expect(everything).toContain('generic-password');
    expect(tokens.flatMap(formsOf).filter((form) => everything.includes(form))).toEqual([]);
  });

  it('is kept beside the one of the broker on the command line', async () => {
    const { keychain, url, start } = await givenLogin();
    const { createKeychainStore } = await import('../../../../app/store/keychain.ts');
    const { securityBin, lockFolder } = keychain;
    const headless = createKeychainStore({ service: SERVICE, securityBin, lockFolder });
    const onCommandLine = await givenBroker(url, {}, headless);
    await logIn(onCommandLine.broker);
    const before = await keychain.items(SERVICE);
    const { broker, corrupt } = await start();
    expect((await broker.status()).state).toBe('logged_out');
    await logIn(broker);
    expect(await keychain.items(SERVICE)).toMatchObject(before);
    expect(corrupt).toEqual([]);
    await broker.logout();
    expect(await keychain.items(SERVICE)).toEqual(before);
  });

  it('is kept in memory while the Keychain is locked, and stored after it was unlocked', async () => {
    const { keychain, start } = await givenLogin();
    const { broker } = await start();
    await keychain.setFaults([{ on: 'add-generic-password', exit: LOCKED, times: 1_000 }]);
    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');
    const status = await broker.status();
    expect([status.state, status.reason]).toEqual([
      'authenticated',
      'The macOS Keychain is locked. Unlock this Mac, then try again.',
    ]);
    expect(await keychain.items(SERVICE)).toEqual({});

    await keychain.setFaults([]);
    await broker.wake();
    expect((await broker.status()).reason).toBeUndefined();
    await broker.close();
    const again = await start();
    expect((await again.broker.status()).state).toBe('authenticated');
  });

  it('is not asked for again and again once a person has refused', async () => {
    const clock = givenClock();
    const { keychain, start } = await givenLogin();
    const before = await start();
    await logIn(before.broker);
    await before.broker.close();
    await keychain.setFaults([{ on: 'find-generic-password', exit: CANCELLED, times: 1_000 }]);
    const { broker } = await start();
    expect((await broker.status()).state).toBe('error');
    const asked = (await keychain.calls()).length;
    for (let count = 0; count < 3; count++) {
      clock.advance(60);
      await call(broker);
    }
    await broker.wake();
    expect((await keychain.calls()).length).toBe(asked);
    expect((await broker.status()).reason).toContain('macOS refused access');
  });

  it('stays where it is when macOS gives no key: the person is told, and the next start has it', async () => {
    const clock = givenClock();
    const { keychain, start } = await givenLogin();
    const before = await start();
    await logIn(before.broker);
    await before.broker.close();
    const items = await keychain.items(SERVICE);

    const refused = await start({}, ({ safeStorage }) => {
      safeStorage.givesKey = false;
    });
    const status = await refused.broker.status();
    expect([status.state, status.reason]).toEqual([
      'error',
      `macOS did not give ${APP} its key, the Keychain item "${APP} Safe Storage". Start the app again and press Always Allow when macOS asks.`,
    ]);
    const asked = refused.safeStorage.called.length;
    clock.advance(60);
    await call(refused.broker);
    expect(refused.safeStorage.called.length).toBe(asked);
    await refused.broker.close();
    expect(await keychain.items(SERVICE)).toEqual(items);
    expect(refused.corrupt).toEqual([]);

    const after = await start();
    expect((await after.broker.status()).state).toBe('authenticated');
  });

  it('of a build with another key is said to be unreadable, stays, and gives way to the next login', async () => {
    const { keychain, start } = await givenLogin();
    const before = await start();
    await logIn(before.broker);
    await before.broker.close();
    const items = await keychain.items(SERVICE);

    const { broker, log, corrupt } = await start({ key: 'the key after the signature has changed' });
    expect((await broker.status()).state).toBe('logged_out');
    const sentence = `The stored login was encrypted by another build or user of ${APP}; log in again.`;
    expect(corrupt.map(({ message }) => message)).toEqual([sentence]);
    expect(log.text).toContain(sentence);
    expect(await keychain.items(SERVICE)).toEqual(items);

    await logIn(broker);
    await broker.close();
    const after = await start({ key: 'the key after the signature has changed' });
    expect((await after.broker.status()).state).toBe('authenticated');
    expect(after.corrupt).toEqual([]);
  });
});

describe('an item', () => {
  it('is encrypted again when its key has changed', async () => {
    const keychain = await givenKeychain();
    const stateDir = await givenFolder();
    const { store, safeStorage } = await open({ stateDir, keychain });
    await store.set('account', 'secret');
    const before = await keychain.items(SERVICE);
    expect(await store.get('account')).toBe('secret');
    expect(await keychain.items(SERVICE)).toEqual(before);
    safeStorage.keyHasChanged = true;
    expect(await store.get('account')).toBe('secret');
    expect(await keychain.items(SERVICE)).not.toEqual(before);
    expect(await store.get('account')).toBe('secret');
  });

  it('can be had although it cannot be written back', async () => {
    const keychain = await givenKeychain();
    const { store, safeStorage } = await open({ stateDir: await givenFolder(), keychain });
    await store.set('account', 'secret');
    safeStorage.keyHasChanged = true;
    await keychain.setFaults([{ on: 'add-generic-password', exit: LOCKED }]);
    expect(await store.get('account')).toBe('secret');
  });

  it.each(['hello', 'safe-storage:v2:AAAA', 'safe-storage:v1:', 'safe-storage:v1:AAAA', '{"version":1}'])(
    'that the app has not written is corrupt and stays: %s',
    async (value) => {
      const keychain = await givenKeychain();
      const { store, corrupt } = await open({ stateDir: await givenFolder(), keychain });
      const planted = `v1:${Buffer.from(value).toString('base64')}`;
      await keychain.plant(SERVICE, `${APP}: account`, planted);
      expect((await failureOf(store.get('account'))).code).toBe('corrupt');
      expect(corrupt).toHaveLength(1);
      expect(await keychain.items(SERVICE)).toEqual({ [`${APP}: account`]: planted });
    },
  );

  it('that is not there costs no question for the key', async () => {
    const { store, safeStorage } = await open({ stateDir: await givenFolder() });
    expect(await store.get('account')).toBeUndefined();
    await store.delete('account');
    expect(safeStorage.called).toEqual([]);
  });

  it.each([
    [LOCKED, 'locked'],
    [CANCELLED, 'denied'],
  ] as const)('meets the errors of the Keychain as they are: %i', async (exit, code) => {
    const keychain = await givenKeychain();
    const { store } = await open({ stateDir: await givenFolder(), keychain });
    await store.set('account', 'secret');
    await keychain.setFaults(
      (['find', 'add', 'delete'] as const).map((verb) => ({ on: `${verb}-generic-password` as const, exit })),
    );
    expect((await failureOf(store.get('account'))).code).toBe(code);
    expect((await failureOf(store.set('account', 'other'))).code).toBe(code);
    expect((await failureOf(store.delete('account'))).code).toBe(code);
  });
});

describe('the place', () => {
  it('is a file on Linux, whose content needs both keys', async () => {
    const stateDir = await givenFolder();
    const { store } = await open({ stateDir });
    await store.set('account', 'secret');
    expect([store.kind, store.lockFolder]).toEqual(['file', path.join(stateDir, 'secrets', 'locks')]);
    expect(store.description).toBe(
      `encrypted files in ${path.join(stateDir, 'secrets')}, with a key of this app alone`,
    );
    expect(await (await open({ stateDir })).store.get('account')).toBe('secret');
    const other = await open({ stateDir, key: 'another user' });
    expect((await failureOf(other.store.get('account'))).code).toBe('corrupt');
  });

  it('is where the settings say', async () => {
    const keychain = await givenKeychain();
    const stateDir = await givenFolder();
    const file = await open({ stateDir, keychain, variables: { TOKEN_STORE: 'file' } });
    await file.store.set('account', 'secret');
    expect(file.store.kind).toBe('file');
    expect(await keychain.items(SERVICE)).toEqual({});
    const memory = await open({ stateDir, keychain, variables: { TOKEN_STORE: 'memory' } });
    await memory.store.set('account', 'secret');
    expect([memory.store.kind, memory.safeStorage.called]).toEqual(['memory', []]);
  });
});

describe('without a keyring', () => {
  it.each([
    ['that is known at once', { calls: 'synchronous', backend: 'basic_text' }],
    ['that shows at the first use', { calls: 'asynchronous', backend: 'basic_text' }],
  ] as const)('%s, a login lives in memory, and that is said', async (_, options) => {
    const stateDir = await givenFolder();
    const upstream = await givenUpstream();
    const { store, safeStorage } = await open({ stateDir, ...options });
    safeStorage.givesKey = false;
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');
    const status = await broker.status();
    expect(status.store).toEqual({
      kind: 'memory',
      description:
        'memory only: This desktop has no keyring that could protect secrets (GNOME Keyring, KWallet or another Secret Service).',
    });
    expect(status.reason).toBeUndefined();
    expect(store.lockFolder).toBeUndefined();
    expect(await contentOf(stateDir)).not.toMatch(/safe-storage|refresh/);
    await broker.logout();
    expect(await outcomeOf(broker)).toBe('not_authenticated');
  });

  it('what was stored with one stays for the day it is back, unless the person logs out', async () => {
    const stateDir = await givenFolder();
    await (await open({ stateDir })).store.set('account', 'secret');
    const without = async () => {
      const opened = await open({ stateDir, calls: 'asynchronous', backend: 'basic_text' });
      opened.safeStorage.givesKey = false;
      return opened;
    };
    const weak = await without();
    expect(await weak.store.get('account')).toBeUndefined();
    await weak.store.set('account', 'of this run');
    expect(await weak.store.get('account')).toBe('of this run');
    expect(weak.corrupt).toEqual([]);
    expect(await (await open({ stateDir })).store.get('account')).toBe('secret');
    await (await without()).store.delete('account');
    expect(await (await open({ stateDir })).store.get('account')).toBeUndefined();
  });
});
