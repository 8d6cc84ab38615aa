import { describe, expect, it, onTestFinished } from 'vitest';
import { MAX_CONNECTIONS, MAX_HELD_BYTES, MAX_HELD_TOTAL_BYTES } from '../../app/limits.ts';
import { type ListenerLimits, listen } from '../../app/proxy/listener.ts';
import { givenBroker, givenServedBroker, RecordingLog } from '../support/broker.ts';
import { givenScriptedUpstream, parseAnswer, portOf, requestText, Wire } from '../support/wire.ts';

const health = (port: number) => `GET /health HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;

/** Asks for the health on a connection of its own. */
async function ask(port: number): Promise<{ status: number; retryAfter: string[]; rest: string }> {
  const wire = await Wire.open(port);
  wire.write(health(port).replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  await wire.closed;
  const { status, values, rest } = parseAnswer(wire.text);
  return { status, retryAfter: values('retry-after'), rest };
}

/** Runs something so many times, a part of it at once. */
async function inWaves<T>(count: number, atOnce: number, run: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  while (results.length < count) {
    const wave = Array.from({ length: Math.min(atOnce, count - results.length) }, run);
    results.push(...(await Promise.all(wave)));
  }
  return results;
}

async function givenListener(limits: Partial<ListenerLimits>) {
  const listener = await listen({
    settings: { bind: '127.0.0.1', port: 0, proxyApiKey: undefined, allowedHosts: [], allowedOrigins: [] },
    log: new RecordingLog(),
    limits,
    route: () => ({ handle: (_request, response) => void response.end('ok'), rule: 'open' }),
  });
  onTestFinished(() => listener.close(0));
  return listener;
}

describe('a slow client (slowloris)', () => {
  it.each([
    ['that sends nothing', ''],
    ['that stops in the middle of a line', 'GET / HT'],
    ['that never ends its head', 'GET / HTTP/1.1\r\nX: 1\r\n'],
  ])('is cut off after the time for a head: one %s', async (_, bytes) => {
    const { port } = await givenListener({ headTimeoutMs: 100, headCheckMs: 20 });
    const wire = await Wire.open(port);
    wire.write(bytes);
    await wire.closed;
    expect(wire.text).toBe('');
  });

  it('is cut off though it sends a byte now and then', async () => {
    const { port } = await givenListener({ headTimeoutMs: 100, headCheckMs: 20 });
    const wire = await Wire.open(port);
    wire.socket.on('error', () => undefined);
    wire.write('GET / HTTP/1.1\r\n');
    const drip = setInterval(() => wire.write('X: 1\r\n'), 10);
    await wire.closed;
    clearInterval(drip);
    expect(wire.text).toBe('');
  });

  it.each([
    ['has sent half a head', 'GET / HTTP/1.1\r\nX: 1\r\n'],
    [
      'drips the body of a request that was refused',
      'POST / HTTP/1.1\r\nHost: evil\r\nContent-Length: 9\r\n\r\na',
    ],
  ])('keeps nobody out: one that %s', async (_, bytes) => {
    const { port } = await givenListener({ connections: 2 });
    const slow = [await Wire.open(port), await Wire.open(port)];
    for (const wire of slow) {
      wire.write(bytes);
      if (bytes.includes('evil')) await wire.until('forbidden_host');
    }
    expect((await ask(port)).rest).toBe('ok');
    await slow[0]?.closed;
  });
});

describe('many streams', () => {
  it('1,000 at once are nothing: each is fed, and calls pass beside them', async () => {
    const streams: (() => void)[] = [];
    const upstream = await givenScriptedUpstream((request, response) => {
      if (request.method !== 'GET') {
        response.end('called');
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
      streams.push(() => response.end('data: 2\n\n'));
    });
    const { broker } = await givenBroker(upstream.origin);
    const port = portOf(broker.localUrl);
    const wires = await inWaves(1_000, 100, async () => {
      const wire = await Wire.open(port);
      wire.write(requestText(broker, 'GET /mcp HTTP/1.1', 'Accept: text/event-stream'));
      await wire.until('data: 1');
      return wire;
    });
    const answers = await inWaves(100, 20, async () =>
      (await fetch(broker.mcpUrl, { method: 'POST' })).text(),
    );
    expect(new Set(answers)).toEqual(new Set(['called']));
    for (const end of streams) end();
    await Promise.all(wires.map((wire) => wire.until('data: 2')));
  });
});

/** How many files this process may have open; a connection is one. */
function openFilesLimit(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } };
  const { soft } = userLimits?.open_files ?? {};
  return typeof soft === 'number' ? soft : Number.POSITIVE_INFINITY;
}

/** Connections that are held open at once, and files for everything else. */
const NEEDED = 2 * MAX_CONNECTIONS;
const CONNECTIONS = 10_000;

/** Why so many connections cannot be had here, if they cannot. In continuous integration that is an error. */
function missingFiles(): string | undefined {
  const limit = openFilesLimit();
  if (limit >= NEEDED) return undefined;
  const reason = `A process may have ${limit} files open here, and ${NEEDED} are needed; raise "ulimit -n".`;
  if (process.env.CI === 'true') throw new Error(reason);
  return reason;
}

const missing = missingFiles();
if (missing !== undefined) process.stderr.write(`${CONNECTIONS} connections are not tried. ${missing}\n`);

describe.runIf(missing === undefined)(`${CONNECTIONS} connections`, () => {
  it('of which as many as may be are busy: all others are told so, and there is room again', {
    timeout: 120_000,
  }, async () => {
    const { url } = await givenServedBroker({
      UPSTREAM_MCP_URL: 'http://127.0.0.1:9/',
      TOKEN_STORE: 'memory',
    });
    const port = portOf(url);
    const busy = await inWaves(MAX_CONNECTIONS, 200, async () => {
      const wire = await Wire.open(port);
      wire.write(
        `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n`,
      );
      await wire.until('100 Continue');
      return wire;
    });
    const others = await inWaves(CONNECTIONS - MAX_CONNECTIONS, 200, () => ask(port));
    const told = new Set(
      others.map(({ status, retryAfter, rest }) => [status, retryAfter, JSON.parse(rest).error].join()),
    );
    expect(told).toEqual(new Set(['503,1,too_many']));
    for (const wire of busy) wire.socket.destroy();
    await Promise.all(busy.map(({ closed }) => closed));
    // The other end hears of it a moment later.
    while ((await ask(port)).status === 503);
    expect((await ask(port)).status).toBe(200);
  });

  it('that say nothing keep nobody out', { timeout: 120_000 }, async () => {
    const { url } = await givenServedBroker({
      UPSTREAM_MCP_URL: 'http://127.0.0.1:9/',
      TOKEN_STORE: 'memory',
    });
    const port = portOf(url);
    for (let opened = 0; opened < CONNECTIONS; opened += 500) {
      await inWaves(500, 100, () => Wire.open(port));
      expect((await ask(port)).status).toBe(200);
    }
  });
});

describe('large bodies', () => {
  it.each([
    ['answered', 200],
    ['refused', 401],
  ])('are let go of one by one: far more than fit at once are held, when they are %s', async (_, status) => {
    let wanted = status;
    const upstream = await givenScriptedUpstream(
      (_request, response) => void response.writeHead(wanted).end(),
    );
    const { broker } = await givenBroker(upstream.origin);
    const params = { text: 'x'.repeat(MAX_HELD_BYTES - 1_000) };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    const call = () => fetch(broker.mcpUrl, { method: 'POST', body });
    for (let sent = 0; sent <= MAX_HELD_TOTAL_BYTES; sent += body.length) await (await call()).arrayBuffer();
    wanted = 401;
    // Only a body that is held can be answered in its own terms.
    expect(await (await call()).json()).toMatchObject({
      id: 1,
      error: { data: { error: 'not_authenticated' } },
    });
  });
});
