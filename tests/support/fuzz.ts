import { inspect } from 'node:util';
import fc from 'fast-check';
import { expect, onTestFinished, vi } from 'vitest';
import { isLoopbackHost } from '../../app/address.ts';
import { createHttpClient } from '../../app/http-client.ts';
import { HttpFailure, type HttpRequest } from '../../app/oauth/http.ts';
import { givenScriptedServer, type ScriptedServer } from './scripted-server.ts';
import { spellingsOf } from './secrets.ts';

/** The same cases each time, so that a build does not fail by chance; `FUZZ_SEED` and `FUZZ_FACTOR` look further. */
const SEED = Number(process.env.FUZZ_SEED ?? 20_260_728);
const FACTOR = Number(process.env.FUZZ_FACTOR ?? 1);

// The same cases on every machine: a busy one may take its time.
vi.setConfig({ testTimeout: 300_000 * Math.max(1, FACTOR) });

/** How often a property is tried; a failure prints the seed and the path to its case. */
export function runs(numRuns: number): { seed: number; numRuns: number } {
  return { seed: SEED, numRuns: Math.ceil(numRuns * FACTOR) };
}

/** A stranger's server, and the way to it. */
export interface FuzzTarget {
  readonly server: ScriptedServer;
  readonly request: HttpRequest;
}

/** Starts a scripted server and real connections that never leave this machine; both end with the test. */
export async function givenFuzzTarget(): Promise<FuzzTarget> {
  const server = await givenScriptedServer();
  const http = createHttpClient({
    upstreamMcpUrl: server.origin,
    authorizationEndpoint: undefined,
    tokenEndpoint: undefined,
    issuer: undefined,
    clientMetadataUrl: undefined,
    upstreamTimeoutSeconds: 300,
    extraCaCerts: undefined,
    httpsProxy: undefined,
    noProxy: undefined,
  });
  onTestFinished(() => http.close());
  const request: HttpRequest = async (url, options) => {
    const { hostname, host } = new URL(url);
    if (!isLoopbackHost(hostname)) throw new HttpFailure('unreachable', `${host} cannot be reached (TEST).`);
    return http.request(url, options);
  };
  return { server, request };
}

/** Texts that parsers, URL handling and pages stumble over. None of them is the address of anybody. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 30 }),
  fc.constantFrom(
    '',
    ' ',
    '\0',
    '\r\nx: y',
    '\ud800',
    '\u202eevil\u2028',
    '__proto__',
    'constructor',
    'javascript:alert(1)',
    'file:///etc/passwd',
    'data:,x',
    'https://',
    '//127.0.0.1/x',
    'http://[::1',
    'http://127.0.0.1:1/closed',
    'https://127.0.0.1:1/closed',
    'https://user:word@127.0.0.1/',
    ' https://127.0.0.1:1/ ',
    'https://169.254.169.254/latest',
    'http://10.0.0.1/',
    'https://as.example/a?b=c#d',
    `https://${'a'.repeat(5_000)}.example/`,
    '<script>alert(1)</script>',
    'eyJ-'.repeat(2_000),
    'x'.repeat(20_000),
  ),
);

/** JSON of every shape, some of it deeper or longer than anybody would write. */
export const hostileJson: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: hostileText },
  { weight: 4, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<unknown>(null, true, false, 0, -1, 1e308, [], {}, [''], [[[]]], '0'),
  },
  { weight: 1, arbitrary: fc.constantFrom('nested:100', 'nested:50000') },
  { weight: 1, arbitrary: fc.constant(Array.from({ length: 20_000 }, (_, index) => index)) },
);

/** Writes a document as JSON text; `nested:N` stands for an array that deep, which `JSON.stringify` cannot write. */
export function jsonText(document: unknown): string {
  return JSON.stringify(document ?? null).replace(
    /"nested:(\d+)"/g,
    (_, depth: string) => '['.repeat(Number(depth)) + ']'.repeat(Number(depth)),
  );
}

/**
 * A valid document with none to three of its members, or further ones, replaced or gone.
 * @param more names that the document may have and does not
 */
export function mutated(
  document: Readonly<Record<string, unknown>>,
  more: readonly string[] = [],
  value: fc.Arbitrary<unknown> = hostileJson,
): fc.Arbitrary<Record<string, unknown>> {
  const name = fc.constantFrom(...Object.keys(document), ...more);
  const change = fc.oneof(
    { weight: 1, arbitrary: fc.record({ name, value: fc.constant(undefined) }) },
    { weight: 4, arbitrary: fc.record({ name, value }) },
  );
  return fc.array(change, { maxLength: 3 }).map((changes) => ({
    ...document,
    ...Object.fromEntries(changes.map(({ name: key, value: changed }) => [key, changed])),
  }));
}

/** What a stranger's server answers: mostly the text of a document, at times damaged, and any status. */
export function hostileAnswer(
  document: fc.Arbitrary<unknown>,
  headers: fc.Arbitrary<Record<string, string>> = fc.constant({}),
): fc.Arbitrary<{ text: string; status: number; headers: Record<string, string> }> {
  const text = fc.oneof(
    { weight: 20, arbitrary: document.map(jsonText) },
    { weight: 1, arbitrary: hostileJson.map(jsonText) },
    { weight: 1, arbitrary: hostileText },
    { weight: 1, arbitrary: document.map((whole) => jsonText(whole).slice(0, -1)) },
    { weight: 1, arbitrary: document.map((whole) => `\ufeff${jsonText(whole)}`) },
    { weight: 1, arbitrary: fc.constantFrom('', '<!doctype html><p>oops', 'y'.repeat(300_000)) },
  );
  const status = fc.oneof(
    { weight: 16, arbitrary: fc.constant(200) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(201, 204, 301, 302, 307, 400, 401, 403, 404, 429, 500, 502, 503),
    },
    { weight: 1, arbitrary: fc.integer({ min: 200, max: 599 }) },
  );
  return fc.record({ text, status, headers });
}

/** Demands that no secret is in anything that is shown or kept, not even in a hidden property, in any spelling. */
export function expectNoneOf(secrets: readonly string[], ...shown: readonly unknown[]): void {
  const all = shown
    .map((item) =>
      typeof item === 'string'
        ? item
        : inspect(item, {
            depth: Number.POSITIVE_INFINITY,
            showHidden: true,
            maxStringLength: Number.POSITIVE_INFINITY,
            maxArrayLength: Number.POSITIVE_INFINITY,
          }),
    )
    .join('\n');
  const spelled = secrets.flatMap(spellingsOf);
  expect(spelled.filter((secret) => all.includes(secret))).toEqual([]);
}

/** Demands a sentence for people: not empty, one line, printable, and of a length that can be shown. */
export function expectSentence(text: string): void {
  expect(text).not.toBe('');
  expect(text.length).toBeLessThanOrEqual(1_500);
  expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
}

/** The outcome of a promise, whichever it is. */
export async function settled<T>(
  promise: Promise<T>,
): Promise<{ value: T; error?: undefined } | { value?: undefined; error: unknown }> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error };
  }
}
