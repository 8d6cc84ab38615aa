import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { picture, plannedServer, statusIs } from '../../support/app.ts';
import { givenFolder, givenUpstream, rpc } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, startApp } from '../../support/electron.ts';
import { freePort } from '../../support/free-port.ts';
import {
  card,
  folderWith,
  openStatusWindow,
  settingsFile,
  settingsUntil,
  writeSettings,
} from '../../support/status-window.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`What can go wrong in the app is not tested. ${missing}\n`);

/** Takes a port, as another program might. */
async function givenTakenPort(): Promise<number> {
  const port = await freePort();
  const server = createServer();
  await once(server.listen(port, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return port;
}

async function isServed(port: number): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${port}/health`)).ok;
}

describe.runIf(missing === undefined)('what goes wrong', { timeout: 60_000 }, () => {
  const desktop = givenDesktop();
  let tray: TrayHost;
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    onTestFinished(() => tray.stop());
  });

  it('is said at the server it concerns, with a way out, and leaves the others alone', async () => {
    const upstream = await givenUpstream();
    const [taken, good, far] = [await givenTakenPort(), await freePort(), await freePort()];
    const unreachable = `http://127.0.0.1:${await freePort()}/mcp`;
    const stateDir = await folderWith({
      servers: [
        { id: 'taken', name: 'Taken', upstreamMcpUrl: upstream.mcpUrl, port: taken, profile: 'other' },
        { id: 'good', name: 'Good', upstreamMcpUrl: upstream.mcpUrl, port: good },
        { id: 'far', name: 'Far', upstreamMcpUrl: unreachable, port: far },
        { id: 'wrong', name: 'Wrong', upstreamMcpUrl: 'ftp://example.com', port: await freePort() },
      ],
    });
    const running = await launchApp({ desktop: desktop(), stateDir });
    const menu = await tray.waitForMenu(
      (entries) => entries.filter(({ label }) => /logged out$|not running$/.test(label)).length === 4,
    );
    expect(menu.slice(0, 4).map(({ label }) => label)).toEqual([
      'Taken: not running',
      'Good: logged out',
      'Far: logged out',
      'Wrong: not running',
    ]);
    expect(menu[0]?.submenu[0]?.label).toBe(`Taken: not running, port ${taken} is taken`);

    const window = await openStatusWindow(running, tray);
    const wrong = card(window, 'Wrong');
    await wrong.getByText('Not running').waitFor();
    expect(await wrong.textContent()).toContain(
      'URL of the MCP server "ftp://example.com" must use https: (http: is allowed on loopback only).',
    );
    const proposal = card(window, 'Taken').getByRole('button', { name: /^Use port \d+/ });
    await proposal.waitFor();
    expect(await card(window, 'Taken').textContent()).toContain(
      `Port ${taken} is taken by another program; end that, or take another port.`,
    );
    await picture(window, 'faults-port-taken');
    const port = Number(/\d+/.exec((await proposal.textContent()) ?? '')?.[0]);
    expect([taken, good, far]).not.toContain(port);
    expect(await isServed(good)).toBe(true);
    expect(await isServed(far)).toBe(true);

    await proposal.click();
    await card(window, 'Taken').getByText('Logged out').waitFor();
    expect(await isServed(port)).toBe(true);
    await card(window, 'Taken').getByText(`http://127.0.0.1:${port}/mcp`).waitFor();
    const { servers } = await settingsUntil(stateDir, ({ servers: [first] }) => first?.port === port);
    expect(servers.map(({ id }) => id)).toEqual(['taken', 'good', 'far', 'wrong']);
    expect(servers[1]).toEqual({ id: 'good', name: 'Good', upstreamMcpUrl: upstream.mcpUrl, port: good });

    // An upstream that is not there: calls are told so, a login says what to do.
    const call = await fetch(`http://127.0.0.1:${far}/mcp`, rpc('ping'));
    expect(await call.json()).toMatchObject({ error: { data: { error: 'upstream_unreachable' } } });
    await card(window, 'Far').getByRole('button', { name: 'Log in: Far' }).click();
    await card(window, 'Far').locator('.note.bad').waitFor();
    expect(await card(window, 'Far').textContent()).toContain(new URL(unreachable).host);
    await picture(window, 'faults-unreachable');
    await card(window, 'Good').getByText('Logged out').waitFor();
    expect(await isServed(good)).toBe(true);
  });

  it('starts with a settings file that is none: it is set aside as it was, and said until that is dismissed', async () => {
    const stateDir = await givenFolder();
    const broken = Buffer.from(
      '{ "version": 1,\n  "servers": [{ "clientSecret": "very-secret-1", ]\n\u00e4\n',
    );
    await writeFile(settingsFile(stateDir), broken);
    const running = await launchApp({ desktop: desktop(), stateDir });
    const window = await running.statusWindow();
    await window.getByRole('heading', { name: 'Log in once, for every MCP client' }).waitFor();
    const notice = window.getByRole('region', { name: 'Notices' });
    await notice.getByText('is no settings file: it is not valid JSON').waitFor();
    await picture(window, 'faults-broken-settings');
    const [aside] = (await readdir(stateDir)).filter((name) => name.startsWith('settings.'));
    expect(aside).toMatch(/^settings\.broken-.*\.json$/);
    expect(await readFile(path.join(stateDir, aside ?? ''))).toEqual(broken);
    expect(await notice.textContent()).toContain(aside);
    expect(await window.content()).not.toContain('very-secret-1');
    expect(await readFile(path.join(stateDir, 'app.log'), 'utf8')).not.toContain('very-secret-1');

    await notice.getByRole('button', { name: /^Dismiss/ }).click();
    await notice.getByText('is no settings file').waitFor({ state: 'detached' });
  });

  it('starts where the settings can be neither read nor written, for that run', async () => {
    const upstream = await givenUpstream();
    const stateDir = await givenFolder();
    await mkdir(settingsFile(stateDir));
    // Where the logins would be kept.
    await writeFile(path.join(stateDir, 'secrets'), '');
    const running = await launchApp({ desktop: desktop(), stateDir });
    const window = await running.statusWindow();
    const notice = window.getByRole('region', { name: 'Notices' });
    await notice.getByText('The settings could not be read.').waitFor();
    await window.getByLabel('URL of the MCP server').fill(upstream.mcpUrl);
    await window.getByText('More options').click();
    await window.getByLabel('Local port').fill(String(await freePort()));
    await window.getByRole('button', { name: 'Add and log in' }).click();
    const { host } = new URL(upstream.mcpUrl);
    await card(window, host).waitFor();
    await picture(window, 'faults-no-folder');
    expect(await readdir(settingsFile(stateDir))).toEqual([]);
  });

  it('ends with a sentence where it can keep nothing at all', async () => {
    const folder = await givenFolder();
    const file = path.join(folder, 'file');
    await writeFile(file, '');
    const { ended, output } = startApp({ desktop: desktop(), stateDir: folder, env: { STATE_DIR: file } });
    expect(await ended).toBe(1);
    expect(output()).toContain('MCP Auth Proxy cannot start.');
    expect(output()).toMatch(/file.* is not a folder: move that away, or set STATE_DIR to another folder\./);
    expect(output()).not.toMatch(/^ +at /m);
  });

  it('says which variable of the environment is wrong, and runs the servers of the settings', async () => {
    const upstream = await givenUpstream();
    const port = await freePort();
    const stateDir = await folderWith({
      servers: [{ id: 'good', name: 'Good', upstreamMcpUrl: upstream.mcpUrl, port }],
    });
    const env = { UPSTREAM_MCP_URL: 'https://mcp.example.com/mcp', PORT: 'abc' };
    const running = await launchApp({ desktop: desktop(), stateDir, env });
    const menu = await tray.waitForMenu(([, second]) => second?.label === 'Good: logged out');
    expect(menu[0]?.submenu[0]?.label).toBe('mcp.example.com: not running, a setting is wrong');
    const window = await openStatusWindow(running, tray);
    const wrong = card(window, 'mcp.example.com');
    await wrong.getByText(/^PORT .*must be a whole number/).waitFor();
    await wrong.getByText('From the environment, for this run only.').waitFor();
    expect(await wrong.getByRole('button', { name: /^(Edit|Remove|Log in)/ }).count()).toBe(0);
    await picture(window, 'faults-environment');
    expect(await isServed(port)).toBe(true);
  });

  it('takes over what a person writes into settings.json, and says what is wrong with it', async () => {
    const upstream = await givenUpstream();
    const server = await plannedServer(upstream.mcpUrl);
    const first = { id: 'one', name: 'One', upstreamMcpUrl: upstream.mcpUrl, port: server.port };
    const stateDir = await folderWith({ servers: [first] });
    const running = await launchApp({ desktop: desktop(), stateDir });
    await tray.waitForMenu(statusIs(/^One: logged out/));
    const window = await openStatusWindow(running, tray);
    await card(window, 'One').waitFor();

    const second = {
      id: 'two',
      name: 'Two',
      upstreamMcpUrl: upstream.mcpUrl,
      port: await freePort(),
      profile: 'p',
    };
    await writeSettings(stateDir, { servers: [first, second], loginWay: 'carrier pigeon' });
    await openStatusWindow(running, tray);
    await card(window, 'Two').getByText('Logged out').waitFor();
    expect(await isServed(second.port)).toBe(true);
    expect(await isServed(first.port)).toBe(true);
    const notice = window.getByRole('region', { name: 'Notices' });
    await notice.getByText('loginWay must be popup or browser.').waitFor();

    // Coming back to the window is enough.
    await writeSettings(stateDir, { servers: [second] });
    await running.app.evaluate(({ app, BrowserWindow }) => {
      app.emit('browser-window-focus', {}, BrowserWindow.getAllWindows()[0]);
    });
    await card(window, 'One').waitFor({ state: 'detached' });
    await notice.getByText('loginWay must be popup or browser.').waitFor({ state: 'detached' });
    await expect(isServed(first.port)).rejects.toThrow();

    // A file that breaks while it is in force takes nothing away.
    await writeFile(settingsFile(stateDir), '{"servers": [');
    await openStatusWindow(running, tray);
    await notice.getByText('the settings stay as they were').waitFor();
    await card(window, 'Two').getByText('Logged out').waitFor();
    const { servers } = await settingsUntil(stateDir, ({ servers }) => servers.length > 0);
    expect(servers).toEqual([second]);
  });
});
