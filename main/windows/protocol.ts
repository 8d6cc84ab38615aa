import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Protocol, Session } from 'electron';
import { pageUrl } from '../ipc/channels.ts';
import type { Page } from '../ipc/contract.ts';

const PAGES = ['status', 'login'] as const satisfies readonly Page[];

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
};

const HEADERS = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'none'",
    "connect-src 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    // No text may become markup or a script, whatever a page does with it.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': [
    'accelerometer',
    'camera',
    'clipboard-read',
    'clipboard-write',
    'display-capture',
    'geolocation',
    'gyroscope',
    'hid',
    'idle-detection',
    'local-fonts',
    'magnetometer',
    'microphone',
    'midi',
    'payment',
    'publickey-credentials-get',
    'screen-wake-lock',
    'serial',
    'usb',
  ]
    .map((feature) => `${feature}=()`)
    .join(', '),
  'Cache-Control': 'no-store',
};

/** Makes `app:` a scheme with origins of its own. Call it before `ready`. */
export function registerScheme(protocol: Pick<Protocol, 'registerSchemesAsPrivileged'>): void {
  protocol.registerSchemesAsPrivileged([{ scheme: 'app', privileges: { standard: true, secure: true } }]);
}

/**
 * Serves the pages of this app to one session, and lets the session reach nothing else.
 * @param folder holds one folder for each page
 */
export function servePages(session: Session, folder: string): void {
  let files: Promise<ReadonlyMap<string, string>> | undefined;
  session.protocol.handle('app', async (request) => {
    files ??= listPages(folder);
    return answer(request, await files);
  });
  session.webRequest.onBeforeRequest(({ url }, decide) => decide({ cancel: !isOwnUrl(url) }));
}

/** Whether a page of ours may ask for this URL: DevTools, which has its own pages in the session, included. */
function isOwnUrl(url: string): boolean {
  return /^(app|devtools|data):/.test(url);
}

/**
 * Every file that is served, by its URL. What is not listed here does not exist, so that no path of a request is ever
 * put together with that of a folder.
 */
export async function listPages(folder: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const page of PAGES)
    for (const entry of await readdir(path.join(folder, page), { withFileTypes: true }))
      if (entry.isFile() && path.extname(entry.name) in CONTENT_TYPES)
        files.set(
          new URL(encodeURIComponent(entry.name), pageUrl(page)).href,
          path.join(folder, page, entry.name),
        );
  return files;
}

/** Answers a request for one of the files, with headers that let its page load nothing from elsewhere. */
export async function answer(
  request: { readonly method: string; readonly url: string },
  files: ReadonlyMap<string, string>,
): Promise<Response> {
  const file = files.get(request.url.split('#', 1)[0] ?? '');
  if (file === undefined) return new Response('Not found', { status: 404, headers: HEADERS });
  if (request.method !== 'GET') return new Response('Only GET', { status: 405, headers: HEADERS });
  return new Response(await readFile(file), {
    headers: { ...HEADERS, 'Content-Type': CONTENT_TYPES[path.extname(file)] ?? '' },
  });
}
