import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpenStoreOptions, openStore, userStateFolder } from '../../../app/store/open-store.ts';
import { createStandInKeychain } from '../../support/keychain.ts';
import { type Keyring, startKeyring } from '../../support/keyring.ts';

let folder: string;
let keyring: Keyring;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'open-store-'));
  keyring = await startKeyring();
});
afterAll(async () => {
  await keyring?.stop();
  await rm(folder, { recursive: true, force: true });
});

function open(options: Partial<OpenStoreOptions>) {
  return openStore({ kind: 'auto', service: 'service', stateDir: folder, env: { HOME: folder }, ...options });
}

describe('openStore with auto', () => {
  it('takes the Secret Service on Linux where one answers', async () => {
    const store = await open({ platform: 'linux', env: keyring.env });
    expect(store.kind).toBe('secret-service');
    await store.set('x', 'value');
    expect(await store.get('x')).toBe('value');
    await store.delete('x');
  });

  it.each<[string, () => NodeJS.ProcessEnv]>([
    ['without a session bus', () => ({ ...keyring.env, DBUS_SESSION_BUS_ADDRESS: undefined })],
    ['with a bus that is gone', () => ({ ...keyring.env, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere' })],
    ['without secret-tool', () => ({ ...keyring.env, PATH: folder })],
  ])('takes files on Linux %s', async (_how, env) => {
    expect((await open({ platform: 'linux', env: env() })).kind).toBe('file');
  });

  it('takes the Keychain on macOS', async () => {
    const keychain = await createStandInKeychain();
    const env = { HOME: folder, SECURITY_BIN: keychain.securityBin };
    const store = await open({ platform: 'darwin', env });
    expect(store.kind).toBe('keychain');
    await store.set('x', 'value');
    expect(Object.keys(await keychain.items('service'))).toEqual(['x']);
    await keychain.remove();
  });

  it.each(['win32', 'freebsd'] as const)('takes files on %s', async (platform) => {
    expect((await open({ platform, env: keyring.env })).kind).toBe('file');
  });
});

describe('openStore with a kind', () => {
  it.each(['keychain', 'secret-service', 'file', 'memory'] as const)(
    'takes %s without asking',
    async (kind) => {
      const platform = kind === 'keychain' ? 'darwin' : 'linux';
      expect((await open({ kind, platform })).kind).toBe(kind);
    },
  );

  it('refuses a Keychain where there is none', async () => {
    await expect(open({ kind: 'keychain', platform: 'linux', env: { HOME: folder } })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('set TOKEN_STORE to auto or file'),
    });
  });

  it('does not fall back when the kind does not work here', async () => {
    const store = await open({ kind: 'secret-service', env: { HOME: folder, PATH: folder } });
    await expect(store.get('x')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('keeps locks where the items are shared', async () => {
    const env = { HOME: folder, SECURITY_BIN: '/nowhere/security' };
    const place = join(folder, '.local/state/mcp-auth-proxy/locks');
    for (const kind of ['keychain', 'secret-service'] as const) {
      expect((await open({ kind, platform: 'linux', stateDir: '/elsewhere', env })).lockFolder).toBe(place);
    }
    expect((await open({ kind: 'file' })).lockFolder).toBe(join(folder, 'secrets', 'locks'));
    expect((await open({ kind: 'memory' })).lockFolder).toBeUndefined();
  });

  it('encrypts files with the passphrase', async () => {
    const passphrase = 'pass';
    await (await open({ kind: 'file', passphrase })).set('x', 'value');
    expect(await (await open({ kind: 'file', passphrase })).get('x')).toBe('value');
    await expect((await open({ kind: 'file' })).get('x')).rejects.toMatchObject({ code: 'corrupt' });
  });
});

describe('userStateFolder', () => {
  it.each<[NodeJS.Platform, NodeJS.ProcessEnv, string]>([
    ['darwin', { HOME: '/Users/me' }, '/Users/me/Library/Application Support/mcp-auth-proxy'],
    ['linux', { HOME: '/home/me' }, '/home/me/.local/state/mcp-auth-proxy'],
    ['linux', { HOME: '/home/me', XDG_STATE_HOME: '/state' }, '/state/mcp-auth-proxy'],
    ['linux', { HOME: '/home/me', XDG_STATE_HOME: 'relative' }, '/home/me/.local/state/mcp-auth-proxy'],
    ['linux', { HOME: '/home/me', XDG_STATE_HOME: '' }, '/home/me/.local/state/mcp-auth-proxy'],
    ['linux', {}, `${homedir()}/.local/state/mcp-auth-proxy`],
    [
      'win32',
      { LOCALAPPDATA: 'C:\\Users\\me\\AppData\\Local' },
      'C:\\Users\\me\\AppData\\Local\\mcp-auth-proxy',
    ],
    ['win32', { USERPROFILE: 'C:\\Users\\me' }, 'C:\\Users\\me\\AppData\\Local\\mcp-auth-proxy'],
  ])('on %s with %j is %s', (platform, env, expected) => {
    expect(userStateFolder(platform, env)).toBe(expected);
  });
});
