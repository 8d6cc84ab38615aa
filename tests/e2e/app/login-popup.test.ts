import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import axe, { type AxeResults } from 'axe-core';
import { build } from 'esbuild';
import type { Locator, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { signInByHttp } from '../../../app/cli/demo/upstream.ts';
import type { LoginEnd } from '../../../main/login/logins.ts';
import { givenFolder, givenUpstream } from '../../support/broker.ts';
import { makeAuthority } from '../../support/certificates.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { bundleApp, launchApp, missingElectron, type RunningApp } from '../../support/electron.ts';
import type { PopupApp } from './login-popup-app.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`The login window is not tested. ${missing}\n`);

/** Where pictures of the windows go, for people who want to look at them. */
const PICTURES = process.env.SCREENSHOTS;

/** What the test sees in the main process; `popup` is the window it has opened last. */
type Main = typeof globalThis & {
  popupApp: Promise<PopupApp>;
  popup: ReturnType<PopupApp['openPopup']>;
  opened: string[];
};

/** Windows that a page has opened, and whether they have its session. */
type Made = { readonly isOwn: boolean; readonly options: Record<string, unknown> }[];

/** An app of login windows and nothing else, made of the same parts as the product. */
async function bundlePopupApp(folder: string): Promise<void> {
  await mkdir(path.join(folder, 'renderer/status'), { recursive: true });
  await Promise.all([
    bundleApp(folder, 'tests/e2e/app/login-popup-app.ts'),
    build({
      absWorkingDir: fileURLToPath(new URL('../../..', import.meta.url)),
      entryPoints: ['renderer/login/index.tsx', 'renderer/login/index.html'],
      outdir: path.join(folder, 'renderer/login'),
      bundle: true,
      format: 'esm',
      loader: { '.html': 'copy' },
    }),
  ]);
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A provider whose pages are what a test says, by path. */
interface Provider {
  readonly origin: string;
  readonly pages: Map<string, Answer>;
}

async function givenProvider(pages: Record<string, Answer | string>): Promise<Provider> {
  const answers = new Map<string, Answer>();
  for (const [at, page] of Object.entries(pages))
    answers.set(at, typeof page === 'string' ? showing(page) : page);
  const server = createServer((request, response) => {
    const answer = answers.get(new URL(request.url ?? '/', 'http://localhost').pathname);
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, pages: answers };
}

function showing(body: string, status = 200): Answer {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' });
    response.end(`<!doctype html><title>Sign in</title>${body}`);
  };
}

function sendingTo(location: string, status = 302): Answer {
  return (_request, response) => void response.writeHead(status, { location }).end();
}

/** What would be the broker's listener: a redirect that is caught never comes here. */
async function givenListener(): Promise<{ redirectUri: string; requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    response.end('reached');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    redirectUri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/oauth/callback`,
    requests,
  };
}

/** A site whose certificate nobody vouches for. */
async function givenUntrustedSite(): Promise<string> {
  const { server: certified } = await makeAuthority(await givenFolder());
  const server = createHttpsServer(certified, (_request, response) => void response.end('reached'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** A URL at which nothing listens any more. */
async function givenClosedPort(): Promise<string> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}/`;
}

function titles({ app }: RunningApp): Promise<string[]> {
  return app.evaluate(({ BrowserWindow }) =>
    BrowserWindow.getAllWindows().map((window) => window.getTitle()),
  );
}

/** The debugger looks in even while the app loads its modules, and may then find one by half: it has to look again. */
async function started({ app }: Pick<RunningApp, 'app'>, tries = 5): Promise<void> {
  try {
    await app.evaluate(async () => void (await (globalThis as Main).popupApp).ends);
  } catch (error) {
    if (tries === 1) throw error;
    await started({ app }, tries - 1);
  }
}

/** Clicks what ends its own page, which may be gone before the click is answered. */
async function clickLast(button: Locator): Promise<void> {
  const closed = button.page().waitForEvent('close');
  await Promise.all([closed, button.click().catch(() => undefined)]);
}

/** A key as the keyboard sends it; one by the debugger would pass by Electron's own events. */
async function press({ app }: RunningApp, key: string): Promise<void> {
  await app.evaluate(({ webContents }, keyCode) => {
    for (const type of ['keyDown', 'keyUp'] as const)
      webContents.getFocusedWebContents()?.sendInputEvent({ type, keyCode });
  }, key);
}

/** How the first login ended, once it has. */
function endOf({ app }: RunningApp): Promise<LoginEnd> {
  return app.evaluate(async () => {
    const { ends, logins } = await (globalThis as Main).popupApp;
    if (ends[0] === undefined) await new Promise((resolve) => logins.once('ended', resolve));
    return ends[0] as LoginEnd;
  });
}

/** What axe-core finds, and names what it is about. */
async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { axe: checker } = globalThis as unknown as { axe: { run(): Promise<AxeResults> } };
    const { violations } = await checker.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
}

describe.runIf(missing === undefined)('the login window in a real Electron', () => {
  const desktop = givenDesktop({ keyring: false });
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'mcp-auth-proxy-popup-'));
    await bundlePopupApp(folder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function givenApp(upstream = 'http://127.0.0.1:9/mcp'): Promise<RunningApp> {
    const running = await launchApp({
      desktop: desktop(),
      folder,
      stateDir: await givenFolder(),
      env: { UPSTREAM_MCP_URL: upstream },
    });
    await started(running);
    return running;
  }

  /** Opens a window, at a URL if there is one, that belongs to no login. */
  async function openPopup(
    { app }: RunningApp,
    options: { redirectUri?: string; url?: string; server?: string; asked?: boolean },
  ): Promise<void> {
    await app.evaluate(
      async (_electron, { redirectUri = 'http://127.0.0.1:9/oauth/callback', url, ...rest }) => {
        const main = globalThis as Main;
        main.popup = (await main.popupApp).openPopup(redirectUri, rest);
        if (url !== undefined) main.popup.load(new URL(url));
      },
      options,
    );
  }

  /** Shows another page in the window. */
  async function load({ app }: RunningApp, url: string): Promise<void> {
    await app.evaluate((_electron, to) => (globalThis as Main).popup.load(new URL(to)), url);
  }

  function resultOf({ app }: RunningApp): Promise<{ kind: string; url?: string }> {
    return app.evaluate(async ({ BrowserWindow }) => {
      const result = await (globalThis as Main).popup.result;
      // The window goes in the turn after its result.
      await new Promise((resolve) => setImmediate(resolve));
      if (BrowserWindow.getAllWindows().length > 0) return { kind: 'the window is still there' };
      return result.kind === 'redirected'
        ? { kind: result.kind, url: result.url.href }
        : { kind: result.kind };
    });
  }

  /** What the system's browser would have been given. */
  async function watchBrowser({ app }: RunningApp): Promise<() => Promise<string[]>> {
    await app.evaluate(({ shell }) => {
      const main = globalThis as Main;
      main.opened = [];
      shell.openExternal = async (url) => void main.opened.push(url);
    });
    return () => app.evaluate(() => (globalThis as Main).opened);
  }

  async function picture({ app }: RunningApp, name: string): Promise<void> {
    if (PICTURES === undefined) return;
    const png = await app.evaluate(async ({ BrowserWindow, desktopCapturer, screen }) => {
      const { size } = screen.getPrimaryDisplay();
      const [source] = await desktopCapturer.getSources({ types: ['screen'], thumbnailSize: size });
      const bounds = BrowserWindow.getAllWindows()[0]?.getBounds();
      const image = bounds ? source?.thumbnail.crop(bounds) : source?.thumbnail;
      return image?.toPNG().toString('base64') ?? '';
    });
    await mkdir(PICTURES, { recursive: true });
    await writeFile(path.join(PICTURES, `${name}.png`), Buffer.from(png, 'base64'));
  }

  it('catches the redirect, however the page brings it about, before it is sent', async () => {
    const running = await givenApp();
    const { redirectUri, requests } = await givenListener();
    const to = `${redirectUri}?code=secret&state=s1`;
    const script = (code: string) => `<script>${code}</script>`;
    const form = (action: string) =>
      `<form method="post" action="${action}"></form>${script('document.forms[0].submit()')}`;
    const ways: Record<string, Record<string, Answer | string>> = {
      'a 302': { '/': sendingTo(to) },
      'a chain of redirects': { '/': sendingTo('/a', 301), '/a': sendingTo('/b', 307), '/b': sendingTo(to) },
      JavaScript: { '/': script(`location.href = ${JSON.stringify(to)}`) },
      'location.replace': { '/': script(`location.replace(${JSON.stringify(to)})`) },
      'a meta refresh': { '/': `<meta http-equiv="refresh" content="0; url=${to}">` },
      'a form and a 303': { '/': form('/done'), '/done': sendingTo(to, 303) },
      'a form that posts there': { '/': form(to) },
      'a window it opens': { '/': script("open('/other')"), '/other': sendingTo(to) },
      'window.open': { '/': script(`open(${JSON.stringify(to)})`) },
      'a frame': { '/': '<iframe src="/frame"></iframe>', '/frame': sendingTo(to) },
    };
    for (const [way, pages] of Object.entries(ways)) {
      const { origin } = await givenProvider(pages);
      await openPopup(running, { redirectUri, url: `${origin}/?state=s1` });
      expect(await resultOf(running), way).toEqual({ kind: 'redirected', url: to });
    }
    expect(requests).toEqual([]);
  });

  it('does not let a frame or a script of a page end the login with an answer of its own', async () => {
    const running = await givenApp();
    const { redirectUri, requests } = await givenListener();
    const forged = `${redirectUri}?code=forged&state=other`;
    const provider = await givenProvider({
      '/': `<p>Hello</p><iframe src="/frame"></iframe><img src="${forged}">
        <script>fetch(${JSON.stringify(forged)}, { mode: 'no-cors' }).catch(() => { document.title = 'refused'; });</script>`,
      '/frame': sendingTo(forged),
    });
    await openPopup(running, { redirectUri, url: `${provider.origin}/?state=s1` });
    const page = await running.pageAt(provider.origin);
    await page.waitForFunction(`document.title === 'refused' && document.readyState === 'complete'`);
    expect(await titles(running)).toHaveLength(1);
    expect(requests).toEqual([]);
  });

  it('logs in at a real authorization server and closes by itself', async () => {
    const upstream = await givenUpstream();
    const running = await givenApp(upstream.mcpUrl);
    await running.app.evaluate(async () =>
      (await (globalThis as Main).popupApp).logins.start('demo', 'popup'),
    );
    const bar = await running.loginBar();
    await bar.getByText(upstream.issuer).waitFor();
    expect(await titles(running)).toEqual([`Log in to Demo – ${upstream.issuer}`]);
    const page = await running.pageAt(upstream.issuer);
    await picture(running, 'sign-in');
    await clickLast(page.getByRole('button', { name: 'Allow' }));
    expect(await endOf(running)).toEqual({ kind: 'done' });
    expect(await titles(running)).toEqual([]);
    expect(await running.app.evaluate(async () => (await (globalThis as Main).popupApp).broker.state)).toBe(
      'authenticated',
    );
  });

  it('goes on in the browser with the same login when the person wants it', async () => {
    const upstream = await givenUpstream();
    const running = await givenApp(upstream.mcpUrl);
    const opened = await watchBrowser(running);
    await running.app.evaluate(async () =>
      (await (globalThis as Main).popupApp).logins.start('demo', 'popup'),
    );
    const bar = await running.loginBar();
    await bar.getByText(upstream.issuer).waitFor();
    await clickLast(bar.getByRole('button', { name: 'Use my browser instead' }));
    expect(await endOf(running)).toEqual({ kind: 'in-browser' });
    const [url = ''] = await opened();
    expect(await signInByHttp(url, { follow: true })).toMatchObject({ status: 200 });
    expect(await running.app.evaluate(async () => (await (globalThis as Main).popupApp).broker.state)).toBe(
      'authenticated',
    );
  });

  it('gives the login up when the person closes the window, and not when Escape is pressed', async () => {
    const upstream = await givenUpstream();
    const running = await givenApp(upstream.mcpUrl);
    await running.app.evaluate(async () =>
      (await (globalThis as Main).popupApp).logins.start('demo', 'popup'),
    );
    await running.pageAt(upstream.issuer);
    await press(running, 'Escape');
    await press(running, 'F6');
    await press(running, 'Escape');
    expect(await titles(running)).toHaveLength(1);
    await running.app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
    expect(await endOf(running)).toEqual({ kind: 'cancelled' });
    expect(await running.app.evaluate(async () => (await (globalThis as Main).popupApp).broker.state)).toBe(
      'logged_out',
    );
  });

  it('gives a page no more than a browser would', async () => {
    const running = await givenApp();
    let userAgent = '';
    const provider = await givenProvider({
      '/': (request, response) => {
        userAgent = request.headers['user-agent'] ?? '';
        response.setHeader('set-cookie', 'who=me');
        showing('<p>Hello</p>')(request, response);
      },
    });
    await openPopup(running, { url: `${provider.origin}/` });
    const page = await running.pageAt(provider.origin);
    await page.getByText('Hello').waitFor();
    expect(userAgent).toMatch(
      /^Mozilla\/5\.0 \([^)]+\) AppleWebKit\/[\d.]+ \(KHTML, like Gecko\) Chrome\/\d+\.0\.0\.0 Safari\/[\d.]+$/,
    );
    expect(
      await page.evaluate(`(async () => ({
        globals: ['mcpAuthProxy', 'process', 'require', 'electron'].filter((name) => name in globalThis),
        notifications: await Notification.requestPermission(),
        geolocation: await new Promise((resolve) => {
          navigator.geolocation.getCurrentPosition(() => resolve('granted'), ({ code }) => resolve(code));
        }),
        cookie: document.cookie,
      }))()`),
    ).toEqual({
      globals: [],
      notifications: 'denied',
      geolocation: 1,
      cookie: 'who=me',
    });
    await running.app.evaluate(async () => (await (globalThis as Main).popupApp).forgetProvider('demo'));
    expect(await page.evaluate('document.cookie')).toBe('');
  });

  it('leads nowhere but to pages of the web', async () => {
    const running = await givenApp();
    const opened = await watchBrowser(running);
    const provider = await givenProvider({
      '/': '<p>Hello</p>',
      '/download': (_request, response) => {
        response
          .writeHead(200, { 'content-type': 'application/zip', 'content-disposition': 'attachment' })
          .end('x');
      },
      '/downgrade': sendingTo('http://example.com/'),
    });
    await openPopup(running, { url: `${provider.origin}/` });
    const page = await running.pageAt(provider.origin);
    const bar = await running.loginBar();
    await page.getByText('Hello').waitFor();
    for (const [url, said] of [
      ['file:///etc/passwd', /no web page \(file:\)/],
      ['mailto:someone@example.com', /no web page \(mailto:\)/],
      ['smb://example.com/share', /no web page \(smb:\)/],
      ['app://status/index.html', /no web page \(app:\)/],
      ['http://example.com/', /without encryption/],
      ['/downgrade', /without encryption/],
    ] as const) {
      await page.evaluate(`location.href = ${JSON.stringify(url)}; undefined`);
      // Chromium itself keeps pages from files, without a word.
      if (url !== 'file:///etc/passwd') await bar.getByRole('alert').filter({ hasText: said }).waitFor();
      expect(page.url()).toBe(`${provider.origin}/`);
    }
    await picture(running, 'leads-away');
    for (const url of [
      'file:///etc/passwd',
      'http://example.com/',
      'app://status/index.html',
      'about:blank',
      'smb://x',
    ])
      expect(await page.evaluate(`open(${JSON.stringify(url)}) === null`)).toBe(true);
    const downloads = await running.app.evaluate(async ({ session }) => {
      const states: string[] = [];
      session
        .fromPartition('login demo')
        .on('will-download', (event) => states.push(String(event.defaultPrevented)));
      Object.assign(globalThis, { states });
      return states;
    });
    expect(downloads).toEqual([]);
    await page.evaluate(`location.href = '/download'; undefined`);
    await expect
      .poll(() => running.app.evaluate(() => (globalThis as Main & { states: string[] }).states))
      .toEqual(['true']);
    expect(await opened()).toEqual([]);
  });

  it('lets a page open a few windows of the same kind, which end with it', async () => {
    const running = await givenApp();
    const provider = await givenProvider({ '/': '<p>Hello</p>', '/child': '<p>Child</p>' });
    await openPopup(running, { url: `${provider.origin}/` });
    const page = await running.pageAt(provider.origin);
    await page.getByText('Hello').waitFor();
    const opened = await page.evaluate(`Array.from({ length: 5 }, () => open('/child') !== null)`);
    expect(opened).toEqual([true, true, true, false, false]);
    const child = await running.pageAt(`${provider.origin}/child`);
    await child.getByText('Child').waitFor();
    expect(await child.evaluate(`'mcpAuthProxy' in globalThis || 'process' in globalThis`)).toBe(false);
    await expect.poll(() => titles(running)).toContain(provider.origin);
    await picture(running, 'children');
    await running.app.evaluate(() => (globalThis as Main).popup.close());
    expect(await resultOf(running)).toEqual({ kind: 'closed' });
  });

  it('makes the windows of a page itself, whatever the page asks for', async () => {
    const running = await givenApp();
    const provider = await givenProvider({
      '/': '<p>Hello</p><a href="/linked">A link</a>',
      '/opened': '<p>Opened</p>',
      '/linked': '<p>Linked</p>',
    });
    await openPopup(running, { url: `${provider.origin}/` });
    const page = await running.pageAt(provider.origin);
    await page.getByText('Hello').waitFor();
    await running.app.evaluate(({ webContents }) => {
      const made: Made = [];
      Object.assign(globalThis, { made });
      for (const contents of webContents.getAllWebContents())
        contents.on('did-create-window', (window, { options: { parent: _, ...options } }) => {
          const isOwn = window.webContents.session === contents.session;
          made.push({ isOwn, options: JSON.parse(JSON.stringify(options)) });
        });
    });
    const features = [
      'frame=no,titleBarStyle=hidden,titleBarOverlay=yes,type=splash,transparent=yes,opacity=0,hasShadow=no',
      'fullscreen=yes,fullscreenable=yes,simpleFullscreen=yes,kiosk=yes,alwaysOnTop=yes,modal=yes,show=no',
      'focusable=no,closable=no,movable=no,minimizable=no,resizable=no,skipTaskbar=yes,hiddenInMissionControl=yes',
      'enableLargerThanScreen=yes,title=Elsewhere,nodeIntegration=yes,sandbox=no,minWidth=1,minHeight=1',
      'width=400,height=300',
    ];
    await page.evaluate(`open('/opened', 'name', '${features.join()}'); undefined`);
    await running.pageAt(`${provider.origin}/opened`);
    await page.getByRole('link').click({ button: 'middle' });
    await running.pageAt(`${provider.origin}/linked`);

    const [opened, linked] = await running.app.evaluate(() => (globalThis as Main & { made: Made }).made);
    expect(opened?.options).toMatchObject({
      width: 400,
      height: 300,
      title: '',
      frame: true,
      titleBarStyle: 'default',
      titleBarOverlay: false,
      type: 'normal',
      transparent: false,
      opacity: 1,
      hasShadow: true,
      fullscreen: false,
      fullscreenable: false,
      simpleFullscreen: false,
      kiosk: false,
      alwaysOnTop: false,
      modal: false,
      show: true,
      focusable: true,
      closable: true,
      movable: true,
      minimizable: true,
      resizable: true,
      skipTaskbar: false,
      hiddenInMissionControl: false,
      enableLargerThanScreen: false,
      minWidth: 360,
      webPreferences: { sandbox: true, nodeIntegration: false, contextIsolation: true },
    });
    // Its cookies would be on the disk else, and its redirects caught by one net less.
    expect([opened?.isOwn, linked?.isOwn]).toEqual([true, true]);
  });

  it('closes when its page closes itself, which gives the login up', async () => {
    const running = await givenApp();
    const provider = await givenProvider({ '/': '<p>Hello</p>' });
    await openPopup(running, { url: `${provider.origin}/` });
    const page = await running.pageAt(provider.origin);
    await page.getByText('Hello').waitFor();
    await Promise.all([page.waitForEvent('close'), page.evaluate('close()').catch(() => undefined)]);
    expect(await resultOf(running)).toEqual({ kind: 'closed' });
  });

  it('says why a page does not come, and tries again', async () => {
    const running = await givenApp();
    const provider = await givenProvider({ '/': (_request, response) => void response.destroy() });
    await openPopup(running, { url: `${provider.origin}/` });
    const bar = await running.loginBar();
    await bar.getByText('broke off the connection').waitFor();
    await picture(running, 'trouble');
    provider.pages.set('/', showing('<p>Hello</p>'));
    await bar.getByRole('button', { name: 'Try again' }).click();
    await bar.getByText(provider.origin).waitFor();
    expect(await bar.getByRole('alert').count()).toBe(0);
  });

  it('says why a page does not come', async () => {
    const running = await givenApp();
    await openPopup(running, {});
    const bar = await running.loginBar();
    for (const [url, said] of [
      [await givenClosedPort(), 'refuses connections'],
      ['https://login.invalid/', 'No server named login.invalid'],
      [await givenUntrustedSite(), 'is not safe'],
    ] as const) {
      await load(running, url);
      await bar.getByText(said).waitFor();
    }
  });

  it('says that a page has no content, or has crashed', async () => {
    const running = await givenApp();
    const provider = await givenProvider({
      '/': '<p>Hello</p>',
      '/empty': (_request, response) => void response.writeHead(503).end(),
    });
    await openPopup(running, { url: `${provider.origin}/empty` });
    const bar = await running.loginBar();
    await bar.getByText('answered with an error').waitFor();
    await load(running, `${provider.origin}/`);
    await bar.getByText(provider.origin).waitFor();
    await running.app.evaluate(({ webContents }, prefix) => {
      for (const contents of webContents.getAllWebContents())
        if (contents.getURL().startsWith(prefix)) contents.forcefullyCrashRenderer();
    }, provider.origin);
    await bar.getByText('has crashed').waitFor();
    await bar.getByRole('button', { name: 'Try again' }).click();
    await bar.getByText(provider.origin).waitFor();
  });

  it('offers the browser by itself to people whom a page refuses', async () => {
    const running = await givenApp();
    const { origin } = await givenProvider({
      '/by-status-and-words': showing('<h1>Error 403: disallowed_useragent</h1>', 403),
      '/by-title': '<script>document.title = "Unsupported browser"</script>',
      '/by-address': sendingTo('/sorry?error=unsupported_browser'),
      '/sorry': '<p>Sorry</p>',
      '/fine': '<p>Unsupported browser? Read our help.</p>',
    });
    await openPopup(running, {});
    const bar = await running.loginBar();
    await load(running, `${origin}/fine`);
    const page = await running.pageAt(origin);
    const offer = bar.getByText('does not let people log in inside an app');
    for (const at of ['/by-status-and-words', '/by-title', '/by-address']) {
      await load(running, origin + at);
      await offer.waitFor();
      // Electron forgets a page that is asked for while another one is about to come.
      await load(running, `${origin}/fine`);
      await page.getByText('Read our help').waitFor();
      expect(await offer.count(), at).toBe(0);
    }
    await load(running, `${origin}/by-title`);
    await offer.waitFor();
    await clickLast(bar.getByRole('button', { name: 'Use my browser instead' }));
    expect(await resultOf(running)).toEqual({ kind: 'browser' });
  });

  it.each(['light', 'dark'] as const)('has a bar that everybody can use (%s)', async (scheme) => {
    const running = await givenApp();
    await running.app.evaluate(({ nativeTheme }, theme) => {
      nativeTheme.themeSource = theme;
    }, scheme);
    const provider = await givenProvider({
      '/': '<input autofocus>',
      '/refused': showing('Unsupported browser', 403),
    });
    await openPopup(running, { server: 'A server with quite a long name, as people like to give them' });
    const bar = await running.loginBar();
    await bar.getByText('Opening the login page').waitFor();
    await bar.emulateMedia({ colorScheme: scheme });
    await picture(running, `opening-${scheme}`);
    const faults = [...(await faultsOf(bar))];
    for (const at of ['/', '/refused']) {
      await load(running, provider.origin + at);
      await bar.getByText(provider.origin).waitFor();
      if (at === '/refused') await bar.getByRole('alert').waitFor();
      await picture(running, `page${at.replace('/', '-')}-${scheme}`);
      faults.push(...(await faultsOf(bar)));
    }
    await load(running, 'https://login.invalid/');
    await bar.getByRole('button', { name: 'Try again' }).waitFor();
    await picture(running, `failed-${scheme}`);
    faults.push(...(await faultsOf(bar)));
    // The error's page of before is no reason to take this for another one.
    expect(await bar.getByText('No server named login.invalid').count()).toBe(1);
    expect(faults).toEqual([]);
  });

  it('gives the keyboard to the page, and to the bar by F6', async () => {
    const running = await givenApp();
    const provider = await givenProvider({ '/': '<input autofocus>' });
    await openPopup(running, { url: `${provider.origin}/` });
    const bar = await running.loginBar();
    await bar.getByText(provider.origin).waitFor();
    const focused = () =>
      running.app.evaluate(({ webContents }) => webContents.getFocusedWebContents()?.getURL().split('/')[2]);
    const host = new URL(provider.origin).host;
    await expect.poll(focused).toBe(host);
    await press(running, 'F6');
    await expect.poll(focused).toBe('login');
    await press(running, 'F6');
    await expect.poll(focused).toBe(host);
  });

  it('does not take the keyboard when nobody asked for it just now', async () => {
    const running = await givenApp();
    await openPopup(running, { asked: false });
    await (await running.loginBar()).getByText('Opening the login page').waitFor();
    const seen = () =>
      running.app.evaluate(({ BrowserWindow }) =>
        BrowserWindow.getAllWindows().map((window) => [window.isVisible(), window.isFocused()]),
      );
    await expect.poll(seen).toEqual([[true, false]]);
    await running.app.evaluate(() => (globalThis as Main).popup.focus());
    await expect.poll(seen).toEqual([[true, true]]);
  });
});
