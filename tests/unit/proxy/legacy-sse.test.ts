import { describe, expect, it } from 'vitest';
import { MAX_ENDPOINT_EVENT_BYTES } from '../../../app/limits.ts';
import { EndpointRewriter, LegacyEndpointError, resolveEndpoint } from '../../../app/proxy/legacy-sse.ts';

const rewrite = (uri: string) => `/local?for=${encodeURIComponent(uri)}`;

/** Feeds the pieces as the caller does: bypasses the scanner once it is done, flushes at the end. */
function feed(pieces: readonly (string | Buffer)[], replace: (uri: string) => string | undefined = rewrite) {
  const scanner = new EndpointRewriter(replace);
  const out: Buffer[] = [];
  for (const piece of pieces) {
    const bytes = Buffer.from(piece);
    if (scanner.done) out.push(bytes);
    else out.push(...scanner.push(bytes));
  }
  const doneBeforeFlush = scanner.done;
  out.push(...scanner.flush());
  return { bytes: Buffer.concat(out), text: Buffer.concat(out).toString(), done: doneBeforeFlush };
}

/** What one push after the other lets through, to see when bytes are released. */
function steps(pieces: readonly string[]): string[] {
  const scanner = new EndpointRewriter(rewrite);
  return pieces.map((piece) => Buffer.concat(scanner.push(Buffer.from(piece))).toString());
}

const E = rewrite('/messages?sessionId=1');
const BOM = '\u{feff}';
const LATER = 'event: endpoint\ndata: /other\n\n: ping\r\n\r\ndata: x';

const rewritten: readonly (readonly [what: string, stream: string, expected: string])[] = [
  [
    'event before data',
    'event: endpoint\ndata: /messages?sessionId=1\n\n',
    `event: endpoint\ndata: ${E}\n\n`,
  ],
  [
    'data before event',
    'data: /messages?sessionId=1\nevent: endpoint\n\n',
    `data: ${E}\nevent: endpoint\n\n`,
  ],
  [
    'no space after the colon',
    'event:endpoint\ndata:/messages?sessionId=1\n\n',
    `event:endpoint\ndata:${E}\n\n`,
  ],
  ['CRLF', 'event: endpoint\r\ndata: /messages?sessionId=1\r\n\r\n', `event: endpoint\r\ndata: ${E}\r\n\r\n`],
  ['CR', 'event: endpoint\rdata: /messages?sessionId=1\r\r', `event: endpoint\rdata: ${E}\r\r`],
  [
    'mixed line ends',
    'data: /messages?sessionId=1\r\nid\revent: endpoint\n\r',
    `data: ${E}\r\nid\revent: endpoint\n\r`,
  ],
  [
    'a BOM',
    `${BOM}event: endpoint\ndata: /messages?sessionId=1\n\n`,
    `${BOM}event: endpoint\ndata: ${E}\n\n`,
  ],
  [
    'a BOM before data',
    `${BOM}data: /messages?sessionId=1\nevent: endpoint\n\n`,
    `${BOM}data: ${E}\nevent: endpoint\n\n`,
  ],
  [
    'comments and blank lines before it',
    ': hi\n\n\r\n: there\n\nevent: endpoint\ndata: /messages?sessionId=1\n\n',
    `: hi\n\n\r\n: there\n\nevent: endpoint\ndata: ${E}\n\n`,
  ],
  [
    'blocks of id and retry before it',
    'retry: 3000\n\nid: 7\n\nevent: endpoint\ndata: /messages?sessionId=1\n\n',
    `retry: 3000\n\nid: 7\n\nevent: endpoint\ndata: ${E}\n\n`,
  ],
  [
    'other fields and comments within it',
    'id: 1\ndata: /messages?sessionId=1\n: c\nretry: 5\nevent: endpoint\nodd\n\n',
    `id: 1\ndata: ${E}\n: c\nretry: 5\nevent: endpoint\nodd\n\n`,
  ],
  [
    'a block named endpoint without data, which is no event',
    'event: endpoint\n\nevent: endpoint\ndata: /messages?sessionId=1\n\n',
    `event: endpoint\n\nevent: endpoint\ndata: ${E}\n\n`,
  ],
  [
    'several data lines',
    'event: endpoint\ndata: /a\r\nid: 1\ndata:b\ndata\n\n',
    `event: endpoint\ndata: ${rewrite('/a\nb\n')}\r\nid: 1\n\n`,
  ],
  [
    'several data lines that end in different ways',
    'event: endpoint\ndata: /a\rdata:b\n\n',
    `event: endpoint\ndata: ${rewrite('/a\nb')}\n\n`,
  ],
  [
    'a first data line without a colon',
    'data\ndata: /a\nevent: endpoint\n\n',
    `data:${rewrite('\n/a')}\nevent: endpoint\n\n`,
  ],
  ['an empty URI', 'event: endpoint\ndata:\n\n', `event: endpoint\ndata:${rewrite('')}\n\n`],
  [
    'one space taken off only',
    'event: endpoint\ndata:  /a \n\n',
    `event: endpoint\ndata: ${rewrite(' /a ')}\n\n`,
  ],
  [
    'characters of several bytes',
    ': é\n\nevent: endpoint\ndata: /ü/\u{1f511}\n\n',
    `: é\n\nevent: endpoint\ndata: ${rewrite('/ü/\u{1f511}')}\n\n`,
  ],
  [
    'an absolute URI',
    'event: endpoint\ndata: https://h.example/m?x=1&y=2\n\n',
    `event: endpoint\ndata: ${rewrite('https://h.example/m?x=1&y=2')}\n\n`,
  ],
];

const untouched: readonly (readonly [what: string, stream: string])[] = [
  ['a message', 'event: message\ndata: {"jsonrpc":"2.0"}\n\n'],
  ['an event without a name', 'data: /messages\n\n'],
  ['a priming event', 'id: 1\ndata:\n\n'],
  ['data without a colon', 'data\n\n'],
  ['a name with other case', 'event: Endpoint\ndata: /messages\n\n'],
  ['a name with more spaces', 'event:  endpoint\ndata: /messages\n\n'],
  ['an empty name', 'event:\ndata: /messages\n\n'],
  ['data, then another name', 'data: /messages\r\nevent: message\r\n\r\n'],
  ['a field in other case', 'Event: endpoint\nData: /a\ndata: /b\n\n'],
  ['a BOM that is not first', `\n${BOM}event: endpoint\ndata: /a\n\n`],
  ['an indented field', ' event: endpoint\ndata: /a\n\n'],
];

describe('EndpointRewriter', () => {
  describe('rewrites the URI and nothing else', () => {
    it.each(rewritten)('%s, at every split position', (_, stream, expected) => {
      expectAtEverySplit(stream + LATER, expected + LATER);
      expect(feed([stream]).done).toBe(true);
    });
  });

  describe('leaves another first event unchanged', () => {
    it.each(untouched)('%s, at every split position', (_, stream) => {
      expectAtEverySplit(stream + LATER, stream + LATER);
      expect(feed([stream]).done).toBe(true);
    });
  });

  describe('holds no more than it must', () => {
    it('comments, blank lines and blocks without data pass at once', () => {
      const lines = [': hi\n', '\n', 'retry: 5\n', 'id: 1\n', '\n', ': more\r\n'];
      expect(steps(lines)).toEqual(lines);
    });

    it('fields before the data pass at once, the data waits for the end of its event', () => {
      expect(steps(['event: endpoint\n', 'data: /a\n', 'id: 1\n', '\n'])).toEqual([
        'event: endpoint\n',
        '',
        '',
        `data: ${rewrite('/a')}\nid: 1\n\n`,
      ]);
    });

    it('another name releases what is held as soon as its line is complete', () => {
      expect(steps(['data: /a\n', 'event: mess', 'age\n', 'data: b'])).toEqual([
        '',
        '',
        'data: /a\nevent: message\n',
        'data: b',
      ]);
    });

    it('is done with the line end of the blank line, also when its LF is still to come', () => {
      const scanner = new EndpointRewriter(rewrite);
      expect(Buffer.concat(scanner.push(Buffer.from('event: endpoint\r\ndata: /a\r\n\r'))).toString()).toBe(
        `event: endpoint\r\ndata: ${rewrite('/a')}\r\n\r`,
      );
      expect(scanner.done).toBe(true);
      expect(scanner.push(Buffer.from('\nx'))).toEqual([Buffer.from('\nx')]);
    });

    it('does not need the rest of the stream to know the first event', () => {
      const scanner = new EndpointRewriter(rewrite);
      scanner.push(Buffer.from('event: endpoint\ndata: /a\n'));
      expect(scanner.done).toBe(false);
      scanner.push(Buffer.from('\n'));
      expect(scanner.done).toBe(true);
      expect(scanner.flush()).toEqual([]);
    });
  });

  describe('when the stream ends early', () => {
    it.each([
      '',
      BOM,
      'da',
      'data: /a',
      'data: /a\r',
      'data: /a\nevent: endpoint',
      'event: endpoint\ndata: /a\n',
    ])('%j is released unchanged', (stream) => {
      expectAtEverySplit(stream, stream);
      expect(feed([stream]).done).toBe(false);
    });

    it('is done after a flush, and a second flush gives nothing', () => {
      const scanner = new EndpointRewriter(rewrite);
      scanner.push(Buffer.from('data: x'));
      expect(scanner.flush()).toEqual([Buffer.from('data: x')]);
      expect(scanner.done).toBe(true);
      expect(scanner.flush()).toEqual([]);
    });

    it('an empty chunk changes nothing', () => {
      expect(feed(['', 'event: endpoint\r', '', '\ndata: /a\n', '', '\n', '']).text).toBe(
        `event: endpoint\r\ndata: ${rewrite('/a')}\n\n`,
      );
    });
  });

  describe('keeps bytes that are not UTF-8', () => {
    const odd = Buffer.from([0xff, 0xfe, 0x00, 0xc3]);

    it('in other lines of the event and after it', () => {
      const stream = Buffer.concat([
        Buffer.from('data: /a\n: '),
        odd,
        Buffer.from('\nevent: endpoint\nid: '),
        odd,
        Buffer.from('\n\n'),
        odd,
      ]);
      const expected = Buffer.concat([
        Buffer.from(`data: ${rewrite('/a')}\n: `),
        odd,
        Buffer.from('\nevent: endpoint\nid: '),
        odd,
        Buffer.from('\n\n'),
        odd,
      ]);
      for (let at = 0; at <= stream.length; at++) {
        expect(feed([stream.subarray(0, at), stream.subarray(at)]).bytes).toEqual(expected);
      }
    });

    it('in the data of another event', () => {
      const stream = Buffer.concat([Buffer.from('data: '), odd, Buffer.from('\n\n')]);
      expect(feed([stream]).bytes).toEqual(stream);
    });
  });

  describe('the size limit', () => {
    const head = 'data: ';
    const fill = (bytes: number) => head + 'x'.repeat(bytes - head.length);
    const tail = '\nevent: endpoint\n';

    it('an event of exactly the limit is rewritten', () => {
      const data = fill(MAX_ENDPOINT_EVENT_BYTES - tail.length - 1);
      expect(feed([data, tail, '\n']).text).toBe(`data: ${rewrite(data.slice(head.length))}${tail}\n`);
    });

    it.each([1, 1000, 1 << 20])('a larger one passes unchanged, in pieces of %d bytes', (size) => {
      const stream = `${fill(MAX_ENDPOINT_EVENT_BYTES - tail.length)}${tail}\n${LATER}`;
      const pieces = Array.from({ length: Math.ceil(stream.length / size) }, (_, index) =>
        stream.slice(index * size, (index + 1) * size),
      );
      expect(feed(pieces).text).toBe(stream);
    });

    it('a line without an end is released at the limit', () => {
      const scanner = new EndpointRewriter(rewrite);
      const line = Buffer.from(fill(MAX_ENDPOINT_EVENT_BYTES));
      expect(scanner.push(line)).toEqual([]);
      expect(scanner.push(Buffer.from('y'))).toEqual([Buffer.concat([line, Buffer.from('y')])]);
      expect(scanner.done).toBe(true);
    });

    it('comments before the event do not count', () => {
      const comments = ': keep-alive\n'.repeat(10_000);
      expect(feed([comments, 'event: endpoint\ndata: /a\n\n']).text).toBe(
        `${comments}event: endpoint\ndata: ${rewrite('/a')}\n\n`,
      );
    });
  });

  describe('when the endpoint must not be used', () => {
    it('throws an error that says what to do and does not name the address', () => {
      const scanner = new EndpointRewriter(() => undefined);
      const push = () =>
        scanner.push(Buffer.from('event: endpoint\ndata: https://evil.example/m?s=secret\n\nmore'));
      expect(push).toThrow(LegacyEndpointError);
      expect(new LegacyEndpointError().message).toContain('UPSTREAM_MCP_URL');
      expect(scanner.done).toBe(true);
      expect(scanner.flush()).toEqual([]);
    });

    it('is not asked about other events', () => {
      const refuse = () => undefined;
      expect(feed(['data: /a\n\nevent: endpoint\ndata: /b\n\n'], refuse).text).toBe(
        'data: /a\n\nevent: endpoint\ndata: /b\n\n',
      );
    });
  });

  it('agrees with a plain reading of the whole stream, for every stream of up to five lines', () => {
    const lines = ['event: endpoint', 'event: message', 'data: /m', 'data', ': c', 'id: 1', ''];
    for (const end of ['\n', '\r\n', '\r']) {
      for (const stream of streams(lines, 5)) {
        const text = stream.map((line) => line + end).join('');
        const expected = plainReading(stream, end);
        expect(feed([text]).text).toBe(expected);
        expect(feed([...text]).text).toBe(expected);
      }
    }
  });

  it('agrees with itself for every way to cut a short stream into pieces', () => {
    const stream = 'data:a\r\nevent:endpoint\r\n';
    const whole = feed([`${stream}\r\nz`]).text;
    const cuttable = 'nt\r\n\r\nz';
    const start = `${stream}\r\nz`.slice(0, -cuttable.length);
    for (let mask = 0; mask < 1 << (cuttable.length - 1); mask++) {
      const isCut = (at: number) => (mask & (1 << (at - 1))) !== 0;
      const marked = [...cuttable].map((character, at) =>
        at > 0 && isCut(at) ? `|${character}` : character,
      );
      expect(feed([start, ...marked.join('').split('|')]).text).toBe(whole);
    }
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second++) {
        const pieces = [stream.slice(0, first), stream.slice(first, second), `${stream.slice(second)}\r\nz`];
        expect(feed(pieces).text).toBe(whole);
      }
    }
  });
});

function expectAtEverySplit(stream: string, expected: string): void {
  const bytes = Buffer.from(stream);
  for (let at = 0; at <= bytes.length; at++) {
    expect(feed([bytes.subarray(0, at), bytes.subarray(at)]).text).toBe(expected);
  }
  expect(feed(Array.from(bytes, (byte) => Buffer.of(byte))).text).toBe(expected);
}

function* streams(lines: readonly string[], most: number): Generator<string[]> {
  yield [];
  if (most === 0) return;
  for (const rest of streams(lines, most - 1)) for (const line of lines) yield [line, ...rest];
}

/** The rules once more, on whole lines and without a thought for pieces. */
function plainReading(lines: readonly string[], end: string): string {
  const unchanged = lines.map((line) => line + end).join('');
  let from = 0;
  while (from < lines.length) {
    const blank = lines.indexOf('', from);
    const block = lines.slice(from, blank === -1 ? undefined : blank);
    if (blank === -1 || block.includes('event: message')) return unchanged;
    const data = block.filter((line) => line.startsWith('data'));
    if (data.length > 0) {
      if (!block.includes('event: endpoint')) return unchanged;
      const uri = rewrite(data.map((line) => line.slice('data: '.length)).join('\n'));
      const first = block.findIndex((line) => line.startsWith('data'));
      const kept = block
        .map((line, index) => (index === first ? `${line === 'data' ? 'data:' : 'data: '}${uri}` : line))
        .filter((line, index) => index === first || !line.startsWith('data'));
      return [...lines.slice(0, from), ...kept, ...lines.slice(blank)].map((line) => line + end).join('');
    }
    from = blank + 1;
  }
  return unchanged;
}

describe('resolveEndpoint', () => {
  const sse = new URL('https://mcp.example.com/base/sse?key=1');

  it.each([
    ['/messages?sessionId=1', 'https://mcp.example.com/messages?sessionId=1'],
    ['messages?sessionId=1', 'https://mcp.example.com/base/messages?sessionId=1'],
    ['./messages', 'https://mcp.example.com/base/messages'],
    ['../messages', 'https://mcp.example.com/messages'],
    ['?sessionId=1', 'https://mcp.example.com/base/sse?sessionId=1'],
    ['', 'https://mcp.example.com/base/sse?key=1'],
    ['https://mcp.example.com/m', 'https://mcp.example.com/m'],
    ['HTTPS://MCP.EXAMPLE.COM:443/m', 'https://mcp.example.com/m'],
    ['//mcp.example.com/m', 'https://mcp.example.com/m'],
    ['  /m\n', 'https://mcp.example.com/m'],
    ['/m#part', 'https://mcp.example.com/m'],
    ['/a/../../b%2f..?x=%20y', 'https://mcp.example.com/b%2f..?x=%20y'],
  ])('%j is %s', (uri, expected) => {
    expect(resolveEndpoint(uri, sse)?.href).toBe(expected);
  });

  it.each([
    'https://evil.example/m',
    'http://mcp.example.com/m',
    'https://mcp.example.com:8443/m',
    'https://mcp.example.com.evil.example/m',
    '//evil.example/m',
    '\\\\evil.example/m',
    '/\\evil.example/m',
    '/\n/evil.example/m',
    'https://user:pass@mcp.example.com/m',
    'https://user@mcp.example.com/m',
    'javascript:alert(1)',
    'file:///etc/passwd',
    'data:text/plain,x',
    'ws://mcp.example.com/m',
    'https://',
    'https://[bad/m',
  ])('%j is refused', (uri) => {
    expect(resolveEndpoint(uri, sse)).toBeUndefined();
  });

  it('works on loopback without TLS, port included', () => {
    const local = new URL('http://127.0.0.1:3000/sse');
    expect(resolveEndpoint('/m', local)?.href).toBe('http://127.0.0.1:3000/m');
    expect(resolveEndpoint('http://localhost:3000/m', local)).toBeUndefined();
    expect(resolveEndpoint('http://127.0.0.1:3001/m', local)).toBeUndefined();
  });

  it('does not change the URL it is given', () => {
    resolveEndpoint('/m', sse);
    expect(sse.href).toBe('https://mcp.example.com/base/sse?key=1');
  });
});
