import { once } from 'node:events';
import { createServer } from 'node:net';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Upstream } from '../../../app/cli/demo/upstream.ts';
import { plannedServer, statusIs, windowTitles } from '../../support/app.ts';
import { callTool, givenClient, givenFolder, givenUpstream } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, startApp } from '../../support/electron.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`The app's start and end are not tested. ${missing}\n`);

async function isHealthy({ url }: { url: string }): Promise<boolean> {
  return fetch(`${url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** Rejects when another program listens there. */
async function listenOn(port: number): Promise<void> {
  const server = createServer();
  await once(server.listen(port, '127.0.0.1'), 'listening');
  server.close();
  await once(server, 'close');
}

describe.runIf(missing === undefined)('the life of the app', { timeout: 60_000 }, () => {
  const desktop = givenDesktop();
  let tray: TrayHost;
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    onTestFinished(() => tray.stop());
  });

  /** Its tools can be called without a login. */
  function givenOpenUpstream(): Promise<Upstream> {
    return givenUpstream({ mcpServer: { requireAuth: false } });
  }

  it('a second start opens the window of the first and ends; the first goes on, also without the window', async () => {
    const upstream = await givenOpenUpstream();
    const server = await plannedServer(upstream.mcpUrl);
    const stateDir = await givenFolder();
    const running = await launchApp({ desktop: desktop(), stateDir, env: server.env });
    await tray.waitForMenu(statusIs(/logged out/));
    const client = await givenClient(server.mcpUrl);
    expect(await windowTitles(running)).toEqual([]);

    const second = startApp({ desktop: desktop(), stateDir, env: server.env });
    const window = await running.statusWindow();
    await window.getByRole('article').waitFor();
    expect(await second.ended).toBe(0);
    // Its server cannot be added to the one that runs.
    expect(second.output()).toContain('so UPSTREAM_MCP_URL was not added');
    await window.getByText('so the server of the second start was not added').waitFor();
    expect(await windowTitles(running)).toHaveLength(1);
    await tray.waitForMenu(statusIs(/no login needed/));

    // Once more, with the window open.
    expect(await startApp({ desktop: desktop(), stateDir }).ended).toBe(0);
    expect(await windowTitles(running)).toHaveLength(1);

    const closed = window.waitForEvent('close');
    await running.app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
    await closed;
    expect(await callTool(client, 'add', { a: 2, b: 3 })).toBe('5');
    await tray.click('Open MCP Auth Proxy');
    await expect.poll(() => windowTitles(running), { timeout: 20_000 }).toHaveLength(1);
    expect(await running.close()).toBe(0);
    await tray.waitUntilEmpty();
    await listenOn(server.port);
  });

  it('two with folders of their own live side by side', async () => {
    const upstream = await givenOpenUpstream();
    const servers = [await plannedServer(upstream.mcpUrl), await plannedServer(upstream.mcpUrl)];
    const apps = [];
    for (const { env, url } of servers) {
      apps.push(startApp({ desktop: desktop(), stateDir: await givenFolder(), env }));
      await expect.poll(() => isHealthy({ url }), { timeout: 20_000 }).toBe(true);
    }
    for (const { mcpUrl } of servers)
      expect(await callTool(await givenClient(mcpUrl), 'add', { a: 2, b: 3 })).toBe('5');
    apps[0]?.child.kill('SIGTERM');
    expect(await apps[0]?.ended).toBe(0);
    expect(await Promise.all(servers.map(isHealthy))).toEqual([false, true]);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s ends it once the call in flight is answered',
    async (signal) => {
      const upstream = await givenOpenUpstream();
      const server = await plannedServer(upstream.mcpUrl);
      const { child, ended } = startApp({
        desktop: desktop(),
        stateDir: await givenFolder(),
        env: server.env,
      });
      await tray.waitForMenu(statusIs(/logged out/));
      const client = await givenClient(server.mcpUrl);
      const answer = callTool(client, 'slow', { steps: 1 });
      await upstream.mcpServer.requests.next(({ method }) => method === 'POST');
      child.kill(signal);
      await expect.poll(() => isHealthy(server), { timeout: 20_000 }).toBe(false);
      await upstream.mcpServer.stepSlowTool();
      expect(await answer).toBe('made 1 steps');
      expect(await ended).toBe(0);
      await tray.waitUntilEmpty();
      await listenOn(server.port);
    },
  );
});
