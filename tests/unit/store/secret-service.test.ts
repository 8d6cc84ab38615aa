import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../../app/store/run-command.ts';
import {
  createSecretServiceStore,
  isSecretServiceUsable,
  type SecretServiceStoreOptions,
} from '../../../app/store/secret-service.ts';
import type { SecretStore } from '../../../app/store/secret-store.ts';
import { type Keyring, startKeyring } from '../../support/keyring.ts';

const SERVICE = 'service';

let keyring: Keyring;
let folder: string;
let store: SecretStore;
beforeAll(async () => {
  keyring = await startKeyring();
  folder = await mkdtemp(join(tmpdir(), 'secret-service-'));
  store = open();
});
afterEach(() => keyring.unlock());
afterAll(async () => {
  await keyring?.stop();
  await rm(folder, { recursive: true, force: true });
});

function open(options: Partial<SecretServiceStoreOptions> = {}): SecretStore {
  return createSecretServiceStore({ service: SERVICE, env: keyring.env, lockFolder: folder, ...options });
}

/** The names of the items of the service, as another program sees them. */
async function names(): Promise<string[]> {
  const found = await runCommand('secret-tool', ['search', '--all', 'service', SERVICE], {
    env: keyring.env,
    timeoutMs: 10_000,
  });
  const text = found.outcome === 'exited' ? found.stderr : '';
  return [...text.matchAll(/^attribute\.account = (.*)$/gm)].map(([, name]) => name ?? '').toSorted();
}

async function script(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, `#!/bin/sh\n${text}\n`);
  await chmod(file, 0o755);
  return file;
}

const failure = (code: string, message: RegExp) => ({
  name: 'SecretStoreError',
  code,
  message: expect.stringMatching(message),
});

describe('items on a real keyring', () => {
  it('fill the 8191 bytes secret-tool takes, and not one more', async () => {
    // v1: and 8188 characters of base64
    await store.set('x', 'v'.repeat(6141));
    expect(await names()).toEqual(['x']);
    expect(await store.get('x')).toBe('v'.repeat(6141));
    await store.set('x', 'v'.repeat(6142));
    expect(await names()).toEqual(['x', 'x#a1', 'x#a2']);
    expect(await store.get('x')).toBe('v'.repeat(6142));
    await store.set('x', 'w'.repeat(12_300));
    expect(await names()).toEqual(['x', 'x#b1', 'x#b2', 'x#b3']);
    await store.delete('x');
    expect(await names()).toEqual([]);
  });

  it('never show their secret in arguments', async () => {
    const log = join(folder, 'arguments');
    const command = await script('logged', `echo "$@" >> '${log}'\nexec secret-tool "$@"`);
    const logged = open({ command });
    await logged.set('x', 'hidden');
    expect(await logged.get('x')).toBe('hidden');
    await logged.delete('x');
    const seen = await readFile(log, 'utf8');
    expect(seen).toContain('store --label=MCP Auth Proxy -- service service account x');
    expect(seen).not.toMatch(/hidden|v1:/);
  });

  it('are never read half replaced', async () => {
    const values = ['a', 'b'].map((letter) => letter.repeat(20_000));
    const [first = '', second = ''] = values;
    await store.set('x', first);
    let writing = true;
    const writer = open();
    const writes = (async () => {
      for (const value of [second, first, second, first]) await writer.set('x', value);
      writing = false;
    })();
    while (writing) expect(values).toContain(await store.get('x'));
    await writes;
    await store.delete('x');
  });

  it('that another process stores between two looks are found', async () => {
    const flag = join(folder, 'stored');
    const store = `printf other | secret-tool store --label=x service ${SERVICE} account z`;
    const command = await script(
      'late',
      `case $1 in lookup) [ -e '${flag}' ] || { touch '${flag}'; ${store}; exit 1; };; esac\nexec secret-tool "$@"`,
    );
    await expect(open({ command }).get('z')).rejects.toMatchObject({ code: 'corrupt' });
    await open().delete('z');
  });

  it('stay while the keyring is locked', async () => {
    await store.set('x', 'value');
    await keyring.lock();
    const locked = failure('locked', /Unlock it/);
    await expect(store.get('x')).rejects.toMatchObject(locked);
    await expect(store.set('x', 'new')).rejects.toMatchObject(locked);
    await expect(store.set('y', 'new')).rejects.toMatchObject(locked);
    await expect(store.delete('x')).rejects.toMatchObject(locked);
    expect(await store.get('nobody')).toBeUndefined();
    await keyring.unlock();
    expect(await store.get('x')).toBe('value');
    await store.delete('x');
  });
});

describe('a failure', () => {
  it('without a bus is unavailable', async () => {
    const env = { ...keyring.env, DBUS_SESSION_BUS_ADDRESS: `unix:path=${folder}/no-bus` };
    await expect(open({ env }).get('x')).rejects.toMatchObject(failure('unavailable', /TOKEN_STORE=file/));
  });

  it('without the command names the package', async () => {
    const missing = open({ command: join(folder, 'none') });
    await expect(missing.get('x')).rejects.toMatchObject(failure('unavailable', /missing.*libsecret-tools/));
    const forbidden = open({ command: folder });
    await expect(forbidden.get('x')).rejects.toMatchObject(failure('unavailable', /EACCES.*libsecret-tools/));
  });

  it('by a prompt that nobody answers is locked', async () => {
    const command = await script('hanging', 'exec sleep 60');
    const hasty = open({ command, timeoutMs: 100 });
    await expect(hasty.get('x')).rejects.toMatchObject(failure('locked', /prompt/));
  });

  it.each([
    ['Prompt was dismissed', 'denied', /allow it/],
    ['secret does not contain a textual password', 'corrupt', /Log in again/],
    ['Cannot get secret of a locked object', 'locked', /Unlock it/],
    ['The name is not activatable', 'unavailable', /The name is not activatable/],
  ])('that says %s is %s', async (text, code, message) => {
    const command = await script(
      'failing',
      `echo '(process:1): GLib-WARNING: x' >&2\necho 'secret-tool: ${text}' >&2\nexit 1`,
    );
    await expect(open({ command }).get('x')).rejects.toMatchObject(failure(code, message));
  });

  it.each(['get', 'delete'] as const)('without a word is unavailable, in %s', async (operation) => {
    const command = await script('crashing', 'kill -9 $$');
    await expect(open({ command })[operation]('x')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('to keep what was given is noticed', async () => {
    const command = await script('forgetful', 'case $1 in lookup) printf other;; *) cat > /dev/null;; esac');
    await expect(open({ command }).set('x', 'value')).rejects.toMatchObject(
      failure('unavailable', /did not keep/),
    );
  });

  it('of a service name is told at once', () => {
    expect(() => open({ service: 'a\nb' })).toThrowError(expect.objectContaining({ code: 'unavailable' }));
  });
});

describe('isSecretServiceUsable', () => {
  const usable = (options: Partial<SecretServiceStoreOptions> = {}) =>
    isSecretServiceUsable({ service: SERVICE, env: keyring.env, ...options }, 5_000);

  it('is true on an unlocked keyring, and leaves nothing there', async () => {
    expect(await usable()).toBe(true);
    expect(await names()).toEqual([]);
  });

  it('is false on a locked one when no prompt can be shown', async () => {
    await keyring.lock();
    expect(await usable()).toBe(false);
  });

  it('is true on a locked one where a prompt can be shown', async () => {
    await keyring.lock();
    expect(await usable({ env: { ...keyring.env, DISPLAY: ':99' } })).toBe(true);
  });

  it('is false without the command', async () => {
    expect(await usable({ command: join(folder, 'none') })).toBe(false);
  });
});
