import { describe, expect, it } from 'vitest';
import type { LogDetails, Logger } from '../../../../app/log.ts';
import { LoginFailure } from '../../../../app/oauth/errors.ts';
import type { Answer } from '../../../../main/ipc/answer.ts';
import { pageUrl, REQUEST_CHANNELS } from '../../../../main/ipc/channels.ts';
import type { RequestChannel } from '../../../../main/ipc/contract.ts';
import { type PageContents, Pages } from '../../../../main/ipc/pages.ts';
import { type Handlers, handleAll, type InvokeEvent } from '../../../../main/ipc/registrar.ts';

const REFUSED = { error: 'Refused.' };
const SECRET = 'cs-Zk3Vq8Tn1xB';

describe('a request', () => {
  it('of its own page reaches its handler, and its answer the page', async () => {
    const { ask, page, calls } = givenRegistrar(() => 'an answer');
    expect(await ask('server:remove', page('status'), { id: 'one' })).toEqual({ value: 'an answer' });
    expect(calls).toEqual([['server:remove', { id: 'one' }]]);
  });

  it('may come from any view of the page', async () => {
    const { ask, page, calls } = givenRegistrar();
    const event = page('status');
    await ask('app:view', at(event, `${pageUrl('status')}#log`));
    expect(calls).toHaveLength(1);
  });

  it('tells its handler who asks', async () => {
    const senders: PageContents[] = [];
    const { ask, page } = givenRegistrar((_channel, _request, sender) => senders.push(sender));
    const [first, second] = [page('login'), page('login')];
    await ask('login:view', second);
    await ask('login:view', first);
    expect(senders).toEqual([second.sender, first.sender]);
  });

  it('is answered on every channel of the map and on no other', () => {
    expect([...givenRegistrar().channels].sort()).toEqual(Object.keys(REQUEST_CHANNELS).sort());
  });
});

describe('a hostile sender', () => {
  const strangers: Record<string, (parts: ReturnType<typeof givenRegistrar>) => InvokeEvent> = {
    'is a page of the web in contents of its own': ({ stranger }) => stranger('https://evil.example/'),
    'is our page in contents that are not ours': ({ stranger }) => stranger(pageUrl('status')),
    'is the page of another channel': ({ page }) => page('login'),
    'is a frame within our page': ({ page }) => within(page('status')),
    'is gone': ({ page }) => ({ ...page('status'), senderFrame: null }),
    'had its contents closed': ({ page, close }) => close(page('status')),
    ...Object.fromEntries(
      [
        'https://evil.example/',
        'app://login/index.html',
        'app://status/',
        'app://status/index.html?x',
        'app://status/index.html/',
        'app://status/other.html',
        'app://status.evil.example/index.html',
        'app://user@status/index.html',
        'https://evil.example/#app://status/index.html',
        'http://status/index.html',
        'file:///status/index.html',
        'about:blank',
        'data:text/html,app://status/index.html',
        '',
      ].map((url) => [
        `has led our contents to "${url}"`,
        ({ page }: ReturnType<typeof givenRegistrar>) => at(page('status'), url),
      ]),
    ),
  };
  for (const [title, event] of Object.entries(strangers))
    it(title, async () => {
      const parts = givenRegistrar();
      expect(await parts.ask('app:view', event(parts))).toEqual(REFUSED);
      expect(parts.calls).toEqual([]);
      expect(parts.lines).toHaveLength(1);
      expect(parts.lines[0]).toMatch(/^warn A request that did not come from a page of this app was refused/);
    });

  it('is not told whether its request would have been good', async () => {
    const { ask, stranger } = givenRegistrar();
    expect(await ask('server:remove', stranger('https://evil.example/'), { id: 1 })).toEqual(REFUSED);
  });
});

describe('a request of another shape', () => {
  const shapes: readonly [RequestChannel, ...unknown[]][] = [
    ['app:view', {}],
    ['app:view', undefined, undefined],
    ['server:remove'],
    ['server:remove', null],
    ['server:remove', 'one'],
    ['server:remove', { id: 7 }],
    ['server:remove', { id: 'x'.repeat(201) }],
    ['server:remove', { id: 'one' }, 'more'],
  ];
  for (const [channel, ...args] of shapes)
    it(`${channel} ${JSON.stringify(args).slice(0, 60)} is refused`, async () => {
      const { ask, page, calls, lines } = givenRegistrar();
      expect(await ask(channel, page('status'), ...args)).toEqual(REFUSED);
      expect(calls).toEqual([]);
      expect(lines).toHaveLength(1);
    });

  it('is logged by the place of its fault, without its value and in few words', async () => {
    const { ask, page, lines } = givenRegistrar();
    const input = { clientSecret: { value: SECRET, [`${'x'.repeat(5000)}`]: 1 } };
    await ask('server:change', page('status'), { id: 'one', input });
    expect(lines).toHaveLength(1);
    expect(lines.join()).not.toContain(SECRET);
    expect(lines.join().length).toBeLessThan(300);
  });
});

describe('a handler that fails', () => {
  it('tells the page what was written for people', async () => {
    const { ask, page } = givenRegistrar(() => {
      throw new LoginFailure('discovery_failed', 'The server is silent.', 'Ask its operator.');
    });
    expect(await ask('app:view', page('status'))).toEqual({
      error: 'The server is silent. Ask its operator.',
    });
  });

  it('tells the page nothing else, and the log why', async () => {
    const { ask, page, lines } = givenRegistrar(() => Promise.reject(new TypeError('x is not a function')));
    expect(await ask('app:view', page('status'))).toEqual({
      error: 'Something went wrong; look at the log.',
    });
    expect(lines).toEqual(['error A request failed channel=app:view reason=x is not a function']);
  });
});

/** A registrar whose handlers all do the same, with a way to send it any event. */
function givenRegistrar(
  handler: (channel: RequestChannel, request: unknown, sender: PageContents) => unknown = () => undefined,
) {
  const pages = new Pages();
  const calls: [RequestChannel, unknown][] = [];
  const lines: string[] = [];
  const listeners = new Map<string, (event: InvokeEvent, ...args: unknown[]) => Promise<Answer>>();
  const handlers = Object.fromEntries(
    (Object.keys(REQUEST_CHANNELS) as RequestChannel[]).map((channel) => [
      channel,
      (request: unknown, sender: PageContents) => {
        calls.push([channel, request]);
        return handler(channel, request, sender);
      },
    ]),
  ) as unknown as Handlers;
  const target = {
    handle: (channel: string, listener: (event: InvokeEvent, ...args: unknown[]) => Promise<Answer>) => {
      listeners.set(channel, listener);
    },
  };
  handleAll(target, handlers, { pages, log: logInto(lines) });
  return {
    calls,
    lines,
    channels: listeners.keys(),
    ask: (channel: RequestChannel, event: InvokeEvent, ...args: unknown[]) =>
      listeners.get(channel)?.(event, ...args),
    /** An event of a page's own contents. */
    page(page: 'status' | 'login'): InvokeEvent {
      const sender = madeUpContents();
      pages.add(page, sender);
      return { sender, senderFrame: { url: pageUrl(page), parent: null } };
    },
    /** An event of contents that were not made for a page. */
    stranger: (url: string): InvokeEvent => ({
      sender: madeUpContents(),
      senderFrame: { url, parent: null },
    }),
    close(event: InvokeEvent): InvokeEvent {
      (event.sender as MadeUpContents).destroy();
      return event;
    },
  };
}

function at(event: InvokeEvent, url: string): InvokeEvent {
  return { ...event, senderFrame: { url, parent: null } };
}

function within(event: InvokeEvent): InvokeEvent {
  return { ...event, senderFrame: { url: pageUrl('status'), parent: event.senderFrame } };
}

interface MadeUpContents extends PageContents {
  destroy(): void;
}

let made = 0;

function madeUpContents(): MadeUpContents {
  let onDestroyed = () => {};
  return {
    id: ++made,
    isDestroyed: () => false,
    send: () => {},
    once(_event, listener) {
      onDestroyed = listener;
    },
    destroy: () => onDestroyed(),
  };
}

function logInto(lines: string[]): Logger {
  const write =
    (level: string) =>
    (event: string, details: LogDetails = {}) => {
      lines.push(
        [`${level} ${event}`, ...Object.entries(details).map(([key, value]) => `${key}=${value}`)].join(' '),
      );
    };
  return { error: write('error'), warn: write('warn'), info: write('info'), debug: write('debug') };
}
