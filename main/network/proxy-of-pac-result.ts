import { isIPv6 } from 'node:net';

/** What a proxy auto-config file's entries are called, and the protocols and ports that they stand for. */
const KINDS: ReadonlyMap<string, { protocol: string; port: number }> = new Map([
  ['PROXY', { protocol: 'http', port: 80 }],
  ['HTTP', { protocol: 'http', port: 80 }],
  ['HTTPS', { protocol: 'https', port: 443 }],
  ['SOCKS5', { protocol: 'socks5', port: 1080 }],
  // Version 4 by the letter, and 5 by what such servers speak as well.
  ['SOCKS', { protocol: 'socks5', port: 1080 }],
]);

/**
 * The proxy that the answer of Electron's `resolveProxy` names, such as `PROXY proxy.example:3128; DIRECT`: the first
 * entry of a kind that can be used.
 * @returns e.g. `http://proxy.example:3128`; `undefined`: no proxy
 */
export function proxyOfPacResult(result: string): string | undefined {
  for (const entry of result.split(';')) {
    const [word = '', address = ''] = entry.trim().split(/\s+/);
    const kind = word.toUpperCase();
    if (kind === 'DIRECT') return undefined;
    const { protocol, port } = KINDS.get(kind) ?? {};
    if (protocol === undefined || port === undefined) continue;
    const host = isIPv6(address) ? `[${address}]` : address;
    const withPort = /:\d+$/.test(host) ? host : `${host}:${port}`;
    const proxy = `${protocol}://${withPort}`;
    if (/^[^/?#@\\]+$/.test(withPort) && host !== '' && URL.canParse(proxy)) return proxy;
  }
  return undefined;
}
