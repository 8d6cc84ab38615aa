import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Upstream } from '../../../app/cli/demo/upstream.ts';
import type { AppSettings } from '../../../main/view.ts';
import { type PlannedServer, plannedServer, signIn, statusIs, windowTitles } from '../../support/app.ts';
import { callTool, givenClient, givenUpstream, rpc } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, type RunningApp } from '../../support/electron.ts';
import { outcomeOf } from '../../support/login.ts';
import { type NotificationServer, startNotificationServer } from '../../support/notification-server.ts';
import { folderWith } from '../../support/status-window.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`Login on demand is not tested. ${missing}\n`);

/** Longer than a test may take, in seconds: who is answered did not wait for this to pass. */
const LONG_WAIT = 300;

interface Scene {
  readonly upstream: Upstream;
  readonly server: PlannedServer;
  readonly running: RunningApp;
  /** As people see it. */
  readonly host: string;
}

/** Resolves once the upstream has refused so many requests for want of a token. */
async function refusedAtUpstream({ mcpServer: { requests } }: Upstream, count: number): Promise<void> {
  while (requests.entries.filter(({ authorized }) => !authorized).length < count) await requests.next();
}

describe.runIf(missing === undefined)('a call that needs a login', { timeout: 60_000 }, () => {
  const desktop = givenDesktop();
  let tray: TrayHost;
  let notifications: NotificationServer;
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    notifications = await startNotificationServer(desktop().busAddress);
    onTestFinished(() => {
      tray.stop();
      notifications.stop();
    });
  });

  /** An app with one server at which nobody is logged in. */
  async function givenScene(settings: Partial<AppSettings>): Promise<Scene> {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 3_600 } });
    const server = await plannedServer(upstream.mcpServer.jsonUrl);
    const stateDir = await folderWith(settings);
    const running = await launchApp({ desktop: desktop(), stateDir, env: server.env });
    await tray.waitForMenu(statusIs(/logged out/));
    return { upstream, server, running, host: new URL(upstream.mcpUrl).host };
  }

  const titlesShown = () => notifications.shown().map(({ title }) => title);

  it('raises one notification, whose click leads to the login that all waiting calls go through by', async () => {
    const { upstream, server, running, host } = await givenScene({ loginWaitSeconds: LONG_WAIT });
    const clients = Promise.all([1, 2, 3].map(() => givenClient(server.mcpUrl)));
    const [asked] = await notifications.waitFor(({ length }) => length > 0);
    expect(asked).toMatchObject({ title: `Log in to ${host}`, clickable: true, open: true });
    await refusedAtUpstream(upstream, 3);

    // Those that nobody keeps waiting.
    const discovery = await fetch(server.mcpUrl, rpc('server/discover'));
    expect(discovery.status).toBe(200);
    expect(await discovery.json()).toMatchObject({ error: { code: -32001 } });
    const stream = await fetch(server.mcpUrl, { headers: { accept: 'text/event-stream' } });
    expect(stream.status).toBe(405);
    const notice = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });
    const notification = await fetch(server.mcpUrl, { ...rpc(''), body: notice });
    expect(notification.status).toBe(202);
    expect(await windowTitles(running)).toEqual([]);
    expect(titlesShown()).toEqual([`Log in to ${host}`]);

    notifications.click(asked?.id ?? 0);
    await signIn(running, upstream);
    for (const client of await clients)
      expect(JSON.parse(await callTool(client, 'whoami'))).toMatchObject({ subject: 'demo' });
    const shown = await notifications.waitFor(({ length }) => length > 1);
    expect(shown).toMatchObject([
      { title: `Log in to ${host}`, open: false },
      { title: `Logged in to ${host}`, open: true },
    ]);
    await tray.waitForMenu(statusIs(/: logged in/));

    // The login ends at the server's side: that is worth another word, once.
    upstream.authorizationServer.revokeGrants();
    upstream.mcpServer.rejectCurrentTokens();
    const late = Promise.all([outcomeOf(server), outcomeOf(server)]);
    await notifications.waitFor(({ length }) => length > 2);
    await tray.waitForMenu(statusIs(/login needed/));
    await tray.click('Log in…');
    await signIn(running, upstream);
    expect(await late).toEqual(['ok', 'ok']);
    await notifications.waitFor(({ length }) => length > 3);
    expect(titlesShown()).toEqual([
      `Log in to ${host}`,
      `Logged in to ${host}`,
      `Log in to ${host}`,
      `Logged in to ${host}`,
    ]);
  });

  it('is refused in words when the deadline has passed, and so are those after it, without a further notification', async () => {
    const { server, running, host } = await givenScene({ loginWaitSeconds: 1 });
    const loginUrl = `${server.url}/oauth/login`;
    const refusal = {
      code: -32001,
      message: expect.stringContaining(`Open ${loginUrl} to log in to ${host}`),
      data: { error: 'not_authenticated', login_url: loginUrl },
    };
    await expect(givenClient(server.mcpUrl)).rejects.toMatchObject(refusal);
    for (const id of ['a', 'b', 'c']) {
      const answer = await fetch(server.mcpUrl, rpc('initialize', id));
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject({ jsonrpc: '2.0', id, error: refusal });
    }
    expect(titlesShown()).toEqual([`Log in to ${host}`]);
    expect(await windowTitles(running)).toEqual([]);
  });

  it('opens the login by itself where the person wants that, once, and leaves whoever closes it alone', async () => {
    const { upstream, server, running, host } = await givenScene({
      loginWaitSeconds: LONG_WAIT,
      loginOnDemand: true,
    });
    const calls = Promise.all([1, 2, 3].map(() => outcomeOf(server)));
    const page = await running.pageAt(upstream.issuer);
    await refusedAtUpstream(upstream, 3);
    expect(await windowTitles(running)).toEqual([expect.stringContaining(`Log in to ${host}`)]);
    const closed = page.waitForEvent('close');
    await running.app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
    await closed;
    expect(await calls).toEqual(Array(3).fill('not_authenticated'));

    await tray.waitForMenu(statusIs(/logged out/));
    expect(await outcomeOf(server)).toBe('not_authenticated');
    expect(await windowTitles(running)).toEqual([]);
    expect(titlesShown()).toEqual([`Log in to ${host}`]);

    await tray.click('Log in…');
    await signIn(running, upstream);
    const client = await givenClient(server.mcpUrl);
    expect(await callTool(client, 'add', { a: 2, b: 3 })).toBe('5');
    await notifications.waitFor(({ length }) => length > 1);
    expect(titlesShown()).toEqual([`Log in to ${host}`, `Logged in to ${host}`]);
  });
});
