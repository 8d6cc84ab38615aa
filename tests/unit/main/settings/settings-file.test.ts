import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { SettingsError } from '../../../../app/settings.ts';
import { SecretStoreError } from '../../../../app/store/secret-store.ts';
import type { Cipher } from '../../../../main/secrets/cipher.ts';
import { DEFAULT_APP_SETTINGS } from '../../../../main/settings/document.ts';
import { openSettingsFile, type SettingsFile } from '../../../../main/settings/settings-file.ts';
import { givenFolder, RecordingLog } from '../../../support/broker.ts';

const UPSTREAM = 'https://mcp.example.com/mcp';
const SECRET = 'correct-horse-9f3b';
const NOBODY = 65_534;

let folder: string;
let file: string;
let log: RecordingLog;
beforeEach(async () => {
  folder = await givenFolder();
  file = path.join(folder, 'settings.json');
  log = new RecordingLog();
});

/** A cipher as real as the system's, whose key can be lost. */
class KeyCipher implements Cipher {
  weakness: string | undefined;
  refusal: SecretStoreError | undefined;
  key = randomBytes(32);
  stale = false;
  encryptions = 0;
  decryptions = 0;

  async encrypt(text: string): Promise<string> {
    if (this.refusal) throw this.refusal;
    this.encryptions++;
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.key, iv);
    const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), ciphertext]).toString('base64');
  }

  async decrypt(sealed: string): Promise<{ text: string; stale: boolean }> {
    this.decryptions++;
    if (this.refusal) throw this.refusal;
    const bytes = Buffer.from(sealed, 'base64');
    const decipher = createDecipheriv('aes-256-gcm', this.key, bytes.subarray(0, 12));
    decipher.setAuthTag(bytes.subarray(12, 28));
    try {
      const text = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
      return { text, stale: this.stale };
    } catch {
      throw new SecretStoreError('corrupt', 'It was encrypted by another build.');
    }
  }
}

const open = (cipher: Cipher = new KeyCipher()) => openSettingsFile(file, { cipher, log });
const read = async () => JSON.parse(await readFile(file, 'utf8'));
const write = (value: unknown) =>
  writeFile(file, typeof value === 'string' ? value : JSON.stringify(value), { mode: 0o600 });
const noticesOf = (settings: SettingsFile) => settings.notices.map(({ id }) => id);
const server = (more: Record<string, unknown> = {}) => ({
  name: undefined,
  settings: { upstreamMcpUrl: UPSTREAM, ...more },
});

/** Waits until all secrets are open. */
async function opened(settings: SettingsFile): Promise<SettingsFile> {
  while (settings.servers.some(({ isOpening }) => isOpening)) await once(settings, 'change');
  return settings;
}

/** Runs something as a user whom permissions bind. */
async function asOrdinaryUser<T>(task: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return task();
  await chown(folder, NOBODY, NOBODY);
  for (const name of await readdir(folder)) await chown(path.join(folder, name), NOBODY, NOBODY);
  process.setegid?.(NOBODY);
  process.seteuid?.(NOBODY);
  try {
    return await task();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

describe('a settings file', () => {
  it('that is not there is one with the defaults, and nothing is written for a look', async () => {
    const settings = await open();
    expect(settings.settings).toEqual(DEFAULT_APP_SETTINGS);
    expect([settings.servers, settings.notices]).toEqual([[], []]);
    expect(await readdir(folder)).toEqual([]);
  });

  it('is written with the first change, for this user alone', async () => {
    file = path.join(folder, 'deeper', 'settings.json');
    const settings = await open();
    await settings.changeSettings({ loginWay: 'browser' });
    expect(await read()).toEqual({ version: 1, loginWay: 'browser', servers: [] });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700);
    expect((await open()).settings.loginWay).toBe('browser');
  });

  it('keeps servers as they were given', async () => {
    const settings = await open();
    const added = await settings.addServer({
      name: 'Craft',
      settings: { upstreamMcpUrl: UPSTREAM, port: 6001 },
    });
    expect(added.id).toMatch(/^[0-9a-f]{8}$/);
    expect((await read()).servers).toEqual([
      { id: added.id, name: 'Craft', upstreamMcpUrl: UPSTREAM, port: 6001 },
    ]);
    expect((await open()).servers).toEqual([added]);

    await settings.changeServer(added.id, { name: undefined, settings: { upstreamMcpUrl: UPSTREAM } });
    expect((await read()).servers).toEqual([{ id: added.id, upstreamMcpUrl: UPSTREAM }]);
    await settings.removeServer(added.id);
    expect((await read()).servers).toEqual([]);
  });

  it('has a change in force at once, and tells of it', async () => {
    const settings = await open();
    let changes = 0;
    settings.on('change', () => changes++);
    const saved = settings.changeSettings({ loginWaitSeconds: 7 });
    expect([settings.settings.loginWaitSeconds, changes]).toEqual([7, 1]);
    await saved;
    await settings.changeSettings({ loginWaitSeconds: 7 });
    expect(changes).toBe(1);
  });

  it('has all of many changes at once', async () => {
    const settings = await open();
    const ports = Array.from({ length: 20 }, (_, index) => 6000 + index);
    await Promise.all(ports.map((port) => settings.addServer(server({ port, profile: `p${port}` }))));
    expect((await read()).servers.map(({ port }: { port: number }) => port)).toEqual(ports);
    expect(await readdir(folder)).toEqual(['settings.json']);
  });

  it('keeps what it does not know', async () => {
    await write({
      later: [1],
      version: 1,
      servers: [{ id: 'a', upstreamMcpUrl: UPSTREAM, later: true }, 'odd'],
    });
    const settings = await open();
    expect(noticesOf(settings)).toEqual(['settings-values']);
    await settings.changeSettings({ logLevel: 'debug' });
    await settings.changeServer('a', server({ port: 6001, later: true }));
    expect(await read()).toEqual({
      later: [1],
      version: 1,
      logLevel: 'debug',
      servers: [{ id: 'a', upstreamMcpUrl: UPSTREAM, port: 6001, later: true }, 'odd'],
    });
  });

  it('refuses what is wrong and changes nothing then', async () => {
    const settings = await open();
    await settings.addServer({ name: 'Craft', settings: { upstreamMcpUrl: UPSTREAM, port: 6001 } });
    const before = await readFile(file, 'utf8');
    await expect(settings.changeSettings({ loginWaitSeconds: 1000 })).rejects.toThrow(SettingsError);
    await expect(settings.addServer(server({ port: 'x' }))).rejects.toThrow('Local port "x" must be');
    await expect(settings.addServer(server({ port: 6001, profile: 'b' }))).rejects.toThrow(
      'belongs to Craft',
    );
    await expect(settings.addServer(server({ port: 6002 }))).rejects.toThrow('another profile');
    await expect(settings.changeServer('gone', server())).rejects.toThrow('not there any more');
    expect(settings.servers).toHaveLength(1);
    expect(await readFile(file, 'utf8')).toBe(before);
  });

  it('stands in for a wrong value with the default, and says so once', async () => {
    await write({ loginWay: 'pigeon', logLevel: 'debug' });
    const settings = await open();
    expect(settings.settings).toEqual({ ...DEFAULT_APP_SETTINGS, logLevel: 'debug' });
    expect(settings.notices).toMatchObject([{ message: 'loginWay must be popup or browser.' }]);
    settings.dismiss('settings-values');
    await settings.changeSettings({ logLevel: 'info' });
    expect([settings.notices, (await read()).loginWay]).toEqual([[], 'pigeon']);
    await settings.changeSettings({ loginWay: 'popup' });
    expect((await read()).loginWay).toBe('popup');
  });
});

describe('a broken settings file', () => {
  const aside = async () => (await readdir(folder)).filter((name) => name.startsWith('settings.broken-'));

  it.each(['', '{"servers": [', '[]', '{"version": "two"}', '{"servers": 1}'])(
    'is set aside: %j',
    async (text) => {
      await write(text);
      const settings = await open();
      expect(settings.settings).toEqual(DEFAULT_APP_SETTINGS);
      const [name = '', ...others] = await aside();
      expect(others).toEqual([]);
      expect(name).toMatch(/^settings\.broken-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z\.json$/);
      expect(await readFile(path.join(folder, name), 'utf8')).toBe(text);
      expect(settings.notices).toMatchObject([
        { id: 'settings-broken', message: expect.stringContaining(path.join(folder, name)) },
      ]);
      await settings.changeSettings({ logLevel: 'debug' });
      expect(noticesOf(settings)).toEqual(['settings-broken']);
      settings.dismiss('settings-broken');
      expect(settings.notices).toEqual([]);
    },
  );

  it('quotes nothing of it in notice and log', async () => {
    await write(`{"servers": [{"clientSecret": ${SECRET}}]}`);
    const settings = await open();
    expect(JSON.stringify(settings.notices) + log.text).not.toContain(SECRET.slice(0, 8));
  });

  it('does not take the settings that are in force with it', async () => {
    const settings = await open();
    await settings.addServer(server());
    await write('{ "oops');
    await settings.changeSettings({ logLevel: 'debug' });
    expect(await read()).toMatchObject({ logLevel: 'debug', servers: [{ upstreamMcpUrl: UPSTREAM }] });
    expect(await aside()).toHaveLength(1);
  });

  it('is replaced at once by what is in force when it is found between changes', async () => {
    const settings = await open();
    await settings.addServer(server());
    await write('{ "oops');
    await settings.reread();
    expect(await read()).toMatchObject({ servers: [{ upstreamMcpUrl: UPSTREAM }] });
    expect(settings.notices).toMatchObject([{ message: expect.stringContaining('stay as they were') }]);
  });

  it('that cannot be moved away is left as it is', async () => {
    await write('{ "oops');
    await asOrdinaryUser(async () => {
      await chmod(folder, 0o500);
      const settings = await open();
      expect(noticesOf(settings)).toEqual(['settings-unreadable']);
      await settings.changeSettings({ logLevel: 'debug' });
      expect(settings.settings.logLevel).toBe('debug');
      await chmod(folder, 0o700);
      expect(await readFile(file, 'utf8')).toBe('{ "oops');
    });
  });
});

describe('a settings file of a newer version', () => {
  const newer = {
    version: 2,
    loginWay: 'browser',
    servers: [{ id: 'a', upstreamMcpUrl: UPSTREAM }],
    more: 1,
  };

  it('is read as far as it is understood and never written', async () => {
    await write(newer);
    const settings = await open();
    expect(settings.settings.loginWay).toBe('browser');
    expect(settings.servers).toMatchObject([{ id: 'a' }]);
    expect(noticesOf(settings)).toEqual(['settings-newer']);
    settings.dismiss('settings-newer');
    await settings.changeSettings({ logLevel: 'debug' });
    await settings.removeServer('a');
    expect([settings.settings.logLevel, settings.servers]).toEqual(['debug', []]);
    expect(noticesOf(settings)).toEqual(['settings-newer']);
    expect(await read()).toEqual(newer);
  });

  it('gets the changes of this run once it is of this version', async () => {
    await write(newer);
    const settings = await open();
    await settings.changeSettings({ logLevel: 'debug' });
    await write({ ...newer, version: 1 });
    await settings.reread();
    expect(settings.notices).toEqual([]);
    expect(await read()).toEqual({ ...newer, version: 1, logLevel: 'debug' });
  });
});

describe('a settings file that cannot be used', () => {
  it('is never written over when it cannot be read', async () => {
    await write({ loginWay: 'browser' });
    await asOrdinaryUser(async () => {
      await chmod(file, 0);
      const settings = await open();
      expect(settings.settings).toEqual(DEFAULT_APP_SETTINGS);
      expect(settings.notices).toMatchObject([
        { id: 'settings-unreadable', cure: `No permission to use ${file}: give your user access to it.` },
      ]);
      await settings.changeSettings({ logLevel: 'debug' });
      await chmod(file, 0o600);
      expect(await read()).toEqual({ loginWay: 'browser' });

      await settings.changeSettings({ loginWaitSeconds: 3 });
      expect(settings.settings).toMatchObject({
        loginWay: 'browser',
        logLevel: 'debug',
        loginWaitSeconds: 3,
      });
      expect(await read()).toMatchObject({ loginWay: 'browser', logLevel: 'debug', loginWaitSeconds: 3 });
      expect(settings.notices).toEqual([]);
    });
  });

  it('keeps changes for the run when it cannot be written, and tries again with the next', async () => {
    await write({ servers: [] });
    await asOrdinaryUser(async () => {
      const settings = await open();
      await chmod(folder, 0o500);
      await settings.addServer(server());
      expect(settings.servers).toHaveLength(1);
      expect(settings.notices).toMatchObject([
        { id: 'settings-unsaved', cure: expect.stringMatching(/^No permission to use/) },
      ]);
      await chmod(folder, 0o700);
      expect(await read()).toEqual({ servers: [] });
      await settings.changeSettings({ logLevel: 'debug' });
      expect(settings.notices).toEqual([]);
      expect(await read()).toMatchObject({ logLevel: 'debug', servers: [{ upstreamMcpUrl: UPSTREAM }] });
    });
  });
});

describe('a settings file that somebody edits while the app runs', () => {
  it('has both their changes and ours', async () => {
    const settings = await open();
    const { id } = await settings.addServer(server({ scopes: 'a' }));
    const theirs = await read();
    theirs.loginWay = 'browser';
    theirs.servers[0].scopes = 'a b';
    theirs.servers.push({ upstreamMcpUrl: 'https://other.example.com/', port: 6005 });
    await write(theirs);
    await settings.changeServer(id, server({ scopes: 'a', port: 6001 }));
    expect(settings.settings.loginWay).toBe('browser');
    expect(settings.servers).toMatchObject([
      { id, settings: { scopes: 'a b', port: 6001 } },
      { settings: { port: 6005 } },
    ]);
    expect((await read()).servers).toMatchObject([{ scopes: 'a b', port: 6001 }, { port: 6005 }]);
  });

  it('has a server back that they took out and that is changed here', async () => {
    const settings = await open();
    const { id } = await settings.addServer(server({ scopes: 'a' }));
    await write({ version: 1, servers: [] });
    await settings.changeServer(id, server({ scopes: 'b' }));
    expect((await read()).servers).toEqual([{ id, upstreamMcpUrl: UPSTREAM, scopes: 'b' }]);
  });

  it('is written anew when it was deleted', async () => {
    const settings = await open();
    await settings.addServer(server());
    await rm(file);
    await settings.changeSettings({ logLevel: 'debug' });
    expect((await read()).servers).toHaveLength(1);
  });

  it('is taken over by a look', async () => {
    const settings = await open();
    await settings.addServer(server());
    await write({ servers: [] });
    await settings.reread();
    expect(settings.servers).toEqual([]);
    expect(await read()).toEqual({ servers: [] });
  });
});

describe('secrets in a settings file', () => {
  const confidential = server({ clientId: 'me', clientSecret: SECRET });

  it('are sealed, and open again', async () => {
    const cipher = new KeyCipher();
    const settings = await open(cipher);
    const { id } = await settings.addServer(confidential);
    const text = await readFile(file, 'utf8');
    expect(text).not.toContain(SECRET);
    expect((await read()).servers[0].clientSecret).toEqual({
      sealed: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/),
    });

    const again = await opened(await open(cipher));
    expect(again.servers).toMatchObject([{ id, settings: { clientSecret: SECRET }, unreadable: {} }]);
    await again.changeSettings({ logLevel: 'debug' });
    expect([cipher.encryptions, (await read()).servers]).toEqual([1, JSON.parse(text).servers]);
  });

  it('keep nobody waiting who starts the app', async () => {
    const cipher = new KeyCipher();
    await (await open(cipher)).addServer(confidential);
    let answer = () => {};
    const prompt = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const slow: Cipher = {
      weakness: undefined,
      encrypt: (text) => cipher.encrypt(text),
      decrypt: async (text) => {
        await prompt;
        return cipher.decrypt(text);
      },
    };
    const settings = await open(slow);
    expect(settings.servers).toMatchObject([{ isOpening: true, unreadable: {} }]);
    await settings.changeSettings({ logLevel: 'debug' });
    answer();
    await opened(settings);
    expect(settings.servers).toMatchObject([{ isOpening: false, settings: { clientSecret: SECRET } }]);
    expect((await read()).servers[0].clientSecret).toHaveProperty('sealed');
  });

  it('stay when they are not mentioned, are replaced, and go when they are empty', async () => {
    const settings = await open();
    const { id } = await settings.addServer(confidential);
    const before = (await read()).servers[0].clientSecret;
    await settings.changeServer(id, server({ clientId: 'you' }));
    expect((await read()).servers[0]).toMatchObject({ clientId: 'you', clientSecret: before });
    await settings.changeServer(id, server({ clientId: 'you', clientSecret: 'another-secret' }));
    expect(settings.servers[0]?.settings.clientSecret).toBe('another-secret');
    expect((await read()).servers[0].clientSecret).not.toEqual(before);
    await settings.changeServer(id, server({ clientId: 'you', clientSecret: '' }));
    expect(settings.servers[0]?.settings).not.toHaveProperty('clientSecret');
    expect((await read()).servers[0]).not.toHaveProperty('clientSecret');
  });

  it('are sealed at the next write when a person wrote them in the clear', async () => {
    await write({ servers: [{ id: 'a', upstreamMcpUrl: UPSTREAM, proxyApiKey: SECRET }] });
    const settings = await open();
    expect(settings.servers[0]?.settings.proxyApiKey).toBe(SECRET);
    await settings.changeSettings({ logLevel: 'debug' });
    expect(await readFile(file, 'utf8')).not.toContain(SECRET);
    expect(settings.servers[0]?.settings.proxyApiKey).toBe(SECRET);
  });

  it('are sealed anew when the key has changed', async () => {
    const cipher = new KeyCipher();
    await (await open(cipher)).addServer(confidential);
    const before = (await read()).servers[0].clientSecret;
    cipher.stale = true;
    const settings = await opened(await open(cipher));
    await settings.changeSettings({ logLevel: 'debug' });
    expect((await read()).servers[0].clientSecret).not.toEqual(before);
    expect(settings.servers[0]?.settings.clientSecret).toBe(SECRET);
  });

  it('that cannot be opened stay in the file, with the reason', async () => {
    const cipher = new KeyCipher();
    const { id } = await (await open(cipher)).addServer(confidential);
    const before = (await read()).servers;
    cipher.key = randomBytes(32);
    const settings = await opened(await open(cipher));
    expect(settings.servers).toMatchObject([
      { unreadable: { clientSecret: 'It was encrypted by another build.' } },
    ]);
    expect(settings.servers[0]?.settings).not.toHaveProperty('clientSecret');
    await settings.changeSettings({ logLevel: 'debug' });
    await settings.changeServer(id, server({ clientId: 'me' }));
    expect((await read()).servers).toEqual(before);

    await settings.changeServer(id, confidential);
    expect(settings.servers).toMatchObject([{ settings: { clientSecret: SECRET }, unreadable: {} }]);
    expect((await read()).servers).not.toEqual(before);
  });

  it('are asked for again by a look only', async () => {
    const cipher = new KeyCipher();
    await (await open(cipher)).addServer(confidential);
    cipher.refusal = new SecretStoreError('denied', 'You have denied it.');
    const settings = await opened(await open(cipher));
    await settings.changeSettings({ logLevel: 'debug' });
    await settings.reread({ again: false });
    expect(cipher.decryptions).toBe(1);
    cipher.refusal = undefined;
    const change = once(settings, 'change');
    await settings.reread();
    await change;
    expect(settings.servers).toMatchObject([{ settings: { clientSecret: SECRET }, unreadable: {} }]);
  });

  it('last for this run where nothing can be sealed, and that is said', async () => {
    const cipher = new KeyCipher();
    cipher.weakness = 'This system has no keyring.';
    await write({ servers: [{ id: 'a', upstreamMcpUrl: UPSTREAM, port: 6001, proxyApiKey: 'by-hand-1' }] });
    const settings = await open(cipher);
    const { id } = await settings.addServer({
      name: 'Craft',
      settings: { ...confidential.settings, profile: 'b' },
    });
    expect(settings.servers[1]?.settings.clientSecret).toBe(SECRET);
    expect(settings.notices).toMatchObject([
      {
        id: 'settings-secrets',
        message:
          'A secret of Craft could not be stored, and lasts until MCP Auth Proxy quits. This system has no keyring.',
      },
    ]);
    settings.dismiss('settings-secrets');
    await settings.changeSettings({ logLevel: 'debug' });
    expect(settings.notices).toEqual([]);
    expect((await read()).servers).toEqual([
      { id: 'a', upstreamMcpUrl: UPSTREAM, port: 6001, proxyApiKey: 'by-hand-1' },
      { id, name: 'Craft', upstreamMcpUrl: UPSTREAM, clientId: 'me', profile: 'b' },
    ]);
  });

  it('are stored later when the store refuses now', async () => {
    const cipher = new KeyCipher();
    cipher.refusal = new SecretStoreError('locked', 'The keyring is locked.');
    const settings = await open(cipher);
    await settings.addServer(confidential);
    expect((await read()).servers[0]).not.toHaveProperty('clientSecret');
    cipher.refusal = undefined;
    await settings.changeSettings({ logLevel: 'debug' });
    expect((await read()).servers[0].clientSecret).toHaveProperty('sealed');
    expect(settings.notices).toEqual([]);
  });

  it('are in no log and no notice', async () => {
    const cipher = new KeyCipher();
    cipher.weakness = 'This system has no keyring.';
    const settings = await open(cipher);
    await settings.addServer(confidential);
    expect(JSON.stringify(settings.notices) + log.text).not.toContain(SECRET);
  });
});
