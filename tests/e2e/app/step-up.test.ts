import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { picture, plannedServer, signIn, statusIs } from '../../support/app.ts';
import { callTool, givenClient, givenUpstream } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron } from '../../support/electron.ts';
import { type NotificationServer, startNotificationServer } from '../../support/notification-server.ts';
import { card, folderWith, openStatusWindow } from '../../support/status-window.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`Step-up is not tested in the app. ${missing}\n`);

describe.runIf(missing === undefined)('a call that needs more access', { timeout: 60_000 }, () => {
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

  it('is told of by notification, tray and window, and goes through after another login', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 3_600 } });
    const server = await plannedServer(upstream.mcpServer.jsonUrl);
    const stateDir = await folderWith({ loginOnDemand: false });
    const running = await launchApp({ desktop: desktop(), stateDir, env: server.env });
    const host = new URL(upstream.mcpUrl).host;
    await tray.waitForMenu(statusIs(/logged out/));
    await tray.click('Log in…');
    await signIn(running, upstream);
    const loggedIn = await tray.waitForMenu(statusIs(/: logged in/));
    expect(loggedIn.find(({ label }) => label === 'Log in…')?.enabled).toBe(false);
    await notifications.waitFor(({ length }) => length === 1);
    const client = await givenClient(server.mcpUrl);
    expect(await callTool(client, 'add', { a: 2, b: 3 })).toBe('5');

    upstream.mcpServer.behaviour.requiredScopes = ['mcp:resources'];
    await expect(callTool(client, 'add', { a: 2, b: 3 })).rejects.toMatchObject({
      data: { error: 'insufficient_scope', login_url: `${server.url}/oauth/login` },
    });
    const [, asked] = await notifications.waitFor(({ length }) => length === 2);
    expect(asked).toMatchObject({
      title: `More access needed: ${host}`,
      body: expect.stringContaining('needs more access than you have granted'),
      clickable: true,
      open: true,
    });
    const menu = await tray.waitForMenu(statusIs(/more access needed/));
    const enabled = menu.filter((entry) => entry.enabled).map(({ label }) => label);
    expect(enabled).toEqual(expect.arrayContaining(['Log in…', 'Log in with browser…', 'Log out']));

    const window = await openStatusWindow(running, tray);
    const shown = card(window, host);
    await shown.getByText('More access needed').waitFor();
    await shown.getByText('The server wants more access (mcp:resources)').waitFor();
    await shown.getByRole('button', { name: 'Log in again' }).waitFor();
    await picture(window, 'step-up');

    await tray.click('Log in…');
    await signIn(running, upstream);
    const [, , done] = await notifications.waitFor(({ length }) => length === 3);
    expect(done).toMatchObject({ title: `Logged in to ${host}` });
    expect(await callTool(client, 'add', { a: 2, b: 3 })).toBe('5');
    await tray.waitForMenu(statusIs(/: logged in/));
    await shown.getByText('Logged in', { exact: true }).waitFor();
    expect(await shown.getByRole('button', { name: 'Log in again' }).count()).toBe(0);
  });
});
