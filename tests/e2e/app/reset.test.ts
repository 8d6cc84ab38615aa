import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { chromium, type Page } from 'playwright';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { faultsOf } from '../../support/accessibility.ts';
import { picture, statusIs } from '../../support/app.ts';
import { givenUpstream } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { type AppOptions, missingElectron, startApp } from '../../support/electron.ts';
import { freePort } from '../../support/free-port.ts';
import { givenKeychain } from '../../support/login.ts';
import { folderWith, show } from '../../support/status-window.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`That everything can be reset is not tested. ${missing}\n`);

const SERVICE = 'mcp-auth-proxy-refresh-token';

/** Ends whatever runs with this folder: the app that starts anew is nobody's child. */
async function endAppsOf(stateDir: string): Promise<void> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const id of ids) {
    const environment = await readFile(`/proc/${id}/environ`, 'utf8').catch(() => '');
    if (!environment.split('\0').includes(`STATE_DIR=${stateDir}`)) continue;
    try {
      process.kill(Number(id), 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

describe.runIf(missing === undefined)('a reset', { timeout: 90_000 }, () => {
  const desktop = givenDesktop();
  let tray: TrayHost;
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    onTestFinished(() => tray.stop());
  });

  /** Starts the app as a person does: what holds a debugger's hand cannot start anew. Its pages can be looked at all the same. */
  async function givenApp({ stateDir, env = {} }: Pick<AppOptions, 'stateDir' | 'env'>) {
    const port = await freePort();
    const args = [`--remote-debugging-port=${port}`];
    const { ended } = startApp({ desktop: desktop(), stateDir, env, args });
    onTestFinished(() => endAppsOf(stateDir));
    const debuggingUrl = `http://127.0.0.1:${port}`;
    /** Whether a page is there and has a title: a debugger that comes while its first document goes would wait for ever. */
    const isLoaded = async (prefix: string): Promise<boolean> => {
      const answer = await fetch(`${debuggingUrl}/json/list`).catch(() => undefined);
      const targets = ((await answer?.json()) ?? []) as ReadonlyArray<{ url: string; title: string }>;
      return targets.some(({ url, title }) => url.startsWith(prefix) && title !== '' && !url.includes(title));
    };
    return {
      ended,
      /** The page that the app has open there, now or soon; also of the app that has started anew. */
      async pageAt(prefix: string): Promise<Page> {
        await expect.poll(() => isLoaded(prefix), { timeout: 20_000 }).toBe(true);
        const browser = await chromium.connectOverCDP(debuggingUrl, { timeout: 20_000 });
        onTestFinished(() => browser.close());
        const page = browser
          .contexts()[0]
          ?.pages()
          .find((one) => one.url().startsWith(prefix));
        if (!page) throw new Error(`There is no page at ${prefix} any more.`);
        return page;
      },
    };
  }

  type GivenApp = Awaited<ReturnType<typeof givenApp>>;

  async function logIn(app: GivenApp, issuer: string): Promise<void> {
    await tray.waitForMenu(statusIs(/logged out/));
    await tray.click('Log in…');
    await tray.waitForMenu(statusIs(/logging in/));
    const page = await app.pageAt(issuer);
    await page.getByRole('button', { name: 'Allow' }).click();
    await tray.waitForMenu(statusIs(/: logged in/));
  }

  /** Resets everything as a person does. */
  async function resetEverything(app: GivenApp, name: string): Promise<void> {
    await tray.click('Open MCP Auth Proxy');
    const window = await app.pageAt('app://status/');
    const settings = await show(window, 'Settings');
    await settings.getByRole('button', { name: 'Reset everything…' }).click();
    const question = window.getByRole('alertdialog', { name: 'Reset everything?' });
    await question.getByRole('button', { name: 'Cancel' }).and(window.locator(':focus')).waitFor();
    await question.getByText(`You are logged out of ${name}.`).waitFor();
    expect(await faultsOf(window)).toEqual([]);
    await picture(window, 'window-reset');
    await question.getByRole('button', { name: 'Reset everything' }).click();
    expect(await app.ended).toBe(0);
  }

  async function quit(): Promise<void> {
    await tray.click('Quit MCP Auth Proxy');
    await tray.waitUntilEmpty();
  }

  /** The key by which the app encrypts, as the keyring holds it. */
  async function keyInKeyring(): Promise<string> {
    const attributes = ['xdg:schema', 'chrome_libsecret_os_crypt_password_v2'];
    const { stdout } = await promisify(execFile)('secret-tool', ['lookup', ...attributes], {
      env: desktop().env,
    });
    return stdout;
  }

  it('leaves nothing of before, and leads to the first start', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 3_600 } });
    const port = await freePort();
    const stateDir = await folderWith({
      loginWaitSeconds: 7,
      servers: [{ id: 'one', name: 'One', upstreamMcpUrl: upstream.mcpUrl, port }],
    });
    const at = (...names: string[]) => path.join(stateDir, ...names);
    await mkdir(at('chromium', 'Cache'), { recursive: true });
    const before = [
      'settings.broken-2026-01-31T12-00-00.000Z.json',
      'app.old.log',
      'chromium/planted',
      'chromium/Cache/planted',
    ];
    for (const file of [...before, 'of somebody else']) await writeFile(at(file), 'of before');
    const app = await givenApp({ stateDir });
    await logIn(app, upstream.issuer);
    expect((await readdir(at('secrets'))).some((name) => name.endsWith('.json'))).toBe(true);
    const key = await keyInKeyring();

    const { requests } = upstream.authorizationServer;
    await resetEverything(app, 'One');
    expect(requests.entries.filter(({ path: asked }) => asked === '/revoke').length).toBeGreaterThan(0);
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow();

    await tray.waitForMenu(statusIs(/^No server yet$/));
    const window = await app.pageAt('app://status/');
    await window.getByRole('heading', { name: 'Log in once, for every MCP client' }).waitFor();
    expect(await window.getByRole('button', { name: /^Dismiss/ }).count()).toBe(0);
    const settings = await show(window, 'Settings');
    expect(await settings.getByLabel('Calls wait for a login').inputValue()).toBe('20');
    await quit();
    const names = await readdir(stateDir, { recursive: true });
    expect(names.filter((name) => before.includes(name) || name.startsWith('chromium.'))).toEqual([]);
    const own = (await readdir(stateDir)).sort();
    expect(own).toEqual(['app.log', 'chromium', 'of somebody else']);
    const log = await readFile(at('app.log'), 'utf8');
    expect(log).toContain('Started');
    expect(log).not.toMatch(/Logged in|Resetting/);
    expect(await keyInKeyring()).not.toBe(key);
  });

  it('empties the Keychain, and goes on when a server cannot be told, which the next start says', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 3_600 } });
    const keychain = await givenKeychain();
    const stateDir = await folderWith({
      servers: [{ id: 'one', name: 'One', upstreamMcpUrl: upstream.mcpUrl, port: await freePort() }],
    });
    const env = { SECURITY_BIN: keychain.securityBin };
    const app = await givenApp({ stateDir, env });
    await logIn(app, upstream.issuer);
    expect(Object.keys(await keychain.items(SERVICE))).not.toEqual([]);
    await upstream.authorizationServer.close();
    await resetEverything(app, 'One');

    await tray.waitForMenu(statusIs(/^No server yet$/));
    const window = await app.pageAt('app://status/');
    const notices = window.getByRole('region', { name: 'Notices' });
    await notices.getByText('MCP Auth Proxy was reset, but not everything could be undone.').waitFor();
    await notices.getByText('Could not be told that your login has ended: One.').waitFor();
    await picture(window, 'window-after-reset');
    expect(await keychain.items(SERVICE)).toEqual({});
    expect((await readdir(stateDir)).sort()).toEqual(['app.log', 'chromium']);
    await quit();
  });
});
