import path from 'node:path';
import type { Page } from 'playwright';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { signInByHttp, type Upstream } from '../../../app/cli/demo/upstream.ts';
import type { Bridge, Outcome } from '../../../main/ipc/contract.ts';
import { type PlannedServer, plannedServer, signIn, statusIs } from '../../support/app.ts';
import { rpc } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, type RunningApp, startApp } from '../../support/electron.ts';
import { answering, onPath } from '../../support/login.ts';
import { filesBelow, leaksOf, placesOf, processList } from '../../support/secrets.ts';
import { folderWith } from '../../support/status-window.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';
import { givenWatchedUpstream } from '../../support/watched-upstream.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`Whether the app shows a secret is not tested. ${missing}\n`);

// Each has characters that look different in JSON, in a URL and in a form.
const API_KEY = 'the-key+of/the"callers"&0815';
const CLIENT_SECRET = 'the secret+of/the "client" & 4711';
const CLIENT_ID = 'fixed-client';
const SERVER_ID = 'demo';

type AppPage = typeof globalThis & { mcpAuthProxy: Bridge; heard: unknown[] };

/** Keeps all that the main process tells the status window from now on. */
async function listenIn(page: Page): Promise<void> {
  await page.evaluate(() => {
    const self = globalThis as AppPage;
    self.heard = [];
    for (const channel of ['app:changed', 'calls:new', 'log:new'] as const)
      self.mcpAuthProxy.subscribe(channel, (message) => void self.heard.push(message));
  });
}

function changeLogLevel(page: Page): Promise<Outcome> {
  return page.evaluate(() =>
    (globalThis as AppPage).mcpAuthProxy.request('app:change-settings', { logLevel: 'debug' }),
  );
}

/** All that the status window has heard, what it is told when it asks, and what it shows. */
async function everythingIn(page: Page): Promise<string> {
  const said = await page.evaluate(async (id) => {
    const { heard, mcpAuthProxy } = globalThis as AppPage;
    const answers = await Promise.all([
      mcpAuthProxy.request('app:view'),
      mcpAuthProxy.request('calls:recent'),
      mcpAuthProxy.request('log:recent'),
      mcpAuthProxy.request('server:form', { id }),
      mcpAuthProxy.request('server:copy-for-client', { id, client: 'claude-code' }),
    ]);
    return JSON.stringify([heard, answers]);
  }, SERVER_ID);
  return said + (await page.content());
}

/** What the bar above a login page is told, and what it shows. */
async function everythingInBar(page: Page): Promise<string> {
  const view = await page.evaluate(() => (globalThis as AppPage).mcpAuthProxy.request('login:view'));
  return JSON.stringify(view) + (await page.content());
}

function clipboardOf({ app }: RunningApp): Promise<string> {
  return app.evaluate(({ clipboard }) => clipboard.readText());
}

/** What Node would write down of the main process if that died now. */
function reportOf({ app }: RunningApp): Promise<string> {
  return app.evaluate(() => JSON.stringify(process.report.getReport()));
}

async function call({ mcpUrl }: PlannedServer, key = API_KEY): Promise<string> {
  const { headers, ...request } = rpc('initialize', 1, {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'test', version: '1' },
  });
  const answer = await fetch(mcpUrl, { ...request, headers: { ...headers, 'x-api-key': key } });
  return answer.text();
}

describe.runIf(missing === undefined)('a login', { timeout: 90_000 }, () => {
  const desktop = givenDesktop();
  let tray: TrayHost;
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    onTestFinished(() => tray.stop());
  });

  async function quit({ app }: RunningApp): Promise<void> {
    const closed = app.waitForEvent('close');
    await tray.click('Quit MCP Auth Proxy');
    await closed;
    await tray.waitUntilEmpty();
  }

  async function openWindow(running: RunningApp): Promise<Page> {
    await tray.click('Open MCP Auth Proxy');
    const window = await running.statusWindow();
    await window.getByRole('article').waitFor();
    return window;
  }

  /** All that the app and its Chromium keep on the disk. */
  async function filesOf(stateDir: string): Promise<Map<string, Buffer>> {
    return new Map([...(await filesBelow(stateDir)), ...(await filesBelow(desktop().env.HOME ?? ''))]);
  }

  async function logIn(running: RunningApp, upstream: Upstream): Promise<string> {
    await tray.click('Log in…');
    const bar = await running.loginBar();
    await running.pageAt(upstream.issuer);
    const shown = await everythingInBar(bar);
    await signIn(running, upstream);
    await tray.waitForMenu(statusIs(/: logged in/));
    return shown;
  }

  it('outlasts the app, and shows in no file, page, message, report, clipboard or process list', async () => {
    const { upstream, secrets, watch } = await givenWatchedUpstream({
      clientId: CLIENT_ID,
      clientSecret: CLIENT_SECRET,
    });
    const { authorizationServer, mcpServer } = upstream;
    const server = await plannedServer(mcpServer.jsonUrl);
    const stateDir = await folderWith({
      servers: [
        {
          id: SERVER_ID,
          name: 'Demo',
          upstreamMcpUrl: mcpServer.jsonUrl,
          port: server.port,
          clientId: CLIENT_ID,
          clientSecret: CLIENT_SECRET,
          proxyApiKey: API_KEY,
        },
      ],
    });
    const places = new Map<string, string | Buffer>();

    const first = await launchApp({ desktop: desktop(), stateDir });
    await tray.waitForMenu(statusIs(/logged out/));
    const window = await openWindow(first);
    await listenIn(window);
    // With the first change that the app saves, it also seals what the person has written into the file.
    expect(await changeLogLevel(window)).toEqual({ ok: true });
    places.set('the bar above the login', await logIn(first, upstream));
    expect(await call(server, 'a-wrong-key-1234567890')).toContain('invalid_api_key');
    expect(await call(server)).toContain('"result"');
    mcpServer.rejectCurrentTokens();
    expect(await call(server)).toContain('"result"');
    await tray.waitForMenu(statusIs(/refreshed/));
    mcpServer.behaviour.requiredScopes = ['mcp:resources'];
    expect(await call(server)).toContain('insufficient_scope');
    await tray.waitForMenu(statusIs(/more access needed/));
    places.set('the bar above the login for more access', await logIn(first, upstream));
    mcpServer.behaviour.requiredScopes = [];
    mcpServer.rejectCurrentTokens();
    authorizationServer.behaviour.respond = onPath('/token', answering(500, '{"error":"server_error"}'));
    expect(await call(server)).toContain('refresh_unavailable');
    authorizationServer.behaviour.respond = watch;
    places.set('the process list', await processList());
    places.set('the window', await everythingIn(window));
    places.set('the clipboard', await clipboardOf(first));
    places.set('a report', await reportOf(first));
    await quit(first);
    places.set('standard error', first.output());

    authorizationServer.requests.clear();
    const second = await launchApp({ desktop: desktop(), stateDir });
    await tray.waitForMenu(statusIs(/: logged in/));
    expect(await call(server)).toContain('"result"');
    expect(authorizationServer.requests.entries.map(({ path: at }) => at)).not.toContain('/authorize');
    places.set('the next window', await everythingIn(await openWindow(second)));
    for (const [file, content] of await filesOf(stateDir)) places.set(file, content);
    await tray.click('Log out');
    await tray.waitForMenu(statusIs(/logged out/));
    await quit(second);
    places.set('the next standard error', second.output());
    for (const [file, content] of await filesOf(stateDir)) places.set(`${file} after the logout`, content);

    // Of two logins and two refreshes the tokens, codes, states and verifiers.
    expect(secrets.size).toBeGreaterThan(12);
    const log = path.join(stateDir, 'app.log after the logout');
    expect(String(places.get(log))).toMatch(/ Logged in .* Access token refreshed .* Logged out /s);
    // What is there is found.
    expect(placesOf(mcpServer.jsonUrl, places)).toEqual(
      expect.arrayContaining([log, 'the window', path.join(stateDir, 'settings.json')]),
    );
    expect(placesOf(server.mcpUrl, places)).toContain('the clipboard');
    expect(leaksOf([...secrets, CLIENT_SECRET, API_KEY], places)).toEqual([]);
  });

  it('outlasts a crash of the app, which leaves neither a dump nor a variable with a secret behind', async () => {
    const { upstream, secrets } = await givenWatchedUpstream({
      clientId: CLIENT_ID,
      clientSecret: CLIENT_SECRET,
    });
    const server = await plannedServer(upstream.mcpServer.jsonUrl);
    const stateDir = await folderWith({});
    const env = { ...server.env, CLIENT_ID, CLIENT_SECRET, PROXY_API_KEY: API_KEY, LOG_LEVEL: 'debug' };

    const { child, ended, output } = startApp({ desktop: desktop(), stateDir, env });
    await tray.waitForMenu(statusIs(/logged out/));
    expect((await signInByHttp(`${server.url}/oauth/login`, { follow: true })).status).toBe(200);
    await tray.waitForMenu(statusIs(/: logged in/));
    expect(await call(server)).toContain('"result"');
    child.kill('SIGSEGV');
    expect(await ended).toBe('SIGSEGV');
    await tray.waitUntilEmpty();
    const files = await filesOf(stateDir);

    const next = await launchApp({ desktop: desktop(), stateDir, env });
    await tray.waitForMenu(statusIs(/: logged in/));
    expect(await call(server, 'a-wrong-key-1234567890')).toContain('invalid_api_key');
    expect(await call(server)).toContain('"result"');
    const places = new Map<string, string | Buffer>([
      ...files,
      ['standard error', output()],
      ['a report', await reportOf(next)],
    ]);
    expect([...files.keys()].filter((file) => /\.(dmp|core)$|(^|\/)core(\.\d+)?$/.test(file))).toEqual([]);
    expect(placesOf(upstream.mcpServer.jsonUrl, places)).toContain('a report');
    expect(leaksOf([...secrets, CLIENT_SECRET, API_KEY], places)).toEqual([]);
  });
});
