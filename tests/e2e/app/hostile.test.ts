import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Page } from 'playwright';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { REQUEST_CHANNELS } from '../../../main/ipc/channels.ts';
import type { ServerInput } from '../../../main/ipc/contract.ts';
import { plannedServer } from '../../support/app.ts';
import { givenFolder } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, type RunningApp } from '../../support/electron.ts';
import { openStatusWindow, settingsUntil } from '../../support/status-window.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';
import { askForAll, askInOddShapes, leaveBy, saveAs, tryEverything } from './attacks.mjs';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`Attacks on the app are not tested. ${missing}\n`);

/** Where the attacks come from and would lead to. */
const NOWHERE = 'http://127.0.0.1:9/mcp';
/** Session of the app's own pages. */
const PARTITION = 'pages';
const STATUS_URL = 'app://status/index.html';

const CHANNELS = Object.keys(REQUEST_CHANNELS);

/** What the preload script puts into a page, for scripts that keep to no types. */
type PageGlobals = typeof globalThis & {
  mcpAuthProxy: {
    request(channel: string, ...request: unknown[]): Promise<unknown>;
    subscribe(channel: string, listener: () => void): unknown;
  };
};

/** What the main process has been asked, as a test sees it. */
type MainGlobals = typeof globalThis & { seen: string[]; download: Promise<string> };

/** Asks on every channel, as a script of the page. */
const ASK_FOR_ALL = `(${askForAll})(${JSON.stringify(CHANNELS)})`;
/** What that comes to, for those who may not. */
const REFUSALS = CHANNELS.map((channel) => `${channel}: Refused.`);

interface Trap {
  readonly origin: string;
  /** Paths that were asked for. */
  readonly asked: readonly string[];
}

/** A web server at which nothing of the app's own pages must arrive. */
async function givenTrap(): Promise<Trap> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Trap</title>');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const HARMLESS: ServerInput = {
  name: '',
  upstreamMcpUrl: 'http://127.0.0.1:9/other',
  port: '',
  scopes: '',
  profile: '',
  clientId: '',
  clientSecret: { value: '' },
  authorizationEndpoint: '',
  tokenEndpoint: '',
  issuer: '',
  probePath: '',
};

describe.runIf(missing === undefined)('against attacks', { timeout: 60_000 }, () => {
  const desktop = givenDesktop();
  let tray: TrayHost;
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    onTestFinished(() => tray.stop());
  });

  interface Scene {
    readonly running: RunningApp;
    readonly window: Page;
    readonly stateDir: string;
    readonly trap: Trap;
    log(): Promise<string>;
  }

  async function givenScene(): Promise<Scene> {
    const stateDir = await givenFolder();
    const { env } = await plannedServer(NOWHERE);
    const running = await launchApp({ desktop: desktop(), stateDir, env });
    const window = await openStatusWindow(running, tray);
    await window.getByRole('article').waitFor();
    return {
      running,
      window,
      stateDir,
      trap: await givenTrap(),
      log: () => readFile(path.join(stateDir, 'app.log'), 'utf8'),
    };
  }

  /** Resolves when the main process has dealt with everything the page has asked of it before. */
  async function settled({ running, window }: Scene): Promise<void> {
    await window.evaluate(() => (globalThis as unknown as PageGlobals).mcpAuthProxy.request('app:view'));
    await running.app.evaluate(() => undefined);
  }

  it('the window leads nowhere else', async () => {
    const scene = await givenScene();
    const { running, window, trap } = scene;
    await running.app.evaluate(({ BrowserWindow }) => {
      const seen: string[] = [];
      (globalThis as MainGlobals).seen = seen;
      BrowserWindow.getAllWindows()[0]?.webContents.on('will-frame-navigate', (event) => {
        seen.push(`${event.defaultPrevented ? 'denied' : 'allowed'} ${new URL(event.url).pathname}`);
      });
    });
    await window.evaluate('globalThis.mark = "the same document"');

    const targets = [
      `${trap.origin}/navigation`,
      'https://example.com/navigation',
      'app://login/index.html',
      'app://status/other.html',
      'file:///etc/passwd',
      'data:text/html,<h1>elsewhere</h1>',
      'blob:app://status/6c5f0c5e-0000-4000-8000-000000000000',
      'chrome://gpu',
      'view-source:app://status/index.html',
      "javascript:document.title='elsewhere'",
      'mcp-auth-proxy:anything',
    ];
    for (const target of targets) await window.evaluate(leaveBy, target);
    expect(await window.evaluate(`window.open('${trap.origin}/window') === null`)).toBe(true);
    await settled(scene);

    const seen = await running.app.evaluate(() => (globalThis as MainGlobals).seen);
    expect(seen).toContain('denied /navigation');
    expect(seen.filter((one) => !one.startsWith('denied '))).toEqual([]);
    expect(window.url()).toBe(STATUS_URL);
    expect(await window.evaluate('document.title')).toBe('MCP Auth Proxy');
    expect(await window.evaluate('globalThis.mark')).toBe('the same document');
    const windows = await running.app.evaluate(({ webContents }) =>
      webContents.getAllWebContents().map((contents) => contents.getURL()),
    );
    expect(windows).toEqual([STATUS_URL]);
    expect(trap.asked).toEqual([]);

    // Chromium asks nobody about this one. It is of the page's own origin, and no page of ours any more.
    await window.evaluate('location.assign("about:blank")');
    await window.waitForURL('about:blank');
    expect(await window.evaluate(askForAll, CHANNELS)).toEqual(REFUSALS);
  });

  it('a script in the window finds no Node, loads nothing, and may nothing', async () => {
    const scene = await givenScene();
    const { running, window, trap, stateDir } = scene;
    const found = await window.evaluate(() => {
      const names = [
        'require',
        'process',
        'module',
        'Buffer',
        'global',
        'electron',
        'ipcRenderer',
        '__dirname',
      ];
      return names.filter((name) => name in globalThis);
    });
    expect(found).toEqual([]);
    expect(
      await window.evaluate(() => Object.keys((globalThis as unknown as PageGlobals).mcpAuthProxy)),
    ).toEqual(['request', 'subscribe']);

    // In a task of the page's own: what a debugger evaluates may do more.
    const outcomes = await window.evaluate(tryEverything, trap.origin);
    expect(Object.entries(outcomes).filter(([, outcome]) => outcome.startsWith('done'))).toEqual([]);
    expect(await window.evaluate('document.title')).toBe('MCP Auth Proxy');

    // A download begins, as nothing forbids the link, and ends there.
    await running.app.evaluate(({ BrowserWindow }) => {
      (globalThis as MainGlobals).download = new Promise((resolve) => {
        BrowserWindow.getAllWindows()[0]?.webContents.session.once('will-download', (event, item) => {
          resolve(`${event.defaultPrevented ? 'denied' : 'allowed'} ${item.getFilename()}`);
        });
      });
    });
    await window.evaluate(saveAs, { href: 'data:application/octet-stream,harm', download: 'harm.bin' });
    const download = await running.app.evaluate(() => (globalThis as MainGlobals).download);
    expect(download).toBe('denied harm.bin');
    await settled(scene);
    const downloads = await running.app.evaluate(({ app }) => app.getPath('downloads'));
    expect(await readdir(downloads).catch(() => [])).not.toContain('harm.bin');
    expect((await readdir(stateDir)).sort()).toEqual(['app.log', 'chromium']);
    expect(trap.asked).toEqual([]);
  });

  it('a page of others that has our preload script is refused everything', async () => {
    const scene = await givenScene();
    const { running, trap, log, stateDir } = scene;
    const before = await log();
    const strangers: readonly (readonly [string, string])[] = [
      ['about:blank', PARTITION],
      ['about:blank', 'other'],
      [`${trap.origin}/page`, 'other'],
      // Looks like the real one, and is in contents that the app has not made for it.
      [STATUS_URL, PARTITION],
      ['app://login/index.html', PARTITION],
    ];
    for (const [url, partition] of strangers) {
      const answers = await askAsStranger(running, { url, partition });
      expect(answers, url).toEqual(REFUSALS);
    }

    // The window itself, when it is not where it belongs.
    const answers = await running.app.evaluate(
      async ({ BrowserWindow, session }, { url, script }) => {
        const contents = BrowserWindow.getAllWindows()[0]?.webContents;
        session.fromPartition('pages').webRequest.onBeforeRequest((_details, decide) => decide({}));
        await contents?.loadURL(url);
        return contents?.executeJavaScript(script);
      },
      { url: `${trap.origin}/window`, script: ASK_FOR_ALL },
    );
    expect(answers).toEqual(REFUSALS);

    const lines = (await log()).slice(before.length).trim().split('\n');
    const refused = lines.filter((line) =>
      / warn +A request that did not come from a page of this app was refused /.test(line),
    );
    // Two of them have scripts of their own, which asked as well.
    expect(refused.length).toBeGreaterThanOrEqual((strangers.length + 1) * CHANNELS.length);
    expect(lines.filter((line) => !refused.includes(line))).toEqual([]);
    expect(await readdir(stateDir)).not.toContain('settings.json');
  });

  it('requests of another shape are refused, and change nothing', async () => {
    const scene = await givenScene();
    const { running, window, stateDir, log } = scene;
    const huge = 'x'.repeat(1_000_000);
    const requests: readonly (readonly [string, ...unknown[]])[] = [
      ['login:view'],
      ['login:use-browser'],
      ['app:view', {}],
      ['app:view', undefined, undefined],
      ['app:view', null],
      ['app:start-at-login', 'yes'],
      ['app:change-settings', { loginWay: 'post' }],
      ['app:change-settings', { loginWaitSeconds: '20' }],
      ['app:change-settings', { loginWaitSeconds: 601 }],
      ['app:change-settings', { loginWaitSeconds: Number.POSITIVE_INFINITY }],
      ['app:change-settings', { logLevel: 'silly' }],
      ['app:change-settings', { constructor: { prototype: { loginWay: 'browser' } } }],
      ['app:change-settings', { version: 2, servers: [] }],
      ['app:change-settings', null],
      ['app:dismiss-notice', { id: '' }],
      ['app:dismiss-notice', { id: huge }],
      ['app:open-new-version', { page: 'https://evil.example/' }],
      ['app:reset', { folder: '/' }],
      ['server:check', { url: huge }],
      ['server:check', { url: ['http://127.0.0.1:9/'] }],
      ['server:add', HARMLESS, HARMLESS],
      ['server:add', { ...HARMLESS, tokenStore: 'memory' }],
      ['server:add', { ...HARMLESS, stateDir: '/' }],
      ['server:add', { ...HARMLESS, name: huge }],
      ['server:add', { ...HARMLESS, port: 5_178 }],
      ['server:add', { ...HARMLESS, clientSecret: 'clear' }],
      ['server:add', { ...HARMLESS, clientSecret: { value: '', more: '' } }],
      ['server:add', { name: '' }],
      ['server:change', { id: 'environment' }],
      ['server:move-port', { id: 'environment', port: 0 }],
      ['server:move-port', { id: 'environment', port: 80.5 }],
      ['server:remove', { id: ['environment'] }],
      ['server:remove', 'environment'],
      ['server:log-in', { id: 'environment', way: 'javascript:' }],
      ['server:copy-for-client', { id: 'environment', client: '__proto__' }],
      ['server:copy-for-client', { id: 'environment', client: 'toString' }],
    ];
    const ask = (channel: string, ...request: readonly unknown[]) =>
      window.evaluate(
        ([name, args]) =>
          (globalThis as unknown as PageGlobals).mcpAuthProxy.request(name, ...args).then(
            (answer) => `answered ${JSON.stringify(answer)}`,
            ({ message }: Error) => message,
          ),
        [channel, request] as const,
      );
    for (const [channel, ...request] of requests)
      expect(await ask(channel, ...request), JSON.stringify([channel, request]).slice(0, 200)).toBe(
        'Refused.',
      );
    for (const channel of ['', 'toString', '__proto__', 'constructor', 'app:changed', 'shell:open'])
      expect(await ask(channel)).toBe('There is no such request.');

    // Shapes that only a script can make.
    const made = await window.evaluate(askInOddShapes);
    expect(made.filter((answer) => answer !== 'refused' && answer !== '{"ok":true}')).toEqual([]);
    const subscribed = await window.evaluate(() => {
      try {
        return String(
          (globalThis as unknown as PageGlobals).mcpAuthProxy.subscribe('login:changed ', () => undefined),
        );
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(subscribed).toContain('There is no such notification.');

    const polluted = await running.app.evaluate(({ ipcMain }) => ({
      keys: Object.keys(Object.prototype),
      way: Reflect.get({}, 'loginWay') ?? null,
      listeners: ipcMain.eventNames().filter((name) => name !== 'error'),
    }));
    expect(polluted).toEqual({ keys: [], way: null, listeners: [] });
    const view = await window.evaluate(() =>
      (globalThis as unknown as PageGlobals).mcpAuthProxy.request('app:view'),
    );
    expect(view).toMatchObject({
      servers: [{ id: 'environment' }],
      settings: { loginWay: 'popup', loginWaitSeconds: 20, loginOnDemand: false, logLevel: 'info' },
    });
    // A change of nothing was saved.
    expect(await settingsUntil(stateDir, () => true)).toEqual({ version: 1, servers: [] });
    expect(await log()).toContain('A request of an unknown shape was refused');
    expect((await log()).length).toBeLessThan(20_000);
  });

  it('the scheme of the pages gives nothing but the pages', async () => {
    const { running, trap } = await givenScene();
    const urls = [
      'app://status/',
      'app://status/../../package.json',
      'app://status/..%2f..%2fmain%2fmain.js',
      'app://status/%2e%2e/%2e%2e/main/main.js',
      'app://status/..\\..\\main\\main.js',
      'app://status//etc/passwd',
      'app://status/index.html?x=1',
      'app://status/index.html%00.js',
      'app://login/../status/settings.json',
      'app://main/main.js',
      'app://renderer/status/index.html',
      'app://user@status/index.tsx',
    ];
    const answers = await running.app.evaluate(
      ({ session }, all) =>
        Promise.all(
          all.map((url) =>
            session
              .fromPartition('pages')
              .fetch(url)
              .then(
                async (answer) => `${answer.status} ${await answer.text()}`,
                () => 'failed',
              ),
          ),
        ),
      urls,
    );
    for (const [index, answer] of answers.entries())
      expect(answer, urls[index]).toMatch(/^(404 Not found|failed)$/);

    // Elsewhere there is no such scheme, and from there the network is not to be had.
    const others = await running.app.evaluate(
      async ({ session, net }, { own, origin }) => {
        const outcome = (promise: Promise<Response>) =>
          promise.then(
            ({ status }) => String(status),
            () => 'failed',
          );
        return [
          await outcome(net.fetch(own)),
          await outcome(session.fromPartition('login').fetch(own)),
          await outcome(session.fromPartition('pages').fetch(origin)),
          await outcome(session.fromPartition('pages').fetch(own, { method: 'POST' })),
          await outcome(session.fromPartition('pages').fetch(own)),
        ];
      },
      { own: STATUS_URL, origin: trap.origin },
    );
    expect(others).toEqual(['failed', 'failed', 'failed', '405', '200']);
    expect(trap.asked).toEqual([]);
  });
});

/** Opens a window of our own making, which nobody has asked for, and has it ask for everything. */
function askAsStranger(
  { app }: RunningApp,
  where: { readonly url: string; readonly partition: string },
): Promise<string[]> {
  return app.evaluate(
    async ({ app: main, BrowserWindow }, { url, partition, script }) => {
      const preload = `${main.getAppPath()}/dist/main/preload.cjs`;
      const window = new BrowserWindow({
        show: false,
        webPreferences: { preload, partition, sandbox: true, contextIsolation: true },
      });
      await window.loadURL(url);
      const answers = await window.webContents.executeJavaScript(script);
      window.destroy();
      return answers;
    },
    { ...where, script: ASK_FOR_ALL },
  );
}
