import { describe, expect, it } from 'vitest';
import { MAX_HEAD_BYTES, MAX_HEADER_FIELDS } from '../../app/limits.ts';
import { givenBroker } from '../support/broker.ts';
import {
  givenRawUpstream,
  givenScriptedUpstream,
  onHeads,
  parseAnswer,
  portOf,
  type RawAnswer,
  requestText,
  sendRaw,
  Wire,
} from '../support/wire.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const BODY = 'Content-Length: 2\r\n\r\nok';

/** A broker in front of an upstream that answers its first request with these bytes, and others properly. */
async function givenAnswer(bytes: string) {
  let told = 0;
  const upstream = await givenRawUpstream((socket) =>
    onHeads(socket, () => {
      told += 1;
      socket.write(told === 1 ? bytes : `${OK}Content-Length: 5\r\n\r\nlater`, 'latin1');
    }),
  );
  const { broker } = await givenBroker(`${upstream.origin}/base/mcp`);
  const send = (...lines: string[]): Promise<RawAnswer> =>
    sendRaw(portOf(broker.localUrl), requestText(broker, ...lines, 'Connection: close'));
  return { broker, send };
}

/**
 * Every field of an answer that could act on more than this answer, judged one by one. What acts on the *origin* the answer
 * comes from would act on ours, and stays here; what acts on the one answer passes, and cannot do harm in a page, because
 * a browser shows answers of the upstream in a sandbox (browsers.test.ts).
 */
const FIELDS: ReadonlyArray<readonly [field: string, outcome: 'stays here' | 'passes', why: string]> = [
  ['Set-Cookie: session=evil; Path=/', 'stays here', 'cookies of 127.0.0.1 are shared by all its ports'],
  ['Access-Control-Allow-Origin: *', 'stays here', 'who may read us is for ALLOWED_ORIGINS to say'],
  ['Access-Control-Allow-Credentials: true', 'stays here', 'the same'],
  ['Access-Control-Allow-Private-Network: true', 'stays here', 'the same'],
  ['Access-Control-Expose-Headers: *', 'stays here', 'the same'],
  ['Clear-Site-Data: "*"', 'stays here', 'empties the storage of our origin'],
  [
    'Strict-Transport-Security: max-age=63072000; includeSubDomains',
    'stays here',
    'locks plain HTTP out of the host',
  ],
  ['Alt-Svc: h3="evil.example:443"; persist=1', 'stays here', 'moves our origin elsewhere'],
  [
    'NEL: {"report_to":"x","max_age":31536000,"success_fraction":1}',
    'stays here',
    'has calls to our origin reported',
  ],
  [
    'Report-To: {"group":"x","max_age":1,"endpoints":[{"url":"https://evil.example"}]}',
    'stays here',
    'the same',
  ],
  ['Service-Worker-Allowed: /', 'stays here', 'lets a script of the upstream rule over our pages'],
  ['Proxy-Authenticate: Basic realm="x"', 'stays here', 'asks for the credentials of a proxy'],
  ['Proxy-Authentication-Info: x', 'stays here', 'the same'],
  ['Proxy-Connection: keep-alive', 'stays here', 'of one connection'],
  ['Keep-Alive: timeout=999999', 'stays here', 'of one connection; ours is kept as long as we say'],
  ['Upgrade: h2c', 'stays here', 'of one connection'],
  ['Trailer: X-End', 'stays here', 'trailers do not cross'],
  ['TE: trailers', 'stays here', 'of one connection'],
  ['WWW-Authenticate: Bearer resource_metadata="https://evil.example"', 'passes', 'has no effect on a 200'],
  ['Location: https://evil.example/', 'passes', 'has no effect on a 200; in a 3xx see below'],
  ['Refresh: 0; url=https://evil.example/', 'passes', 'a page in the sandbox does not go anywhere by itself'],
  ['Link: <https://evil.example/x.css>; rel=stylesheet', 'passes', 'of one page, in the sandbox'],
  ['Content-Security-Policy: default-src *', 'passes', 'can only add to the sandbox'],
  ['Content-Disposition: attachment; filename="../x"', 'passes', 'browsers strip folders'],
  [
    'Content-Location: https://evil.example/',
    'passes',
    'says something of the answer, and is followed by nobody',
  ],
  ['Cache-Control: public, max-age=31536000, immutable', 'passes', 'of one URL of the upstream'],
  ['Vary: *', 'passes', 'of one URL of the upstream'],
  ['Timing-Allow-Origin: *', 'passes', 'shows when an answer came, not what is in it'],
  ['Cross-Origin-Resource-Policy: cross-origin', 'passes', 'other sites cannot have it loaded: cross_site'],
  ['X-Frame-Options: ALLOWALL', 'passes', 'no browser knows it; other sites cannot frame it: cross_site'],
  ['Server: evil', 'passes', 'words'],
  ['Mcp-Session-Id: <script>alert(1)</script>', 'passes', 'for the client, byte for byte'],
  [
    'X-Accel-Redirect: /etc/passwd',
    'passes',
    'for a reverse proxy in front, which is told to by its own settings only',
  ],
];

describe('a field of an answer', () => {
  it.each(FIELDS)('%s %s, as it %s', async (field, outcome) => {
    const { send } = await givenAnswer(`${OK}${field}\r\n${BODY}`);
    const answer = await send('GET /mcp HTTP/1.1');
    expect([answer.status, answer.rest]).toEqual([200, 'ok']);
    const [name = '', value = ''] = field.split(/: (.*)/s);
    const ours = /^(connection|keep-alive)$/i.test(name) ? [] : answer.values(name.toLowerCase());
    expect(ours).toEqual(outcome === 'passes' ? [value] : []);
    expect(answer.headers.join()).not.toContain('999999');
  });

  it('that Connection names stays here, and the answer is complete without its length', async () => {
    const { send } = await givenAnswer(
      `${OK}Connection: content-length, mcp-session-id\r\nMcp-Session-Id: s\r\n${BODY}`,
    );
    const answer = await send('GET /mcp HTTP/1.1');
    expect([answer.status, answer.rest, answer.values('mcp-session-id')]).toEqual([
      200,
      '2\r\nok\r\n0\r\n\r\n',
      [],
    ]);
  });

  it.each([
    ['https://evil.example/', 'https://evil.example/'],
    ['//evil.example/base/mcp', '//evil.example/base/mcp'],
    ['http://user@127.0.0.1:1/base/mcp', 'http://user@127.0.0.1:1/base/mcp'],
    ['javascript:alert(1)', 'javascript:alert(1)'],
    ['/base/mcp/../../admin', '/base/mcp/../../admin'],
    ['/base/mcp/%0d%0aSet-Cookie:%20a=b', '/mcp/%0d%0aSet-Cookie:%20a=b'],
    // Bytes that become line ends where a server writes the low byte of a character.
    ['/base/mcp/\xc4\x8d\xc4\x8aSet-Cookie: a=b', '/mcp/%C4%8D%C4%8ASet-Cookie:%20a=b'],
    ['/base/mcp/\tx', '/mcp/x'],
  ])('Location: %j leads to %j, and the token goes nowhere', async (location, expected) => {
    const { send } = await givenAnswer(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\n${BODY}`);
    const answer = await send('GET /mcp HTTP/1.1');
    expect([answer.status, answer.values('location'), answer.values('set-cookie')]).toEqual([
      302,
      [expected],
      [],
    ]);
  });
});

describe('an answer that is not proper HTTP', () => {
  it.each([
    ['two lengths that agree', `${OK}Content-Length: 2\r\n${BODY}`],
    ['two lengths that do not', `${OK}Content-Length: 9\r\n${BODY}`],
    ['a length and chunks', `${OK}Transfer-Encoding: chunked\r\n${BODY}`],
    ['a length beyond 64 bits', `${OK}Content-Length: 18446744073709551618\r\n\r\nok`],
    ['a negative length', `${OK}Content-Length: -2\r\n\r\nok`],
    ['a folded field', `${OK}X: a\r\n b\r\n${BODY}`],
    ['a field that ends on LF', `${OK}X: a\nSet-Cookie: a=b\r\n${BODY}`],
    ['a field that ends on CR', `${OK}X: a\rSet-Cookie: a=b\r\n${BODY}`],
    ['a NUL in a value', `${OK}X: a\0b\r\n${BODY}`],
    ['a control character in a value', `${OK}X: a\x01b\r\n${BODY}`],
    ['a space in a name', `${OK}X Y: a\r\n${BODY}`],
    ['a space behind a name', `${OK}Set-Cookie : a=b\r\n${BODY}`],
    ['a name that is empty', `${OK}: a\r\n${BODY}`],
    ['a name of other bytes', `${OK}X-\xe9: a\r\n${BODY}`],
    ['a line end in the reason', `HTTP/1.1 200 O\rSet-Cookie: a=b\r\n${BODY}`],
    ['status 000', `HTTP/1.1 000 Zero\r\n${BODY}`],
    ['a status of two digits', `HTTP/1.1 20 OK\r\n${BODY}`],
    ['a status of four digits', `HTTP/1.1 2000 OK\r\n${BODY}`],
    [
      'a protocol that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nraw',
    ],
    ['a head beyond the limit', `${OK}X: ${'a'.repeat(MAX_HEAD_BYTES)}\r\n${BODY}`],
    ['no head at all', 'SSH-2.0-OpenSSH_9.9\r\n'],
  ])('is refused, nothing of it crosses, and the next call works: %s', async (_, bytes) => {
    const { send } = await givenAnswer(bytes);
    const answer = await send('GET /mcp HTTP/1.1');
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.rest)).toMatchObject({ error: 'upstream_unreachable' });
    expect(answer.values('set-cookie')).toEqual([]);
    expect((await send('GET /mcp HTTP/1.1')).rest).toBe('later');
  });

  it.each([
    ['a second answer', `${OK}${BODY}${OK}Content-Length: 6\r\n\r\npoison`],
    ['bytes behind it', `${OK}${BODY}poison`],
    ['a body with a 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison'],
    ['a body with a 304', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison'],
  ])('poisons no later call: %s', async (_, bytes) => {
    const { broker, send } = await givenAnswer(bytes);
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(requestText(broker, 'GET /mcp HTTP/1.1'));
    await wire.until(/\r\n\r\n(?:ok)?$/);
    expect(parseAnswer(wire.text).rest).toMatch(/^(?:ok)?$/);
    wire.write(requestText(broker, 'GET /mcp HTTP/1.1'));
    await wire.until('later');
    expect((await send('GET /mcp HTTP/1.1')).rest).toBe('later');
    expect(wire.text).not.toContain('poison');
  });

  it('has a 204 told without a length, which it must not have (RFC 9110 §8.6)', async () => {
    const { send } = await givenAnswer('HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n');
    const answer = await send('DELETE /mcp HTTP/1.1');
    expect([answer.status, answer.values('content-length')]).toEqual([204, []]);
  });

  it('may be as long as the limit allows, in as many fields as fit', async () => {
    const count = Math.floor((MAX_HEAD_BYTES - 100) / 4);
    const { send } = await givenAnswer(`${OK}${'a:\r\n'.repeat(count)}${BODY}`);
    expect((await send('GET /mcp HTTP/1.1')).values('a')).toHaveLength(count);
  });

  it('may come behind a thousand informational ones', async () => {
    const { send } = await givenAnswer(
      `${'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(1_000)}${OK}${BODY}`,
    );
    expect((await send('GET /mcp HTTP/1.1')).rest).toBe('ok');
  });

  it('has trailers cut off that are longer than a head may be: the client does not take a part for the whole', async () => {
    const { send } = await givenAnswer(
      `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: ${'a'.repeat(MAX_HEAD_BYTES)}\r\n\r\n`,
    );
    expect((await send('GET /mcp HTTP/1.1')).rest).toBe('2\r\nok\r\n');
  });
});

describe('fields of a request', () => {
  async function givenUpstreamBehind() {
    const upstream = await givenScriptedUpstream((_request, response) => void response.end('ok'));
    const { broker } = await givenBroker(upstream.origin);
    const send = (...lines: string[]) =>
      sendRaw(portOf(broker.localUrl), requestText(broker, ...lines, 'Connection: close'));
    return { upstream, send };
  }
  const many = (count: number) => Array.from({ length: count }, (_, n) => `X-${n}: 1`);

  it('are all looked at, up to a thousand, and none is lost', async () => {
    const { upstream, send } = await givenUpstreamBehind();
    // Host and Connection are the other two.
    const lines = many(MAX_HEADER_FIELDS - 2);
    expect((await send('GET /mcp HTTP/1.1', ...lines)).status).toBe(200);
    expect(upstream.requests.entries[0]?.rawHeaders).toContain(`X-${MAX_HEADER_FIELDS - 3}`);
  });

  it('are refused beyond that, so that none can hide behind the others', async () => {
    const { upstream, send } = await givenUpstreamBehind();
    const answer = await send(
      'GET /mcp HTTP/1.1',
      ...many(2 * MAX_HEADER_FIELDS),
      'Origin: https://evil.example',
    );
    expect([answer.status, JSON.parse(answer.rest).error]).toEqual([431, 'too_large']);
    expect(upstream.requests.entries).toEqual([]);
  });

  it('cannot have the token or the real length left out by naming them in Connection', async () => {
    const { upstream, send } = await givenUpstreamBehind();
    await send('POST /mcp HTTP/1.1', 'Connection: authorization, content-length, host', 'Content-Length: 0');
    expect(upstream.requests.entries[0]?.headers).toMatchObject({ 'content-length': '0', host: /^127/ });
  });
});
