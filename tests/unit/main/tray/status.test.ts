import { describe, expect, it } from 'vitest';
import { shownName, statusChangesAt, statusLine } from '../../../../main/tray/status.ts';
import type { ServerFault, ServerView } from '../../../../main/view.ts';
import { loggedIn, MINUTE, NOW, serverView } from './views.ts';

const ONLINE = { online: true };

describe('statusLine', () => {
  const failed = (fault: ServerFault) => serverView({ state: 'failed', fault });
  const cases: readonly [string, ServerView][] = [
    ['mcp.craft.do: logged in, refreshed 3 min ago, expires in 42 min', loggedIn()],
    ['mcp.craft.do: logged in, expires in 42 min', loggedIn({ lastRefresh: undefined })],
    [
      'mcp.craft.do: logged in, refresh failed just now, expires in 42 min',
      loggedIn({ lastRefresh: { at: NOW, outcome: 'failed' } }),
    ],
    ['mcp.craft.do: logged in, refreshed 3 min ago', loggedIn({ accessTokenExpiresAt: NOW - 1 })],
    [
      'mcp.craft.do: logged in, expired',
      loggedIn({ accessTokenExpiresAt: NOW, refreshTokenPresent: false, lastRefresh: undefined }),
    ],
    ['mcp.craft.do: logged in', loggedIn({ accessTokenExpiresAt: undefined, lastRefresh: undefined })],
    [
      'mcp.craft.do: more access needed, refreshed 3 min ago, expires in 42 min',
      loggedIn({ wantsMoreAccess: true }),
    ],
    ['mcp.craft.do: logged out', serverView()],
    [
      'mcp.craft.do: logged out, the last login failed',
      serverView({ lastError: { message: 'Access denied.', cure: 'Log in again.' } }),
    ],
    ['mcp.craft.do: logging in', serverView({ state: 'logging_in' })],
    ['mcp.craft.do: login needed', loggedIn({ state: 'login_required' })],
    ['mcp.craft.do: no login needed', serverView({ state: 'not_required' })],
    ['mcp.craft.do: needs attention', serverView({ state: 'error', reason: 'The keychain is locked.' })],
    ['mcp.craft.do: starting', serverView({ state: 'starting' })],
    ['mcp.craft.do: not running', serverView({ state: 'failed' })],
    [
      'mcp.craft.do: not running, port 5177 is taken',
      failed({ kind: 'port_taken', message: 'Port 5177 is taken.', freePort: 5180 }),
    ],
    ['mcp.craft.do: not running, a setting is wrong', failed({ kind: 'settings', message: 'PORT' })],
    ['mcp.craft.do: not running, it could not start', failed({ kind: 'start', message: 'EACCES' })],
  ];

  it.each(cases)('%s', (line, server) => {
    expect(statusLine(server, ONLINE, NOW)).toBe(line);
  });

  it('says first that there is no network', () => {
    expect(statusLine(serverView(), { online: false }, NOW)).toBe('Offline · mcp.craft.do: logged out');
  });
});

describe('shownName', () => {
  it('shortens by characters, not in the middle of one', () => {
    expect(shownName({ name: 'n'.repeat(40) })).toBe('n'.repeat(40));
    expect(shownName({ name: '🔑'.repeat(41) })).toBe(`${'🔑'.repeat(39)}…`);
    expect(shownName({ name: `${'n'.repeat(38)} ${'m'.repeat(9)}` })).toBe(`${'n'.repeat(38)}…`);
  });

  it('keeps to one line, and shows nothing that turns text around', () => {
    expect(shownName({ name: ' a\r\nb\t\u202Ec\u0000 ' })).toBe('a b c');
  });
});

describe('statusChangesAt', () => {
  it('is when a line of one of the servers says something else', () => {
    const soon = loggedIn({ accessTokenExpiresAt: NOW + 10, lastRefresh: undefined });
    const later = loggedIn({ accessTokenExpiresAt: NOW + 42.5 * MINUTE });
    expect(statusChangesAt([later, soon], NOW)).toBe(NOW + 10);
  });

  it('is the moment at which the line differs', () => {
    const server = loggedIn();
    const at = statusChangesAt([server], NOW) ?? Number.NaN;
    expect(statusLine(server, ONLINE, at - 1)).toBe(statusLine(server, ONLINE, NOW));
    expect(statusLine(server, ONLINE, at)).not.toBe(statusLine(server, ONLINE, NOW));
  });

  it('is never where no line speaks of time', () => {
    const silent = [serverView(), loggedIn({ state: 'login_required' })];
    expect(statusChangesAt(silent, NOW)).toBeUndefined();
    const past = loggedIn({ accessTokenExpiresAt: NOW - MINUTE, lastRefresh: undefined });
    expect(statusChangesAt([past], NOW)).toBeUndefined();
  });
});
