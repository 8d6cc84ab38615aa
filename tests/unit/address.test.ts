import { describe, expect, it } from 'vitest';
import { addressClass, isLoopbackHost, unbracket } from '../../app/address.ts';

describe('addressClass', () => {
  it.each([
    ['loopback', ['127.0.0.1', '127.255.255.254', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::1%lo']],
    ['loopback', ['::ffff:7f00:1', '64:ff9b::127.0.0.1', '::FFFF:127.0.0.1']],
    ['link-local', ['169.254.169.254', '169.254.0.0', 'fe80::1', 'febf::1', 'fe80::1%eth0']],
    ['link-local', ['::ffff:169.254.169.254', '64:ff9b::a9fe:a9fe']],
    ['unspecified', ['0.0.0.0', '0.1.2.3', '::', '::ffff:0.0.0.0']],
    ['private', ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '100.127.255.255']],
    ['private', ['192.0.0.8', '198.18.0.1', '198.19.255.255', '224.0.0.251', '240.0.0.1', '255.255.255.255']],
    ['private', ['fc00::1', 'fd12:3456::1', 'fec0::1', 'ff02::fb', '64:ff9b:1::1', '::ffff:10.1.2.3']],
    ['private', ['::7f00:1', '::127.0.0.2', '2002:7f00:1::1', '2001::1', '2001:0:a00:1::']],
    ['public', ['8.8.8.8', '1.1.1.1', '172.15.255.255', '172.32.0.0', '192.167.255.255', '192.169.0.0']],
    ['public', ['100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0', '223.255.255.255']],
    ['public', ['2606:4700:4700::1111', '2001:4860:4860::8888', '::ffff:8.8.8.8', '64:ff9b::808:808']],
  ] as const)('%s: %j', (expected, addresses) => {
    expect(addresses.map(addressClass)).toEqual(addresses.map(() => expected));
  });
});

describe('isLoopbackHost', () => {
  it.each(['127.0.0.1', '127.1.2.3', '[::1]', '::1', 'localhost', 'LOCALHOST', 'app.localhost'])(
    'yes: %s',
    (hostname) => {
      expect(isLoopbackHost(hostname)).toBe(true);
    },
  );

  it.each([
    'localhost.example.com',
    'notlocalhost',
    'example.com',
    '128.0.0.1',
    '0.0.0.0',
    '[::]',
    '[::2]',
    '127.0.0.1.example.com',
    '',
  ])('no: %s', (hostname) => {
    expect(isLoopbackHost(hostname)).toBe(false);
  });

  it('takes what the URL parser makes of odd spellings', () => {
    for (const spelling of ['http://0x7f.1/', 'http://2130706433/', 'http://127.1/', 'http://[0::0:1]/'])
      expect(isLoopbackHost(new URL(spelling).hostname)).toBe(true);
  });
});

describe('unbracket', () => {
  it.each([
    ['[::1]', '::1'],
    ['::1', '::1'],
    ['example.com', 'example.com'],
    ['[x', '[x'],
    ['', ''],
  ])('%s becomes %s', (given, expected) => {
    expect(unbracket(given)).toBe(expected);
  });
});
