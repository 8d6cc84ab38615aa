import { expect, it } from 'vitest';
import { proxyOfPacResult } from '../../../../main/network/proxy-of-pac-result.ts';

it.each([
  ['DIRECT', undefined],
  ['', undefined],
  ['PROXY proxy.example:3128', 'http://proxy.example:3128'],
  ['PROXY proxy.example:3128;DIRECT', 'http://proxy.example:3128'],
  ['PROXY proxy.example:3128; PROXY other.example:3128; DIRECT', 'http://proxy.example:3128'],
  ['DIRECT; PROXY proxy.example:3128', undefined],
  ['PROXY proxy.example', 'http://proxy.example:80'],
  ['HTTP proxy.example:8080', 'http://proxy.example:8080'],
  ['HTTPS proxy.example', 'https://proxy.example:443'],
  ['HTTPS proxy.example:8443', 'https://proxy.example:8443'],
  ['SOCKS5 127.0.0.1:1080', 'socks5://127.0.0.1:1080'],
  ['SOCKS proxy.example', 'socks5://proxy.example:1080'],
  ['PROXY [2001:db8::1]:3128', 'http://[2001:db8::1]:3128'],
  ['PROXY [2001:db8::1]', 'http://[2001:db8::1]:80'],
  ['SOCKS5 2001:db8::1', 'socks5://[2001:db8::1]:1080'],
  ['  proxy   proxy.example:3128  ', 'http://proxy.example:3128'],
  ['QUIC proxy.example:443; SOCKS5 other.example:1080', 'socks5://other.example:1080'],
  ['QUIC proxy.example:443', undefined],
  ['PROXY', undefined],
  ['PROXY ; PROXY proxy.example:1', 'http://proxy.example:1'],
  ['PROXY proxy.example:99999; DIRECT', undefined],
  ['PROXY me@proxy.example:1; DIRECT', undefined],
  ['PROXY a/b:1', undefined],
])('%j means %s', (result, proxy) => {
  expect(proxyOfPacResult(result)).toBe(proxy);
  if (proxy !== undefined) expect(URL.canParse(proxy)).toBe(true);
});
