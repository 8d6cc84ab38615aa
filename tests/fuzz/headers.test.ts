import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { downwardHeaders, upwardHeaders, valuesOf } from '../../app/proxy/headers.ts';
import { runs } from '../support/fuzz.ts';

const TOKEN = 'at-7Qm2ZkV9pLx4';
const HOP_BY_HOP = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'];
const NEVER_UP = [...HOP_BY_HOP, 'cookie', 'expect', 'host', 'http2-settings', 'origin'];
const NEVER_DOWN = [
  ...HOP_BY_HOP,
  'alt-svc',
  'clear-site-data',
  'set-cookie',
  'strict-transport-security',
  'service-worker-allowed',
  'nel',
  'report-to',
  'access-control-allow-origin',
];
const PLAIN = [
  'accept',
  'mcp-session-id',
  'mcp-name',
  'x-api-key',
  'content-type',
  'location',
  'accept-encoding',
];
const SPECIAL = ['authorization', 'content-length', 'proxy-authorization', 'proxy-status'];

/** A name in any mixture of cases, as the parser of Node lets it through. */
const name = fc
  .tuple(
    fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...NEVER_UP, ...NEVER_DOWN, ...PLAIN, ...SPECIAL) },
      { weight: 1, arbitrary: fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/) },
    ),
    fc.infiniteStream(fc.boolean()),
  )
  .map(([text, upper]) =>
    [...text].map((letter) => (upper.next().value ? letter.toUpperCase() : letter)).join(''),
  );
/** Bytes that may be in a value, the ones above 0x7F among them. */
const value = fc.oneof(
  fc.constantFrom(
    'close',
    'keep-alive, X-Own',
    'authorization',
    ' Mcp-Session-Id ,content-type',
    'Bearer x',
    '*',
  ),
  fc.string({ unit: fc.constantFrom('a', ',', ' ', '\t', '"', '=', '\x80', '\xff'), maxLength: 12 }),
);
const lines = fc.array(fc.tuple(name, value), { maxLength: 12 });

type Line = readonly [name: string, value: string];
const linesOf = (flat: readonly string[]): Line[] =>
  flat.flatMap((text, index) => (index % 2 === 0 ? [[text, flat[index + 1] ?? ''] as const] : []));
const is = (line: Line, ...names: string[]) => names.includes(line[0].toLowerCase());

/** What `Connection` names goes no further (RFC 9110 §7.6.1). */
function namedIn(given: readonly Line[]): string[] {
  const values = given.filter((line) => is(line, 'connection')).map(([, text]) => text);
  return values.flatMap((text) => text.split(',').map((option) => option.trim().toLowerCase()));
}

describe('headers of any content', () => {
  it('cross upwards unchanged and in order, but for those that stay here', () => {
    fc.assert(
      fc.property(
        lines,
        fc.record({
          accessToken: fc.option(fc.constant(TOKEN), { nil: undefined }),
          apiKeyInUse: fc.boolean(),
          plainAnswer: fc.boolean(),
          contentLength: fc.option(fc.constant('12'), { nil: undefined }),
        }),
        (given, options) => {
          const sent = linesOf(upwardHeaders(given.flat(), options));
          expect(sent.filter((line) => is(line, ...NEVER_UP))).toEqual([]);
          expect(sent.filter(([key]) => /^proxy-/i.test(key))).toEqual([]);
          expect(sent.filter((line) => is(line, 'authorization'))).toEqual(
            options.accessToken === undefined ? [] : [['Authorization', `Bearer ${TOKEN}`]],
          );
          expect(sent.filter((line) => is(line, 'content-length'))).toEqual(
            options.contentLength === undefined ? [] : [['Content-Length', '12']],
          );
          const named = namedIn(given);
          const crosses = (line: Line) =>
            !is(line, ...NEVER_UP, ...named, 'authorization', 'content-length') &&
            !/^proxy-/i.test(line[0]) &&
            !(options.apiKeyInUse && is(line, 'x-api-key')) &&
            !(options.plainAnswer && is(line, 'accept-encoding'));
          const own = [
            ...(options.plainAnswer ? ['accept-encoding'] : []),
            'content-length',
            'authorization',
          ];
          expect(sent.filter((line) => !is(line, ...own))).toEqual(given.filter(crosses));
        },
      ),
      runs(4_000),
    );
  });

  it('cross downwards unchanged and in order, but for those that would act on the local origin', () => {
    fc.assert(
      fc.property(lines, fc.boolean(), (given, bodyMayChange) => {
        const raw = given.flat().map((text) => Buffer.from(text, 'latin1'));
        const localLocation = (location: string) => (location === '*' ? '/mcp/local' : undefined);
        const received = linesOf(downwardHeaders(raw, { localLocation, bodyMayChange }));
        expect(received.filter((line) => is(line, ...NEVER_DOWN))).toEqual([]);
        expect(received.filter(([key]) => /^(?:proxy|access-control)-/i.test(key))).toEqual([]);
        const named = namedIn(given);
        const crosses = (line: Line) =>
          !is(line, ...NEVER_DOWN, ...named) &&
          !/^(?:proxy|access-control)-/i.test(line[0]) &&
          !(bodyMayChange && is(line, 'content-length'));
        const mapped = ([key, text]: Line): Line =>
          key.toLowerCase() === 'location' ? [key, localLocation(text) ?? text] : [key, text];
        expect(received).toEqual(given.filter(crosses).map(mapped));
      }),
      runs(4_000),
    );
  });

  it('are found by their names', () => {
    fc.assert(
      fc.property(lines, (given) => {
        const raw = given.flat().map((text) => Buffer.from(text, 'latin1'));
        const expected = given.filter((line) => is(line, 'content-type')).map(([, text]) => text);
        expect(valuesOf(raw, 'content-type')).toEqual(expected);
      }),
      runs(500),
    );
  });
});
