import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { givenBroker, logIn, rpc } from '../support/broker.ts';
import { createRandom, type Random } from '../support/random.ts';
import { givenScriptedAuthorizationServer } from '../support/scripted-authorization.ts';
import { listenUntilTestEnds } from '../support/scripted-server.ts';
import { portOf } from '../support/wire.ts';

/** `FUZZ_SEED` chooses other cases, `FUZZ_SECONDS` looks for longer, `FUZZ_CASE` tries one that has failed again. */
const SEED = Number(process.env.FUZZ_SEED ?? 20_260_728);
const SECONDS = Number(process.env.FUZZ_SECONDS ?? (process.env.CI === 'true' ? 60 : 20));
const ONLY = process.env.FUZZ_CASE;

const CONNECTIONS = 12;
/** A case on whose connection nothing has come for so long is over, in milliseconds. */
const QUIET_MS = 100;
/** So often an ordinary call is made between the cases. */
const CALL_EVERY = 200;
const MOST_FINDINGS = 10;

const METHODS = [
  'GET',
  'POST',
  'PUT',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'CONNECT',
  'get',
  'PRI',
  'A B',
  '',
];
const TARGETS = [
  ...[
    '/mcp',
    '/mcp/',
    '/',
    '/x/y?z=1',
    '/mcp?a=b',
    '/health',
    '/mcp/health',
    '/oauth/status',
    '/oauth/callback',
  ],
  ...['/oauth/callback?code=c&state=s&iss=%3Cb%3E', '/.well-known/oauth-protected-resource/mcp', '/register'],
  ...['/mcp/..', '/mcp/%2e%2e/x', '/mcp/..;/x', '//evil.example/x', '/mcp/.legacy-sse/L3g', '*', 'mcp', ''],
  ...[
    'http://127.0.0.1:HOSTPORT/mcp',
    'http://evil.example/mcp',
    'evil.example:443',
    '/mcp#x',
    '/m c p',
    '/\u00e9',
  ],
];
const VERSIONS = [
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/1.12',
  'http/1.1',
  'ICY',
  '',
];
const HEADERS = [
  ...[
    'Host: 127.0.0.1:HOSTPORT',
    'Host: evil.example',
    'Host:',
    'Host : 127.0.0.1:HOSTPORT',
    'host:localhost:HOSTPORT',
  ],
  ...[
    'Origin: null',
    'Origin: http://127.0.0.1:HOSTPORT',
    'Origin: https://evil.example',
    'Sec-Fetch-Site: cross-site',
  ],
  ...[
    'Content-Length: 0',
    'Content-Length: 5',
    'Content-Length: 5, 5',
    'Content-Length: +5',
    'Content-Length: -1',
  ],
  ...[
    'Content-Length: 0x5',
    'Content-Length:\t7',
    'Content-Length: 99999999999999999999',
    'Content-Length : 5',
  ],
  ...['Transfer-Encoding: chunked', 'Transfer-Encoding: Chunked', 'Transfer-Encoding: gzip, chunked'],
  ...['Transfer-Encoding: chunked, identity', 'Transfer-Encoding:\x0bchunked', 'Transfer-Encoding : chunked'],
  ...['Transfer-Encoding: xchunked', ' Transfer-Encoding: chunked', 'Transfer-Encoding\x00: chunked'],
  ...[
    'Connection: close',
    'Connection: keep-alive, Mcp-Session-Id',
    'Connection: Upgrade, HTTP2-Settings',
    'Upgrade: h2c',
  ],
  ...[
    'Expect: 100-continue',
    'Expect: more',
    'TE: trailers',
    'Trailer: Authorization',
    'Keep-Alive: timeout=9',
  ],
  ...[
    'Authorization: Bearer of-the-client',
    'Authorization: Basic eDp5',
    'Cookie: of=the-client',
    'X-Api-Key: x',
  ],
  ...[
    'Proxy-Authorization: Basic eDp5',
    'X-A: b\r\n folded',
    'X-A: \x00',
    'X-A: \u00ff',
    'X-\u00e9: a',
    ': a',
    'no colon',
  ],
  ...[
    'Accept: text/event-stream',
    'Accept: text/html',
    'Content-Type: application/json',
    'Content-Encoding: gzip',
  ],
  ...[
    'Mcp-Session-Id: 1',
    'Mcp-Method: tools/call',
    'Last-Event-ID: 7',
    'Range: bytes=0-1',
    'Accept-Encoding: br',
  ],
];
const BODIES = [
  ...[
    '',
    'hello',
    '{"jsonrpc":"2.0","id":1,"method":"ping"}',
    '5\r\nhello\r\n0\r\n\r\n',
    '5;a="b"\r\nhello\r\n0\r\nA: b\r\n\r\n',
  ],
  ...[
    '0\r\n\r\n',
    '5\nhello\n0\n\n',
    '-1\r\n',
    'FFFFFFFFFFFFFFFFF\r\n',
    '5\r\nhelloX',
    '0x5\r\nhello\r\n0\r\n\r\n',
    '\r\n\r\n',
  ],
];
const SPECIAL = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  '%',
  '\x7f',
  '\x80',
  '\xff',
  '\u000b',
  '0',
  'z',
];

/** The bytes of a case, one character each: half of the cases are ordinary requests until something is changed in them. */
function bytesOf(random: Random, port: number): string {
  const one = (list: readonly string[]) => list[random.whole(0, list.length - 1)] ?? '';
  const isOrdinary = random.whole(0, 1) === 0;
  const request = () => {
    const method = isOrdinary ? one(['GET', 'POST']) : one(METHODS);
    const version = isOrdinary ? 'HTTP/1.1' : one(VERSIONS);
    const start = `${method} ${isOrdinary ? one(TARGETS.slice(0, 5)) : one(TARGETS)} ${version}`;
    const host = isOrdinary || random.whole(0, 2) > 0 ? ['Host: 127.0.0.1:HOSTPORT'] : [];
    const body = one(BODIES);
    const length = `Content-Length: ${body.length}`;
    const framing =
      body !== '' && random.whole(0, 3) > 0 ? [one([length, 'Transfer-Encoding: chunked'])] : [];
    const ordinary = HEADERS.slice(-10);
    const headers = isOrdinary && random.whole(0, 3) > 0 ? ordinary : HEADERS;
    const others = Array.from({ length: random.whole(0, 4) }, () => one(headers));
    const long = random.whole(0, 200) === 0 ? [`X-Long: ${'l'.repeat(random.whole(1, 100_000))}`] : [];
    return [start, ...host, ...framing, ...others, ...long, '', body].join('\r\n');
  };
  let text = Array.from({ length: random.whole(1, 3) }, request)
    .join('')
    .replaceAll('HOSTPORT', String(port));
  for (let left = Math.max(0, random.whole(-2, 3)); left > 0; left--) {
    const at = random.whole(0, text.length);
    const to = Math.min(text.length, at + random.whole(0, 20));
    const kind = random.pick({ replace: 3, insert: 3, remove: 2, repeat: 1, cut: 1, bareLf: 1 });
    if (kind === 'replace') text = text.slice(0, at) + one(SPECIAL) + text.slice(at + 1);
    else if (kind === 'insert') text = text.slice(0, at) + one(SPECIAL) + text.slice(at);
    else if (kind === 'remove') text = text.slice(0, at) + text.slice(to);
    else if (kind === 'repeat') text = text.slice(0, to) + text.slice(at);
    else if (kind === 'cut') text = text.slice(0, at);
    else text = text.replaceAll('\r\n', '\n');
  }
  return text;
}

/** Sends a case in pieces and returns all that came back. */
async function exchangeOf(port: number, text: string, random: Random): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  // The other side may close on us whenever it likes.
  socket.on('error', () => undefined);
  let received = '';
  socket.setEncoding('latin1').on('data', (more: string) => {
    received += more;
  });
  await Promise.race([once(socket, 'connect'), closed]).catch(() => undefined);
  const bytes = Buffer.from(text, 'latin1');
  for (let from = 0; from < bytes.length; ) {
    const to = random.whole(0, 2) === 0 ? from + random.whole(1, 60) : bytes.length;
    socket.write(bytes.subarray(from, to));
    from = to;
    await nextTurn();
  }
  const ending = random.pick({ wait: 6, end: 3, destroy: 1 });
  if (ending === 'wait') await untilQuiet(socket, closed);
  if (ending === 'destroy') socket.destroy();
  else socket.end();
  // One that keeps its end open has an answer under way that never ends.
  await untilQuiet(socket, closed);
  socket.destroy();
  await closed;
  return received;
}

function untilQuiet(socket: Socket, closed: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, QUIET_MS);
    socket.on('data', () => timer.refresh());
    closed.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

it('raw bytes on the socket neither stop the broker nor reach the upstream in a way that was not asked for', {
  timeout: (SECONDS + 60) * 1_000,
}, async () => {
  const findings: string[] = [];
  const found = (what: string) => {
    if (findings.length < MOST_FINDINGS) findings.push(what);
  };
  const as = await givenScriptedAuthorizationServer();
  let seen = 0;
  let judge: (request: IncomingMessage) => void = () => undefined;
  const server = createServer({ maxHeaderSize: 256 * 1024 }, (request, response) => {
    if (request.url?.startsWith('/.well-known/')) sendMetadata(response);
    else if (request.headers.authorization === undefined)
      response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
    else {
      seen++;
      judge(request);
      answer(request, response, seen);
    }
  });
  const port = await listenUntilTestEnds(server);
  const origin = `http://127.0.0.1:${port}`;
  const sendMetadata = (response: ServerResponse) =>
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ resource: `${origin}/mcp`, authorization_servers: [as.issuer] }));
  server.on('clientError', (error: Error & { code?: string }, socket) => {
    // Calls that are given up on end in the middle, and are no finding.
    if (error.code !== 'ECONNRESET' && error.code !== 'HPE_INVALID_EOF_STATE')
      found(`the upstream could not read what the broker sent: ${error.code}`);
    socket.destroy();
  });
  as.script['/authorize'] = ({ url }, response) => {
    const { searchParams } = new URL(url, as.origin);
    const callback = new URL(searchParams.get('redirect_uri') ?? '');
    callback.searchParams.set('code', 'c');
    callback.searchParams.set('state', searchParams.get('state') ?? '');
    response.writeHead(302, { location: callback.href }).end();
  };
  const { broker, log } = await givenBroker(`${origin}/mcp`);
  await logIn(broker);
  judge = ({ url = '', headers, headersDistinct, rawHeaders }) => {
    if (headers.authorization !== 'Bearer as-access-3' || headersDistinct.authorization?.length !== 1)
      found(`authorization: ${headers.authorization}`);
    if (headersDistinct.host?.join() !== `127.0.0.1:${port}`) found(`host: ${headersDistinct.host?.join()}`);
    if (!/^\/mcp(?:\/|$)/.test(new URL(origin + url).pathname)) found(`target: ${url}`);
    for (const name of ['cookie', 'origin', 'proxy-authorization', 'te', 'trailer', 'upgrade', 'expect'])
      if (name in headers) found(`${name}: ${headers[name]}`);
    if (rawHeaders.length > 4_000) found('a head of unlimited length');
  };

  const callWorks = async () => {
    const response = await fetch(broker.mcpUrl, rpc('ping'));
    const body = await response.text();
    if (response.status !== 200 || body !== ANSWER) found(`an ordinary call got ${response.status} ${body}`);
  };
  const localPort = portOf(broker.localUrl);
  let next = ONLY === undefined ? 0 : Number(ONLY);
  const end = performance.now() + SECONDS * 1_000;
  const goesOn = () =>
    findings.length === 0 && (ONLY === undefined ? performance.now() < end : next === Number(ONLY));
  const attack = async () => {
    while (goesOn()) {
      const number = next++;
      const random = createRandom(SEED + number * 7_919);
      const text = bytesOf(random, localPort);
      const before = findings.length;
      const received = await exchangeOf(localPort, text, random);
      if (received !== '' && !/^HTTP\/1\.1 [1-5]\d\d [^\r\n]*\r\n/.test(received))
        found(`answer: ${received}`);
      if (/as-access|as-refresh|access-control-|set-cookie/i.test(received)) found(`leak: ${received}`);
      const faults = log.entries.filter(({ level }) => level === 'error');
      if (faults.length > 0) found(`log: ${JSON.stringify(faults)}`);
      log.entries.length = 0;
      if (number % CALL_EVERY === 0) await callWorks();
      if (findings.length > before)
        found(`perhaps by FUZZ_CASE=${number}: ${JSON.stringify(text.slice(0, 2_000))}`);
    }
  };
  await Promise.all(Array.from({ length: ONLY === undefined ? CONNECTIONS : 1 }, attack));
  await callWorks();

  expect(findings).toEqual([]);
  expect(seen).toBeGreaterThan(ONLY === undefined ? next / 10 : 0);
  expect((await fetch(`${broker.localUrl}/health`)).status).toBe(200);
  expect((await broker.status()).state).toBe('authenticated');
});

const ANSWER = '{"jsonrpc":"2.0","id":1,"result":{}}';

/** Most answers come at once, whether the body has come or not; some come in pieces. */
function answer(request: IncomingMessage, response: ServerResponse, nth: number): void {
  request.resume();
  request.on('error', () => undefined);
  if (request.headers['mcp-session-id'] !== undefined && nth % 3 === 0) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
    response.end('data: 2\n\n');
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json' }).end(ANSWER);
}
