import { chmod, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser } from 'playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { signInByHttp, type Upstream } from '../../../app/cli/demo/upstream.ts';
import { type PlannedServer, picture, plannedServer, statusIs } from '../../support/app.ts';
import { callTool, givenClient, givenFolder, givenUpstream } from '../../support/broker.ts';
import { givenPage, launchBrowser, missingBrowser } from '../../support/browser.ts';
import { type Desktop, givenDesktop, missingDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, startApp } from '../../support/electron.ts';
import { freePort } from '../../support/free-port.ts';
import { fusesThatAreOn, PRODUCT_FUSES } from '../../support/fuses.ts';
import { onPath, tokenRequests } from '../../support/login.ts';
import { givenStartablePackage, missingStartablePackage } from '../../support/packages.ts';
import { card, fileUntil, openStatusWindow } from '../../support/status-window.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';

const ON_LINUX = process.platform === 'linux';
const missing = missingStartablePackage() ?? (ON_LINUX ? (missingElectron() ?? missingBrowser()) : undefined);
if (missing !== undefined) process.stderr.write(`The packaged app is not started. ${missing}\n`);
const noTray = missing ?? missingDesktop();

/** Where a person's programs find the screen and the keyring; on macOS the machine's own. */
function givenSurroundings(): () => Pick<Desktop, 'env'> {
  if (ON_LINUX) return givenDesktop();
  const { HOME = '', PATH = '', USER = '', TMPDIR = '' } = process.env;
  return () => ({ env: { HOME, PATH, USER, TMPDIR } });
}

function givenLastingUpstream(): Promise<Upstream> {
  return givenUpstream({ authorizationServer: { accessTokenSeconds: 3_600 } });
}

async function addThrough({ mcpUrl }: PlannedServer): Promise<string> {
  return callTool(await givenClient(mcpUrl), 'add', { a: 2, b: 3 });
}

describe.runIf(missing === undefined)('the packaged app', { timeout: 60_000 }, () => {
  const packaged = givenStartablePackage();
  const surroundings = givenSurroundings();

  it('has its fuses set', async () => {
    expect(await fusesThatAreOn(packaged().fuses)).toEqual(PRODUCT_FUSES);
  });

  it('logs in, serves a call, and has kept the login when it is started again', async () => {
    const upstream = await givenLastingUpstream();
    const server = await plannedServer(upstream.mcpUrl);
    const stateDir = await givenFolder();
    const start = () =>
      startApp({
        executable: packaged().executable,
        desktop: surroundings(),
        stateDir,
        env: { ...server.env, KEYCHAIN_SERVICE: `mcp-auth-proxy test ${server.port}` },
      });
    const log = path.join(stateDir, 'app.log');
    const status = async () =>
      (await fetch(`${server.url}/oauth/status`)).json() as Promise<{ state: string }>;

    const first = start();
    await fileUntil(log, /Listening/);
    expect(await status()).toMatchObject({ state: 'logged_out' });
    expect(await signInByHttp(`${server.url}/oauth/login`, { follow: true })).toMatchObject({ status: 200 });
    expect(await addThrough(server)).toBe('5');
    first.child.kill('SIGTERM');
    expect(await first.ended).toBe(0);

    start();
    await fileUntil(log, /Listening.*Listening/s);
    expect(await addThrough(server)).toBe('5');
    expect(await status()).toMatchObject({ state: 'authenticated' });
    expect(tokenRequests(upstream, 'authorization_code')).toHaveLength(1);
    expect((await fetch(`${server.url}/oauth/logout`, { method: 'POST' })).status).toBe(200);
  });

  describe.runIf(noTray === undefined)('on a desktop', () => {
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

    /** A browser as the desktop starts it, by `xdg-open`; here it only tells what it was to open. */
    async function givenDefaultBrowser(): Promise<{
      env: Record<string, string>;
      opened(): Promise<string>;
    }> {
      const folder = await givenFolder();
      const program = path.join(folder, 'xdg-open');
      const opened = path.join(folder, 'opened');
      await writeFile(program, `#!/bin/sh\nprintf '%s\\n' "$1" > '${opened}'\n`);
      await chmod(program, 0o755);
      return {
        env: { PATH: `${folder}${path.delimiter}${desktop().env.PATH}` },
        opened: async () => (await fileUntil(opened, /\n/)).trim(),
      };
    }

    it('leads through a login in the browser and a call from its tray, starts at login, and quits', async () => {
      const upstream = await givenLastingUpstream();
      const server = await plannedServer(upstream.mcpUrl);
      const { env, opened } = await givenDefaultBrowser();
      const config = await givenFolder();
      const running = startApp({
        executable: packaged().executable,
        desktop: desktop(),
        stateDir: config,
        env: { ...server.env, ...env, STATE_DIR: '', XDG_STATE_HOME: config, XDG_CONFIG_HOME: config },
      });
      await tray.waitForMenu(statusIs(/logged out/));
      await tray.click('Log in with browser…');
      const { page } = await givenPage(browser);
      await page.goto(await opened());
      await page.getByRole('button', { name: 'Allow' }).click();
      await tray.waitForMenu(statusIs(/: logged in/));
      expect(await addThrough(server)).toBe('5');

      await tray.click('Start at login');
      await tray.waitForMenu((menu) =>
        menu.some(({ label, checked }) => label === 'Start at login' && checked),
      );
      expect(await readFile(path.join(config, 'autostart', 'mcp-auth-proxy.desktop'), 'utf8')).toContain(
        `Exec="${packaged().executable}"`,
      );

      await tray.click('Quit MCP Auth Proxy');
      expect(await running.ended).toBe(0);
      // Its own folder, not that of an app which is started from its source.
      expect(await readFile(path.join(config, 'mcp-auth-proxy', 'app.log'), 'utf8')).toContain('Stopped');
    });

    it('logs in in a window of its own', async () => {
      const upstream = await givenLastingUpstream();
      // Nobody can press a button in the window from outside: the server signs in by itself whoever comes by a browser.
      upstream.authorizationServer.behaviour.respond = onPath('/authorize', async (request, response) => {
        if (!request.headers['user-agent']?.includes('Chrome/')) return false;
        const callback = await signInByHttp(`${upstream.issuer}${request.url}`);
        response.writeHead(302, { location: callback }).end();
        return true;
      });
      const server = await plannedServer(upstream.mcpUrl);
      startApp({
        executable: packaged().executable,
        desktop: desktop(),
        stateDir: await givenFolder(),
        env: server.env,
      });
      await tray.waitForMenu(statusIs(/logged out/));
      await tray.click('Log in…');
      await tray.waitForMenu(statusIs(/: logged in/));
      expect(await addThrough(server)).toBe('5');
    });

    it('shows its window out of the archive', async () => {
      const upstream = await givenLastingUpstream();
      const server = await plannedServer(upstream.mcpUrl);
      // The same archive in an Electron that lets a debugger look at the page.
      const running = await launchApp({
        folder: path.join(packaged().resources, 'app.asar'),
        desktop: desktop(),
        stateDir: await givenFolder(),
        env: server.env,
      });
      await tray.waitForMenu(statusIs(/logged out/));
      const window = await openStatusWindow(running, tray);
      await card(window, new URL(upstream.mcpUrl).host).getByText('Logged out', { exact: true }).waitFor();
      await picture(window, 'packaged');
    });

    it('runs nothing but itself and lets no debugger in, whatever asks for it', async () => {
      const server = await plannedServer((await givenLastingUpstream()).mcpUrl);
      const folder = await givenFolder();
      const injected = path.join(folder, 'injected');
      const script = path.join(folder, 'script.cjs');
      await writeFile(script, `require('node:fs').writeFileSync(${JSON.stringify(injected)}, '')`);
      const [debugPort, inspectPort] = [await freePort(), await freePort()];
      const running = startApp({
        executable: packaged().executable,
        desktop: desktop(),
        stateDir: folder,
        env: { ...server.env, ELECTRON_RUN_AS_NODE: '1', NODE_OPTIONS: `--require=${script}` },
        args: [`--remote-debugging-port=${debugPort}`, `--inspect=${inspectPort}`, script],
      });
      await tray.waitForMenu(statusIs(/logged out/));
      expect((await fetch(`${server.url}/health`)).status).toBe(200);
      for (const port of [debugPort, inspectPort]) {
        await expect(fetch(`http://127.0.0.1:${port}/json/version`)).rejects.toThrow();
      }
      await expect(readFile(injected)).rejects.toThrow();
      expect(running.output()).not.toContain('listening on ws:');
    });
  });
});
