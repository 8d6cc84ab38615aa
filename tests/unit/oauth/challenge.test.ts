import { describe, expect, it } from 'vitest';
import { MAX_CHALLENGE_LENGTH } from '../../../app/limits.ts';
import { bearerChallenge, parseChallenges } from '../../../app/oauth/challenge.ts';

/** Challenges as plain objects: `[scheme, parameters]`, or `[scheme, parameters, token68]`. */
const parse = (...values: string[]) =>
  parseChallenges(values).map(({ scheme, token68, parameters }) =>
    token68 === undefined
      ? [scheme, Object.fromEntries(parameters)]
      : [scheme, Object.fromEntries(parameters), token68],
  );

describe('parseChallenges', () => {
  describe('examples of the standards', () => {
    it('RFC 9110 §11.6.1: two challenges in one field', () => {
      expect(
        parse('Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""'),
      ).toEqual([
        ['basic', { realm: 'simple' }],
        ['newauth', { realm: 'apps', type: '1', title: 'Login to "apps"' }],
      ]);
    });

    it('RFC 6750 §3: no token, and an expired one', () => {
      expect(parse('Bearer realm="example"')).toEqual([['bearer', { realm: 'example' }]]);
      expect(
        parse('Bearer realm="example", error="invalid_token", error_description="The access token expired"'),
      ).toEqual([
        [
          'bearer',
          { realm: 'example', error: 'invalid_token', error_description: 'The access token expired' },
        ],
      ]);
    });

    it('RFC 9728 §5.1: resource_metadata', () => {
      expect(
        parse('Bearer resource_metadata="https://resource.example.com/.well-known/oauth-protected-resource"'),
      ).toEqual([
        [
          'bearer',
          { resource_metadata: 'https://resource.example.com/.well-known/oauth-protected-resource' },
        ],
      ]);
    });

    it('RFC 9449 §7.1: DPoP beside Bearer', () => {
      expect(parse('Bearer, DPoP algs="ES256 PS256"', 'DPoP realm="WallyWorld", algs="ES256 PS256"')).toEqual(
        [
          ['bearer', {}],
          ['dpop', { algs: 'ES256 PS256' }],
          ['dpop', { realm: 'WallyWorld', algs: 'ES256 PS256' }],
        ],
      );
    });

    it('RFC 4559 and RFC 7616: token68 and Digest', () => {
      expect(parse('Negotiate a87421000492aa874209af8bc028==, Negotiate, NTLM')).toEqual([
        ['negotiate', {}, 'a87421000492aa874209af8bc028=='],
        ['negotiate', {}],
        ['ntlm', {}],
      ]);
      expect(
        parse(
          'Digest realm="api@example.org", qop="auth, auth-int", algorithm=SHA-512-256, nonce="5T/=", stale=FALSE',
        ),
      ).toEqual([
        [
          'digest',
          {
            realm: 'api@example.org',
            qop: 'auth, auth-int',
            algorithm: 'SHA-512-256',
            nonce: '5T/=',
            stale: 'FALSE',
          },
        ],
      ]);
    });
  });

  describe('the grammar', () => {
    it.each<[what: string, values: string[], expected: unknown[]]>([
      ['nothing', [], []],
      ['empty fields', ['', '  ', ',', ', ,'], []],
      ['a bare scheme', ['Bearer'], [['bearer', {}]]],
      [
        'bare schemes',
        ['Bearer,Basic , Foo'],
        [
          ['bearer', {}],
          ['basic', {}],
          ['foo', {}],
        ],
      ],
      [
        'repeated fields',
        ['Basic realm="a"', 'Bearer realm="b"'],
        [
          ['basic', { realm: 'a' }],
          ['bearer', { realm: 'b' }],
        ],
      ],
      ['odd case', ['bEaReR ReALM="Kept"'], [['bearer', { realm: 'Kept' }]]],
      [
        'a quoted comma',
        ['Bearer realm="a, Basic realm=b", scope="c"'],
        [['bearer', { realm: 'a, Basic realm=b', scope: 'c' }]],
      ],
      ['quoted pairs', ['Bearer realm="a\\"b\\\\c\\d"'], [['bearer', { realm: 'a"b\\cd' }]]],
      [
        'a quoted pair that is a comma and an equals sign',
        ['Bearer realm="\\,\\="'],
        [['bearer', { realm: ',=' }]],
      ],
      [
        'spaces and tabs around =',
        ['Bearer realm = "a" ,\tscope\t=\tb'],
        [['bearer', { realm: 'a', scope: 'b' }]],
      ],
      ['empty quoted values', ['Bearer realm="", scope=""'], [['bearer', { realm: '', scope: '' }]]],
      [
        'the first value of a repeated name',
        ['Bearer scope=a, SCOPE=b, scope="c"'],
        [['bearer', { scope: 'a' }]],
      ],
      ['empty list items', [',, Bearer ,, realm=a ,,, scope=b ,,'], [['bearer', { realm: 'a', scope: 'b' }]]],
      ['a parameter after a comma', ['Bearer, realm="x"'], [['bearer', { realm: 'x' }]]],
      [
        'names that objects have',
        ['Bearer __proto__=a, constructor=b'],
        [
          [
            'bearer',
            Object.fromEntries([
              ['__proto__', 'a'],
              ['constructor', 'b'],
            ]),
          ],
        ],
      ],
      [
        'a token68 and then a scheme',
        ['Foo abc/+~==, Bearer scope=x'],
        [
          ['foo', {}, 'abc/+~=='],
          ['bearer', { scope: 'x' }],
        ],
      ],
      ['text outside ASCII', ['Bearer realm="Grüße \u{1f511}"'], [['bearer', { realm: 'Grüße \u{1f511}' }]]],
    ])('%s', (_, values, expected) => {
      expect(parse(...values)).toEqual(expected);
    });
  });

  describe('slips of servers', () => {
    it.each<[what: string, value: string, expected: unknown[]]>([
      [
        'no commas between parameters',
        'Bearer realm="a" scope="b" error=c',
        [['bearer', { realm: 'a', scope: 'b', error: 'c' }]],
      ],
      ['no space either', 'Bearer realm="a"scope="b"', [['bearer', { realm: 'a', scope: 'b' }]]],
      [
        'no comma between challenges',
        'Basic realm="a" Bearer scope="b"',
        [
          ['basic', { realm: 'a' }],
          ['bearer', { scope: 'b' }],
        ],
      ],
      [
        'a bare Bearer without a comma',
        'Bearer Basic realm="a"',
        [
          ['bearer', {}],
          ['basic', { realm: 'a' }],
        ],
      ],
      ['semicolons', 'Bearer realm="a"; scope="b"', [['bearer', { realm: 'a', scope: 'b' }]]],
      [
        'an unquoted URL',
        'Bearer resource_metadata=https://h/.well-known/x?y=z&a=(b);c#d, scope=e',
        [['bearer', { resource_metadata: 'https://h/.well-known/x?y=z&a=(b);c#d', scope: 'e' }]],
      ],
      [
        'an unquoted URL after a space',
        'Bearer resource_metadata= https://h/x?y=z',
        [['bearer', { resource_metadata: 'https://h/x?y=z' }]],
      ],
      [
        'an unquoted sentence',
        'Bearer error=invalid_token, error_description=The access token has expired, resource_metadata="https://h/x"',
        [['bearer', { error: 'invalid_token', error_description: 'The', resource_metadata: 'https://h/x' }]],
      ],
      [
        'an unquoted sentence with a comma',
        'Bearer error_description=Sorry, please log in, scope=a',
        [['bearer', { error_description: 'Sorry', scope: 'a' }]],
      ],
      ['an unterminated quote', 'Bearer scope=a, realm="b, c', [['bearer', { scope: 'a', realm: 'b, c' }]]],
      ['an unterminated quote after a backslash', 'Bearer realm="a\\', [['bearer', { realm: 'a' }]]],
      ['a lone quote', 'Bearer realm="', [['bearer', { realm: '' }]]],
      ['empty values', 'Bearer realm=, scope= , error=', [['bearer', { realm: '', scope: '', error: '' }]]],
      ['an empty value without a comma', 'Bearer scope= error="x"', [['bearer', { scope: '', error: 'x' }]]],
      ['garbage before', '!? <junk>, "quoted, Basic realm=x" , Bearer scope=a', [['bearer', { scope: 'a' }]]],
      ['garbage before without a comma', 'please use Bearer scope=a', [['bearer', { scope: 'a' }]]],
      [
        'garbage between',
        'Bearer realm="a" ???, @@ {"b": "c"}, scope=d',
        [['bearer', { realm: 'a', scope: 'd' }]],
      ],
      ['garbage after', 'Bearer scope=a, ] } \u0000 "', [['bearer', { scope: 'a' }]]],
      ['a stray equals sign', 'Bearer scope=b, =a, = , =', [['bearer', { scope: 'b' }]]],
      ['parameters without a scheme', 'realm="a", scope=b', []],
      ['parameters before the scheme', 'realm="a", Bearer scope=b', [['bearer', { scope: 'b' }]]],
      ['two equals signs', 'Bearer scope==a', [['bearer', { scope: '=a' }]]],
      ['a URL in the place of a scheme', 'https://h/x?realm=y, Bearer scope=a', [['bearer', { scope: 'a' }]]],
      ['a colon after the scheme', 'Bearer: realm="a", Bearer scope=b', [['bearer', { scope: 'b' }]]],
    ])('%s', (_, value, expected) => {
      expect(parse(value)).toEqual(expected);
    });
  });

  describe('limits', () => {
    const filler = `Basic realm="${'x'.repeat(MAX_CHALLENGE_LENGTH - 'Basic realm="", '.length)}", `;

    it('reads up to the limit and cuts what is beyond, over all fields together', () => {
      expect(parse(filler, 'Bearer scope=a')).toHaveLength(1);
      expect(parse(`${filler}Bearer scope=a`)).toHaveLength(1);
      expect(parse(filler.replace('xxxxxxxxxxxxxx', ''), 'Bearer scope=a')).toEqual([
        ['basic', { realm: expect.any(String) }],
        ['bearer', { scope: 'a' }],
      ]);
    });

    it.each([
      'Bearer scope=a, resource_metadata="https://h/x',
      'Bearer scope=a, resource_metadata=https://h/x',
    ])('drops a value that the limit cuts: %s…', (value) => {
      const long = value + 'y'.repeat(MAX_CHALLENGE_LENGTH);
      expect(parse(long)).toEqual([['bearer', { scope: 'a' }]]);
    });

    it('drops a scheme and a token68 that the limit cuts', () => {
      expect(parse(`Bearer scope=a, ${'B'.repeat(MAX_CHALLENGE_LENGTH)}`)).toEqual([
        ['bearer', { scope: 'a' }],
      ]);
      expect(parse(`Negotiate ${'Y'.repeat(MAX_CHALLENGE_LENGTH)}`)).toEqual([['negotiate', {}]]);
    });

    it('does not throw, whatever it gets: every text of up to five of the characters that matter', () => {
      const alphabet = ['a', ' ', ',', '=', '"', '\\', '/'];
      for (const text of texts(alphabet, 5)) {
        for (const value of [text, `Bearer ${text}`, `Bearer r="${text}`]) {
          for (const { scheme, parameters } of parseChallenges([value])) {
            expect(scheme).toMatch(/^[a-z]+$/);
            for (const name of parameters.keys()) expect(name).toMatch(/^[a-z]+$/);
          }
        }
      }
    });

    it.each(['a ', 'a=', 'a= ', '"', '\\"', '"\\', 'a,', ' ', 'a/', '= ', 'a="', 'Bearer ', ' =', '\t,'])(
      'gets through a field full of %j',
      (piece) => {
        const field = `Bearer scope=a, ${piece.repeat(MAX_CHALLENGE_LENGTH)}`;
        expect(bearerChallenge([field])).toEqual({ scope: 'a' });
      },
    );
  });
});

function* texts(alphabet: readonly string[], most: number): Generator<string> {
  yield '';
  if (most === 0) return;
  for (const rest of texts(alphabet, most - 1)) for (const character of alphabet) yield character + rest;
}

describe('bearerChallenge', () => {
  it('is undefined without a Bearer or DPoP challenge', () => {
    for (const values of [[], [''], ['Basic realm="Bearer"'], ['Basic realm="a, Bearer scope=b"']]) {
      expect(bearerChallenge(values)).toBeUndefined();
    }
  });

  it('gives all that a challenge says', () => {
    expect(
      bearerChallenge([
        'Bearer realm="r", error="insufficient_scope", error_description="More is needed", ' +
          'scope="files:read files:write", resource_metadata="https://h/.well-known/oauth-protected-resource/mcp"',
      ]),
    ).toEqual({
      realm: 'r',
      error: 'insufficient_scope',
      errorDescription: 'More is needed',
      scope: 'files:read files:write',
      resourceMetadata: 'https://h/.well-known/oauth-protected-resource/mcp',
    });
  });

  it('leaves out what is missing or empty', () => {
    expect(bearerChallenge(['Bearer'])).toStrictEqual({});
    expect(bearerChallenge(['Bearer realm="", scope=, resource_metadata=""'])).toStrictEqual({});
  });

  it.each<[what: string, values: string[], expected: object]>([
    ['Bearer after Basic', ['Basic realm="a", Bearer scope="b"'], { scope: 'b' }],
    ['the first of two', ['Bearer scope="a"', 'Bearer scope="b"'], { scope: 'a' }],
    ['Bearer before DPoP', ['DPoP scope="a", Bearer scope="b"'], { scope: 'b' }],
    ['DPoP when there is no Bearer', ['Basic realm="x"', 'DPoP algs="ES256", scope="a"'], { scope: 'a' }],
    [
      'one with metadata before one without',
      ['Bearer scope="a"', 'Bearer scope="b", resource_metadata="https://h/x"'],
      { scope: 'b', resourceMetadata: 'https://h/x' },
    ],
    [
      'DPoP with metadata before Bearer without',
      ['Bearer scope="a", DPoP resource_metadata="https://h/x"'],
      { resourceMetadata: 'https://h/x' },
    ],
    [
      'Bearer before DPoP when both have metadata',
      ['DPoP resource_metadata="https://h/d", Bearer resource_metadata="https://h/b"'],
      { resourceMetadata: 'https://h/b' },
    ],
    [
      'an empty metadata value counts as none',
      ['Bearer scope="a", resource_metadata=""', 'Bearer resource_metadata=https://h/x'],
      { resourceMetadata: 'https://h/x' },
    ],
  ])('takes %s', (_, values, expected) => {
    expect(bearerChallenge(values)).toEqual(expected);
  });
});
