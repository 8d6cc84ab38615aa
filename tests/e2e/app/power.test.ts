import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Upstream } from '../../../app/cli/demo/upstream.ts';
import { type PlannedServer, picture, plannedServer, signIn, statusIs } from '../../support/app.ts';
import { givenFolder, givenUpstream, rpc } from '../../support/broker.ts';
import { observeChanges } from '../../support/changes.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, type RunningApp } from '../../support/electron.ts';
import { createStandInKeychain } from '../../support/keychain.ts';
import { connectToSessionBus } from '../../support/session-bus.ts';
import { card, openStatusWindow } from '../../support/status-window.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`Sleep and loss of the network are not tested. ${missing}\n`);

/** What the main process was told of power, as a test sees it. */
type MainGlobals = typeof globalThis & { suspended: Promise<unknown> };

/** The part of systemd that sends a machine to sleep. */
interface Logind {
  /** Resolves when the app listens. */
  readonly listenedTo: Promise<unknown>;
  sleep(): void;
  wake(): void;
}

/** @see https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.login1.html */
async function startLogind(busAddress: string): Promise<Logind> {
  const bus = await connectToSessionBus(busAddress);
  onTestFinished(() => bus.close());
  const manager = { path: '/org/freedesktop/login1', interface: 'org.freedesktop.login1.Manager' };
  const changes = observeChanges();
  let delays = 0;
  bus.serve({
    ...manager,
    methods: {
      // What an application asks for once it has subscribed to the signal.
      Inhibit() {
        delays += 1;
        changes.announce();
        return [''];
      },
    },
  });
  await bus.own('org.freedesktop.login1');
  const prepareForSleep = { ...manager, member: 'PrepareForSleep' };
  return {
    listenedTo: changes.until(
      'inhibitors',
      () => delays,
      (count) => count > 0,
    ),
    sleep: () => bus.signal(prepareForSleep, 'b', true),
    wake: () => bus.signal(prepareForSleep, 'b', false),
  };
}

/** The next request for new tokens. */
function nextRefresh({ authorizationServer }: Upstream) {
  return authorizationServer.requests.next(({ grantType }) => grantType === 'refresh_token');
}

describe.runIf(missing === undefined)('a machine that comes and goes', { timeout: 60_000 }, () => {
  const desktop = givenDesktop();
  let tray: TrayHost;
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    onTestFinished(() => tray.stop());
  });

  interface Scene {
    readonly upstream: Upstream;
    readonly server: PlannedServer;
    readonly running: RunningApp;
  }

  /** An app that is logged in, with an access token that lasts for a second. */
  async function givenScene(env: Record<string, string> = {}): Promise<Scene> {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 1 } });
    const server = await plannedServer(upstream.mcpUrl);
    const stateDir = await givenFolder();
    const running = await launchApp({ desktop: desktop(), stateDir, env: { ...server.env, ...env } });
    await tray.waitForMenu(statusIs(/logged out/));
    await tray.click('Log in…');
    await signIn(running, upstream);
    await tray.waitForMenu(statusIs(/logged in/));
    return { upstream, server, running };
  }

  it('finishes a refresh while it falls asleep, and renews what is due when it wakes', async () => {
    const logind = await startLogind(desktop().busAddress);
    const { upstream, server, running } = await givenScene();
    await logind.listenedTo;
    await running.app.evaluate(({ powerMonitor }) => {
      (globalThis as MainGlobals).suspended = new Promise((resolve) => {
        powerMonitor.once('suspend', () => resolve(undefined));
      });
    });

    let release = () => {};
    const released = new Promise<boolean>((resolve) => {
      release = () => resolve(false);
    });
    upstream.authorizationServer.behaviour.respond = ({ url }) => url === '/token' && released;
    upstream.mcpServer.rejectCurrentTokens();
    const asked = nextRefresh(upstream);
    const call = fetch(server.mcpUrl, rpc('initialize', 1, INITIALIZE));
    await asked;
    logind.sleep();
    await running.app.evaluate(() => (globalThis as MainGlobals).suspended);
    release();
    expect((await call).status).toBe(200);

    upstream.authorizationServer.behaviour.accessTokenSeconds = 3_600;
    const renewed = nextRefresh(upstream);
    logind.wake();
    await renewed;
    const [status] = await tray.waitForMenu(statusIs(/refreshed just now, expires in (59 min|1 hour)/));
    expect(status?.label).toContain(': logged in');

    // Chromium cuts its sockets when it falls asleep, the one to the debugger among them.
    await tray.click('Quit MCP Auth Proxy');
    await tray.waitUntilEmpty();
  });

  it('reads a login again that it could not read while the screen was locked', async () => {
    const keychain = await createStandInKeychain();
    onTestFinished(() => keychain.remove());
    const env = { SECURITY_BIN: keychain.securityBin };
    const { upstream, server, running } = await givenScene(env);
    await running.close();
    upstream.authorizationServer.behaviour.accessTokenSeconds = 3_600;

    await keychain.setFaults([{ on: 'find-generic-password', exit: 36 }]);
    const again = await launchApp({
      desktop: desktop(),
      stateDir: await givenFolder(),
      env: { ...server.env, ...env },
    });
    await tray.waitForMenu(statusIs(/needs attention/));
    const window = await openStatusWindow(again, tray);
    const shown = card(window, new URL(upstream.mcpUrl).host);
    await shown.getByText(/keychain is locked/i).waitFor();
    await picture(window, 'power-keychain-locked');
    await keychain.setFaults([]);
    await again.app.evaluate(({ powerMonitor }) => void powerMonitor.emit('unlock-screen'));
    await tray.waitForMenu(statusIs(/: logged in/));
    await shown.getByText('Logged in', { exact: true }).waitFor();
  });

  it('keeps the login without a network, says so, and goes on with it', async () => {
    const { upstream, server, running } = await givenScene();
    const { host } = new URL(upstream.mcpUrl);
    const online = (is: boolean) =>
      running.app.evaluate(({ net }, value) => {
        net.isOnline = () => value;
      }, is);
    await upstream.authorizationServer.close();
    await online(false);
    const icon = await tray.icon();
    const window = await openStatusWindow(running, tray);
    await window.getByText('You are offline').waitFor();
    await picture(window, 'power-offline');
    const [status] = await tray.waitForMenu(statusIs(/^Offline · /));
    expect(status?.label).toMatch(new RegExp(`^Offline · ${host}: logged in`));
    await tray.waitForIcon((shown) => JSON.stringify(shown) !== JSON.stringify(icon));
    await card(window, host).getByText('Logged in', { exact: true }).waitFor();
    upstream.mcpServer.rejectCurrentTokens();
    const refused = await fetch(server.mcpUrl, rpc('initialize', 1, INITIALIZE));
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: { data: { error: 'refresh_unavailable' } } });
    await tray.waitForMenu(statusIs(/^Offline · .*: logged in/));

    const { behaviour } = await upstream.restartAuthorizationServer();
    behaviour.accessTokenSeconds = 3_600;
    await online(true);
    await running.app.evaluate(({ powerMonitor }) => void powerMonitor.emit('resume'));
    await tray.waitForMenu(statusIs(new RegExp(`^${host}: logged in, refreshed just now`)));
    await window.getByText('You are offline').waitFor({ state: 'detached' });
    expect((await fetch(server.mcpUrl, rpc('initialize', 2, INITIALIZE))).status).toBe(200);
  });
});

const INITIALIZE = {
  protocolVersion: '2025-06-18',
  capabilities: {},
  clientInfo: { name: 'test-client', version: '1.0.0' },
};
