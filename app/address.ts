import { BlockList, isIP } from 'node:net';

/** How far an IP address reaches (RFC 6890 special-purpose registries). */
export type AddressClass = 'loopback' | 'private' | 'link-local' | 'unspecified' | 'public';

const RANGES: ReadonlyArray<readonly [AddressClass, ReadonlyArray<readonly [string, number]>]> = [
  [
    'loopback',
    [
      ['127.0.0.0', 8],
      ['::1', 128],
    ],
  ],
  [
    'link-local',
    [
      ['169.254.0.0', 16],
      ['fe80::', 10],
    ],
  ],
  [
    'unspecified',
    [
      ['0.0.0.0', 8],
      ['::', 128],
    ],
  ],
  [
    'private',
    [
      ['10.0.0.0', 8],
      ['172.16.0.0', 12],
      ['192.168.0.0', 16],
      ['100.64.0.0', 10],
      ['192.0.0.0', 24],
      ['198.18.0.0', 15],
      ['224.0.0.0', 4],
      ['240.0.0.0', 4],
      ['fc00::', 7],
      ['ff00::', 8],
      ['fec0::', 10],
      // Ways into IPv4 that nobody serves from: IPv4-compatible, local NAT64, Teredo, 6to4.
      ['::', 96],
      ['64:ff9b:1::', 48],
      ['2001::', 32],
      ['2002::', 16],
    ],
  ],
];

const LISTS = RANGES.map(([name, subnets]) => {
  const list = new BlockList();
  for (const [network, prefix] of subnets) list.addSubnet(network, prefix, familyOf(network));
  return [name, list] as const;
});

/**
 * Classifies an IP address. IPv4-mapped and NAT64 IPv6 addresses count as the IPv4 address inside them.
 * @param address an IPv4 or IPv6 literal without brackets; a zone (`%eth0`) is ignored
 */
export function addressClass(address: string): AddressClass {
  const [unzoned = ''] = address.split('%', 1);
  const plain = embeddedIpv4(unzoned) ?? unzoned;
  for (const [name, list] of LISTS) if (list.check(plain, familyOf(plain))) return name;
  return 'public';
}

/** Whether a URL's hostname is a loopback literal or a `localhost` name (RFC 6761 §6.3). */
export function isLoopbackHost(hostname: string): boolean {
  const host = unbracket(hostname).toLowerCase();
  if (isIP(host)) return addressClass(host) === 'loopback';
  return host === 'localhost' || host.endsWith('.localhost');
}

/** The address inside an IPv6 host of a URL: `[::1]` becomes `::1`; anything else stays. */
export function unbracket(hostname: string): string {
  return hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

function embeddedIpv4(address: string): string | undefined {
  if (!address.includes(':')) return undefined;
  // The URL parser writes every IPv6 address in one canonical form, with the mapped part in hexadecimal.
  const canonical = unbracket(new URL(`http://[${address}]`).hostname);
  const groups = /^(?:::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (groups?.[1] === undefined || groups[2] === undefined) return undefined;
  const [high, low] = [Number.parseInt(groups[1], 16), Number.parseInt(groups[2], 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
