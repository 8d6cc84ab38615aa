import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EndpointRewriter, LegacyEndpointError, resolveEndpoint } from '../../app/proxy/legacy-sse.ts';
import { readJsonRpc, readMethodName, readOperation } from '../../app/proxy/refusals.ts';
import { hostileJson, hostileText, jsonText, mutated, runs } from '../support/fuzz.ts';

const message = mutated(
  { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: {} } },
  ['result', 'error', '__proto__'],
  fc.oneof(hostileJson, fc.constantFrom<unknown>('2.0', 'initialize', { name: 'a' }, { uri: 'b' })),
);
const body = fc.oneof(
  { weight: 4, arbitrary: message.map(jsonText) },
  { weight: 3, arbitrary: fc.array(message, { maxLength: 4 }).map(jsonText) },
  { weight: 1, arbitrary: hostileJson.map(jsonText) },
  { weight: 1, arbitrary: hostileText },
  { weight: 1, arbitrary: message.map((whole) => jsonText(whole).slice(0, -2)) },
);

describe('a request body of any content', () => {
  it('is read as JSON-RPC with the ids it has, or not at all', () => {
    fc.assert(
      fc.property(body, fc.boolean(), (text, whole) => {
        const bytes = whole ? Buffer.from(text) : Buffer.from(text, 'latin1').subarray(0, -1);
        expect(typeof readOperation(bytes)).toBe('string');
        readMethodName(bytes);
        const call = readJsonRpc(bytes);
        if (call === undefined || call.kind === 'one-way') return;
        const ids = call.kind === 'batch' ? call.ids : [call.id];
        const methods = call.kind === 'batch' ? call.methods : [call.method];
        const json: unknown = JSON.parse(bytes.toString());
        expect(Array.isArray(json)).toBe(call.kind === 'batch');
        const asked = (Array.isArray(json) ? json : [json]).filter(
          ({ id, method }) =>
            typeof method === 'string' && (id === null || ['string', 'number'].includes(typeof id)),
        );
        expect(asked.map(({ id }) => id)).toEqual(ids);
        expect(asked.map(({ method }) => method)).toEqual(methods);
      }),
      runs(2_000),
    );
  });
});

/** Lines of an event stream, and bytes that are none. */
const line = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('event: endpoint', 'event:endpoint', 'data: /messages?id=1', 'data', ''),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('event: message', 'event', 'data:\u20ac', ': ping', 'id: 7', 'retry: 1'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('data: //evil.example/x', 'data: https://evil.example/', 'data: \0'),
  },
  { weight: 1, arbitrary: fc.oneof(hostileText, fc.constant('\ufeff')) },
);
const lineEnd = fc.constantFrom('\n', '\n', '\r\n', '\r', '\n\n', '\r\n\r\n', '\r\r', '');
const stream = fc
  .array(fc.tuple(line, lineEnd), { maxLength: 8 })
  .map((lines) => Buffer.from(lines.flat().join('')));
const SSE_URL = new URL('https://mcp.example/sse');
const LOCAL = '/mcp/local';

/** Sends a stream through in pieces; `ended` says that its endpoint was refused. */
function through(bytes: Buffer, cuts: readonly number[]): { out: string; ended: boolean } {
  const rewriter = new EndpointRewriter((uri) => resolveEndpoint(uri, SSE_URL) && LOCAL);
  const out: Buffer[] = [];
  const edges = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  try {
    let from = 0;
    for (const to of [...edges, bytes.length]) {
      const piece = bytes.subarray(from, to);
      out.push(...(rewriter.done ? [piece] : rewriter.push(piece)));
      from = to;
    }
    out.push(...rewriter.flush());
    return { out: Buffer.concat(out).toString('latin1'), ended: false };
  } catch (error) {
    expect(error).toBeInstanceOf(LegacyEndpointError);
    return { out: Buffer.concat(out).toString('latin1'), ended: true };
  }
}

/** Everything but the data, which is the endpoint's address. */
function otherLines(text: string): string[] {
  return text.split(/\r\n|\r|\n/).filter((one) => !/^(?:\xef\xbb\xbf)?data(?::|$)/.test(one));
}

describe('an event stream of any content', () => {
  it('comes out the same however it was cut, and unchanged but for its endpoint', () => {
    let rewritten = 0;
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 12 }), (bytes, cuts) => {
        const whole = through(bytes, []);
        const inPieces = through(bytes, cuts);
        expect(inPieces.ended).toBe(whole.ended);
        const input = bytes.toString('latin1');
        if (whole.ended) {
          // What came before the event may be there already; nothing of it is.
          expect(input.startsWith(inPieces.out)).toBe(true);
          return;
        }
        expect(inPieces.out).toBe(whole.out);
        if (whole.out === input) return;
        rewritten++;
        expect(input).toContain('endpoint');
        expect(otherLines(whole.out)).toEqual(otherLines(input));
      }),
      runs(6_000),
    );
    expect(rewritten).toBeGreaterThan(30);
  });

  it('never announces an endpoint on another origin', () => {
    const uri = fc.oneof(
      hostileText,
      fc.webUrl({ withQueryParameters: true }),
      fc.constantFrom(
        '//evil.example',
        'https:/x',
        '\\\\evil.example',
        '/\\evil.example',
        'https://mcp.example@evil/',
      ),
    );
    fc.assert(
      fc.property(uri, (text) => {
        const endpoint = resolveEndpoint(text, SSE_URL);
        if (!endpoint) return;
        expect(endpoint.origin).toBe(SSE_URL.origin);
        expect(endpoint.username + endpoint.password + endpoint.hash).toBe('');
      }),
      runs(2_000),
    );
  });
});
