import { app, BrowserWindow } from 'electron';
import type { Logger } from '../../app/log.ts';
import { pageUrl } from '../ipc/channels.ts';
import type { Pages } from '../ipc/pages.ts';
import { bringToFront, followTheme, pageBackground, pagePreferences } from './page-window.ts';

/** The one window that shows servers, activity, settings and log. */
export interface StatusWindow {
  /**
   * Opens the window, or brings the open one to the front.
   * @param view what it shall show, as a name that stands in the page's fragment; what it shows now, without one
   */
  open(view?: string): void;
}

export interface StatusWindowOptions {
  readonly pages: Pages;
  /** Path of the bundled preload script. */
  readonly preload: string;
  /** Path of an image for the window's icon, where the system does not take it from the app. */
  readonly icon?: string;
  readonly log: Logger;
}

/** Makes the window's owner; the window itself is made when it is opened and goes when it is closed. */
export function createStatusWindow(options: StatusWindowOptions): StatusWindow {
  // In a package LSUIElement keeps the app out of the Dock; one that runs from its source has Electron's own plist.
  if (process.platform === 'darwin') app.setActivationPolicy('accessory');
  let current: BrowserWindow | undefined;
  return {
    open(view) {
      const url = view === undefined ? pageUrl('status') : `${pageUrl('status')}#${view}`;
      if (current === undefined) {
        const window = makeWindow(options);
        current = window;
        const forget = () => {
          if (current === window) current = undefined;
        };
        // A window that closes loses its page first, and can be shown no more.
        window.webContents.once('destroyed', forget);
        window.once('closed', forget);
        load(window, url, options.log);
        return;
      }
      if (view !== undefined) load(current, url, options.log);
      bringToFront(current);
    },
  };
}

function makeWindow({ pages, preload, icon, log }: StatusWindowOptions): BrowserWindow {
  const window = new BrowserWindow({
    title: app.name,
    width: 760,
    height: 560,
    minWidth: 480,
    minHeight: 420,
    show: false,
    autoHideMenuBar: true,
    fullscreenable: false,
    backgroundColor: pageBackground(),
    ...(icon !== undefined && { icon }),
    webPreferences: pagePreferences(preload, { packaged: app.isPackaged }),
  });
  pages.add('status', window.webContents);
  followTheme(window);
  window.once('ready-to-show', () => bringToFront(window));
  // Gone is better than blank: the next click opens a new one.
  window.webContents.once('render-process-gone', (_event, { reason }) => {
    if (reason !== 'clean-exit') log.error('The window has crashed', { reason });
    if (!window.isDestroyed()) window.destroy();
  });
  return window;
}

function load(window: BrowserWindow, url: string, log: Logger): void {
  window.loadURL(url).catch((error: Error) => {
    // A window that is closed meanwhile fails to load as well.
    if (!window.isDestroyed()) log.error('The window cannot show its page', { reason: error.message });
  });
}
