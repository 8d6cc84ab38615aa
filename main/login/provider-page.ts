import {
  type BrowserWindow,
  type BrowserWindowConstructorOptions,
  Menu,
  type WebContents,
  WebContentsView,
  type WebPreferences,
} from 'electron';
import { allowFor, type ContentsPolicy } from '../windows/hardening.ts';
import { embeddedRefusal, isTextWorthReading, type PageFacts } from './embedded-refusal.ts';
import { ABORTED, CRASHED, leadsAway, loadTrouble } from './load-trouble.ts';
import { isWebPage } from './open-external.ts';
import { judgeRequests, providerSession } from './provider-session.ts';
import { answers, isRedirect } from './redirects.ts';

/** Windows a login page may have open beside itself. Electron does not keep pages from opening any number. */
const MAX_CHILDREN = 3;
/** So many characters of a page's text are looked at for a refusal. */
const MAX_TEXT = 4_000;
/** A JavaScript world in which the page's own scripts do not run; any number but those of Electron. */
const READING_WORLD = 2_001;

const PREFERENCES: WebPreferences = {
  sandbox: true,
  contextIsolation: true,
  nodeIntegration: false,
  webviewTag: false,
  spellcheck: false,
  // A page that says the same thing for ever can be silenced.
  safeDialogs: true,
  devTools: false,
};

/** What is seen of the page now. */
export interface ProviderPageState {
  /** Empty while there is no page to be seen. */
  readonly origin: string;
  readonly loading: boolean;
  readonly trouble: string | undefined;
}

interface ProviderPageOptions {
  readonly serverId: string;
  readonly redirectUri: string;
  /** Windows that the page opens belong to this one. */
  readonly parent: BrowserWindow;
  readonly onChange: (state: ProviderPageState) => void;
  /** Called for every redirect that is caught; the request was not sent. */
  readonly onRedirect: (url: URL) => void;
  /** The page has closed itself, as a script may: there is nothing any more that could be shown. */
  readonly onClosed: () => void;
}

export interface ProviderPage {
  readonly view: WebContentsView;
  load(authorizationUrl: URL): void;
  /** Ends the page and its windows; nothing is called back any more. */
  destroy(): void;
}

/** A view with the pages of a login, which are strangers: they have no preload script, no permission, and only the web. */
export function createProviderPage(options: ProviderPageOptions): ProviderPage {
  const { parent, redirectUri } = options;
  const session = providerSession(options.serverId);
  const view = new WebContentsView({ webPreferences: { ...PREFERENCES, session } });
  const { webContents: page } = view;
  // Pages that set no colour of their own are made for white paper.
  view.setBackgroundColor('#ffffff');
  const children = new Set<BrowserWindow>();
  let authorizationUrl: URL | undefined;
  /** Where the page that is being shown comes from; `undefined` while it is none of the web's. */
  let committed: string | undefined;
  let state: ProviderPageState = { origin: '', loading: false, trouble: undefined };
  let ended = false;

  const change = (news: Partial<ProviderPageState>) => {
    if (ended) return;
    state = { ...state, ...news };
    options.onChange(state);
  };
  const showNone = (trouble: string) => {
    committed = undefined;
    change({ origin: '', trouble });
  };
  const redirected = (url: string) => {
    if (!ended) options.onRedirect(new URL(url));
  };

  const policy: ContentsPolicy = {
    mayNavigate: (url, isMainFrame) =>
      !isRedirect(url, redirectUri) && (isWebPage(url) || (!isMainFrame && /^(about|data|blob):/.test(url))),
    openWindow({ url }) {
      if (isRedirect(url, redirectUri)) redirected(url);
      else if (isWebPage(url) && children.size < MAX_CHILDREN) return childOptions(parent);
      return undefined;
    },
  };
  allowFor(page, policy);

  const catchRedirect = (event: {
    readonly url: string;
    readonly isMainFrame: boolean;
    preventDefault(): void;
  }) => {
    const { url, isMainFrame } = event;
    if (isRedirect(url, redirectUri)) {
      event.preventDefault();
      if (isMainFrame || (authorizationUrl && answers(url, authorizationUrl))) redirected(url);
    } else if (isMainFrame && !isWebPage(url)) {
      event.preventDefault();
      change({ trouble: leadsAway(url) });
    }
  };
  // Whatever slips past the navigation events, in whatever frame or window, ends here before it is sent.
  const release = judgeRequests(session, ({ url, resourceType }, decide) => {
    const caught = isRedirect(url, redirectUri);
    decide({ cancel: caught });
    if (caught && resourceType === 'mainFrame') redirected(url);
  });

  const watch = (contents: WebContents) => {
    contents.on('will-frame-navigate', catchRedirect);
    contents.on('will-redirect', catchRedirect);
    contents.on('did-create-window', (child) => adopt(child));
    contents.on('context-menu', (_event, { isEditable, editFlags }) => {
      if (isEditable) editMenu(editFlags).popup();
    });
    examine(contents, {
      refused: (trouble) => change({ trouble }),
      blank(url) {
        if (contents === page) showNone(loadTrouble('ERR_HTTP_RESPONSE_CODE_FAILURE', hostOf(url)));
      },
    });
  };
  const adopt = (child: BrowserWindow) => {
    children.add(child);
    child.once('closed', () => children.delete(child));
    child.setMenuBarVisibility(false);
    child.on('page-title-updated', (event) => event.preventDefault());
    child.webContents.on('did-navigate', (_event, url) => child.setTitle(originOf(url)));
    child.webContents.once('render-process-gone', () => child.destroy());
    watch(child.webContents);
  };

  page.on('did-start-loading', () => change({ loading: true }));
  page.on('did-stop-loading', () => change({ loading: false }));
  page.on('did-navigate', (_event, url) => {
    committed = originOf(url);
    // A first page is shown once there is something to see, a later one takes the place of its predecessor.
    change({ trouble: undefined, ...(state.origin !== '' && { origin: committed }) });
  });
  page.on('dom-ready', () => {
    if (committed !== undefined) change({ origin: committed });
  });
  page.on('did-fail-load', (_event, _code, name, url, isMainFrame) => {
    if (isMainFrame && name !== ABORTED) showNone(loadTrouble(name, hostOf(url)));
  });
  page.on('render-process-gone', () => {
    showNone(CRASHED);
    change({ loading: false });
  });
  page.once('destroyed', () => {
    if (!ended) options.onClosed();
  });
  // After the above: what it finds out about a page comes after the page.
  watch(page);

  return {
    view,
    load(url) {
      authorizationUrl = url;
      committed = undefined;
      change({ origin: '', trouble: undefined, loading: true });
      // What goes wrong is told by `did-fail-load`.
      page.loadURL(url.href).catch(() => undefined);
    },
    destroy() {
      if (ended) return;
      ended = true;
      release();
      for (const child of children) child.destroy();
      // A view's page lives on without its window unless it is closed.
      if (!page.isDestroyed()) page.close();
    },
  };
}

function childOptions(parent: BrowserWindow): BrowserWindowConstructorOptions {
  return { parent, autoHideMenuBar: true, title: '', webPreferences: PREFERENCES };
}

interface Findings {
  /** The page refuses to be shown here. */
  refused(trouble: string): void;
  /** An error's page without anything on it. */
  blank(url: string): void;
}

/** Looks at what each page is, never at what is typed into it. */
function examine(contents: WebContents, findings: Findings): void {
  let status = 0;
  const judge = (facts: Omit<PageFacts, 'url' | 'status'>) => {
    const trouble = embeddedRefusal({ url: contents.getURL(), status, ...facts });
    if (trouble !== undefined) findings.refused(trouble);
  };
  contents.on('did-navigate', (_event, _url, httpStatus) => {
    status = httpStatus;
    judge({});
  });
  contents.on('did-fail-load', (_event, _code, _name, _url, isMainFrame) => {
    if (isMainFrame) status = 0;
  });
  contents.on('did-navigate-in-page', (_event, _url, isMainFrame) => {
    if (isMainFrame) judge({});
  });
  contents.on('page-title-updated', (_event, title) => judge({ title }));
  contents.on('did-finish-load', async () => {
    const url = contents.getURL();
    if (!isTextWorthReading({ url, status })) return;
    const text = await readText(contents).catch(() => undefined);
    if (text === undefined || contents.isDestroyed() || contents.getURL() !== url) return;
    judge({ text });
    if (status >= 400 && text === '') findings.blank(url);
  });
}

/** The beginning of what the person sees, in words; a picture counts as one. */
async function readText(contents: WebContents): Promise<string> {
  const code = `(document.body?.innerText.trim() || document.body?.firstElementChild?.tagName || '').slice(0, ${MAX_TEXT})`;
  return String(await contents.executeJavaScriptInIsolatedWorld(READING_WORLD, [{ code }]));
}

function editMenu({ canCut, canCopy, canPaste, canSelectAll }: Electron.EditFlags): Menu {
  return Menu.buildFromTemplate([
    { role: 'cut', enabled: canCut },
    { role: 'copy', enabled: canCopy },
    { role: 'paste', enabled: canPaste },
    { type: 'separator' },
    { role: 'selectAll', enabled: canSelectAll },
  ]);
}

function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : '';
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the server';
}
