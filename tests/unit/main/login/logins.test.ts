import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { Broker } from '../../../../app/broker.ts';
import { signInByHttp, type Upstream } from '../../../../app/cli/demo/upstream.ts';
import type { LoginPopup, LoginPopupOptions, LoginPopupResult } from '../../../../main/login/login-popup.ts';
import { type LoginEnd, Logins } from '../../../../main/login/logins.ts';
import { givenBroker, givenUpstream, RecordingLog } from '../../../support/broker.ts';
import { answering, givenGate, onPath, statusWhere } from '../../../support/login.ts';

/** A login window without a screen: the test is the person in front of it. */
class ScriptedPopup implements LoginPopup {
  readonly options: LoginPopupOptions;
  readonly result: Promise<LoginPopupResult>;
  readonly loaded: Promise<URL>;
  settle: (result: LoginPopupResult) => void = () => undefined;
  load: (url: URL) => void = () => undefined;
  focused = 0;
  isOpen = true;

  constructor(options: LoginPopupOptions) {
    this.options = options;
    this.result = new Promise((resolve) => {
      this.settle = (result) => {
        this.isOpen = false;
        resolve(result);
      };
    });
    this.loaded = new Promise((resolve) => {
      this.load = resolve;
    });
  }

  focus(): void {
    this.focused++;
  }

  close(): void {
    this.settle({ kind: 'closed' });
  }

  /** Signs in at the page it shows, and is sent back. */
  async signIn(how: { deny?: boolean } = {}): Promise<void> {
    const callback = await signInByHttp((await this.loaded).href, how);
    this.settle({ kind: 'redirected', url: new URL(callback) });
  }
}

interface Given {
  readonly upstream: Upstream;
  readonly broker: Broker;
  readonly logins: Logins;
  readonly popups: ScriptedPopup[];
  /** What the system's browser was given. */
  readonly opened: string[];
  readonly ends: LoginEnd[];
  /** Whether the logins that have ended were asked for. */
  readonly asked: boolean[];
  readonly log: RecordingLog;
  /** The next end of a login. */
  nextEnd(): Promise<LoginEnd>;
  popup(index: number): ScriptedPopup;
  /** Gives the server another broker, or none. */
  replaceBroker(broker: Broker | undefined): void;
}

async function given({
  browser = async () => undefined,
}: {
  browser?: () => Promise<void>;
} = {}): Promise<Given> {
  const upstream = await givenUpstream();
  const { broker } = await givenBroker(upstream.mcpUrl);
  const popups: ScriptedPopup[] = [];
  const opened: string[] = [];
  const ends: LoginEnd[] = [];
  const asked: boolean[] = [];
  const log = new RecordingLog();
  let current: Broker | undefined = broker;
  const logins = new Logins({
    find: (id) => (id === 'demo' && current ? { name: 'Demo', broker: current } : undefined),
    openPopup(options) {
      const popup = new ScriptedPopup(options);
      popups.push(popup);
      return popup;
    },
    async openExternal(url) {
      opened.push(url.href);
      await browser();
    },
    log,
  });
  logins.on('ended', (_id, end, about) => {
    ends.push(end);
    asked.push(about.asked);
  });
  return {
    upstream,
    broker,
    logins,
    popups,
    opened,
    ends,
    asked,
    log,
    async nextEnd() {
      const [, end] = (await once(logins, 'ended')) as [string, LoginEnd];
      return end;
    },
    popup(index) {
      const popup = popups[index];
      if (!popup) throw new Error(`there is no popup ${index}`);
      return popup;
    },
    replaceBroker(other) {
      current = other;
    },
  };
}

describe('a login in a window', () => {
  it('begins with a window that is there before anything is known, and ends with a broker that is logged in', async () => {
    const { logins, broker, popup, nextEnd } = await given();
    const changes: boolean[] = [];
    logins.on('change', () => changes.push(logins.underWay('demo')));
    logins.start('demo', 'popup');
    expect(popup(0).options).toEqual({
      serverId: 'demo',
      server: 'Demo',
      redirectUri: broker.redirectUri,
      asked: true,
    });
    expect(logins.underWay('demo')).toBe(true);
    const ended = nextEnd();
    await popup(0).signIn();
    expect(await ended).toEqual({ kind: 'done', warning: undefined });
    expect(broker.state).toBe('authenticated');
    expect(changes).toEqual([true, false]);
  });

  it('is one, however often it is asked for', async () => {
    const { logins, popup, popups, upstream } = await given();
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath(/well-known/, gate.hook);
    logins.start('demo', 'popup');
    await gate.reached;
    logins.start('demo', 'popup');
    expect(popup(0).focused).toBe(1);
    logins.start('demo', 'popup', { asked: false });
    expect(popup(0).focused).toBe(1);
    gate.open('go on');
    await popup(0).loaded;
    logins.start('demo', 'popup');
    expect(popup(0).focused).toBe(2);
    expect(popups).toHaveLength(1);
  });

  it('is given up when the person closes the window', async () => {
    const { logins, broker, popup, nextEnd } = await given();
    logins.start('demo', 'popup');
    const url = await popup(0).loaded;
    const callback = await signInByHttp(url.href);
    const ended = nextEnd();
    popup(0).settle({ kind: 'closed' });
    expect(await ended).toEqual({ kind: 'cancelled' });
    expect(broker.state).toBe('logged_out');
    await expect(broker.finishLogin(new URL(callback))).rejects.toThrow('no login that is under way');
  });

  it('is given up when the window is closed before there is a page, and can be begun again at once', async () => {
    const { logins, broker, popup, ends, nextEnd, upstream } = await given();
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath(/well-known/, gate.hook);
    logins.start('demo', 'popup');
    await gate.reached;
    const cancelled = nextEnd();
    popup(0).settle({ kind: 'closed' });
    await cancelled;
    logins.start('demo', 'popup');
    gate.open('go on');
    const ended = nextEnd();
    await popup(1).signIn();
    await ended;
    expect(broker.state).toBe('authenticated');
    expect(ends).toEqual([{ kind: 'cancelled' }, { kind: 'done', warning: undefined }]);
  });

  it('says what went wrong when it cannot be begun, and closes the window', async () => {
    const { logins, popup, nextEnd, upstream, broker } = await given();
    upstream.authorizationServer.behaviour.respond = onPath(/well-known/, answering(500, 'no'));
    const ended = nextEnd();
    logins.start('demo', 'popup');
    const end = await ended;
    expect(end).toMatchObject({
      kind: 'failed',
      trouble: { message: expect.any(String), cure: expect.any(String) },
    });
    expect(popup(0).isOpen).toBe(false);
    expect((await broker.status()).last_error?.code).toBe('discovery_failed');
  });

  it('says what went wrong when the provider refuses, without a word of its answer', async () => {
    const { logins, popup, nextEnd, broker, log } = await given();
    logins.start('demo', 'popup');
    const state = (await popup(0).loaded).searchParams.get('state') ?? '';
    const ended = nextEnd();
    await popup(0).signIn({ deny: true });
    const end = await ended;
    expect(end).toMatchObject({
      kind: 'failed',
      trouble: { message: expect.stringContaining('access was denied') },
    });
    expect((await broker.status()).last_error?.code).toBe('authorization_refused');
    expect(JSON.stringify(end) + log.text).not.toContain(state);
  });

  it('closes its window when the login is finished elsewhere', async () => {
    const { logins, popup, nextEnd, broker } = await given();
    logins.start('demo', 'popup');
    await popup(0).loaded;
    const ended = nextEnd();
    await signInByHttp(broker.loginUrl, { follow: true });
    expect(await ended).toEqual({ kind: 'done', warning: undefined });
    expect(popup(0).isOpen).toBe(false);
    expect(broker.state).toBe('authenticated');
  });

  it('stays open for a broker that is logged in and asked for more', async () => {
    const { logins, popup, broker, nextEnd } = await given();
    await signInByHttp(broker.loginUrl, { follow: true });
    logins.start('demo', 'popup');
    await popup(0).loaded;
    expect(broker.state).toBe('authenticated');
    broker.emit('state');
    expect(popup(0).isOpen).toBe(true);
    const ended = nextEnd();
    await popup(0).signIn();
    expect(await ended).toEqual({ kind: 'done', warning: undefined });
  });

  it('ends without a word when it is given up elsewhere on the way', async () => {
    const { logins, popup, nextEnd, broker, upstream } = await given();
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath(/well-known/, gate.hook);
    logins.start('demo', 'popup');
    await gate.reached;
    broker.cancelLogin();
    const ended = nextEnd();
    gate.open('go on');
    expect(await ended).toEqual({ kind: 'cancelled' });
    expect(popup(0).isOpen).toBe(false);
  });

  it('takes no notice of an answer that comes after its end', async () => {
    const { logins, popup, ends, broker } = await given();
    logins.start('demo', 'popup');
    const url = await popup(0).loaded;
    const callback = await signInByHttp(url.href);
    logins.cancel('demo');
    popup(0).settle({ kind: 'redirected', url: new URL(callback) });
    await popup(0).result;
    expect(ends).toEqual([{ kind: 'cancelled' }]);
    expect(broker.state).toBe('logged_out');
  });
});

describe('a login in the system’s browser', () => {
  it('leaves with the authorization URL and is finished by the listener', async () => {
    const { logins, opened, popups, nextEnd, broker } = await given();
    const ended = nextEnd();
    logins.start('demo', 'browser');
    expect(logins.underWay('demo')).toBe(true);
    expect(await ended).toEqual({ kind: 'in-browser' });
    expect(logins.underWay('demo')).toBe(false);
    expect(broker.state).toBe('logging_in');
    expect(popups).toEqual([]);
    await signInByHttp(opened[0] ?? '', { follow: true });
    expect(broker.state).toBe('authenticated');
  });

  it('takes a login over from its window, which stays the same login', async () => {
    const { logins, opened, popup, ends, nextEnd, broker } = await given();
    logins.start('demo', 'popup');
    const url = await popup(0).loaded;
    const ended = nextEnd();
    popup(0).settle({ kind: 'browser' });
    expect(await ended).toEqual({ kind: 'in-browser' });
    expect(opened).toEqual([url.href]);
    await signInByHttp(url.href, { follow: true });
    expect(broker.state).toBe('authenticated');
    expect(ends).toHaveLength(1);
  });

  it('takes a login over when it is chosen in the menu, even before there is a page', async () => {
    const { logins, opened, popup, nextEnd, broker, upstream } = await given();
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath(/well-known/, gate.hook);
    logins.start('demo', 'popup');
    await gate.reached;
    logins.start('demo', 'browser');
    expect(popup(0).isOpen).toBe(false);
    logins.start('demo', 'browser');
    const ended = nextEnd();
    gate.open('go on');
    expect(await ended).toEqual({ kind: 'in-browser' });
    expect(opened).toHaveLength(1);
    expect(broker.state).toBe('logging_in');
  });

  it('can be moved to a window while it is being prepared', async () => {
    const { logins, opened, popup, nextEnd, upstream } = await given();
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath(/well-known/, gate.hook);
    logins.start('demo', 'browser');
    await gate.reached;
    logins.start('demo', 'popup');
    gate.open('go on');
    const ended = nextEnd();
    await popup(0).signIn();
    expect(await ended).toEqual({ kind: 'done', warning: undefined });
    expect(opened).toEqual([]);
  });

  it('opens the browser again when it is asked for again', async () => {
    const { logins, opened, nextEnd } = await given();
    for (const _time of [1, 2]) {
      const ended = nextEnd();
      logins.start('demo', 'browser');
      await ended;
    }
    expect(opened).toHaveLength(2);
  });

  it('can be given up after it has left', async () => {
    const { logins, opened, ends, asked, nextEnd, broker } = await given();
    const left = nextEnd();
    logins.start('demo', 'browser', { asked: false });
    await left;
    logins.cancel('demo');
    expect(broker.state).toBe('logged_out');
    expect(ends).toEqual([{ kind: 'in-browser' }, { kind: 'cancelled' }]);
    expect(asked).toEqual([false, true]);
    logins.cancel('demo');
    expect(ends).toHaveLength(2);
    const callback = await signInByHttp(opened[0] ?? '');
    await expect(broker.finishLogin(new URL(callback))).rejects.toThrow('no login that is under way');
  });

  it('cannot be given up once it is back and its code is being exchanged', async () => {
    const { logins, opened, ends, nextEnd, broker, upstream } = await given();
    const left = nextEnd();
    logins.start('demo', 'browser');
    await left;
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
    const signedIn = signInByHttp(opened[0] ?? '', { follow: true });
    await gate.reached;
    logins.cancel('demo');
    gate.open('go on');
    await signedIn;
    expect(broker.state).toBe('authenticated');
    expect(ends).toEqual([{ kind: 'in-browser' }]);
  });

  it('comes back to a window that is asked for while the browser is being opened', async () => {
    let opened: () => void = () => undefined;
    let reach: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => {
      reach = resolve;
    });
    const opening = new Promise<void>((resolve) => {
      opened = resolve;
    });
    const { logins, popup, nextEnd, ends } = await given({
      browser() {
        reach();
        return opening;
      },
    });
    logins.start('demo', 'browser');
    await reached;
    logins.start('demo', 'popup');
    opened();
    const ended = nextEnd();
    await popup(0).signIn();
    await ended;
    expect(ends).toEqual([{ kind: 'done', warning: undefined }]);
  });

  it('is given up and says what to do when there is no browser', async () => {
    const { logins, nextEnd, broker } = await given({
      browser: () => Promise.reject(new Error('no handler')),
    });
    const ended = nextEnd();
    logins.start('demo', 'browser');
    expect(await ended).toEqual({
      kind: 'failed',
      trouble: {
        message: 'Your browser could not be opened.',
        cure: `Open ${broker.loginUrl} in a browser yourself.`,
      },
    });
    expect(broker.state).toBe('logged_out');
    await signInByHttp(broker.loginUrl, { follow: true });
    expect(broker.state).toBe('authenticated');
  });
});

describe('a login whose code is being exchanged', () => {
  async function givenFinishing() {
    const parts = await given();
    const gate = givenGate();
    parts.upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
    parts.logins.start('demo', 'popup', { asked: false });
    await parts.popup(0).signIn();
    await gate.reached;
    return { ...parts, gate };
  }

  it('is neither begun again nor moved', async () => {
    const { logins, popups, opened, ends, nextEnd, gate } = await givenFinishing();
    logins.start('demo', 'browser');
    logins.start('demo', 'popup');
    expect(logins.underWay('demo')).toBe(true);
    const ended = nextEnd();
    gate.open('go on');
    await ended;
    expect(popups).toHaveLength(1);
    expect(popups[0]?.focused).toBe(0);
    expect(opened).toEqual([]);
    expect(ends).toEqual([{ kind: 'done', warning: undefined }]);
  });

  it('is not given up', async () => {
    const { logins, ends, broker, nextEnd, gate } = await givenFinishing();
    logins.cancel('demo');
    expect(logins.underWay('demo')).toBe(true);
    const ended = nextEnd();
    gate.open('go on');
    await ended;
    expect(ends).toEqual([{ kind: 'done', warning: undefined }]);
    expect(broker.state).toBe('authenticated');
  });

  it('tells of its failure, also whoever has asked for it only then', async () => {
    const { logins, upstream, ends, asked, nextEnd, gate } = await givenFinishing();
    logins.start('demo', 'browser');
    upstream.authorizationServer.behaviour.respond = onPath('/token', answering(500, 'no'));
    const ended = nextEnd();
    gate.open('drop');
    expect(await ended).toMatchObject({ kind: 'failed' });
    expect(ends).toHaveLength(1);
    expect(asked).toEqual([true]);
  });

  it('ends at once when everything is closed, and once only', async () => {
    const { logins, broker, ends, gate } = await givenFinishing();
    logins.close();
    expect(ends).toEqual([{ kind: 'cancelled' }]);
    gate.open('go on');
    await statusWhere(broker, ({ state }) => state === 'authenticated');
    expect(ends).toHaveLength(1);
  });
});

describe('a login of a server that changes', () => {
  it('goes on as long as the broker is the same', async () => {
    const { logins, popup, ends } = await given();
    logins.start('demo', 'popup');
    await popup(0).loaded;
    logins.refresh();
    expect(popup(0).isOpen).toBe(true);
    expect(ends).toEqual([]);
  });

  it('ends with its window when the server is taken away, and leaves its broker alone', async () => {
    const { logins, popup, ends, broker, replaceBroker } = await given();
    logins.start('demo', 'popup');
    await popup(0).loaded;
    replaceBroker(undefined);
    logins.refresh();
    expect(popup(0).isOpen).toBe(false);
    expect(ends).toEqual([{ kind: 'cancelled' }]);
    expect(logins.underWay('demo')).toBe(false);
    expect(broker.state).toBe('logging_in');
    expect(broker.listenerCount('state')).toBe(0);
  });

  it('can be begun anew at the new broker, even while the old one was preparing it', async () => {
    const { logins, popup, ends, broker, upstream, nextEnd, replaceBroker } = await given();
    const { broker: other } = await givenBroker(upstream.mcpUrl);
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath(/well-known/, gate.hook);
    logins.start('demo', 'popup');
    await gate.reached;
    replaceBroker(other);
    logins.refresh();
    expect(popup(0).isOpen).toBe(false);
    logins.start('demo', 'popup');
    gate.open('go on');
    const ended = nextEnd();
    await popup(1).signIn();
    await ended;
    expect(ends).toEqual([{ kind: 'cancelled' }, { kind: 'done', warning: undefined }]);
    expect(other.state).toBe('authenticated');
    expect(broker.state).not.toBe('authenticated');
  });
});

describe('a login on demand', () => {
  it.each([
    { clicks: [], asked: false },
    { clicks: [false], asked: false },
    { clicks: [true], asked: true },
    { clicks: [true, false], asked: true },
  ])('was asked for ($asked) after starts with $clicks', async ({ clicks, asked: expected }) => {
    const { logins, popup, asked } = await given();
    logins.start('demo', 'popup', { asked: false });
    await popup(0).loaded;
    for (const click of clicks) logins.start('demo', 'popup', { asked: click });
    logins.cancel('demo');
    expect(asked).toEqual([expected]);
  });
});

it('closing gives all logins up', async () => {
  const { logins, popup, ends, broker } = await given();
  logins.start('demo', 'popup');
  await popup(0).loaded;
  logins.close();
  expect(popup(0).isOpen).toBe(false);
  expect(ends).toEqual([{ kind: 'cancelled' }]);
  expect(broker.state).toBe('logged_out');
});

it('a server without a broker has no login', async () => {
  const { logins, popups } = await given();
  logins.start('unknown', 'popup');
  logins.cancel('unknown');
  expect(logins.underWay('unknown')).toBe(false);
  expect(popups).toEqual([]);
});
