import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createKeychainStore } from '../../app/store/keychain.ts';
import { createSecretServiceStore } from '../../app/store/secret-service.ts';
import { SecretStoreError } from '../../app/store/secret-store.ts';
import { givenBroker, givenFolder, givenServedBroker, givenUpstream, logIn } from '../support/broker.ts';
import { type Keyring, startKeyring } from '../support/keyring.ts';
import {
  call,
  givenBreakableStore,
  givenClock,
  givenHangingKeychain,
  givenKeychain,
  outcomeOf,
  TOKEN_SECONDS,
  tokenRequests,
} from '../support/login.ts';

const SERVICE = 'mcp-auth-proxy-refresh-token';
const IS_LOCKED = 36;

async function givenKeyring(): Promise<Keyring> {
  const keyring = await startKeyring();
  onTestFinished(() => keyring.stop());
  return keyring;
}

describe('an item that cannot be read', () => {
  it.each([
    ['damaged', '{"version":1,'],
    ['of another program', 'hello'],
    ['of another version', '{"version":99,"upstream":"x","profile":"default"}'],
    ['of another login', '{"version":1,"upstream":"https://other.example/mcp","profile":"default"}'],
  ])('%s: logged out with one clear line in the log, then a login overwrites it', async (_, item) => {
    const upstream = await givenUpstream();
    const store = givenBreakableStore();
    const probe = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    await logIn(probe.broker);
    const [account = ''] = store.items.keys();
    store.items.set(account, item);

    const { broker, log } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    expect((await broker.status()).state).toBe('logged_out');
    const warnings = log.entries.filter(({ event }) => event.includes('log in again'));
    expect(warnings.map(({ level }) => level)).toEqual(['warn']);

    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');
    const again = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    expect(await outcomeOf(again.broker)).toBe('ok');
  });

  it('an encrypted file that was changed: the same, in a real process', async () => {
    const upstream = await givenUpstream();
    const folder = await givenFolder();
    const environment = {
      UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
      STATE_DIR: folder,
      TOKEN_STORE: 'file',
    };
    const first = await givenServedBroker(environment);
    await logIn(first);
    await first.end('SIGTERM');
    const [name = ''] = (await readdir(path.join(folder, 'secrets'))).filter((file) =>
      file.endsWith('.json'),
    );
    const file = path.join(folder, 'secrets', name);
    const content = await readFile(file, 'utf8');
    await writeFile(file, content.slice(0, content.length / 2));

    const second = await givenServedBroker(environment);
    expect(await outcomeOf(second)).toBe('not_authenticated');
    expect(second.output()).toContain('The stored login is not readable; log in again');
    await logIn(second);
    await second.end('SIGTERM');
    expect(await outcomeOf(await givenServedBroker(environment))).toBe('ok');
  });
});

describe('a store that is locked at the start', () => {
  it('the Keychain: 503 that names the cure; after it is unlocked the call works', async () => {
    const clock = givenClock();
    const keychain = await givenKeychain();
    const { securityBin, lockFolder } = keychain;
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: TOKEN_SECONDS } });
    const openStore = () => createKeychainStore({ service: SERVICE, securityBin, lockFolder });
    const before = await givenBroker(upstream.mcpServer.jsonUrl, {}, openStore());
    await logIn(before.broker);

    await keychain.setFaults([{ on: 'find-generic-password', exit: IS_LOCKED, times: 1_000 }]);
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, openStore());
    expect((await broker.status()).state).toBe('error');
    const { status, retryAfter, body } = await call(broker);
    expect({ status, retryAfter }).toEqual({ status: 503, retryAfter: '1' });
    expect(body.error?.data?.error).toBe('refresh_unavailable');
    expect(body.error?.message).toMatch(/[Uu]nlock/);
    expect(tokenRequests(upstream)).toEqual([]);

    await keychain.setFaults([]);
    clock.advance(2);
    expect(await outcomeOf(broker)).toBe('ok');
    expect((await broker.status()).state).toBe('authenticated');
  });

  it('the Secret Service: 503 that names the cure; after it is unlocked the call works', async () => {
    const clock = givenClock();
    const keyring = await givenKeyring();
    const { env } = keyring;
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: TOKEN_SECONDS } });
    const openStore = () => createSecretServiceStore({ service: SERVICE, env });
    const before = await givenBroker(upstream.mcpServer.jsonUrl, {}, openStore());
    await logIn(before.broker);

    await keyring.lock();
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, openStore());
    const { status, body } = await call(broker);
    expect(status).toBe(503);
    expect(body.error?.message).toContain('The keyring is locked. Unlock it');

    await keyring.unlock();
    clock.advance(2);
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('one whose person said no is not asked again by calls, and is by a login', async () => {
    const clock = givenClock();
    const upstream = await givenUpstream();
    const store = givenBreakableStore();
    let asked = 0;
    const get = store.get;
    store.get = (account) => {
      asked++;
      return get(account);
    };
    store.broken = {
      get: new SecretStoreError('denied', 'The keyring refused. Allow it, then log in again.'),
    };
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    for (const _ of Array(5).keys()) {
      const { status, retryAfter, body } = await call(broker);
      expect({ status, retryAfter }).toEqual({ status: 503, retryAfter: '30' });
      expect(body.error?.message).toContain('Allow it');
      clock.advance(60);
    }
    expect(asked).toBe(1);
    store.broken = {};
    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('one that is missing altogether: a login works for as long as the process lives', async () => {
    const clock = givenClock();
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: TOKEN_SECONDS } });
    const store = createSecretServiceStore({ service: SERVICE, command: '/nowhere/secret-tool' });
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    const { status, body } = await call(broker);
    expect(status).toBe(503);
    expect(body.error?.message).toContain('TOKEN_STORE=file');
    await logIn(broker);
    for (const _ of [1, 2]) {
      expect(await outcomeOf(broker)).toBe('ok');
      clock.advance(TOKEN_SECONDS + 1);
    }
  });

  it('one that cannot be read only now and then does not end the login', async () => {
    const clock = givenClock();
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: TOKEN_SECONDS } });
    const store = givenBreakableStore();
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, store);
    await logIn(broker);
    store.broken = { get: new SecretStoreError('locked', 'The keyring is locked. Unlock it.') };
    clock.advance(TOKEN_SECONDS + 1);
    const { status, body } = await call(broker);
    expect(status).toBe(503);
    expect(body.error?.message).toContain('Unlock it');
    expect((await broker.status()).state).toBe('authenticated');
    store.broken = {};
    clock.advance(1);
    expect(await outcomeOf(broker)).toBe('ok');
  });
});

describe('real processes on the stores of the operating system', () => {
  it('the Keychain, by its stand-in: login, restart, call', async () => {
    const keychain = await givenKeychain();
    const upstream = await givenUpstream();
    const environment = {
      UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
      TOKEN_STORE: 'keychain',
      SECURITY_BIN: keychain.securityBin,
      HOME: await givenFolder(),
    };
    const first = await givenServedBroker(environment);
    await logIn(first);
    expect(await first.end('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(Object.keys(await keychain.items(SERVICE))).not.toEqual([]);
    expect(await outcomeOf(await givenServedBroker(environment))).toBe('ok');
  });

  it('the Secret Service, a real one: login, restart, call', async () => {
    const { env } = await givenKeyring();
    const upstream = await givenUpstream();
    const environment = {
      ...env,
      UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
      TOKEN_STORE: 'secret-service',
    };
    const first = await givenServedBroker(environment);
    await logIn(first);
    expect(await first.end('SIGTERM')).toEqual({ code: 0, signal: null });
    const second = await givenServedBroker(environment);
    expect(await outcomeOf(second)).toBe('ok');
    const status = await (await fetch(`${second.url}/oauth/status`)).json();
    expect(status).toMatchObject({ store: { kind: 'secret-service' }, state: 'authenticated' });
  });

  it('a store that hangs holds up neither /health nor the end of the process', async () => {
    const keychain = await givenHangingKeychain();
    const upstream = await givenUpstream();
    const broker = await givenServedBroker({
      UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
      TOKEN_STORE: 'keychain',
      SECURITY_BIN: keychain.securityBin,
      HOME: await givenFolder(),
    });
    expect((await fetch(`${broker.url}/health`)).status).toBe(200);
    expect((await fetch(`${broker.url}/oauth/status`)).status).toBe(200);
    expect(await broker.end('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});
