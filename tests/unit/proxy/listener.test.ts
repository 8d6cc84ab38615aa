import { describe, expect, it, onTestFinished } from 'vitest';
import { type Handler, type Listener, listen, type Route } from '../../../app/proxy/listener.ts';
import { RecordingLog } from '../../support/broker.ts';
import { parseAnswer, Wire } from '../../support/wire.ts';

/** So long that whoever waits for it makes the test fail. */
const LONG = 600_000;
const SETTINGS = {
  bind: '127.0.0.1',
  port: 0,
  proxyApiKey: undefined,
  allowedHosts: [],
  allowedOrigins: [],
};

async function givenListener(handle: Handler, rule: Route['rule'] = 'open') {
  const log = new RecordingLog();
  const listener = await listen({ settings: SETTINGS, log, route: () => ({ handle, rule }) });
  onTestFinished(() => listener.close(0));
  return { listener, log };
}

const open = ({ port }: Listener) => Wire.open(port);
const get = ({ port }: Listener, path = '/') => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;

describe('closing', () => {
  it('ends idle connections at once: unused ones, used ones, and one with half a head', async () => {
    const { listener } = await givenListener((_request, response) => void response.end('ok'));
    const [unused, used, half] = [await open(listener), await open(listener), await open(listener)];
    used.write(get(listener));
    await used.until('ok');
    half.write('GET / HT');
    // The half head is there once a later request on another connection was answered.
    used.write(get(listener, '/2'));
    await used.until(/ok.*ok/s);
    await listener.close(LONG);
    await Promise.all([unused.closed, used.closed, half.closed]);
  });

  it('lets a request in flight finish, and then ends its connection at once', async () => {
    let finish: () => void = () => undefined;
    const { listener } = await givenListener((_request, response) => {
      response.write('first, ');
      finish = () => response.end('last');
    });
    const wire = await open(listener);
    wire.write(get(listener));
    await wire.until('first');
    const closed = listener.close(LONG);
    await expect(open(listener)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    finish();
    await closed;
    await wire.closed;
    expect(wire.text).toMatch(/last\r\n0\r\n\r\n$/);
  });

  it('ends the stream on which a session listens at once, and waits for those that may carry answers', async () => {
    const finish: (() => void)[] = [];
    const { listener } = await givenListener((_request, response) => {
      response.write('open');
      finish.push(() => response.end('last'));
    });
    const streamWith = async (headers: string) => {
      const wire = await open(listener);
      wire.write(get(listener).replace(/\r\n$/, `Accept: text/event-stream\r\n${headers}\r\n`));
      await wire.until('open');
      return wire;
    };
    const listening = await streamWith('Mcp-Session-Id: s1\r\n');
    const resumed = await streamWith('Mcp-Session-Id: s1\r\nLast-Event-ID: 7\r\n');
    const legacy = await streamWith('');
    const closed = listener.close(LONG);
    await listening.closed;
    for (const end of finish) end();
    await closed;
    for (const wire of [resumed, legacy]) {
      await wire.closed;
      expect(wire.text).toMatch(/last\r\n0\r\n\r\n$/);
    }
  });

  it('ends what is not finished when the time is over', async () => {
    const { listener } = await givenListener((_request, response) => void response.write('first'));
    const wire = await open(listener);
    wire.write(get(listener));
    await wire.until('first');
    await listener.close(0);
    await wire.closed;
  });
});

it('says which port is taken', async () => {
  const { listener } = await givenListener(() => undefined);
  const log = new RecordingLog();
  const settings = { ...SETTINGS, port: listener.port };
  await expect(
    listen({ settings, log, route: () => ({ handle: () => undefined, rule: 'open' }) }),
  ).rejects.toMatchObject({ code: 'EADDRINUSE', port: listener.port });
});

describe('a handler that fails for an unknown reason', () => {
  it('is answered for with a 500 that says nothing of the reason, which is in the log', async () => {
    const { listener, log } = await givenListener(async () => {
      throw new Error('the reason');
    });
    const wire = await open(listener);
    wire.write(get(listener));
    await wire.until('}');
    const { status, rest } = parseAnswer(wire.text);
    expect([status, JSON.parse(rest)]).toEqual([
      500,
      { error: 'internal_error', message: 'Something went wrong here; look at the log.' },
    ]);
    expect(log.entries.find(({ level }) => level === 'error')?.details.error).toContain('the reason');
  });

  it('in the middle of an answer has the connection end', async () => {
    const { listener } = await givenListener((_request, response) => {
      response.write('half');
      throw new Error('the reason');
    });
    const wire = await open(listener);
    wire.write(get(listener));
    await wire.closed;
    expect(wire.text).not.toMatch(/\r\n0\r\n\r\n$/);
  });
});

it('logs each request at debug level, without its query and without a name that is none', async () => {
  const { listener, log } = await givenListener((_request, response) => void response.end('ok'));
  const wire = await open(listener);
  const head = get(listener, '/a?secret=1').trimEnd();
  wire.write(`${head}\r\nMcp-Method: tools/call\r\n\r\n${head}\r\nMcp-Method: two words\r\n\r\n`);
  await wire.until(/ok.*ok/s);
  wire.socket.end();
  await wire.closed;
  await listener.close(LONG);
  const lines = log.entries.filter(({ event }) => event === 'request');
  expect(lines.map(({ details }) => [details.method, details.path, details.rpc, details.status])).toEqual([
    ['GET', '/a', 'tools/call', 200],
    ['GET', '/a', undefined, 200],
  ]);
  expect(log.text).not.toContain('secret');
});
