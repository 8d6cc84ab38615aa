import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_CHALLENGE_LENGTH } from '../../app/limits.ts';
import { bearerChallenge, type Challenge, parseChallenges } from '../../app/oauth/challenge.ts';
import { runs } from '../support/fuzz.ts';

const TCHAR = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const isToken = (text: string) => text !== '' && [...text].every((character) => TCHAR.includes(character));

const from = (characters: string, minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });
const token = from(TCHAR, 1, 12);
const letters = from('abcdefghijklmnopqrstuvwxyz-', 1, 10);
const space = fc.constantFrom('', '', ' ', '\t', '  ');

const parameters = fc
  .uniqueArray(fc.tuple(fc.oneof(letters, token), fc.string({ unit: 'binary', maxLength: 20 })), {
    selector: ([name]) => name.toLowerCase(),
    maxLength: 5,
  })
  .map((entries) => new Map(entries.map(([name, value]) => [name.toLowerCase(), value])));
const token68 = fc
  .tuple(from('ABCabc019-._~+/', 1, 20), fc.constantFrom('', '=', '=='))
  .map(([word, padding]) => word + padding);

/** A challenge as RFC 9110 §11.3 has it. */
const challenge: fc.Arbitrary<Challenge> = fc.oneof(
  fc.record({
    scheme: fc.oneof(fc.constantFrom('bearer', 'dpop', 'basic', 'digest'), letters),
    parameters,
  }),
  fc
    .record({ scheme: fc.constantFrom('negotiate', 'basic', 'custom'), token68 })
    .map((spoken) => ({ ...spoken, parameters: new Map() })),
);

/** How a challenge is written: the freedoms that the grammar leaves. */
interface Spelling {
  readonly upper: boolean;
  readonly bare: boolean;
  readonly escaped: boolean;
  readonly around: string;
  readonly comma: string;
}
const spelling: fc.Arbitrary<Spelling> = fc.record({
  upper: fc.boolean(),
  bare: fc.boolean(),
  escaped: fc.boolean(),
  around: space,
  comma: fc.tuple(space, fc.constantFrom(',', ', ,', ',,'), space).map((parts) => parts.join('')),
});

function print(written: Challenge, { upper, bare, escaped, around, comma }: Spelling): string {
  const spelled = (word: string) => (upper ? word.toUpperCase() : word);
  const quoted = (value: string) =>
    `"${[...value].map((one) => (escaped || one === '"' || one === '\\' ? `\\${one}` : one)).join('')}"`;
  if (written.token68 !== undefined) return `${spelled(written.scheme)} ${written.token68}`;
  const list = [...written.parameters].map(
    ([name, value]) => `${spelled(name)}${around}=${around}${bare && isToken(value) ? value : quoted(value)}`,
  );
  return list.length === 0 ? spelled(written.scheme) : `${spelled(written.scheme)} ${list.join(comma)}`;
}

/** Headers as servers write them, good and bad. */
const fragment = fc.oneof(
  fc.constantFrom(
    'Bearer',
    'bearer ',
    'Basic',
    'DPoP',
    'Negotiate YWJj',
    'realm',
    'scope',
    'resource_metadata',
    'error="insufficient_scope"',
    '=',
    '"',
    '\\',
    ',',
    ' ',
    '\t',
    'https://127.0.0.1/.well-known/oauth-protected-resource',
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
);
const headerValue = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fragment, { maxLength: 25 }).map((parts) => parts.join('')),
);

function expectWellFormed(challenges: readonly Challenge[], given: readonly string[]): void {
  let kept = 0;
  for (const { scheme, token68: value, parameters: found } of challenges) {
    expect(isToken(scheme)).toBe(true);
    expect(scheme).toBe(scheme.toLowerCase());
    expect(value).not.toBe('');
    kept += scheme.length + (value?.length ?? 0);
    for (const [name, text] of found) {
      expect(isToken(name)).toBe(true);
      expect(name).toBe(name.toLowerCase());
      kept += name.length + text.length;
    }
  }
  const length = given.reduce((sum, text) => sum + text.length, 0);
  expect(kept).toBeLessThanOrEqual(Math.min(length, MAX_CHALLENGE_LENGTH));
}

describe('the challenge parser', () => {
  it('reads what the grammar allows as it was meant, in one line or in several', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(challenge, spelling, space), { maxLength: 4 }), (written) => {
        const lines = written.map(([spoken, how]) => print(spoken, how));
        const expected = written.map(([spoken]) => spoken);
        expect(parseChallenges(lines)).toEqual(expected);
        const line = written.map(([, , before], index) => before + lines[index]).join(',');
        expect(parseChallenges([line])).toEqual(expected);
      }),
      runs(2_000),
    );
  });

  it('makes something well-formed, or nothing, of anything', () => {
    fc.assert(
      fc.property(fc.array(headerValue, { maxLength: 4 }), (given) => {
        expectWellFormed(parseChallenges(given), given);
        for (const value of Object.values(bearerChallenge(given) ?? {})) expect(value).not.toBe('');
      }),
      runs(3_000),
    );
  });

  it('finds the bearer challenge behind other schemes', () => {
    const others = fc.array(
      challenge.filter(({ scheme }) => scheme !== 'bearer' && scheme !== 'dpop'),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(others, spelling, letters, (before, how, scope) => {
        const url = 'https://mcp.example/.well-known/oauth-protected-resource';
        const bearer = `BEARER Scope=${scope}, resource_metadata="${url}"`;
        const line = [...before.map((other) => print(other, how)), bearer].join(', ');
        expect(bearerChallenge([line])).toEqual({ scope, resourceMetadata: url });
      }),
      runs(1_000),
    );
  });

  it('reads a bounded part of what never ends', () => {
    fc.assert(
      fc.property(fragment, fragment, (one, other) => {
        const endless = (one + other).repeat(200_000).slice(0, 1_000_000);
        expectWellFormed(parseChallenges([endless, endless]), [endless, endless]);
      }),
      runs(100),
    );
  });
});
