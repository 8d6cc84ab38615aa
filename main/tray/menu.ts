import { CLIENT_LABELS, MCP_CLIENTS } from '../clients.ts';
import type { AppView, ServerView } from '../view.ts';
import type { TrayAction } from './action.ts';
import { shownName, stateWord, statusLine } from './status.ts';

/** One item of the tray menu as plain data. */
export interface MenuEntry {
  /** The same for the same item in every menu. */
  readonly id: string;
  /** As it is read; empty for a separator. */
  readonly label: string;
  /** Without it: an ordinary item, or a submenu where there is one. */
  readonly type?: 'checkbox' | 'separator';
  /** Without it: yes. */
  readonly enabled?: boolean;
  readonly checked?: boolean;
  readonly submenu?: readonly MenuEntry[];
  readonly action?: TrayAction;
}

/** What stands for a server where there is none, so that the menu keeps its shape. */
const NO_SERVER = 'none';

/**
 * The tray menu: first the servers (the items of a single one on top, a submenu for each of several), then the app.
 * Items that make no sense now are disabled rather than left out, so that nothing jumps.
 * @param now milliseconds since the epoch
 */
export function trayMenu(view: AppView, now: number): MenuEntry[] {
  return [...serversPart(view, now), separator('servers'), ...appPart(view)];
}

function serversPart(view: AppView, now: number): MenuEntry[] {
  const [first, ...others] = view.servers;
  if (first === undefined) return serverItems(undefined, 'No server yet', view);
  if (others.length === 0) return serverItems(first, statusLine(first, view, now), view);
  return view.servers.map((server) => ({
    id: `server:${server.id}`,
    label: `${shownName(server)}: ${stateWord(server)}`,
    submenu: serverItems(server, statusLine(server, view, now), view),
  }));
}

function serverItems(server: ServerView | undefined, status: string, { settings }: AppView): MenuEntry[] {
  const serverId = server?.id ?? NO_SERVER;
  const id = (item: string) => `server:${serverId}:${item}`;
  const mayLogIn = server !== undefined && canLogIn(server);
  const served = server !== undefined && server.state !== 'failed';
  return [
    { id: id('status'), label: status, enabled: false },
    {
      id: id('log-in'),
      label: 'Log in…',
      enabled: mayLogIn,
      action: { kind: 'log-in', serverId, way: settings.loginWay },
    },
    {
      id: id('log-in-with-browser'),
      label: 'Log in with browser…',
      enabled: mayLogIn,
      action: { kind: 'log-in', serverId, way: 'browser' },
    },
    {
      id: id('log-out'),
      label: 'Log out',
      enabled: server?.state === 'authenticated',
      action: { kind: 'log-out', serverId },
    },
    {
      id: id('copy-mcp-url'),
      label: 'Copy MCP URL',
      enabled: served,
      action: { kind: 'copy-mcp-url', serverId },
    },
    {
      id: id('add-to'),
      label: 'Add to',
      enabled: served,
      submenu: MCP_CLIENTS.map((client) => ({
        id: id(`add-to:${client}`),
        label: CLIENT_LABELS[client],
        enabled: served,
        action: { kind: 'copy-for-client', serverId, client },
      })),
    },
  ];
}

/** While a login is under way, asking again brings its window to the front. */
function canLogIn({ state, wantsMoreAccess }: ServerView): boolean {
  switch (state) {
    case 'logged_out':
    case 'logging_in':
    case 'login_required':
    case 'error':
      return true;
    case 'authenticated':
      return wantsMoreAccess;
    case 'not_required':
    case 'starting':
    case 'failed':
      return false;
  }
}

function appPart({ startAtLogin, updates }: AppView): MenuEntry[] {
  return [
    { id: 'app:open-window', label: 'Open MCP Auth Proxy', action: { kind: 'open-window' } },
    { id: 'app:open-log', label: 'Open log', action: { kind: 'open-log' } },
    {
      id: 'app:start-at-login',
      label: 'Start at login',
      type: 'checkbox',
      enabled: startAtLogin !== undefined,
      checked: startAtLogin === true,
      action: { kind: 'start-at-login', on: startAtLogin !== true },
    },
    ...newVersionPart(updates),
    { id: 'app:about', label: 'About MCP Auth Proxy', action: { kind: 'about' } },
    separator('quit'),
    { id: 'app:quit', label: 'Quit MCP Auth Proxy', action: { kind: 'quit' } },
  ];
}

/** A message rather than an item: it comes once in a while, to somebody who may never open the window. */
function newVersionPart({ available }: AppView['updates']): MenuEntry[] {
  if (available === undefined) return [];
  const label = `Version ${available} is available…`;
  return [{ id: 'app:new-version', label, action: { kind: 'open-new-version' } }];
}

function separator(name: string): MenuEntry {
  return { id: `separator:${name}`, label: '', type: 'separator' };
}
