import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright';
import { onTestFinished } from 'vitest';

const EXECUTABLES =
  process.platform === 'darwin'
    ? ['Google Chrome', 'Chromium'].map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`)
    : ['/usr/bin/chromium'];
const EXECUTABLE = process.env.CHROMIUM_BIN ?? EXECUTABLES.find(existsSync) ?? EXECUTABLES.join(' or ');

/**
 * Why there is no browser here, if there is none. In continuous integration that is an error.
 * @throws Error when `CI` is `true` and there is none
 */
export function missingBrowser(): string | undefined {
  if (existsSync(EXECUTABLE)) return undefined;
  const reason = `There is no Chromium at ${EXECUTABLE}; run "npm run setup" or set CHROMIUM_BIN.`;
  if (process.env.CI === 'true') throw new Error(reason);
  return reason;
}

/** Starts a real Chromium that talks to nobody by itself. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A page of a browser, and what went wrong or left this machine on it. */
export interface WatchedPage {
  readonly page: Page;
  /** Console errors, policy violations, script errors, and requests that did not go to loopback. */
  readonly faults: string[];
}

/** Opens a page in a profile of its own, which ends with the test. */
export async function givenPage(
  browser: Browser,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<WatchedPage> {
  const context: BrowserContext = await browser.newContext(options);
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(error.message));
  context.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (hostname !== '127.0.0.1' || protocol !== 'http:') faults.push(`asked ${hostname}`);
  });
  return { page, faults };
}
