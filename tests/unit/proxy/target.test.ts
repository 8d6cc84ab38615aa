import { describe, expect, it } from 'vitest';
import { parseTarget, type Target, UpstreamPaths } from '../../../app/proxy/target.ts';

function target(text: string): Target {
  const parsed = parseTarget(text);
  if ('code' in parsed) throw new Error(`refused: ${text}`);
  return parsed;
}

describe('a request target', () => {
  it.each([
    ['/', '/', ''],
    ['/mcp', '/mcp', ''],
    ['/mcp?a=b', '/mcp', '?a=b'],
    ['/mcp/', '/mcp/', ''],
    ['/a//b', '/a//b', ''],
    ['/a/b.json', '/a/b.json', ''],
    ['/.hidden/...', '/.hidden/...', ''],
    ['/a;v=1', '/a;v=1', ''],
    ['/a?x=../..&y=%2e%2e%2f\\', '/a', '?x=../..&y=%2e%2e%2f\\'],
    ['/mcp?', '/mcp', '?'],
  ])('passes: %s', (text, path, query) => {
    expect(target(text)).toEqual({ path, raw: path, query });
  });

  it('is routed by what its escapes mean and forwarded as it was sent', () => {
    expect(target('/%6Fauth/login')).toEqual({ path: '/oauth/login', raw: '/%6Fauth/login', query: '' });
    expect(target('/%E2%82%AC/100%25').raw).toBe('/%E2%82%AC/100%25');
  });

  it.each([
    '//evil.example/x',
    '/mcp//evil.example/x',
    '/%2F/evil.example',
    '/..',
    '/.',
    '/mcp/../x',
    '/mcp/..',
    '/mcp/./x',
    '/mcp/..;/x',
    '/mcp/..;a=b/x',
    '/mcp/%2e%2e/x',
    '/mcp/.%2E/x',
    '/mcp/%2e/x',
    '/mcp/%252e%252e/x',
    '/mcp/%25252e%25252e/x',
    '/mcp/%2525252525252e',
    '/mcp/..%3b/x',
    '/mcp\\..\\x',
    '/mcp/%5c..%5cx',
    '/mcp/%255cx',
    '/mcp/..%2fx',
    '/mcp/a%2fb',
    '/mcp/a%2Fb',
    '/mcp/a%252fb',
    '/mcp/%00',
    '/mcp/%0d%0aX',
    '/mcp/%7f',
    '/mcp/%c0%ae%c0%ae/x',
    '/mcp/%e0%80%af',
    '/mcp/%u002e%u002e/x',
    '/mcp/%zz',
    '/mcp/%',
    '/mcp#fragment',
    '/mcp?a#b',
    '/mcp/\xc3\xa9',
    '/mcp?\xe9',
    '/mcp?a b',
    '/mcp?\x01',
  ])('is refused: %s', (text) => {
    expect(parseTarget(text)).toMatchObject({ code: 'bad_request', status: 400 });
  });
});

describe('the upstream path of a local one', () => {
  it.each([
    ['https://h/a/mcp', '/mcp', '/a/mcp'],
    ['https://h/a/mcp', '/', '/a/mcp'],
    ['https://h/a/mcp/', '/mcp', '/a/mcp/'],
    ['https://h/a/mcp/', '/', '/a/mcp/'],
    ['https://h/a/mcp/', '/mcp/x', '/a/mcp/x'],
    ['https://h/a/mcp', '/mcp/', '/a/mcp/'],
    ['https://h/a/mcp', '/mcp/x?y=1', '/a/mcp/x?y=1'],
    ['https://h/a/mcp', '/x', '/a/mcp/x'],
    ['https://h/a/mcp', '/mcpx', '/a/mcp/mcpx'],
    ['https://h/a/mcp', '/mcp/mcp', '/a/mcp/mcp'],
    ['https://h', '/mcp', '/'],
    ['https://h', '/mcp/x', '/x'],
    ['https://h', '/', '/'],
    ['https://h/mcp?key=1', '/mcp', '/mcp?key=1'],
    ['https://h/mcp?key=1', '/mcp?a=b', '/mcp?key=1&a=b'],
    ['https://h/mcp?key=1', '/mcp?', '/mcp?key=1'],
    ['https://h/mcp', '/mcp?', '/mcp?'],
    ['https://h/mcp', '/mcp/a%20b', '/mcp/a%20b'],
  ])('%s: %s becomes %s', (upstream, local, expected) => {
    expect(new UpstreamPaths(upstream).toUpstream(target(local))).toBe(expected);
  });
});

describe('the local path of a Location', () => {
  const paths = new UpstreamPaths('https://h/a/mcp?key=1');
  it.each([
    ['https://h/a/mcp', '/mcp'],
    ['https://h/a/mcp/x?y=1#z', '/mcp/x?y=1#z'],
    ['https://h/a/mcp?key=1', '/mcp'],
    ['/a/mcp/x', '/mcp/x'],
    ['mcp/x', '/mcp/x'],
    ['?z=1', '/mcp?z=1'],
    ['/a/mcp/caf\xc3\xa9', '/mcp/caf%C3%A9'],
    ['/a/mcp/b/../c', '/mcp/c'],
  ])('%s becomes %s', (location, local) => {
    expect(paths.toLocal(location, '/a/mcp?key=1')).toBe(local);
  });

  it.each([
    'https://other/a/mcp',
    'http://h/a/mcp',
    'https://h:444/a/mcp',
    '//other/a/mcp',
    '/a/mcpx',
    '/a',
    '/',
    '/a/mcp/../login',
    'javascript:alert(1)',
    'https://',
  ])('%s stays as it is', (location) => {
    expect(paths.toLocal(location, '/a/mcp')).toBeUndefined();
  });
});

describe('an announced message endpoint', () => {
  const paths = new UpstreamPaths('https://h/a/sse');

  it('is below the base path: reached like any other', () => {
    expect(paths.announce(new URL('https://h/a/sse/m?sessionId=1'))).toBe('/mcp/m?sessionId=1');
  });

  it('is beside the base path: reached by a path that maps back, with the query it is called with', () => {
    const local = paths.announce(new URL('https://h/messages?sessionId=1'));
    expect(local).toMatch(/^\/mcp\/\.legacy-sse\/[\w-]+\?sessionId=1$/);
    expect(paths.toUpstream(target(local))).toBe('/messages?sessionId=1');
  });

  it('was never announced: leads nowhere', () => {
    const forged = `/mcp/.legacy-sse/${Buffer.from('/admin').toString('base64url')}`;
    expect(paths.toUpstream(target(forged))).toBeUndefined();
  });

  it('is forgotten when a thousand others came after it, unless it was announced again', () => {
    const announce = (n: number) => paths.announce(new URL(`https://h/m/${n}`));
    const [first, second] = [announce(0), announce(1)];
    for (let n = 2; n < 1_000; n++) announce(n);
    announce(0);
    announce(1_000);
    expect(paths.toUpstream(target(first))).toBe('/m/0');
    expect(paths.toUpstream(target(second))).toBeUndefined();
  });
});
