import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Page } from 'playwright';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Upstream } from '../../../app/cli/demo/upstream.ts';
import { accountOf } from '../../../app/oauth/login-record.ts';
import { createFileStore } from '../../../app/store/file.ts';
import { createKeychainStore } from '../../../app/store/keychain.ts';
import type { SecretStore } from '../../../app/store/secret-store.ts';
import type { Bridge, Outcome } from '../../../main/ipc/contract.ts';
import { picture, plannedServer, signIn, statusIs } from '../../support/app.ts';
import { callTool, givenClient, givenFolder, givenUpstream } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, type RunningApp } from '../../support/electron.ts';
import { altering, givenKeychain, onPath, outcomeOf, tokenRequests } from '../../support/login.ts';
import { folderWith } from '../../support/status-window.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`Logins that outlast the app are not tested. ${missing}\n`);

/** The app's name when it runs from its source; its items are named after it. */
const APP_NAME = 'MCP Auth Proxy Development';
const SERVICE = 'mcp-auth-proxy-refresh-token';
const API_KEY = 'the-key-of-the-callers-0815';
const SERVER_ID = 'demo';
const CLIENT_ID = 'fixed-client';
const CLIENT_SECRET = 'the-secret-of-the-client-4711';
/** What begins an item that safeStorage has encrypted, and the ciphertext in it when a keyring holds the key. */
const ITEM = /^safe-storage:v1:(?<ciphertext>[A-Za-z0-9+/]+={0,2})$/;
const KEYRING_CIPHERTEXT = /^v11/;

const ANSWERED = ['access_token', 'refresh_token', 'id_token', 'client_secret', 'registration_access_token'];
const ASKED = ['code', 'code_verifier', 'refresh_token', 'token', 'client_secret'];

interface WatchedUpstream {
  readonly upstream: Upstream;
  /** Every secret that has passed between it and its clients. */
  readonly secrets: ReadonlySet<string>;
}

async function givenWatchedUpstream(): Promise<WatchedUpstream> {
  const secrets = new Set<string>();
  const keep = (value: unknown) => {
    if (typeof value === 'string' && value !== '') secrets.add(value);
  };
  const upstream = await givenUpstream({
    authorizationServer: {
      accessTokenSeconds: 300,
      respond: onPath(
        /^\/(token|register)$/,
        altering((json) => {
          for (const name of ANSWERED) keep(json[name]);
          return json;
        }),
      ),
      clients: [
        {
          client_id: CLIENT_ID,
          client_secret: CLIENT_SECRET,
          redirect_uris: ['http://127.0.0.1/oauth/callback'],
          application_type: 'native',
          grant_types: ['authorization_code', 'refresh_token'],
          token_endpoint_auth_method: 'client_secret_basic',
        },
      ],
      onTokenRequest: (body) => {
        for (const name of ASKED) keep(body.get(name));
      },
    },
    mcpServer: { onRequest: ({ headers }) => keep(headers.authorization?.replace(/^Bearer /, '')) },
  });
  return { upstream, secrets };
}

type StatusPage = typeof globalThis & { mcpAuthProxy: Bridge; heard: unknown[] };

/** Keeps all that the main process tells this page from now on. */
async function listenIn(page: Page): Promise<void> {
  await page.evaluate(() => {
    const self = globalThis as StatusPage;
    self.heard = [];
    for (const channel of ['app:changed', 'calls:new', 'log:new'] as const)
      self.mcpAuthProxy.subscribe(channel, (message) => void self.heard.push(message));
  });
}

function changeLogLevel(page: Page): Promise<Outcome> {
  return page.evaluate(() =>
    (globalThis as StatusPage).mcpAuthProxy.request('app:change-settings', { logLevel: 'debug' }),
  );
}

/** All that the page has heard, what it is told when it asks, and what it shows. */
async function everythingIn(page: Page): Promise<string> {
  const said = await page.evaluate(async (serverId) => {
    const { heard, mcpAuthProxy } = globalThis as StatusPage;
    const answers = await Promise.all([
      mcpAuthProxy.request('app:view'),
      mcpAuthProxy.request('calls:recent'),
      mcpAuthProxy.request('log:recent'),
      mcpAuthProxy.request('server:form', { id: serverId }),
    ]);
    return JSON.stringify([heard, answers]);
  }, SERVER_ID);
  return said + (await page.content());
}

/** The names and contents of all files below a folder. */
async function filesBelow(folder: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(file, await readFile(file));
  }
  return files;
}

/** Command lines of all processes that this user may see. */
async function processList(): Promise<string> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  // Those that end meanwhile are gone.
  return (await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')))).join(
    '\n',
  );
}

function isIn(secret: string, bytes: Buffer): boolean {
  return bytes.includes(secret) || bytes.includes(Buffer.from(secret, 'utf16le'));
}

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

  it('outlasts the app, and shows in no file, log, message or process list', async () => {
    const { upstream, secrets } = await givenWatchedUpstream();
    const server = await plannedServer(upstream.mcpServer.jsonUrl);
    const stateDir = await folderWith({
      servers: [
        {
          id: SERVER_ID,
          name: 'Demo',
          upstreamMcpUrl: upstream.mcpServer.jsonUrl,
          port: server.port,
          clientId: CLIENT_ID,
          clientSecret: CLIENT_SECRET,
          proxyApiKey: API_KEY,
        },
      ],
    });
    const store = createFileStore({ folder: path.join(stateDir, 'secrets') });
    const shown: string[] = [];
    const callWithKey = async () => {
      const answer = await fetch(server.mcpUrl, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          authorization: `Bearer ${API_KEY}`,
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'initialize',
          params: {
            protocolVersion: '2025-06-18',
            capabilities: {},
            clientInfo: { name: 'test', version: '1' },
          },
        }),
      });
      expect(await answer.text()).toContain('"result"');
    };

    const first = await launchApp({ desktop: desktop(), stateDir });
    await tray.waitForMenu(statusIs(/logged out/));
    await tray.click('Open MCP Auth Proxy');
    const firstWindow = await first.statusWindow();
    await firstWindow.getByRole('article').waitFor();
    await listenIn(firstWindow);
    // With the first change that the app saves, it also seals what the person has written into the file.
    expect(await changeLogLevel(firstWindow)).toEqual({ ok: true });
    await logIn(first, upstream);
    await callWithKey();
    upstream.mcpServer.rejectCurrentTokens();
    await callWithKey();
    await tray.waitForMenu(statusIs(/refreshed/));
    shown.push(await processList(), await everythingIn(firstWindow));
    await quit(first);
    shown.push(first.output());
    expectEncrypted(await storedItem(store, upstream));

    upstream.authorizationServer.requests.clear();
    const second = await launchApp({ desktop: desktop(), stateDir });
    await tray.waitForMenu(statusIs(/: logged in/));
    await callWithKey();
    expect(tokenRequests(upstream)).toHaveLength(1);
    expect(upstream.authorizationServer.requests.entries.map(({ path: at }) => at)).not.toContain(
      '/authorize',
    );
    await tray.click('Open MCP Auth Proxy');
    const secondWindow = await second.statusWindow();
    await secondWindow.getByRole('article').waitFor();
    shown.push(await processList(), await everythingIn(secondWindow));
    const files = new Map([...(await filesBelow(stateDir)), ...(await filesBelow(desktop().env.HOME ?? ''))]);

    await tray.click('Log out');
    await tray.waitForMenu(statusIs(/logged out/));
    await quit(second);
    expect(await storedItem(store, upstream)).toBeUndefined();
    shown.push(second.output());
    for (const [file, content] of await filesBelow(stateDir)) files.set(`${file} after the logout`, content);

    // The tokens of a login and two refreshes, its code and its verifier.
    expect(secrets.size).toBeGreaterThanOrEqual(8);
    const log = path.join(stateDir, 'app.log after the logout');
    expect(files.get(log)?.toString()).toMatch(/ Logged in .* Access token refreshed .* Logged out /s);
    files.set('what is shown', Buffer.from(shown.join('\n')));
    const placesOf = (text: string) =>
      [...files].filter(([, content]) => isIn(text, content)).map(([place]) => place);
    // What is there is found.
    expect(placesOf(upstream.issuer)).toEqual(expect.arrayContaining([log, 'what is shown']));
    for (const secret of [...secrets, CLIENT_SECRET, API_KEY])
      expect(placesOf(secret), `${secret.slice(0, 4)}…`).toEqual([]);
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
    const seen = Buffer.from(JSON.stringify([calls, items]));
    expect([...secrets].filter((secret) => isIn(secret, seen))).toEqual([]);
  });
});
