/**
 * A URL as people type it, with the scheme they left out: `https:`, or `http:` on this machine.
 * @param typed anything
 */
export function completeUrl(typed: string): string {
  const url = typed.trim();
  if (url === '' || /^[a-z][a-z0-9+.-]*:(\/|[^0-9])/i.test(url)) return url;
  return /^(localhost|127(\.\d+){3}|\[::1\])(:|\/|$)/i.test(url) ? `http://${url}` : `https://${url}`;
}

/** Whether a URL is worth a look: a whole host is there, so that no name is asked for that is still being typed. */
export function looksComplete(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { hostname, protocol } = new URL(url);
  if (protocol !== 'https:' && protocol !== 'http:') return true;
  return hostname === 'localhost' || hostname.startsWith('[') || /\.[a-z0-9-]{2,}\.?$|\.\d+$/i.test(hostname);
}
