import { fileURLToPath } from 'node:url';
import { app, ipcMain, Menu, protocol, session, shell } from 'electron';
import { Broker } from '../../../app/broker.ts';
import type { Logger } from '../../../app/log.ts';
import { settingsFromEnvironment } from '../../../app/settings.ts';
import { createMemoryStore } from '../../../app/store/memory.ts';
import { REQUEST_CHANNELS } from '../../../main/ipc/channels.ts';
import { Pages } from '../../../main/ipc/pages.ts';
import { type Handlers, handleAll } from '../../../main/ipc/registrar.ts';
import type { LoginPopup } from '../../../main/login/login-popup.ts';
import { type LoginEnd, Logins } from '../../../main/login/logins.ts';
import { openExternal } from '../../../main/login/open-external.ts';
import { createLoginPopups } from '../../../main/login/popup.ts';
import { forgetProvider } from '../../../main/login/provider-session.ts';
import { denyByDefault } from '../../../main/windows/hardening.ts';
import { applicationMenu } from '../../../main/windows/menu.ts';
import { PAGE_PARTITION } from '../../../main/windows/page-window.ts';
import { registerScheme, servePages } from '../../../main/windows/protocol.ts';

/** What the test does in the main process. */
export interface PopupApp {
  readonly broker: Broker;
  readonly logins: Logins;
  /** How logins have ended. */
  readonly ends: LoginEnd[];
  /** Opens a window that belongs to no login. */
  openPopup(redirectUri: string, options?: { server?: string; asked?: boolean }): LoginPopup;
  readonly forgetProvider: typeof forgetProvider;
}

const folder = fileURLToPath(new URL('.', import.meta.url));
const silent = () => undefined;
const log: Logger = {
  debug: silent,
  info: silent,
  warn: (event, details) => console.error(event, details),
  error: (event, details) => console.error(event, details),
};

// Node loads its fetch at first use. A test that looks in by the debugger just then would find it half loaded.
new Response();

registerScheme(protocol);
denyByDefault(app);
app.on('window-all-closed', silent);

async function start(): Promise<PopupApp> {
  await app.whenReady();
  const actions = { showAbout: silent, quit: () => app.quit() };
  Menu.setApplicationMenu(Menu.buildFromTemplate(applicationMenu('Popup', actions)));
  servePages(session.fromPartition(PAGE_PARTITION), `${folder}renderer`);

  const pages = new Pages();
  const popups = createLoginPopups({ pages, preload: `${folder}preload.cjs`, log });
  const nothing = Object.fromEntries(Object.keys(REQUEST_CHANNELS).map((channel) => [channel, silent]));
  const handlers = {
    ...nothing,
    'login:view': (_request, sender) => popups.barOf(sender)?.view,
    'login:use-browser': (_request, sender) => popups.barOf(sender)?.useBrowser(),
    'login:try-again': (_request, sender) => popups.barOf(sender)?.tryAgain(),
  } as Partial<Handlers> as Handlers;
  handleAll(ipcMain, handlers, { pages, log });

  const broker = new Broker({
    settings: settingsFromEnvironment({ PORT: '0', UPSTREAM_MCP_URL: process.env.UPSTREAM_MCP_URL }),
    log,
    store: createMemoryStore(),
  });
  await broker.start();
  const logins = new Logins({
    find: () => ({ name: 'Demo', broker }),
    openPopup: (options) => popups.open(options),
    openExternal: (url) => openExternal(shell, url),
    log,
  });
  const ends: LoginEnd[] = [];
  logins.on('ended', (_serverId, end) => ends.push(end));
  return {
    broker,
    logins,
    ends,
    openPopup: (redirectUri, { server = 'Demo', asked = true } = {}) =>
      popups.open({ serverId: 'demo', server, redirectUri, asked }),
    forgetProvider,
  };
}

// Not awaited here: Electron is not ready before this module is done.
Object.assign(globalThis, { popupApp: start() });
