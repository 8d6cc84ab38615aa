import { app, type BrowserWindow, nativeTheme, type WebPreferences } from 'electron';

/** Session of this app's own pages. Without `persist:` nothing of it is ever on a disk. */
export const PAGE_PARTITION = 'pages';

/**
 * Preferences of every window that shows a page of this app.
 * @param preload path of the bundled preload script
 */
export function pagePreferences(
  preload: string,
  { packaged }: { readonly packaged: boolean },
): WebPreferences {
  return {
    partition: PAGE_PARTITION,
    preload,
    sandbox: true,
    contextIsolation: true,
    nodeIntegration: false,
    webviewTag: false,
    spellcheck: false,
    disableDialogs: true,
    devTools: !packaged,
  };
}

/** The pages' own background, which a new window has before its page is there. */
export function pageBackground(): string {
  return nativeTheme.shouldUseDarkColors ? '#141513' : '#f6f5f1';
}

/** Keeps the background right while the window lives, as it shows at the edges when a window is made larger. */
export function followTheme(window: BrowserWindow): void {
  const follow = () => window.setBackgroundColor(pageBackground());
  nativeTheme.on('updated', follow);
  window.once('closed', () => nativeTheme.off('updated', follow));
}

/** Shows a window over all others. An app without a Dock icon stays behind them unless it asks for the front. */
export function bringToFront(window: BrowserWindow): void {
  if (window.isMinimized()) window.restore();
  window.show();
  if (process.platform === 'darwin') app.focus({ steal: true });
  window.focus();
}
