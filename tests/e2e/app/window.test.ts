import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { inspect } from '../../support/accessibility.ts';
import { signIn } from '../../support/app.ts';
import { callTool, givenClient, givenFolder, givenUpstream, rpc } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, type RunningApp } from '../../support/electron.ts';
import { freePort } from '../../support/free-port.ts';
import {
  card,
  fileUntil,
  folderUntil,
  folderWith,
  openStatusWindow,
  settingsUntil,
  show,
} from '../../support/status-window.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`The window of the app is not tested. ${missing}\n`);

/** What the main process has been asked, as a test sees it. */
type MainGlobals = typeof globalThis & { openedFile: Promise<string> };

const REVISION = /It speaks MCP \d{4}-\d\d-\d\d/;

/** What the app has copied last. */
function clipboardOf({ app }: RunningApp): Promise<string> {
  return app.evaluate(({ clipboard }) => clipboard.readText());
}

/** A web server that is no MCP server. */
async function givenWebsite(): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Hello</title>');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

describe.runIf(missing === undefined)('the window', { timeout: 90_000 }, () => {
  const desktop = givenDesktop();
  let tray: TrayHost;
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    onTestFinished(() => tray.stop());
  });

  it('looks at a URL while it is typed', async () => {
    const running = await launchApp({ desktop: desktop(), stateDir: await givenFolder() });
    const window = await running.statusWindow();
    await window.getByRole('heading', { name: 'Log in once, for every MCP client' }).waitFor();
    const url = window.getByLabel('URL of the MCP server');
    await url.and(window.locator(':focus')).waitFor();
    expect(await window.getByRole('textbox').count()).toBe(1);
    await inspect(running, window, 'empty');

    const guarded = await givenUpstream();
    const open = await givenUpstream({ mcpServer: { requireAuth: false } });
    const report = window.locator('.report');
    const { host } = new URL(guarded.mcpUrl);
    await url.fill(guarded.mcpUrl);
    await report.getByText(`${host} is there`).waitFor();
    expect(await report.textContent()).toContain(`It wants a login, at ${new URL(guarded.issuer).host}.`);
    expect(await report.textContent()).toMatch(REVISION);
    await window.getByRole('button', { name: 'Add and log in' }).waitFor();
    await inspect(running, window, 'check-login');

    await url.fill(open.mcpUrl);
    await report.getByText('It needs no login.').waitFor();
    expect(await report.textContent()).toMatch(REVISION);
    await window.getByRole('button', { name: 'Add server' }).waitFor();

    const dead = `127.0.0.1:${await freePort()}`;
    await url.fill(`http://${dead}/mcp`);
    await report.getByText('Not reachable').waitFor();
    expect(await report.textContent()).toContain(dead);
    await window.getByRole('button', { name: 'Add anyway' }).waitFor();
    await inspect(running, window, 'check-dead');

    await url.fill(await givenWebsite());
    await report.getByText('Not an MCP server').waitFor();
    expect(await report.textContent()).toContain('a web page');

    await url.fill('http://mcp.example.com/mcp');
    await report.getByText('must use https:').waitFor();
    await inspect(running, window, 'check-bad-url');
  });

  it('leads by keyboard alone from nothing to a call, and shows no word of it', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 3_600 } });
    const [name, port] = ['By keyboard', await freePort()];
    const stateDir = await givenFolder();
    const running = await launchApp({ desktop: desktop(), stateDir });
    const window = await running.statusWindow();
    const { keyboard } = window;
    const url = window.getByLabel('URL of the MCP server');
    await url.and(window.locator(':focus')).waitFor();
    await keyboard.type(upstream.mcpUrl);
    await keyboard.press('Tab');
    await keyboard.press('Enter');
    await keyboard.press('Tab');
    await keyboard.type(name);
    await keyboard.press('Tab');
    await keyboard.type(String(port));
    await inspect(running, window, 'more-options');
    await keyboard.press('Enter');
    await signIn(running, upstream);

    const server = card(window, name);
    await server.getByText('Logged in', { exact: true }).waitFor();
    const text = await server.textContent();
    expect(text).toContain('mcp:tools');
    expect(text).toMatch(/Access token expires in (59 min|1 hour)/);
    expect(text).toContain('until it is revoked');
    expect(text).toContain(upstream.issuer);
    await inspect(running, window, 'logged-in');

    const mcpUrl = `http://127.0.0.1:${port}/mcp`;
    expect(text).toContain(mcpUrl);
    const focused = () => window.evaluate<string>('document.activeElement?.getAttribute("aria-label") ?? ""');
    const tabTo = async (label: RegExp) => {
      for (let presses = 0; presses < 20 && !label.test(await focused()); presses++)
        await keyboard.press('Tab');
      expect(await focused()).toMatch(label);
    };
    await tabTo(/^Copy: /);
    await keyboard.press('Enter');
    await window.getByText('Copied the local MCP URL.').waitFor();
    expect(await clipboardOf(running)).toBe(mcpUrl);
    await tabTo(/^Add to client/);
    await keyboard.press('Enter');
    await window.getByRole('menu').waitFor();
    await inspect(running, window, 'clients');
    await keyboard.press('g');
    await keyboard.press('Enter');
    await window.getByText('Copied the command for Gemini CLI.').waitFor();
    expect(await clipboardOf(running)).toMatch(
      /^gemini mcp add --scope user --transport http by-keyboard http:/,
    );
    expect(await clipboardOf(running)).toContain(mcpUrl);
    await tabTo(/^Add to client/);
    await keyboard.press('ArrowDown');
    await keyboard.press('c');
    await keyboard.press('c');
    await keyboard.press('c');
    await keyboard.press('Enter');
    await window.getByText('Copied the snippet for Cursor.').waitFor();
    expect(JSON.parse(await clipboardOf(running))).toEqual({
      mcpServers: { 'by-keyboard': { url: mcpUrl } },
    });

    // Calls appear as they are made.
    const activity = await show(window, 'Activity');
    await activity.getByText('No calls yet').waitFor();
    await inspect(running, window, 'activity-empty');
    const client = await givenClient(mcpUrl);
    await activity.getByRole('row', { name: /initialize\b.*200/ }).waitFor();
    expect(await callTool(client, 'echo', { text: 'for-the-server-alone-7391' })).toBe(
      'for-the-server-alone-7391',
    );
    const row = activity.getByRole('row', { name: /tools\/call/ });
    await row.waitFor();
    await row.getByRole('cell', { name }).waitFor();
    await row.getByRole('cell', { name: /\b200$/ }).waitFor();
    await row.getByRole('cell', { name: /^\d+ ms$/ }).waitFor();
    const refused = await fetch(mcpUrl, { ...rpc('ping'), headers: { origin: 'https://evil.example' } });
    expect(refused.status).toBe(403);
    expect(await window.content()).not.toContain('7391');
    await inspect(running, window, 'activity');

    const log = await show(window, 'Log');
    await log.getByText('Listening').waitFor();
    await inspect(running, window, 'log');
    const lines = await readFile(path.join(stateDir, 'app.log'), 'utf8');
    expect(lines).toContain('Listening');
    for (const place of [lines, await window.content()]) {
      expect(place).not.toContain('7391');
      expect(place).not.toMatch(/[?&](code|state)=[^…]|Bearer \S{4}/);
    }
  });

  it('applies settings at once and keeps them', async () => {
    const upstream = await givenUpstream();
    const port = await freePort();
    const stateDir = await folderWith({
      servers: [{ id: 'one', name: 'One', upstreamMcpUrl: upstream.mcpUrl, port }],
    });
    const running = await launchApp({ desktop: desktop(), stateDir });
    const window = await openStatusWindow(running, tray);
    await card(window, 'One').getByRole('button', { name: 'Log in with browser: One' }).waitFor();
    const settings = await show(window, 'Settings');
    await inspect(running, window, 'settings');

    await settings.getByLabel('Log level').selectOption('debug');
    await settingsUntil(stateDir, ({ logLevel }) => logLevel === 'debug');
    await settings.getByLabel('In your browser').check();
    await settings.getByRole('switch', { name: 'Open the login when a call needs one' }).check();
    const wait = settings.getByLabel('Calls wait for a login');
    await wait.fill('700');
    await wait.press('Enter');
    await settings.getByText('Enter a whole number from 0 to 600.').waitFor();
    await wait.fill('0');
    await wait.press('Enter');
    const saved = await settingsUntil(stateDir, ({ loginWaitSeconds }) => loginWaitSeconds === 0);
    expect(saved).toMatchObject({
      version: 1,
      loginWay: 'browser',
      loginOnDemand: true,
      loginWaitSeconds: 0,
      logLevel: 'debug',
      servers: [{ id: 'one', port }],
    });
    await settings.getByRole('switch', { name: 'Open the login when a call needs one' }).uncheck();
    await settingsUntil(stateDir, ({ loginOnDemand }) => loginOnDemand === false);

    // Nobody waits any more, and the log has become talkative.
    await show(window, 'Servers');
    await card(window, 'One').getByRole('button', { name: 'Log in in this app: One' }).waitFor();
    const answer = await fetch(`http://127.0.0.1:${port}/mcp`, rpc('initialize'));
    expect(await answer.json()).toMatchObject({ error: { data: { error: 'not_authenticated' } } });
    await fileUntil(path.join(stateDir, 'app.log'), /^\S+ debug +request /m);
    const log = await show(window, 'Log');
    await log.getByText('debug').first().waitFor();
    await log.getByLabel('Show', { exact: true }).selectOption('error');
    await log.getByText('Nothing to show').waitFor();
    await log.getByLabel('Show', { exact: true }).selectOption('debug');
    await log.getByRole('button', { name: 'Copy the lines shown' }).click();
    await window.getByText(/^Copied \d+ lines\.$/).waitFor();
    expect(await clipboardOf(running)).toContain('Listening');
    await running.app.evaluate(({ shell }) => {
      (globalThis as MainGlobals).openedFile = new Promise((resolve) => {
        shell.openPath = async (file) => {
          resolve(file);
          return '';
        };
      });
    });
    await log.getByRole('button', { name: 'Open log file' }).click();
    const openedFile = await running.app.evaluate(() => (globalThis as MainGlobals).openedFile);
    expect(openedFile).toBe(path.join(stateDir, 'app.log'));
    await running.close();

    const again = await launchApp({ desktop: desktop(), stateDir });
    const next = await show(await openStatusWindow(again, tray), 'Settings');
    expect(await next.getByLabel('In your browser').isChecked()).toBe(true);
    expect(await next.getByLabel('Calls wait for a login').inputValue()).toBe('0');
    expect(await next.getByLabel('Log level').inputValue()).toBe('debug');
  });

  it('edits a server while it runs, never shows its secret, and removes it with its login', async () => {
    const [before, after] = [await freePort(), await freePort()];
    const secret = 'client-secret-that-nobody-sees-5512';
    const upstream = await givenUpstream({
      authorizationServer: {
        accessTokenSeconds: 3_600,
        registration: false,
        clients: [
          {
            client_id: 'team',
            client_secret: secret,
            redirect_uris: [`http://127.0.0.1:${after}/oauth/callback`],
            grant_types: ['authorization_code', 'refresh_token'],
          },
        ],
      },
    });
    const stateDir = await folderWith({
      servers: [{ id: 'one', name: 'One', upstreamMcpUrl: upstream.mcpUrl, port: before }],
    });
    const running = await launchApp({ desktop: desktop(), stateDir });
    const window = await openStatusWindow(running, tray);
    await card(window, 'One').getByText('Logged out').waitFor();
    expect((await fetch(`http://127.0.0.1:${before}/health`)).ok).toBe(true);

    await card(window, 'One').getByRole('button', { name: 'Edit: One' }).click();
    const form = window.getByRole('dialog');
    await form.getByLabel('Local port').fill('99999');
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText('Local port must be a whole number from 1 to 65535.').waitFor();
    await form.getByLabel('Local port').fill(String(after));
    await form.getByLabel('Name', { exact: true }).fill('Renamed');
    await form.getByLabel('Client ID').fill('team');
    await form.getByLabel('Client secret', { exact: true }).fill(secret);
    await inspect(running, window, 'edit');
    await form.getByRole('button', { name: 'Save' }).click();
    await form.waitFor({ state: 'detached' });
    const server = card(window, 'Renamed');
    await server.getByText(`http://127.0.0.1:${after}/mcp`).waitFor();
    await server.getByText('Logged out').waitFor();
    expect((await fetch(`http://127.0.0.1:${after}/health`)).ok).toBe(true);
    await expect(fetch(`http://127.0.0.1:${before}/health`)).rejects.toThrow();

    const { servers } = await settingsUntil(stateDir, ({ servers: [first] }) => first?.name === 'Renamed');
    expect(servers).toEqual([
      {
        id: 'one',
        name: 'Renamed',
        upstreamMcpUrl: upstream.mcpUrl,
        port: after,
        clientId: 'team',
        clientSecret: { sealed: expect.any(String) },
      },
    ]);
    expect(JSON.stringify(servers)).not.toContain(secret);

    // It never comes back, and is used all the same.
    await server.getByRole('button', { name: 'Edit: Renamed' }).click();
    await form.getByText('Stored, and never shown.').waitFor();
    expect(await form.getByLabel('Client secret', { exact: true }).inputValue()).toBe('');
    const answer = await window.evaluate(async () => {
      const { mcpAuthProxy } = globalThis as unknown as {
        mcpAuthProxy: { request(channel: string, request?: unknown): Promise<unknown> };
      };
      return JSON.stringify([
        await mcpAuthProxy.request('server:form', { id: 'one' }),
        await mcpAuthProxy.request('app:view'),
      ]);
    });
    expect(answer).toContain('"clientSecretPresent":true');
    expect(answer).not.toContain(secret);
    await form.getByRole('button', { name: 'Save' }).click();
    await form.waitFor({ state: 'detached' });
    await server.getByRole('button', { name: 'Log in: Renamed' }).click();
    await signIn(running, upstream);
    await server.getByText('Logged in', { exact: true }).waitFor();
    const secrets = path.join(stateDir, 'secrets');
    await folderUntil(secrets, (names) => names.some((name) => name.endsWith('.json')));

    await server.getByRole('button', { name: 'Remove: Renamed' }).click();
    const question = window.getByRole('alertdialog', { name: 'Remove Renamed?' });
    await question.waitFor();
    await inspect(running, window, 'remove');
    await window.keyboard.press('Escape');
    await question.waitFor({ state: 'detached' });
    await server.waitFor();
    const revoked = upstream.authorizationServer.requests.next(({ path: at }) => at === '/revoke');
    await server.getByRole('button', { name: 'Remove: Renamed' }).click();
    await question.getByRole('button', { name: 'Remove' }).click();
    await window.getByRole('heading', { name: 'Log in once, for every MCP client' }).waitFor();
    expect(await revoked).toMatchObject({ method: 'POST', clientId: 'team' });
    await settingsUntil(stateDir, (settings) => settings.servers.length === 0);
    await folderUntil(secrets, (names) => !names.some((name) => name.endsWith('.json')));
    expect(await readFile(path.join(stateDir, 'app.log'), 'utf8')).not.toContain(secret);
  });
});
