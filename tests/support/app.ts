import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Page } from 'playwright';
import type { RunningApp } from './electron.ts';
import { freePort } from './free-port.ts';
import type { TrayEntry } from './tray-host.ts';

/** Where pictures of the windows go, for people who want to look at them. */
const PICTURES = process.env.SCREENSHOTS;

/** What the app is told of one server, on a port that is free. */
export interface PlannedServer {
  readonly port: number;
  readonly url: string;
  readonly mcpUrl: string;
  /** Environment by which an app has this server. */
  readonly env: Readonly<Record<string, string>>;
}

/** Plans a server that an app gets by its environment. */
export async function plannedServer(upstreamMcpUrl: string): Promise<PlannedServer> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  return { port, url, mcpUrl: `${url}/mcp`, env: { UPSTREAM_MCP_URL: upstreamMcpUrl, PORT: String(port) } };
}

/** Whether the status line of the only server says so. */
export function statusIs(wanted: RegExp): (menu: readonly TrayEntry[]) => boolean {
  return ([status]) => wanted.test(status?.label ?? '');
}

/** Consents at the embedded authorization server, in the login window that is open or about to be. */
export async function signIn(running: RunningApp, { issuer }: { issuer: string }): Promise<void> {
  const page = await running.pageAt(issuer);
  const closed = page.waitForEvent('close');
  await page.getByRole('button', { name: 'Allow' }).click();
  await closed;
}

/** Titles of the windows that the app has open. */
export function windowTitles({ app }: RunningApp): Promise<string[]> {
  return app.evaluate(({ BrowserWindow }) =>
    BrowserWindow.getAllWindows().map((window) => window.getTitle()),
  );
}

/** Takes a picture, if anybody wants one. */
export async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return;
  await mkdir(PICTURES, { recursive: true });
  await page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
}
