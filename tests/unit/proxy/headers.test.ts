import { describe, expect, it } from 'vitest';
import { downwardHeaders, type UpwardHeaders, upwardHeaders, valuesOf } from '../../../app/proxy/headers.ts';

const PLAIN: UpwardHeaders = {
  accessToken: undefined,
  apiKeyInUse: false,
  plainAnswer: false,
  contentLength: undefined,
};
const up = (raw: readonly string[], options: Partial<UpwardHeaders> = {}) =>
  upwardHeaders(raw, { ...PLAIN, ...options });

const bytes = (...pairs: string[]) => pairs.map((text) => Buffer.from(text, 'latin1'));
const down = (pairs: readonly string[], options = {}) =>
  downwardHeaders(bytes(...pairs), {
    localLocation: () => undefined,
    bodyMayChange: false,
    ...options,
  });

describe('towards the upstream', () => {
  it('keeps order, spelling, repetitions and bytes above 0x7F', () => {
    const raw = [
      'Mcp-Name',
      '=?base64?w6k=?=',
      'x-ONE',
      '1',
      'X-One',
      '2',
      'mcp-param-city',
      'M\xc3\xbcnchen\xff',
    ];
    expect(up(raw)).toEqual(raw);
  });

  it.each([
    'Authorization',
    'Cookie',
    'Origin',
    'Host',
    'Proxy-Authorization',
    'Proxy-Connection',
    'Proxy-Anything',
    'Connection',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'HTTP2-Settings',
    'Expect',
    'Content-Length',
  ])('keeps %s here, in any spelling', (name) => {
    for (const spelled of [name, name.toLowerCase(), name.toUpperCase()]) {
      expect(up([spelled, 'x', 'Accept', '*/*'])).toEqual(['Accept', '*/*']);
    }
  });

  it('keeps here what Connection names, in all its fields', () => {
    const raw = [
      'Connection',
      'close, X-Hop',
      'X-Hop',
      '1',
      'connection',
      ' x-OTHER ',
      'X-Other',
      '2',
      'X',
      '3',
    ];
    expect(up(raw)).toEqual(['X', '3']);
  });

  it('sends the access token last and only once', () => {
    expect(up(['authorization', 'Bearer of-the-client', 'Accept', '*/*'], { accessToken: 'ours' })).toEqual([
      'Accept',
      '*/*',
      'Authorization',
      'Bearer ours',
    ]);
  });

  it('keeps X-Api-Key here only where it is ours', () => {
    expect(up(['X-Api-Key', 'k'])).toEqual(['X-Api-Key', 'k']);
    expect(up(['X-Api-Key', 'k'], { apiKeyInUse: true })).toEqual([]);
  });

  it('asks for an uncompressed answer where one may have to be rewritten', () => {
    expect(up(['Accept-Encoding', 'gzip, br'])).toEqual(['Accept-Encoding', 'gzip, br']);
    expect(up(['Accept-Encoding', 'gzip, br'], { plainAnswer: true })).toEqual([
      'Accept-Encoding',
      'identity',
    ]);
  });

  it('tells the length of the body that is sent', () => {
    expect(up(['Content-Length', '1'], { contentLength: '5' })).toEqual(['Content-Length', '5']);
  });
});

describe('towards the client', () => {
  it('keeps order, spelling, repetitions and bytes above 0x7F', () => {
    const pairs = [
      'Mcp-Session-Id',
      'a\xe9\xff',
      'x-ONE',
      '1',
      'X-One',
      '2',
      'Content-Encoding',
      'gzip',
      'Content-Length',
      '9',
      'Date',
      'x',
      'WWW-Authenticate',
      'Basic',
    ];
    expect(down(pairs)).toEqual(pairs);
  });

  it.each([
    'Set-Cookie',
    'Access-Control-Allow-Origin',
    'Access-Control-Anything',
    'Clear-Site-Data',
    'Strict-Transport-Security',
    'Alt-Svc',
    'Proxy-Authenticate',
    'Connection',
    'Keep-Alive',
    'Transfer-Encoding',
    'Trailer',
    'Upgrade',
  ])('keeps %s off the local origin, in any spelling', (name) => {
    for (const spelled of [name, name.toLowerCase(), name.toUpperCase()]) {
      expect(down([spelled, 'x', 'ETag', '"1"'])).toEqual(['ETag', '"1"']);
    }
  });

  it('keeps here what Connection names', () => {
    expect(down(['Connection', 'X-Hop', 'x-hop', '1', 'X', '2'])).toEqual(['X', '2']);
  });

  it('rewrites a Location that has a local one and leaves any other', () => {
    const localLocation = (location: string) => (location === '/a' ? '/mcp/a' : undefined);
    expect(down(['Location', '/a'], { localLocation })).toEqual(['Location', '/mcp/a']);
    expect(down(['location', 'https://h/\xe9'], { localLocation })).toEqual(['location', 'https://h/\xe9']);
  });

  it('leaves the length out where the body may change', () => {
    expect(down(['Content-Length', '9'], { bodyMayChange: true })).toEqual([]);
  });
});

it('finds all values of a field, in order', () => {
  const raw = bytes('WWW-Authenticate', 'Basic', 'X', '1', 'www-authenticate', 'Bearer');
  expect(valuesOf(raw, 'www-authenticate')).toEqual(['Basic', 'Bearer']);
  expect(valuesOf(raw, 'absent')).toEqual([]);
});
