import path from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Upstream } from '../../../app/cli/demo/upstream.ts';
import { accountOf } from '../../../app/oauth/login-record.ts';
import { createFileStore } from '../../../app/store/file.ts';
import { createKeychainStore } from '../../../app/store/keychain.ts';
import type { SecretStore } from '../../../app/store/secret-store.ts';
import { picture, plannedServer, signIn, statusIs } from '../../support/app.ts';
import { callTool, givenClient, givenFolder, givenUpstream } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, type RunningApp } from '../../support/electron.ts';
import { givenKeychain, outcomeOf, tokenRequests } from '../../support/login.ts';
import { leaksOf } from '../../support/secrets.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';
import { givenWatchedUpstream } from '../../support/watched-upstream.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`Logins that outlast the app are not tested. ${missing}\n`);

/** The app's name when it runs from its source; its items are named after it. */
const APP_NAME = 'MCP Auth Proxy Development';
const SERVICE = 'mcp-auth-proxy-refresh-token';
/** What begins an item that safeStorage has encrypted, and the ciphertext in it when a keyring holds the key. */
const ITEM = /^safe-storage:v1:(?<ciphertext>[A-Za-z0-9+/]+={0,2})$/;
const KEYRING_CIPHERTEXT = /^v11/;

describe.runIf(missing === undefined)('a login', { timeout: 90_000 }, () => {
  const desktop = givenDesktop();
  let tray: TrayHost;
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    onTestFinished(() => tray.stop());
  });

  async function logIn(running: RunningApp, upstream: Upstream): Promise<void> {
    await tray.waitForMenu(statusIs(/logged out/));
    await tray.click('Log in…');
    await signIn(running, upstream);
    await tray.waitForMenu(statusIs(/: logged in/));
  }

  async function quit({ app }: RunningApp): Promise<void> {
    const closed = app.waitForEvent('close');
    await tray.click('Quit MCP Auth Proxy');
    await closed;
    await tray.waitUntilEmpty();
  }

  /** The item as it lies in a store that knows nothing of safeStorage. */
  function storedItem(store: SecretStore, upstream: Upstream): Promise<string | undefined> {
    return store.get(`${APP_NAME}: ${accountOf(upstream.mcpServer.jsonUrl, 'default')}`);
  }

  function expectEncrypted(item: string | undefined): void {
    const { ciphertext = '' } = ITEM.exec(item ?? '')?.groups ?? {};
    expect(Buffer.from(ciphertext, 'base64').toString('latin1')).toMatch(KEYRING_CIPHERTEXT);
  }

  it('outlasts the app, encrypted by a key that the keyring holds', async () => {
    const upstream = await givenUpstream();
    const server = await plannedServer(upstream.mcpServer.jsonUrl);
    const stateDir = await givenFolder();
    const store = createFileStore({ folder: path.join(stateDir, 'secrets') });

    const first = await launchApp({ desktop: desktop(), stateDir, env: server.env });
    await logIn(first, upstream);
    await quit(first);
    expectEncrypted(await storedItem(store, upstream));

    const second = await launchApp({ desktop: desktop(), stateDir, env: server.env });
    await tray.waitForMenu(statusIs(/: logged in/));
    expect(await outcomeOf(server)).toBe('ok');
    expect(tokenRequests(upstream)).toHaveLength(1);
    await tray.click('Log out');
    await tray.waitForMenu(statusIs(/logged out/));
    await quit(second);
    expect(await storedItem(store, upstream)).toBeUndefined();
  });

  it('outlasts the app in the Keychain, also when that is locked at the start', async () => {
    const { upstream, secrets } = await givenWatchedUpstream();
    const server = await plannedServer(upstream.mcpServer.jsonUrl);
    const stateDir = await givenFolder();
    const keychain = await givenKeychain();
    const { securityBin } = keychain;
    const env = { ...server.env, SECURITY_BIN: securityBin };
    const store = createKeychainStore({ service: SERVICE, securityBin });

    const first = await launchApp({ desktop: desktop(), stateDir, env });
    await logIn(first, upstream);
    expect(await outcomeOf(server)).toBe('ok');
    await quit(first);
    expectEncrypted(await storedItem(store, upstream));
    const items = await keychain.items(SERVICE);

    await keychain.setFaults([{ on: 'find-generic-password', exit: 36 }]);
    const second = await launchApp({ desktop: desktop(), stateDir, env });
    await tray.waitForMenu(statusIs(/needs attention/));
    expect(await outcomeOf(server)).not.toBe('ok');
    await tray.click('Open MCP Auth Proxy');
    const window = await second.statusWindow();
    const card = window.getByRole('article');
    await card.getByText(/locked/i).waitFor();
    await picture(window, 'keychain-locked');
    expect(await keychain.items(SERVICE)).toEqual(items);

    await keychain.setFaults([]);
    await card.getByRole('button', { name: /^Try again/ }).click();
    await card.getByText('Logged in', { exact: true }).waitFor();
    await picture(window, 'keychain-unlocked');
    await tray.waitForMenu(statusIs(/: logged in/));
    const client = await givenClient(server.mcpUrl);
    expect(await callTool(client, 'add', { a: 2, b: 3 })).toBe('5');

    await card.getByRole('button', { name: /^Log out/ }).click();
    await tray.waitForMenu(statusIs(/logged out/));
    await quit(second);
    expect(await keychain.items(SERVICE)).toEqual({});
    const calls = await keychain.calls();
    expect(calls.filter(({ misuse }) => misuse !== undefined)).toEqual([]);
    const seen = new Map([['the Keychain', JSON.stringify([calls, items])]]);
    expect(leaksOf(secrets, seen)).toEqual([]);
  });
});
