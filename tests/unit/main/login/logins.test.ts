import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { Broker } from '../../../../app/broker.ts';
import { signInByHttp, type Upstream } from '../../../../app/cli/demo/upstream.ts';
import type { LoginPopup, LoginPopupOptions, LoginPopupResult } from '../../../../main/login/login-popup.ts';
import { type LoginEnd, Logins } from '../../../../main/login/logins.ts';
import { givenBroker, givenUpstream, RecordingLog } from '../../../support/broker.ts';
import { answering, givenGate, onPath } from '../../../support/login.ts';

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
  readonly log: RecordingLog;
  /** The next end of a login. */
  nextEnd(): Promise<LoginEnd>;
  popup(index: number): ScriptedPopup;
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
  const log = new RecordingLog();
  const logins = new Logins({
    find: (id) => (id === 'demo' ? { name: 'Demo', broker } : undefined),
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
  logins.on('ended', (_id, end) => ends.push(end));
  return {
    upstream,
    broker,
    logins,
    popups,
    opened,
    ends,
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

  it('says what to do when there is no browser', async () => {
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
