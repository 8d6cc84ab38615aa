import type { AppView, ServerState, ServerView } from '../view.ts';
import { shownName, stateWord } from './status.ts';

/** The tray's icons, one file each. */
export const TRAY_ICONS = ['logged-out', 'logged-in', 'busy', 'attention', 'offline'] as const;
export type TrayIcon = (typeof TRAY_ICONS)[number];

const MEANINGS: Readonly<Record<ServerState, TrayIcon>> = {
  starting: 'busy',
  failed: 'attention',
  logged_out: 'logged-out',
  logging_in: 'busy',
  authenticated: 'logged-in',
  login_required: 'attention',
  not_required: 'logged-in',
  error: 'attention',
};

/**
 * Of several servers the one decides that says most. A login may be under way for as long as a browser tab is open,
 * and must not hide that another server needs the person.
 */
const PRECEDENCE: readonly TrayIcon[] = ['attention', 'busy', 'logged-in'];

/** The icon that shows the state of the app. */
export function trayIcon({ servers, online }: Pick<AppView, 'servers' | 'online'>): TrayIcon {
  if (!online) return 'offline';
  const meanings = new Set(servers.map(meaningOf));
  return PRECEDENCE.find((icon) => meanings.has(icon)) ?? 'logged-out';
}

function meaningOf({ state, wantsMoreAccess }: ServerView): TrayIcon {
  return wantsMoreAccess ? 'attention' : MEANINGS[state];
}

/** The same in words, e.g. "MCP Auth Proxy: 2 logged in, 1 login needed". */
export function trayToolTip({ servers, online }: Pick<AppView, 'servers' | 'online'>): string {
  return `MCP Auth Proxy: ${online ? summary(servers) : 'offline'}`;
}

function summary(servers: AppView['servers']): string {
  const [first, ...others] = servers;
  if (first === undefined) return 'no server yet';
  if (others.length === 0) return `${shownName(first)}, ${stateWord(first)}`;
  const counts = new Map<string, number>();
  for (const server of servers) {
    const word = stateWord(server);
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].map(([word, count]) => `${count} ${word}`).join(', ');
}
