import { app, BrowserWindow, screen } from 'electron';
import type { Logger } from '../../app/log.ts';
import { pageUrl } from '../ipc/channels.ts';
import type { LoginBarView } from '../ipc/contract.ts';
import type { Pages } from '../ipc/pages.ts';
import { bringToFront, followTheme, pageBackground, pagePreferences } from '../windows/page-window.ts';
import { pageBounds, windowBounds } from './layout.ts';
import type { LoginPopup, LoginPopupOptions, LoginPopupResult } from './login-popup.ts';
import { createProviderPage } from './provider-page.ts';

/** What the bar of a login window may ask for; it answers the channels `login:*`. */
export interface LoginBar {
  readonly view: LoginBarView;
  useBrowser(): void;
  tryAgain(): void;
}

/** Opens login windows and knows their bars. */
export interface LoginPopups {
  open(options: LoginPopupOptions): LoginPopup;
  /** The bar that asks, as long as its window is there. */
  barOf(contents: { readonly id: number }): LoginBar | undefined;
}

interface LoginPopupsParts {
  readonly pages: Pages;
  /** Path of the bundled preload script. */
  readonly preload: string;
  /** Path of an image for the windows' icon, where the system does not take it from the app. */
  readonly icon?: string;
  readonly log: Logger;
}

export function createLoginPopups(parts: LoginPopupsParts): LoginPopups {
  const bars = new Map<number, LoginBar>();
  return {
    open: (options) => openPopup(options, parts, bars),
    barOf: ({ id }) => bars.get(id),
  };
}

/** A window whose own page is the bar; the provider's page lies over it, below the bar. */
function openPopup(
  { serverId, server, redirectUri, asked }: LoginPopupOptions,
  { pages, preload, icon, log }: LoginPopupsParts,
  bars: Map<number, LoginBar>,
): LoginPopup {
  const window = new BrowserWindow({
    ...windowBounds(screen.getDisplayNearestPoint(screen.getCursorScreenPoint()).workArea),
    minWidth: 360,
    minHeight: 420,
    title: `Log in to ${server}`,
    show: false,
    autoHideMenuBar: true,
    fullscreenable: false,
    backgroundColor: pageBackground(),
    ...(icon !== undefined && { icon }),
    webPreferences: pagePreferences(preload, { packaged: app.isPackaged }),
  });
  const { webContents: bar } = window;
  let authorizationUrl: URL | undefined;
  let view: LoginBarView = { server, origin: '', secure: false, loading: true, trouble: undefined };
  let settle: (result: LoginPopupResult) => void = () => undefined;
  const result = new Promise<LoginPopupResult>((resolve) => {
    settle = resolve;
  });
  // Not at once: this is called in the middle of events of the very page that ends with it.
  const end = (how: LoginPopupResult) => {
    settle(how);
    setImmediate(() => window.isDestroyed() || window.destroy());
  };

  const provider = createProviderPage({
    serverId,
    redirectUri,
    parent: window,
    onRedirect: (url) => end({ kind: 'redirected', url }),
    onClosed: () => end({ kind: 'closed' }),
    onChange({ origin, loading, trouble }) {
      const appeared = view.origin === '' && origin !== '';
      view = { server, origin, secure: origin.startsWith('https:'), loading, trouble };
      window.setTitle(origin === '' ? `Log in to ${server}` : `Log in to ${server} – ${origin}`);
      layOut();
      if (appeared) focusPage();
      pages.tell('login', bar, 'login:changed', view);
    },
  });
  const page = provider.view;
  window.contentView.addChildView(page);

  function layOut(): void {
    const { width, height } = window.getContentBounds();
    page.setVisible(view.origin !== '');
    page.setBounds(pageBounds({ width, height }, view.trouble !== undefined));
  }
  /** Whoever opens the window wants to type into the page. */
  function focusPage(): void {
    if (window.isFocused()) page.webContents.focus();
    else window.once('focus', () => page.webContents.focus());
  }
  function load(url: URL): void {
    if (window.isDestroyed()) return;
    authorizationUrl = url;
    provider.load(url);
  }
  function focus(): void {
    if (!window.isDestroyed()) bringToFront(window);
  }

  layOut();
  window.on('resize', layOut);
  for (const [here, there] of [
    [bar, page.webContents],
    [page.webContents, bar],
  ] as const)
    here.on('before-input-event', (event, { type, key }) => {
      // As in browsers: the page and what is around it take turns.
      if (type !== 'keyDown' || key !== 'F6' || view.origin === '') return;
      event.preventDefault();
      there.focus();
    });
  window.once('ready-to-show', () => (asked ? focus() : window.showInactive()));
  window.on('page-title-updated', (event) => event.preventDefault());
  // Without its bar nobody could see where the page comes from.
  bar.once('render-process-gone', (_event, { reason }) => {
    log.error('The login window has crashed', { reason });
    end({ kind: 'closed' });
  });
  const { id } = bar;
  window.once('closed', () => {
    bars.delete(id);
    provider.destroy();
    settle({ kind: 'closed' });
  });

  pages.add('login', bar);
  bars.set(id, {
    get view() {
      return view;
    },
    useBrowser: () => end({ kind: 'browser' }),
    tryAgain: () => authorizationUrl && load(authorizationUrl),
  });
  followTheme(window);
  window.loadURL(pageUrl('login')).catch((error: Error) => {
    if (window.isDestroyed()) return;
    log.error('The login window cannot show its bar', { reason: error.message });
    end({ kind: 'closed' });
  });
  return { result, load, focus, close: () => end({ kind: 'closed' }) };
}
