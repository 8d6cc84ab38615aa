import { posix } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTarget, UpstreamPaths } from '../../app/proxy/target.ts';
import { hostileText, runs } from '../support/fuzz.ts';

const LOCAL = 'http://127.0.0.1:5177';

/** What paths are made of, and what somebody would put in to get out of one. */
const piece = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('/', 'a', 'mcp', 'x.json', '-_~', '.well-known', '%20', '%E2%82%AC'),
  },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      ...['.', '..', '...', '/../', '/./', '//', ';', '..;', '..;a=b', ';/', '\\', '..\\', '%', '%2'],
      ...['%2e', '%2E%2e', '%252e', '%25252e', '%2f', '%252F', '%5c', '%255C', '%3b', '%00', '%0d%0a', '%09'],
      ...[
        '%c0%ae',
        '%c0%af',
        '%e0%80%ae',
        '%ef%bc%8e',
        '%ef%bc%8f',
        '%e2%88%95',
        '%ff',
        '%u002e',
        '\u2024',
        '\uff0e',
      ],
      ...['@evil.example', ':80', 'http://evil.example', '#', '?', '&', '\0', '\r\n', '\t', '\x80', '\xad'],
    ),
  },
  { weight: 1, arbitrary: hostileText },
);
/** The guard lets nothing pass that does not begin with a slash. */
const target = fc
  .tuple(fc.constantFrom('/', '/mcp', '/mcp/', '/mcp/.legacy-sse/'), fc.array(piece, { maxLength: 8 }))
  .map(([start, pieces]) => start + pieces.join(''));

const upstream = fc.constantFrom(
  'https://mcp.example',
  'https://mcp.example/',
  'https://mcp.example/mcp',
  'https://mcp.example/a/b/',
  'https://mcp.example/a/b?key=1',
  'https://mcp.example:8443/a%20b',
);

/**
 * Every path that some server may take this one for: its escapes resolved any number of times, with a backslash for a
 * slash, and without the parameters of its segments.
 */
function readingsOf(path: string): string[] {
  const readings = new Set<string>();
  let text = path;
  for (let depth = 0; depth < 8; depth++) {
    for (const one of [text, Buffer.from(text, 'latin1').toString(), text.replace(/\0.*/s, '')]) {
      const wide = one.normalize('NFKC').replaceAll('\\', '/');
      for (const reading of [one, wide, wide.replace(/;[^/]*/g, '')]) readings.add(posix.normalize(reading));
    }
    text = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  }
  return [...readings];
}

describe('a request target of any content', () => {
  it('never leads out of the base path of the upstream, whoever reads it', () => {
    let passed = 0;
    fc.assert(
      fc.property(upstream, target, (base, text) => {
        const parsed = parseTarget(text);
        if ('code' in parsed) {
          expect(parsed).toMatchObject({ code: 'bad_request', status: 400 });
          return;
        }
        const { origin, pathname, search } = new URL(base);
        const path = new UpstreamPaths(base).toUpstream(parsed);
        if (path === undefined) {
          expect(parsed.raw.startsWith('/mcp/.legacy-sse/')).toBe(true);
          return;
        }
        passed++;
        // biome-ignore lint/suspicious/noControlCharactersInRegex: a request line must not hold them
        expect(path).not.toMatch(/[\x00-\x20\x7f-\uffff]/);
        expect(new URL(origin + path).origin).toBe(origin);
        expect(path).toContain(search);
        const inside = pathname.replace(/\/$/, '');
        const whole = path.slice(0, path.includes('?') ? path.indexOf('?') : undefined);
        const readings = [new URL(origin + path).pathname, ...readingsOf(whole)];
        const bases = [inside, decodeURIComponent(inside)];
        for (const reading of readings)
          expect(
            bases.some((one) => reading === one || reading.startsWith(`${one}/`)),
            reading,
          ).toBe(true);
      }),
      runs(20_000),
    );
    expect(passed).toBeGreaterThan(1_000);
  });

  it('is not changed on its way', () => {
    fc.assert(
      fc.property(target, (text) => {
        const parsed = parseTarget(text);
        if ('code' in parsed) return;
        expect(parsed.raw + parsed.query).toBe(text);
        const sent = new UpstreamPaths('https://mcp.example/base').toUpstream(parsed);
        if (sent === undefined) return;
        const rest = /^\/(?:mcp)?$/.test(parsed.raw) ? '' : parsed.raw.replace(/^\/mcp(?=\/)/, '');
        expect(sent).toBe(`/base${rest}${parsed.query === '?' ? '?' : parsed.query}`);
      }),
      runs(5_000),
    );
  });
});

describe('a Location of any content', () => {
  const location = fc.oneof(
    target,
    fc.tuple(upstream, target).map(([base, text]) => base + text),
    fc.tuple(fc.constantFrom('//', 'http://', 'https:', '/\\'), piece, target).map((parts) => parts.join('')),
  );

  it('becomes a local path below /mcp, or stays what it is', () => {
    let mapped = 0;
    fc.assert(
      fc.property(upstream, location, fc.constantFrom('/mcp', '/a/b/c?d=e', '/'), (base, text, asked) => {
        const bytes = Buffer.from(text, 'utf8').toString('latin1');
        const local = new UpstreamPaths(base).toLocal(bytes, asked);
        if (local === undefined) return;
        mapped++;
        expect(local).toMatch(/^\/mcp(?:[/?#]|$)/);
        const url = new URL(local, LOCAL);
        expect(url.origin).toBe(LOCAL);
        expect(url.pathname).toMatch(/^\/mcp(?:\/|$)/);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: a header must not hold them
        expect(local).not.toMatch(/[\x00-\x20\x7f-\uffff]/);
        expect(new URL(text, new URL(asked, base)).origin).toBe(new URL(base).origin);
      }),
      runs(5_000),
    );
    expect(mapped).toBeGreaterThan(200);
  });
});

describe('an announced message endpoint of any path', () => {
  it('is reached by its local URL, and nothing else of the origin is', () => {
    fc.assert(
      fc.property(
        upstream,
        fc.webPath(),
        fc.webQueryParameters(),
        fc.webPath(),
        (base, path, query, other) => {
          const { origin } = new URL(base);
          const endpoint = new URL(`${origin}/${path}?${query}`);
          const paths = new UpstreamPaths(base);
          const local = paths.announce(endpoint);
          expect(local.startsWith('/mcp')).toBe(true);
          const parsed = parseTarget(local);
          // What could lead elsewhere is refused, also when the upstream itself has announced it.
          if ('code' in parsed) return;
          const own = new URL(base).search;
          const sent = paths.toUpstream(parsed);
          if (local.startsWith('/mcp/.legacy-sse/')) expect(sent).toBe(endpoint.pathname + endpoint.search);
          else expect([endpoint.pathname, new URL(base).pathname]).toContain(sent?.split('?', 1)[0]);
          expect(own === '' || local.startsWith('/mcp/.legacy-sse/') || sent?.includes(own)).toBe(true);

          const forged = `/mcp/.legacy-sse/${Buffer.from(`/${other}`).toString('base64url')}`;
          const parsedForged = parseTarget(forged);
          if ('code' in parsedForged || `/${other}` === endpoint.pathname) return;
          expect(paths.toUpstream(parsedForged)).toBeUndefined();
        },
      ),
      runs(2_000),
    );
  });
});
