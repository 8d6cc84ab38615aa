import { once } from 'node:events';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { REFUSAL_NOTE_MS, TOO_MANY_RETRY_SECONDS } from '../../../app/limits.ts';
import { type Handler, type ListenerLimits, listen, type Route } from '../../../app/proxy/listener.ts';
import { RecordingLog } from '../../support/broker.ts';
import { parseAnswer, Wire } from '../../support/wire.ts';

const SETTINGS = { bind: '127.0.0.1', port: 0, proxyApiKey: undefined, allowedHosts: [], allowedOrigins: [] };
/** So long that whoever waits for it makes the test fail. */
const LONG = 600_000;

/** A listener whose `/held` is answered by command, and anything else at once. */
async function givenListener(limits: Partial<ListenerLimits>, rule: Route['rule'] = 'open') {
  const log = new RecordingLog();
  const held: (() => void)[] = [];
  const handle: Handler = (_request, response, { path }) => {
    if (path !== '/held') response.end('ok');
    else {
      response.write('held ');
      held.push(() => response.end('done'));
    }
  };
  const listener = await listen({
    settings: SETTINGS,
    log,
    limits: { surplusPatienceMs: LONG, ...limits },
    route: (_request, { path }) => ({ handle, rule: path === '/local' ? 'open' : rule }),
  });
  onTestFinished(() => listener.close(0));
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${listener.port}\r\n\r\n`;
  const open = () => Wire.open(listener.port);
  const hold = async () => {
    const wire = await open();
    wire.write(get('/held'));
    await wire.until('held');
    return wire;
  };
  return { listener, log, held, get, open, hold };
}

function expectTooMany(text: string): void {
  const answer = parseAnswer(text);
  expect([answer.status, answer.values('retry-after')]).toEqual([503, [String(TOO_MANY_RETRY_SECONDS)]]);
  expect(JSON.parse(answer.rest)).toEqual({ error: 'too_many', message: expect.any(String) });
}

describe('a connection beyond the limit', () => {
  it('has the one that was idle for longest make room, used or not, but none with a request on it', async () => {
    const { open, hold, get } = await givenListener({ connections: 3 });
    const busy = await hold();
    const used = await open();
    used.write(get('/'));
    await used.until('ok');
    const unused = await open();
    const first = await open();
    await used.closed;
    const second = await open();
    await unused.closed;
    for (const wire of [first, second]) {
      wire.write(get('/'));
      await wire.until('ok');
    }
    expect(busy.text).toMatch(/held \r\n$/);
  });

  it('is told so when all the others are busy, once it has sent everything, and is served when one has ended', async () => {
    const { open, hold, held, get, listener, log } = await givenListener({ connections: 1 });
    const busy = await hold();
    const surplus = await open();
    surplus.write(
      `POST / HTTP/1.1\r\nHost: 127.0.0.1:${listener.port}\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`,
    );
    await surplus.until('100 Continue');
    surplus.write('abc');
    await surplus.closed;
    expectTooMany(surplus.text.slice(surplus.text.indexOf('HTTP/1.1 503')));
    held[0]?.();
    await busy.until('done');
    const next = await open();
    next.write(get('/'));
    await next.until('ok');
    expect(log.entries.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('is ended when it says nothing', async () => {
    const { open, hold } = await givenListener({ connections: 1, surplusPatienceMs: 20 });
    await hold();
    const silent = await open();
    await silent.closed;
    expect(silent.text).toBe('');
  });

  it('is ended at once when many others wait to be told already', async () => {
    const { open, hold } = await givenListener({ connections: 1, surplusConnections: 1 });
    await hold();
    const waiting = await open();
    await (await open()).closed;
    expect(waiting.socket.destroyed).toBe(false);
  });

  it('does not hold up the end of the server', async () => {
    const { open, hold, held, listener } = await givenListener({ connections: 1 });
    await hold();
    const waiting = await open();
    const closed = listener.close(LONG);
    held[0]?.();
    await Promise.all([closed, waiting.closed]);
  });
});

describe('requests sent before the first is answered', () => {
  it('are refused beyond the limit, in their order', async () => {
    const { open, held, get } = await givenListener({ pipelined: 2 });
    const wire = await open();
    wire.write(get('/held') + get('/2') + get('/3') + get('/4'));
    await wire.until('held');
    held[0]?.();
    await wire.until(/too_many.*too_many/s);
    expect([...wire.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => code)).toEqual([
      '200',
      '200',
      '503',
      '503',
    ]);
    wire.write(get('/5'));
    await wire.until(/503.*200/s);
  });
});

describe('calls at once', () => {
  it('are refused beyond the limit, what is answered here is not, and there is room again after each', async () => {
    const { open, hold, held, get } = await givenListener({ calls: 2 }, 'key');
    const [first, second] = [await hold(), await hold()];
    const wire = await open();
    wire.write(get('/call'));
    await wire.until('}');
    expectTooMany(wire.text);
    wire.write(get('/local'));
    await wire.until('ok');
    held[0]?.();
    await first.until('done');
    wire.write(get('/call'));
    await wire.until(/ok.*ok/s);
    second.socket.destroy();
    await hold();
  });
});

describe('a request that is not proper HTTP', () => {
  it('ends its connection, and nothing behind it is looked at', async () => {
    const { open, get, log } = await givenListener({});
    const wire = await open();
    wire.write(get('/').replace('/ ', '* ') + get('/behind'));
    await wire.closed;
    expect(parseAnswer(wire.text).status).toBe(400);
    expect(log.text).not.toContain('/behind');
  });
});

describe('the log', () => {
  it('is not flooded by refusals: it tells of the first of each kind, and later of how many there were', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const { open, get, log } = await givenListener({});
    const wire = await open();
    const refused = async (count: number, by: string) => {
      const before = wire.text.split('HTTP/1.1 ').length;
      wire.write(get('/').replace('\r\n\r\n', `\r\n${by}\r\n\r\n`).repeat(count));
      while (wire.text.split('HTTP/1.1 ').length < before + count) await once(wire.socket, 'data');
    };
    await refused(40, 'Origin: https://evil.example');
    await refused(2, 'Host: again');
    vi.advanceTimersByTime(REFUSAL_NOTE_MS);
    await refused(1, 'Origin: https://evil.example');
    const told = log.entries.filter(({ level }) => level === 'warn').map(({ details }) => details);
    expect(told).toMatchObject([
      { code: 'forbidden_origin', method: 'GET', unnoted_before: undefined },
      { code: 'forbidden_host' },
      { code: 'forbidden_origin', unnoted_before: 39 },
    ]);
  });
});
