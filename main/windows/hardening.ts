import type { App, BrowserWindowConstructorOptions, HandlerDetails, Session, WebContents } from 'electron';

/** What the page of some contents may do beyond standing still. Everything else stays denied. */
export interface ContentsPolicy {
  /**
   * Whether a frame may go to this URL, by a link, a script, a form or a redirect. Not asked for what the main process
   * loads itself.
   */
  mayNavigate(url: string, isMainFrame: boolean): boolean;
  /**
   * Answer to `window.open` and links with a target: how the child window is made, or `undefined` to open none. A child
   * falls under the same policy. Its session is its opener's, and beyond its size and place the page has no say in it.
   */
  openWindow?(details: HandlerDetails): BrowserWindowConstructorOptions | undefined;
}

/**
 * How a window that a page opens looks, whatever the page says: Electron takes the features of `window.open` for options
 * of its own, by which a page could fill the screen without a frame, over all others, and look like what it likes.
 */
const LIKE_ANY_OTHER: BrowserWindowConstructorOptions = {
  frame: true,
  titleBarStyle: 'default',
  titleBarOverlay: false,
  // On Linux some kinds, such as a splash screen, have no frame.
  type: 'normal',
  modal: false,
  show: true,
  transparent: false,
  opacity: 1,
  hasShadow: true,
  fullscreen: false,
  fullscreenable: false,
  simpleFullscreen: false,
  kiosk: false,
  alwaysOnTop: false,
  enableLargerThanScreen: false,
  focusable: true,
  closable: true,
  movable: true,
  minimizable: true,
  resizable: true,
  minWidth: 360,
  minHeight: 240,
  skipTaskbar: false,
  hiddenInMissionControl: false,
};

const policies = new WeakMap<WebContents, ContentsPolicy>();

/**
 * Lets some contents do what they were made for. Call it before they load anything.
 * @param contents contents this app has just made
 */
export function allowFor(contents: WebContents, policy: ContentsPolicy): void {
  policies.set(contents, policy);
}

/**
 * Denies, for every contents and session there will ever be: navigation, redirects, new windows, webviews, permissions,
 * devices, downloads and dialogs that keep a window open; only {@link allowFor} makes exceptions. Call it before `ready`.
 *
 * Certificate errors and HTTP authentication are left to Electron, which refuses them as long as nobody listens to
 * `certificate-error` and `login`. A client certificate is shown to nobody: Electron itself would take the first one the
 * person has, for any site that asks, without a word.
 */
export function denyByDefault(app: App): void {
  // A debugger on a port could read what the pages show and press their buttons.
  if (app.isPackaged)
    for (const name of ['remote-debugging-port', 'remote-debugging-pipe']) app.commandLine.removeSwitch(name);
  app.on('select-client-certificate', (event, _contents, _url, _certificates, choose) => {
    event.preventDefault();
    choose();
  });
  app.on('session-created', restrictSession);
  app.on('web-contents-created', (_event, contents) => restrictContents(contents));
}

function restrictContents(contents: WebContents): void {
  contents.on('will-frame-navigate', (event) => {
    if (!mayNavigate(contents, event.url, event.isMainFrame)) event.preventDefault();
  });
  contents.on('will-redirect', (event) => {
    if (!mayNavigate(contents, event.url, event.isMainFrame)) event.preventDefault();
  });
  contents.setWindowOpenHandler((details) => {
    const options = policies.get(contents)?.openWindow?.(details);
    return options === undefined
      ? { action: 'deny' }
      : { action: 'allow', overrideBrowserWindowOptions: childOf(contents, options) };
  });
  contents.on('did-create-window', (child) => {
    const policy = policies.get(contents);
    if (policy !== undefined) allowFor(child.webContents, policy);
  });
  contents.on('will-attach-webview', (event) => event.preventDefault());
  // Electron keeps a window open, without a word, when its page objects to being left.
  contents.on('will-prevent-unload', (event) => event.preventDefault());
}

/** A link that is clicked with the middle button opens a window in the default session, unless another one is named. */
function childOf(
  { session }: WebContents,
  { webPreferences, ...options }: BrowserWindowConstructorOptions,
): BrowserWindowConstructorOptions {
  return { ...LIKE_ANY_OTHER, ...options, webPreferences: { session, ...webPreferences } };
}

function mayNavigate(contents: WebContents, url: string, isMainFrame: boolean): boolean {
  return policies.get(contents)?.mayNavigate(url, isMainFrame) ?? false;
}

function restrictSession(session: Session): void {
  session.setPermissionRequestHandler((_contents, _permission, answer) => answer(false));
  session.setPermissionCheckHandler(() => false);
  session.setDevicePermissionHandler(() => false);
  // Else Chromium fetches dictionaries from the network; it begins to before it is told that nobody wants them, so it has
  // to know of no language.
  session.setSpellCheckerLanguages([]);
  session.setSpellCheckerEnabled(false);
  session.on('will-download', (event) => event.preventDefault());
}
