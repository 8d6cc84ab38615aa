import type { ServerForm } from '../../../main/ipc/contract.ts';
import type { AppView, CallView, ServerView } from '../../../main/view.ts';

/** A server that is logged in, with what differs. */
export function server(changes: Partial<ServerView> = {}): ServerView {
  return {
    id: 'craft',
    name: 'Craft',
    upstream: 'https://mcp.craft.do/my/mcp',
    host: 'mcp.craft.do',
    source: 'settings',
    state: 'authenticated',
    reason: undefined,
    port: 5177,
    mcpUrl: 'http://127.0.0.1:5177/mcp',
    issuer: 'https://auth.craft.do',
    scopes: ['mcp:tools', 'mcp:resources', 'offline_access'],
    wantsMoreAccess: false,
    accessTokenExpiresAt: Date.now() + 42.5 * 60_000,
    refreshTokenPresent: true,
    lastRefresh: { at: Date.now() - 3.5 * 60_000, outcome: 'ok' },
    lastError: undefined,
    fault: undefined,
    warnings: [],
    store: { kind: 'keychain', description: 'the macOS Keychain (service "mcp-auth-proxy-refresh-token")' },
    ...changes,
  };
}

/** A server that nobody has logged in to. */
export function loggedOut(changes: Partial<ServerView> = {}): ServerView {
  return server({
    state: 'logged_out',
    issuer: undefined,
    scopes: [],
    accessTokenExpiresAt: undefined,
    refreshTokenPresent: false,
    lastRefresh: undefined,
    ...changes,
  });
}

export function view(changes: Partial<AppView> = {}): AppView {
  return {
    version: '0.1.0',
    servers: [server()],
    settings: {
      loginWay: 'popup',
      loginWaitSeconds: 20,
      loginOnDemand: false,
      lookForNewVersions: true,
      logLevel: 'info',
    },
    startAtLogin: false,
    updates: { canLook: true, available: undefined },
    logLevelFixed: false,
    online: true,
    notices: [],
    ...changes,
  };
}

export function call(changes: Partial<CallView> = {}): CallView {
  return {
    number: 1,
    serverId: 'craft',
    at: Date.now(),
    method: 'POST',
    rpc: 'tools/call',
    status: 200,
    refusal: undefined,
    durationMs: 41,
    ...changes,
  };
}

export const form: ServerForm = {
  name: 'Craft',
  upstreamMcpUrl: 'https://mcp.craft.do/my/mcp',
  port: '5177',
  scopes: '',
  profile: '',
  clientId: 'my-client',
  clientSecretPresent: true,
  authorizationEndpoint: '',
  tokenEndpoint: '',
  issuer: '',
  probePath: '',
};
