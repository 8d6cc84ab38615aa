import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { picture, plannedServer, signIn, statusIs } from '../../support/app.ts';
import { givenFolder, givenUpstream } from '../../support/broker.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron } from '../../support/electron.ts';
import { outcomeOf } from '../../support/login.ts';
import { startTrayHost, type TrayHost } from '../../support/tray-host.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`The app without a keyring is not tested. ${missing}\n`);

describe.runIf(missing === undefined)('a desktop without a keyring', { timeout: 60_000 }, () => {
  const desktop = givenDesktop({ keyring: false });
  let tray: TrayHost;
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    onTestFinished(() => tray.stop());
  });

  it.each([
    // Which may be locked as well: nobody can tell.
    ['that should be there', [], 'Logins cannot be kept now.', /nowhere yet, so the login ends with the app/],
    [
      'by decision',
      ['--password-store=basic'],
      'Logins are kept in memory only, and end when the app quits',
      /memory only/,
    ],
  ])('%s has logins end with the app, and says so', async (_which, args, said, kept) => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 3_600 } });
    const server = await plannedServer(upstream.mcpServer.jsonUrl);
    const stateDir = await givenFolder();
    const env = { ...server.env, LOGIN_WAIT_SECONDS: '0' };

    const first = await launchApp({ desktop: desktop(), stateDir, env, args });
    await tray.waitForMenu(statusIs(/logged out/));
    await tray.click('Open MCP Auth Proxy');
    const window = await first.statusWindow();
    await tray.click('Log in…');
    await signIn(first, upstream);
    await tray.waitForMenu(statusIs(/: logged in/));
    expect(await outcomeOf(server)).toBe('ok');
    const card = window.getByRole('article');
    await card.getByText('Logged in', { exact: true }).waitFor();
    await window.getByText(said).waitFor();
    await card.getByText(kept).waitFor();
    await picture(window, `no-keyring${args.join('')}`);
    const names = await readdir(path.join(stateDir, 'secrets')).catch(() => []);
    expect(names.filter((name) => name !== 'locks')).toEqual([]);
    expect(await first.close()).toBe(0);
    await tray.waitUntilEmpty();

    await launchApp({ desktop: desktop(), stateDir, env, args });
    await tray.waitForMenu(statusIs(/logged out/));
    expect(await outcomeOf(server)).toBe('not_authenticated');
  });
});
