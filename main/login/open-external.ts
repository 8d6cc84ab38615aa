import type { Shell } from 'electron';
import { isLoopbackHost } from '../../app/address.ts';

/**
 * Whether a URL is a page of the web that a login may lead to: `https:`, or `http:` on this machine, and no user name
 * in front of its host, where people read a host.
 */
export function isWebPage(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname));
}

/**
 * Opens a page in the system's browser, and nothing but a page: the system would start any program that a URL names.
 * @param shell Electron's, which is asked at the time of use
 * @throws Error when the URL is none of {@link isWebPage}, or the system opens no browser
 */
export async function openExternal(shell: Pick<Shell, 'openExternal'>, url: URL): Promise<void> {
  if (!isWebPage(url.href)) throw new Error(`A ${url.protocol} address is not opened in the browser.`);
  await shell.openExternal(url.href);
}
