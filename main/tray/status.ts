import type { AppView, ServerFault, ServerState, ServerView } from '../view.ts';
import { expiryText, nextChange, refreshText } from '../words.ts';

/** In characters; longer names would make a menu as wide as they are. */
const MAX_NAME_LENGTH = 40;

const WORDS: Readonly<Record<ServerState, string>> = {
  starting: 'starting',
  failed: 'not running',
  logged_out: 'logged out',
  logging_in: 'logging in',
  authenticated: 'logged in',
  login_required: 'login needed',
  not_required: 'no login needed',
  error: 'needs attention',
};

/** A server's state in a word or two. */
export function stateWord({ state, wantsMoreAccess }: ServerView): string {
  return wantsMoreAccess ? 'more access needed' : WORDS[state];
}

/** A server's name for a menu: one line, no characters that are invisible or turn text around, not too long. */
export function shownName({ name }: Pick<ServerView, 'name'>): string {
  const characters = [...name.replace(/[\p{C}\s]+/gu, ' ').trim()];
  if (characters.length <= MAX_NAME_LENGTH) return characters.join('');
  return `${characters
    .slice(0, MAX_NAME_LENGTH - 1)
    .join('')
    .trimEnd()}…`;
}

/**
 * The line on top of a server's items, e.g. "mcp.example.com: logged in, refreshed 3 min ago, expires in 57 min".
 * @param now milliseconds since the epoch
 */
export function statusLine(server: ServerView, { online }: Pick<AppView, 'online'>, now: number): string {
  const line = `${shownName(server)}: ${[stateWord(server), ...details(server, now)].join(', ')}`;
  return online ? line : `Offline · ${line}`;
}

/**
 * When a status line says something else although nothing has happened.
 * @param now milliseconds since the epoch
 * @returns milliseconds since the epoch; `undefined`: never
 */
export function statusChangesAt(servers: readonly ServerView[], now: number): number | undefined {
  const loggedIn = servers.filter(({ state }) => state === 'authenticated');
  return nextChange(
    {
      until: loggedIn.map((server) => server.accessTokenExpiresAt),
      since: loggedIn.map((server) => server.lastRefresh?.at),
    },
    now,
  );
}

function details(server: ServerView, now: number): string[] {
  if (server.state === 'failed' && server.fault) return [faultText(server.fault, server.port)];
  if (server.state === 'logged_out' && server.lastError) return ['the last login failed'];
  if (server.state !== 'authenticated') return [];
  const { lastRefresh, accessTokenExpiresAt: expiry, refreshTokenPresent } = server;
  const texts = lastRefresh ? [refreshText(lastRefresh, now)] : [];
  // Past its time an access token is renewed with the next call: "expired" would ask for a login that is not needed.
  if (expiry !== undefined && (expiry > now || !refreshTokenPresent)) texts.push(expiryText(expiry, now));
  return texts;
}

function faultText(fault: ServerFault, port: number): string {
  switch (fault.kind) {
    case 'port_taken':
      return `port ${port} is taken`;
    case 'settings':
      return 'a setting is wrong';
    case 'start':
      return 'it could not start';
  }
}
