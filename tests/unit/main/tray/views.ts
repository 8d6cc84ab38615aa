import type { AppView, ServerView } from '../../../../main/view.ts';

export const NOW = Date.UTC(2026, 0, 31, 12);
export const MINUTE = 60_000;

export function serverView(given: Partial<ServerView> = {}): ServerView {
  return {
    id: 'craft',
    name: 'mcp.craft.do',
    upstream: 'https://mcp.craft.do/my/mcp',
    host: 'mcp.craft.do',
    source: 'settings',
    state: 'logged_out',
    reason: undefined,
    port: 5177,
    mcpUrl: 'http://127.0.0.1:5177/mcp',
    issuer: undefined,
    scopes: [],
    wantsMoreAccess: false,
    accessTokenExpiresAt: undefined,
    refreshTokenPresent: false,
    lastRefresh: undefined,
    lastError: undefined,
    fault: undefined,
    warnings: [],
    store: undefined,
    ...given,
  };
}

/** A server that was logged in to and refreshed three minutes before {@link NOW}. */
export function loggedIn(given: Partial<ServerView> = {}): ServerView {
  return serverView({
    state: 'authenticated',
    accessTokenExpiresAt: NOW + 42 * MINUTE,
    refreshTokenPresent: true,
    lastRefresh: { at: NOW - 3 * MINUTE, outcome: 'ok' },
    ...given,
  });
}

export function appView(servers: readonly ServerView[], given: Partial<AppView> = {}): AppView {
  return {
    version: '1.2.3',
    servers,
    settings: {
      loginWay: 'popup',
      loginWaitSeconds: 20,
      loginOnDemand: true,
      lookForNewVersions: true,
      logLevel: 'info',
    },
    startAtLogin: false,
    updates: { canLook: true, available: undefined },
    logLevelFixed: false,
    online: true,
    notices: [],
    ...given,
  };
}
