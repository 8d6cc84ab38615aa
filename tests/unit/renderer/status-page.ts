import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, onTestFinished } from 'vitest';
import type {
  NotificationChannel,
  Notifications,
  RequestChannel,
  Requests,
} from '../../../main/ipc/contract.ts';
import { givenPage, launchBrowser, missingBrowser } from '../../support/browser.ts';
import { view } from './views.ts';

/** The policy under which the app serves its pages. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'none'; connect-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const TYPES: Readonly<Record<string, string>> = { html: 'text/html', js: 'text/javascript', css: 'text/css' };

/** The channels of this page. */
type Channel = {
  [C in RequestChannel]: Requests[C]['page'] extends 'status' ? C : never;
}[RequestChannel];

/** What the main process answers in a test; by default what a running app with one server would. */
export type Answers = {
  [C in Channel]: (
    request: Requests[C]['request'],
  ) => Requests[C]['response'] | Promise<Requests[C]['response']>;
};

/** Something the page has asked for. */
export type Asked = {
  [C in Channel]: { readonly channel: C; readonly request: Requests[C]['request'] };
}[Channel];

export interface StatusPage {
  readonly page: Page;
  /** All that was asked, without the first look at things. */
  readonly asked: readonly Asked[];
  /** The next request on a channel, made or to be made. */
  next<C extends Channel>(channel: C): Promise<Requests[C]['request']>;
  tell<C extends NotificationChannel>(channel: C, message: Notifications[C]['message']): Promise<void>;
}

/** Opens the page in the browser of a {@link describePage}. */
export type OpenPage = (answers?: Partial<Answers>, options?: PageOptions) => Promise<StatusPage>;

type PageOptions = Parameters<Browser['newContext']>[0] & {
  /** Fragment of the address, with `#`. */
  readonly fragment?: string;
  /** What the clock of the page shows as it opens, in milliseconds since the epoch. */
  readonly now?: number;
};

/** A suite of tests in a real browser, for which the page is built once. */
export function describePage(name: string, tests: (open: OpenPage) => void): void {
  const missing = missingBrowser();
  if (missing !== undefined) process.stderr.write(`${name} is not tested. ${missing}\n`);
  describe.runIf(missing === undefined)(name, () => {
    let browser: Browser;
    let served: ServedPage;
    beforeAll(async () => {
      [browser, served] = await Promise.all([launchBrowser(), serveStatusPage()]);
    });
    afterAll(async () => {
      await browser.close();
      await served.close();
    });
    tests((answers, options) => openStatusPage(browser, served, answers, options));
  });
}

/** The built page, served on loopback as the app serves it. */
interface ServedPage {
  readonly url: string;
  close(): Promise<void>;
}

/** Builds the page as the bundler does, and serves it under the app's policy. */
async function serveStatusPage(): Promise<ServedPage> {
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(new URL('../../..', import.meta.url)),
    entryPoints: ['renderer/status/index.tsx', 'renderer/status/index.html'],
    outdir: 'page',
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'chrome130',
    minify: true,
    loader: { '.html': 'copy' },
    jsx: 'automatic',
    jsxImportSource: 'preact',
  });
  const files = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
  const server = createServer((request, response) => {
    const name = request.url?.replace(/^\//, '') ?? '';
    const contents = files.get(name);
    // A browser asks for an icon by itself; the app's window does not.
    if (name === 'favicon.ico') return response.writeHead(204).end();
    if (contents === undefined) return response.writeHead(404).end();
    const type = TYPES[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream';
    return response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY }).end(contents);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/index.html`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

const DEFAULTS: Answers = {
  'app:view': () => view(),
  'app:change-settings': () => ({ ok: true }),
  'app:start-at-login': () => undefined,
  'app:dismiss-notice': () => undefined,
  'app:open-new-version': () => undefined,
  'app:reset': () => undefined,
  'calls:recent': () => [],
  'log:recent': () => [],
  'log:open': () => undefined,
  'server:check': ({ url }) => ({
    kind: 'reachable',
    host: new URL(url).host,
    login: 'required',
    revision: { date: '2025-06-18', orLater: true },
    issuer: 'https://auth.example.com/tenant',
    obstacle: undefined,
  }),
  'server:form': () => undefined,
  'server:add': () => ({ ok: true }),
  'server:change': () => ({ ok: true }),
  'server:move-port': () => ({ ok: true }),
  'server:remove': () => undefined,
  'server:restart': () => undefined,
  'server:log-in': () => undefined,
  'server:cancel-login': () => undefined,
  'server:log-out': () => undefined,
  'server:copy-url': () => undefined,
  'server:copy-for-client': () => ({ kind: 'command', hint: 'Run it in a terminal.' }),
};

/** What the script below puts into the page. */
interface Window {
  mcpAuthProxy?: unknown;
  askMain(channel: string, request: unknown): Promise<unknown>;
  tellPage(channel: string, message: unknown): void;
}

/**
 * Opens the page with a main process that answers as told. When the test ends, nothing may have gone wrong in the page:
 * no script error, no violation of the policy, no request that leaves.
 */
async function openStatusPage(
  browser: Browser,
  served: ServedPage,
  answers: Partial<Answers> = {},
  options: PageOptions = {},
): Promise<StatusPage> {
  const { fragment = '', now, ...context } = options;
  const { page, faults } = await givenPage(browser, {
    viewport: { width: 760, height: 560 },
    locale: 'en-GB',
    ...context,
  });
  onTestFinished(() => expect(faults).toEqual([]));
  const asked: Asked[] = [];
  const taken = new Set<Asked>();
  const requests = new EventEmitter<{ asked: [] }>();
  const all: Answers = { ...DEFAULTS, ...answers };

  await page.exposeFunction('askMain', async (channel: Channel, request: never) => {
    asked.push({ channel, request } as Asked);
    requests.emit('asked');
    return all[channel](request);
  });
  await page.addInitScript(() => {
    const listeners = new Map<string, Set<(message: unknown) => void>>();
    const main = globalThis as unknown as Window;
    main.tellPage = (channel, message) => {
      for (const listener of listeners.get(channel) ?? []) listener(message);
    };
    main.mcpAuthProxy = {
      request: (channel: string, ...request: unknown[]) => main.askMain(channel, request[0]),
      subscribe(channel: string, listener: (message: unknown) => void) {
        const set = listeners.get(channel) ?? new Set();
        listeners.set(channel, set.add(listener));
        return () => set.delete(listener);
      },
    };
  });
  if (now !== undefined) await page.clock.install({ time: now });
  await page.goto(served.url + fragment);

  return {
    page,
    asked,
    async next(channel) {
      for (;;) {
        const found = asked.find((one) => one.channel === channel && !taken.has(one));
        if (found) {
          taken.add(found);
          return found.request as never;
        }
        await once(requests, 'asked');
      }
    },
    tell: (channel, message) =>
      page.evaluate(([name, what]) => (globalThis as unknown as Window).tellPage(name, what), [
        channel,
        message,
      ] as const),
  };
}
