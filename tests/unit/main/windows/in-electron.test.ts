import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { makeAuthority } from '../../../support/certificates.ts';
import { givenDesktop } from '../../../support/desktop.ts';
import { bundleApp, launchApp, missingElectron, type RunningApp } from '../../../support/electron.ts';
import { givenScriptedServer, listenUntilTestEnds } from '../../../support/scripted-server.ts';
import type { Fixture } from './fixture/main.ts';

const STATUS = 'app://status/index.html';

type Main = typeof globalThis & { fixture: Fixture; download: Promise<boolean> };
interface Window {
  readonly running: RunningApp;
  readonly page: Page;
}

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`Windows are not tested in Electron. ${missing}\n`);

describe.runIf(missing === undefined)('in a real Electron', () => {
  const desktop = givenDesktop({ keyring: false });
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'windows-'));
    await bundleApp(folder, 'tests/unit/main/windows/fixture/main.ts');
    for (const page of ['status', 'login']) {
      await mkdir(path.join(folder, 'renderer', page), { recursive: true });
      for (const [name, text] of Object.entries(PAGE))
        await writeFile(path.join(folder, 'renderer', page, name), text);
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** The app with its status window open. */
  async function givenWindow(): Promise<Window> {
    const stateDir = await mkdtemp(path.join(tmpdir(), 'windows-state-'));
    onTestFinished(() => rm(stateDir, { recursive: true, force: true }));
    const running = await launchApp({ desktop: desktop(), stateDir, folder });
    await running.app.evaluate(() => (globalThis as Main).fixture.statusWindow.open());
    const page = await running.statusWindow();
    await page.waitForSelector('h1.styled');
    return { running, page };
  }

  describe('a page of the app', () => {
    it('asks through the bridge and sees nothing else of the main process', async () => {
      const { running, page } = await givenWindow();
      expect(await page.evaluate("mcpAuthProxy.request('server:form', { id: 'one' })")).toBe(
        'answer to server:form',
      );
      expect(await running.app.evaluate(() => (globalThis as Main).fixture.calls)).toEqual([
        ['server:form', { id: 'one' }],
      ]);
      expect(
        await page.evaluate(
          "['require', 'process', 'module', 'Buffer', 'global', 'electron', 'ipcRenderer'].filter((name) => name in window)",
        ),
      ).toEqual([]);
      expect(await page.evaluate('Object.keys(mcpAuthProxy)')).toEqual(['request', 'subscribe']);
      expect(await page.evaluate('Object.isFrozen(mcpAuthProxy)')).toBe(true);
      expect(
        await page.evaluate('mcpAuthProxy = 1; delete window.mcpAuthProxy; typeof mcpAuthProxy.request'),
      ).toBe('function');
    });

    it('is told in plain words what does not work', async () => {
      const { page } = await givenWindow();
      for (const [call, message] of [
        ["request('no:channel')", 'There is no such request.'],
        ["request('__proto__')", 'There is no such request.'],
        ["request('log:new')", 'There is no such request.'],
        ["request('login:use-browser')", 'Refused.'],
        ["request('server:form', { id: 7 })", 'Refused.'],
        ["request('log:open')", 'Something went wrong; look at the log.'],
      ]) {
        const told = `mcpAuthProxy.${call}.then(() => 'an answer', (error) => [error.message, error.stack])`;
        expect([call, await page.evaluate(told)]).toEqual([call, [message, `Error: ${message}`]]);
      }
    });

    it('hears notifications without their event, until it no longer wants to', async () => {
      const { running, page } = await givenWindow();
      const tell = () =>
        running.app.evaluate(() =>
          (globalThis as Main).fixture.pages.notify('status', 'log:new', {
            number: 1,
            level: 'info',
            text: 'a line',
          }),
        );
      const listen = (name: string) =>
        page.evaluate(
          `window.${name} = []; window.${name}Told = new Promise((told) => {
            window.${name}End = mcpAuthProxy.subscribe('log:new', (...all) => { ${name}.push(all); told(); });
          }); undefined`,
        );
      await listen('first');
      await tell();
      await page.evaluate('firstTold');
      await page.evaluate('firstEnd()');
      await listen('second');
      await tell();
      await page.evaluate('secondTold');
      const heard = [[{ number: 1, level: 'info', text: 'a line' }]];
      expect(await page.evaluate('[first, second]')).toEqual([heard, heard]);
      expect(
        await page.evaluate(
          "try { mcpAuthProxy.subscribe('no:channel', () => {}) } catch (error) { error.message }",
        ),
      ).toBe('There is no such notification.');
    });

    it('loads nothing from elsewhere and runs no script that is not its own', async () => {
      const server = await givenScriptedServer();
      const { page } = await givenWindow();
      const attempts = {
        fetch: "fetch(URL).then(() => 'done', () => 'blocked')",
        image: element('img', 'src'),
        style: element('link', 'href', "rel = 'stylesheet'"),
        script: element('script', 'src'),
        frame:
          "new Promise((tell) => { addEventListener('securitypolicyviolation', ({ effectiveDirective }) => effectiveDirective === 'frame-src' && tell('blocked')); const e = document.createElement('iframe'); e.src = URL; document.body.append(e); })",
        socket:
          "new Promise((tell) => { const s = new WebSocket(URL.replace('http', 'ws')); s.onopen = () => tell('done'); s.onerror = () => tell('blocked'); })",
        worker: "(() => { try { new Worker(URL); return 'done' } catch { return 'blocked' } })()",
        inline:
          "(() => { const e = document.createElement('script'); try { e.text = 'window.ran = true' } catch {} document.body.append(e); return window.ran ? 'done' : 'blocked' })()",
        markup:
          "(() => { try { document.body.innerHTML = '<p>text</p>'; return 'done' } catch { return 'blocked' } })()",
      };
      for (const [name, script] of Object.entries(attempts))
        expect([name, await page.evaluate(script.replaceAll('URL', `'${server.origin}/${name}'`))]).toEqual([
          name,
          'blocked',
        ]);
      expect(server.requests).toEqual([]);
    });

    it('stays where it is and opens no window', async () => {
      const server = await givenScriptedServer();
      const { running, page } = await givenWindow();
      const targets = [`${server.origin}/`, 'app://login/index.html', 'mailto:someone@example.com'];
      for (const target of targets) await page.evaluate(`location.href = '${target}'; undefined`);
      expect(
        await running.app.evaluate(
          (_electron, count) => (globalThis as Main).fixture.denials(count),
          targets.length,
        ),
      ).toEqual(targets);
      for (const target of [...targets, STATUS])
        expect(await page.evaluate(`window.open('${target}')`)).toBeNull();
      expect(page.url()).toBe(STATUS);
      expect(running.app.windows()).toHaveLength(1);
      expect(server.requests).toEqual([]);
    });

    it('leaves nothing on the disk', async () => {
      const { running, page } = await givenWindow();
      await page.evaluate("localStorage.setItem('note', 'a-mark-of-the-page'); undefined");
      const data = await running.app.evaluate(({ app }) => app.getPath('userData'));
      expect(await running.close()).toBe(0);
      for (const entry of await readdir(data, { recursive: true, withFileTypes: true }))
        if (entry.isFile())
          expect(await readFile(path.join(entry.parentPath, entry.name), 'latin1')).not.toContain(
            'a-mark-of-the-page',
          );
    });
  });

  describe('the status window', () => {
    it('is one, is opened again after it was closed, and the app lives on in between', async () => {
      const { running, page } = await givenWindow();
      await running.app.evaluate(() => (globalThis as Main).fixture.statusWindow.open());
      expect(running.app.windows()).toHaveLength(1);
      // A page that objects to being left does not keep its window open.
      await page.evaluate("addEventListener('beforeunload', (event) => event.preventDefault()); undefined");
      await page.click('h1');
      const closed = page.waitForEvent('close');
      await running.app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
      await closed;
      await running.app.evaluate(() => (globalThis as Main).fixture.statusWindow.open('log'));
      const again = await running.statusWindow();
      expect(again.url()).toBe(`${STATUS}#log`);
      expect(await again.evaluate("mcpAuthProxy.request('app:view')")).toBe('answer to app:view');
    });

    it('shows another view without being loaded anew', async () => {
      const { running, page } = await givenWindow();
      await page.evaluate('window.mark = 1; undefined');
      await running.app.evaluate(() => (globalThis as Main).fixture.statusWindow.open('settings'));
      await page.waitForURL(`${STATUS}#settings`);
      expect(await page.evaluate("mcpAuthProxy.request('app:view').then((view) => [mark, view])")).toEqual([
        1,
        'answer to app:view',
      ]);
    });

    it('has the size it should have, and a menu for its keys', async () => {
      const { running } = await givenWindow();
      const shown = await running.app.evaluate(async ({ app, BrowserWindow, Menu }) => {
        const [window] = BrowserWindow.getAllWindows();
        if (window?.isVisible() === false) await new Promise<void>((resolve) => window.once('show', resolve));
        return {
          size: window?.getSize(),
          least: window?.getMinimumSize(),
          visible: window?.isVisible(),
          menuBar: window?.isMenuBarVisible(),
          edit: Menu.getApplicationMenu()
            ?.getMenuItemById('edit')
            ?.submenu?.items.map(({ role }) => role),
          name: app.name,
        };
      });
      expect(shown).toMatchObject({ size: [760, 560], least: [480, 420], visible: true, menuBar: false });
      expect(shown.edit).toEqual(expect.arrayContaining(['cut', 'copy', 'paste', 'selectall']));
    });

    it('goes when its page crashes, and comes back', async () => {
      const { running } = await givenWindow();
      await running.app.evaluate(({ BrowserWindow }) => {
        const [window] = BrowserWindow.getAllWindows();
        window?.webContents.forcefullyCrashRenderer();
        return new Promise<void>((resolve) => window?.once('closed', () => resolve()));
      });
      const again = running.app.waitForEvent('window');
      await running.app.evaluate(() => (globalThis as Main).fixture.statusWindow.open());
      await (await again).waitForSelector('h1.styled');
      expect(await running.app.evaluate(() => (globalThis as Main).fixture.lines)).toEqual([
        expect.stringContaining('error The window has crashed'),
      ]);
    });
  });

  describe('a stranger', () => {
    it('is refused on every channel, even with the preload script of our pages', async () => {
      const server = await givenScriptedServer({ '/': { text: '<h1>stranger</h1>', headers: HTML } });
      const { running } = await givenWindow();
      await running.app.evaluate((_electron, url) => (globalThis as Main).fixture.open(url), server.origin);
      const stranger = await running.pageAt(server.origin);
      for (const channel of ['app:view', 'login:view'])
        expect(
          await stranger.evaluate(`mcpAuthProxy.request('${channel}').catch((error) => error.message)`),
        ).toBe('Refused.');
      expect(await running.app.evaluate(() => (globalThis as Main).fixture.calls)).toEqual([]);
    });

    it('is refused with all of Node and Electron in its hands', async () => {
      const server = await givenScriptedServer({ '/': { text: '<h1>stranger</h1>', headers: HTML } });
      const { running } = await givenWindow();
      await running.app.evaluate(
        (_electron, url) =>
          (globalThis as Main).fixture.open(url, {
            webPreferences: { nodeIntegration: true, contextIsolation: false, sandbox: false },
          }),
        server.origin,
      );
      const stranger = await running.pageAt(server.origin);
      expect(await stranger.evaluate("require('electron').ipcRenderer.invoke('app:view')")).toEqual({
        error: 'Refused.',
      });
      expect(
        await stranger.evaluate(
          "require('electron').ipcRenderer.invoke('no:channel').catch((error) => error.message)",
        ),
      ).toContain('No handler registered');
      expect(await running.app.evaluate(() => (globalThis as Main).fixture.calls)).toEqual([]);
    });

    it('that shows our page in a window of its own is refused', async () => {
      const { running } = await givenWindow();
      await running.app.evaluate(
        (_electron, url) =>
          (globalThis as Main).fixture.open(`${url}#stranger`, { webPreferences: { partition: 'pages' } }),
        STATUS,
      );
      const stranger = await running.pageAt(`${STATUS}#stranger`);
      expect(
        await stranger.evaluate("mcpAuthProxy.request('app:view').catch((error) => error.message)"),
      ).toBe('Refused.');
    });

    it('stands still without a policy: no link, no redirect, no frame, no window', async () => {
      const server = await givenScriptedServer({ '/': { text: '<h1>stranger</h1>', headers: HTML } });
      const { running } = await givenWindow();
      await running.app.evaluate((_electron, url) => (globalThis as Main).fixture.open(url), server.origin);
      const stranger = await running.pageAt(server.origin);
      await stranger.evaluate(
        "const frame = document.createElement('iframe'); frame.src = '/frame'; document.body.append(frame)",
      );
      await stranger.evaluate("location.href = '/link'; undefined");
      expect(await running.app.evaluate(() => (globalThis as Main).fixture.denials(2))).toEqual([
        `${server.origin}/frame`,
        `${server.origin}/link`,
      ]);
      expect(await stranger.evaluate("window.open('/window')")).toBeNull();
      expect(server.asked).toEqual(['GET /']);
    });

    it('goes where its policy lets it, and so do the windows it opens', async () => {
      const page = { text: '<h1>stranger</h1>', headers: HTML };
      const server = await givenScriptedServer({
        '/': page,
        '/allowed': page,
        '/window': page,
        '/away': { text: '', status: 302, headers: { location: '/forbidden' } },
      });
      const { running } = await givenWindow();
      await running.app.evaluate(
        (_electron, url) =>
          (globalThis as Main).fixture.open(url, {
            policy: {
              mayNavigate: (target) => !target.endsWith('/forbidden'),
              openWindow: (details) => (details.url.endsWith('/window') ? { width: 300 } : undefined),
            },
          }),
        server.origin,
      );
      const stranger = await running.pageAt(server.origin);
      await stranger.evaluate("location.href = '/allowed'; undefined");
      await stranger.waitForURL(`${server.origin}/allowed`);
      expect(await stranger.evaluate("window.open('/other')")).toBeNull();
      await stranger.evaluate("window.open('/window'); undefined");
      const child = await running.pageAt(`${server.origin}/window`);
      expect(await child.evaluate('typeof require')).toBe('undefined');
      await child.evaluate("location.href = '/away'; undefined");
      await stranger.evaluate("location.href = '/forbidden'; undefined");
      expect(await running.app.evaluate(() => (globalThis as Main).fixture.denials(2))).toEqual([
        `${server.origin}/forbidden`,
        `${server.origin}/forbidden`,
      ]);
      expect(server.asked).toEqual(['GET /', 'GET /allowed', 'GET /window', 'GET /away']);
    });

    it('gets no permission, no download, no name and password, and no bad certificate', async () => {
      const server = await givenScriptedServer({
        '/': { text: '<h1>stranger</h1>', headers: HTML },
        '/private': {
          text: 'private',
          status: 401,
          headers: { ...HTML, 'www-authenticate': 'Basic realm="x"' },
        },
      });
      const authority = await makeAuthority(folder);
      const tls = createServer(authority.server, (_request, response) => response.end('reached'));
      const port = await listenUntilTestEnds(tls);
      const { running } = await givenWindow();
      await running.app.evaluate(
        (_electron, url) => (globalThis as Main).fixture.open(url, { policy: { mayNavigate: () => true } }),
        server.origin,
      );
      const stranger = await running.pageAt(server.origin);
      expect(await stranger.evaluate('Notification.requestPermission()')).toBe('denied');
      for (const name of ['geolocation', 'camera', 'microphone', 'midi', 'clipboard-read'])
        expect(
          await stranger.evaluate(
            `navigator.permissions.query({ name: '${name}' }).then(({ state }) => state)`,
          ),
        ).toBe('denied');
      await running.app.evaluate(({ session }) => {
        (globalThis as Main).download = new Promise((tell) =>
          session
            .fromPartition('strangers')
            .once('will-download', (event: { defaultPrevented: boolean }) => tell(event.defaultPrevented)),
        );
      });
      await stranger.evaluate(
        "const link = document.createElement('a'); link.href = 'data:text/plain,x'; link.download = 'x'; document.body.append(link); link.click()",
      );
      expect(await running.app.evaluate(() => (globalThis as Main).download)).toBe(true);
      expect((await stranger.goto(`${server.origin}/private`))?.status()).toBe(401);
      await expect(stranger.goto(`https://localhost:${port}/`)).rejects.toThrow(/ERR_CERT_AUTHORITY_INVALID/);
    });
  });
});

const HTML = { 'content-type': 'text/html' };

/** Files of a page that shows by its heading that its script and its style have been loaded. */
const PAGE = {
  'index.html':
    '<!doctype html><meta charset="utf-8"><title>Page</title><link rel="stylesheet" href="index.css"><script type="module" src="index.js"></script><h1>Page</h1>',
  'index.css': 'h1 { font-weight: 123 }',
  'index.js':
    "addEventListener('load', () => { const h1 = document.querySelector('h1'); if (getComputedStyle(h1).fontWeight === '123') h1.className = 'styled'; });",
};

/** Script that adds an element which loads something, and tells what became of it. */
function element(tag: string, attribute: string, more = ''): string {
  const set = more === '' ? '' : `e.${more};`;
  return `new Promise((tell) => {
    const e = document.createElement('${tag}');
    e.onload = () => tell('done');
    e.onerror = () => tell('blocked');
    ${set} try { e.${attribute} = URL } catch { tell('blocked') }
    document.head.append(e);
  })`;
}
