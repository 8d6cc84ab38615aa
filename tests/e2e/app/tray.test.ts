import type { Browser } from 'playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { setupFor } from '../../../main/clients.ts';
import { plannedServer, signIn, statusIs, windowTitles } from '../../support/app.ts';
import { callTool, givenClient, givenFolder, givenUpstream } from '../../support/broker.ts';
import { givenPage, launchBrowser, missingBrowser } from '../../support/browser.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, type RunningApp } from '../../support/electron.ts';
import { startTrayHost, type TrayEntry, type TrayHost } from '../../support/tray-host.ts';

const missing = missingElectron() ?? missingBrowser();
if (missing !== undefined) process.stderr.write(`The tray of the app is not tested. ${missing}\n`);

/** What a menu says, as a person reads it; what cannot be clicked is in brackets. */
function labels(menu: readonly TrayEntry[]): string[] {
  return menu.map(({ type, enabled, label }) =>
    type === 'separator' ? '—' : enabled ? label : `[${label}]`,
  );
}

/** What the app has copied last. */
function clipboardOf({ app }: RunningApp): Promise<string> {
  return app.evaluate(({ clipboard }) => clipboard.readText());
}

/**
 * Takes the place of the system's browser.
 * @returns what waits for the page it would have opened
 */
async function watchBrowser({ app }: RunningApp): Promise<() => Promise<string>> {
  type Watched = typeof globalThis & { opened: Promise<string> };
  await app.evaluate(({ shell }) => {
    (globalThis as Watched).opened = new Promise((resolve) => {
      shell.openExternal = async (url) => resolve(url);
    });
  });
  return () => app.evaluate(() => (globalThis as Watched).opened);
}

describe.runIf(missing === undefined)('the tray', { timeout: 60_000 }, () => {
  const desktop = givenDesktop();
  let tray: TrayHost;
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    onTestFinished(() => tray.stop());
  });

  async function givenApp(env: Record<string, string>): Promise<RunningApp> {
    return launchApp({ desktop: desktop(), stateDir: await givenFolder(), env });
  }

  it('leads through a login in the window, a call and a logout', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 3_600 } });
    const server = await plannedServer(upstream.mcpUrl);
    const running = await givenApp(server.env);
    const { host } = new URL(upstream.mcpUrl);

    const before = await tray.waitForMenu(statusIs(/logged out/));
    expect(labels(before)).toEqual([
      `[${host}: logged out]`,
      'Log in…',
      'Log in with browser…',
      '[Log out]',
      'Copy MCP URL',
      'Add to',
      '—',
      'Open MCP Auth Proxy',
      'Open log',
      '[Start at login]',
      'About MCP Auth Proxy',
      '—',
      'Quit MCP Auth Proxy',
    ]);

    await tray.click('Log in…');
    await tray.waitForMenu(statusIs(/logging in/));
    await signIn(running, upstream);
    const after = await tray.waitForMenu(statusIs(/logged in/));
    expect(after[0]?.label).toMatch(/: logged in, .*expires in (59 min|1 h)/);
    expect(labels(after).slice(1, 4)).toEqual(['[Log in…]', '[Log in with browser…]', 'Log out']);
    expect(await windowTitles(running)).toEqual([]);

    const client = await givenClient(server.mcpUrl);
    expect(await callTool(client, 'add', { a: 2, b: 3 })).toBe('5');

    await tray.click('Copy MCP URL');
    expect(await clipboardOf(running)).toBe(server.mcpUrl);
    await tray.click('Add to', 'Claude Code');
    expect(await clipboardOf(running)).toBe(
      setupFor('claude-code', { name: host, mcpUrl: server.mcpUrl, apiKeyRequired: false }).text,
    );

    await tray.click('Log out');
    const out = await tray.waitForMenu(statusIs(/logged out/));
    expect(labels(out).slice(1, 4)).toEqual(['Log in…', 'Log in with browser…', '[Log out]']);
  });

  it('leads through a login in the browser, which ends on a page and in the menu', async () => {
    const upstream = await givenUpstream();
    const server = await plannedServer(upstream.mcpUrl);
    const running = await givenApp(server.env);
    await tray.waitForMenu(statusIs(/logged out/));
    const opened = await watchBrowser(running);
    await tray.click('Log in with browser…');
    await tray.waitForMenu(statusIs(/logging in/));
    const url = await opened();
    expect(url.startsWith(upstream.issuer)).toBe(true);

    const { page } = await givenPage(browser);
    await page.goto(url);
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByRole('heading', { name: /logged in/i }).waitFor();
    await tray.waitForMenu(statusIs(/: logged in/));
  });

  it('has a submenu for each of several servers, and quits', async () => {
    const upstream = await givenUpstream();
    const server = await plannedServer(upstream.mcpUrl);
    const running = await givenApp(server.env);
    await tray.waitForMenu(statusIs(/logged out/));

    await tray.click('Open MCP Auth Proxy');
    const window = await running.statusWindow();
    await window.getByRole('button', { name: /add server/i }).click();
    const form = window.getByRole('dialog');
    await form.getByLabel('URL of the MCP server').fill('http://127.0.0.1:1/mcp');
    await form.getByRole('button', { name: 'Add anyway' }).click();
    const menu = await tray.waitForMenu((entries) => entries[1]?.label.startsWith('127.0.0.1:1:') ?? false);
    expect(labels(menu).slice(0, 3)).toEqual([
      `${new URL(upstream.mcpUrl).host}: logged out`,
      expect.stringMatching(/^127\.0\.0\.1:1: /),
      '—',
    ]);
    expect(labels(menu[1]?.submenu ?? [])).toEqual(
      expect.arrayContaining(['Log in…', 'Log in with browser…', '[Log out]', 'Copy MCP URL', 'Add to']),
    );

    const closed = running.app.waitForEvent('close');
    await tray.click('Quit MCP Auth Proxy');
    await closed;
    await tray.waitUntilEmpty();
    await expect(fetch(`${server.url}/health`)).rejects.toThrow();
  });
});
