import { createServer } from 'node:https';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { inspect } from '../../support/accessibility.ts';
import { givenFolder } from '../../support/broker.ts';
import { makeAuthority } from '../../support/certificates.ts';
import { givenDesktop } from '../../support/desktop.ts';
import { launchApp, missingElectron, type RunningApp } from '../../support/electron.ts';
import { givenConnectProxy } from '../../support/proxies.ts';
import {
  listenUntilTestEnds,
  type Script,
  type ScriptedRequest,
  scriptedListener,
} from '../../support/scripted-server.ts';
import { folderWith, openStatusWindow, settingsUntil, show } from '../../support/status-window.ts';
import { startTrayHost, type TrayEntry, type TrayHost } from '../../support/tray-host.ts';
import { givenVariant } from '../../support/variant.ts';

const missing = missingElectron();
if (missing !== undefined) process.stderr.write(`New versions of the app are not tested. ${missing}\n`);

const PATH = '/repos/octo-org/hello/releases/latest';
const PAGE = 'https://github.com/octo-org/hello/releases/tag/v9.9.9';
const LINE = 'Version 9.9.9 is available…';

/** The pages that the system's browser would have opened. */
type MainGlobals = typeof globalThis & { opened: string[] };

function labels(menu: readonly TrayEntry[]): string[] {
  return menu.map(({ label }) => label);
}

describe.runIf(missing === undefined)('a new version', { timeout: 90_000 }, () => {
  const desktop = givenDesktop();
  let tray: TrayHost;
  beforeEach(async () => {
    tray = await startTrayHost(desktop().busAddress);
    onTestFinished(() => tray.stop());
  });

  /** GitHub's API, which the app reaches by the system's proxy, as one that the system trusts. */
  async function givenFeed(script: Script) {
    const { caFile, server } = await makeAuthority(await givenFolder(), ['api.github.com']);
    const requests: ScriptedRequest[] = [];
    const feed = createServer(server, scriptedListener(script, requests));
    const proxy = await givenConnectProxy(await listenUntilTestEnds(feed));
    return {
      requests,
      proxy,
      way: { env: { SSL_CERT_FILE: caFile }, args: [`--proxy-server=${proxy.url}`] },
    };
  }

  async function watchBrowser({ app }: RunningApp): Promise<() => Promise<string[]>> {
    await app.evaluate(({ shell }) => {
      const opened: string[] = [];
      (globalThis as MainGlobals).opened = opened;
      shell.openExternal = async (url) => void opened.push(url);
    });
    return () => app.evaluate(() => (globalThis as MainGlobals).opened);
  }

  it('is told in the menu and in the window, whose items open its page, and not looked for again that day', async () => {
    const feed = await givenFeed({
      [PATH]: { json: { tag_name: 'v9.9.9', html_url: 'https://evil.example/' }, headers: { etag: '"one"' } },
    });
    const folder = await givenVariant({ repository: 'github:octo-org/hello' });
    const stateDir = await folderWith({});
    const options = { desktop: desktop(), stateDir, folder, ...feed.way };
    const running = await launchApp(options);
    const opened = await watchBrowser(running);
    const menu = await tray.waitForMenu((entries) => labels(entries).includes(LINE));
    expect(labels(menu).slice(-5)).toEqual([
      'Start at login',
      LINE,
      'About MCP Auth Proxy',
      '',
      'Quit MCP Auth Proxy',
    ]);
    // Nobody else is asked for anything.
    expect(feed.proxy.asked).toEqual(['api.github.com:443']);
    await tray.click(LINE);
    await expect.poll(opened).toEqual([PAGE]);

    const window = await openStatusWindow(running, tray);
    const notices = window.getByRole('region', { name: 'Notices' });
    await notices.getByText('Version 9.9.9 is available.').waitFor();
    await inspect(running, window, 'new-version');
    await notices.getByRole('button', { name: 'Open its page' }).click();
    await expect.poll(opened).toEqual([PAGE, PAGE]);
    await running.close();

    const again = await launchApp(options);
    await tray.waitForMenu((entries) => labels(entries).includes(LINE));
    const settings = await show(await openStatusWindow(again, tray), 'Settings');
    await settings.getByRole('switch', { name: 'Look for new versions' }).uncheck();
    await settingsUntil(stateDir, ({ lookForNewVersions }) => lookForNewVersions === false);
    await tray.waitForMenu((entries) => !labels(entries).includes(LINE));
    expect(feed.requests.map(({ url }) => url)).toEqual([PATH]);
  });

  it('is not looked for by a build that does not know where, and the settings say so', async () => {
    const folder = await givenVariant({ repository: undefined });
    const running = await launchApp({ desktop: desktop(), stateDir: await givenFolder(), folder });
    const settings = await show(await running.statusWindow(), 'Settings');
    await settings
      .getByText('This build of the app does not know where new versions are published.')
      .waitFor();
    expect(await settings.getByRole('switch', { name: 'Look for new versions' }).isDisabled()).toBe(true);
  });
});
