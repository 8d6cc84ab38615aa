import { once } from 'node:events';
import { readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import {
  endProcess,
  type ProcessIdentity,
  readLiveness,
  readStartTime,
} from '../../../app/cli/background/process.ts';
import type { Upstream } from '../../../app/cli/demo/upstream.ts';
import { plannedServer, statusIs, windowTitles } from '../../support/app.ts';
import { callTool, givenClient, givenFolder, givenUpstream, logIn, rpc } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, startApp } from '../../support/electron.ts';
import { givenGate, onPath } from '../../support/login.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`The app's start and end are not tested. ${missing}\n`);

async function isHealthy({ url }: { url: string }): Promise<boolean> {
  return fetch(`${url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** The app that runs on a folder, whoever started it: Chromium writes down whose profile it is. */
async function runningApp(stateDir: string): Promise<ProcessIdentity> {
  const lock = await readlink(path.join(stateDir, 'chromium', 'SingletonLock'));
  const pid = Number(lock.slice(lock.lastIndexOf('-') + 1));
  return { pid, startTime: await readStartTime(pid) };
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

  it('a start while it ends has it start again, with the settings it had', async () => {
    const upstream = await givenUpstream();
    const server = await plannedServer(upstream.mcpServer.jsonUrl);
    const stateDir = await givenFolder();
    const env = { ...server.env, PROXY_API_KEY: 'the-key-of-the-callers-0815' };
    const { child, ended } = startApp({ desktop: desktop(), stateDir, env });
    await tray.waitForMenu(statusIs(/logged out/));
    await logIn({ loginUrl: `${server.url}/oauth/login` });

    // A refresh that is under way is what the end waits for longest.
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
    upstream.mcpServer.rejectCurrentTokens();
    const { headers, ...request } = rpc('ping');
    const call = fetch(server.mcpUrl, {
      ...request,
      headers: { ...headers, 'x-api-key': env.PROXY_API_KEY },
    });
    await gate.reached;
    child.kill('SIGTERM');
    await expect.poll(() => isHealthy(server), { timeout: 20_000 }).toBe(false);
    expect(await startApp({ desktop: desktop(), stateDir }).ended).toBe(0);
    gate.open('go on');
    await Promise.allSettled([call]);
    expect(await ended).toBe(0);

    await expect.poll(() => isHealthy(server), { timeout: 20_000 }).toBe(true);
    const next = await runningApp(stateDir);
    onTestFinished(async () => void (await endProcess(next, 10_000, process.stderr)));
    expect(await (await fetch(server.mcpUrl, rpc('ping'))).json()).toMatchObject({
      error: 'invalid_api_key',
    });
    await tray.waitForMenu(statusIs(/: logged in/));
    await tray.click('Quit MCP Auth Proxy');
    await tray.waitUntilEmpty();
    await expect.poll(() => readLiveness(next), { timeout: 20_000 }).toBe('gone');
  });
});
