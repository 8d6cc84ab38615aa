import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseTarget, UpstreamPaths } from '../../app/proxy/target.ts';

/** Spellings of a dot and of a slash that some server or other takes for one. */
const DOTS = [
  '.',
  '%2e',
  '%2E',
  '%252e',
  '%25252e',
  '%c0%ae',
  '%e0%80%ae',
  '%u002e',
  '%ef%bc%8e',
  '%e2%80%a4',
];
const SLASHES = [
  ...['/', '//', '\\', '%2f', '%2F', '%5c', '%5C', '%252f', '%255c', '%25252f', '%c0%af', '%c1%9c', '%u002f'],
  ...['%ef%bc%8f', '%ef%bc%bc', ';/', ';x=y/', '%3b/', '%09/', '/%09', '%00/', '/./', '/;/'],
];
const PREFIXES = ['/mcp', '/mcp/a', '/a', '', '/mcp/.', '/mcp/a/b/c'];

/** What a server may come to see: the path with its escapes resolved again and again, in the plain form of its letters. */
function readings(path: string): string[] {
  const found = [path];
  for (let depth = 0; depth < 5; depth++) {
    const last = found.at(-1) ?? '';
    const bytes = last.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
    found.push(bytes);
  }
  const plain = found.map((text) => Buffer.from(text, 'latin1').toString('utf8').normalize('NFKC'));
  return [...found, ...plain].flatMap((text) => [
    text,
    text.replaceAll('\\', '/'),
    text.replace(/;[^/]*/g, ''),
  ]);
}

describe('a path out of the base path', () => {
  const upstream = new UpstreamPaths('https://mcp.example.com/base/mcp');

  it.each(PREFIXES)('leads nowhere, however it is spelled: behind "%s"', (prefix) => {
    const escaped: string[] = [];
    let forwarded = 0;
    for (const one of DOTS)
      for (const other of DOTS)
        for (const before of SLASHES)
          for (const after of SLASHES) {
            const target = parseTarget(`${prefix}${before}${one}${other}${after}admin`);
            if ('code' in target) continue;
            const path = upstream.toUpstream(target) ?? '';
            forwarded += 1;
            const isOut = readings(path).some((reading) => !posix.normalize(reading).startsWith('/base/mcp'));
            if (isOut || new URL(path, upstream.origin).pathname !== path) escaped.push(target.raw);
          }
    expect(escaped).toEqual([]);
    // None of these is a name that anybody has given to anything.
    expect(forwarded).toBe(0);
  });

  it.each(['/mcp/a…b', '/mcp/1․5', '/mcp/和／洋', '/mcp/…', '/mcp/a.b/..c'])('is not meant by %s', (path) => {
    const target = parseTarget(encodeURI(path));
    expect(target).toMatchObject({ raw: encodeURI(path) });
  });
});
