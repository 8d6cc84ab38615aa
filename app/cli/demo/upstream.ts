import {
  type AuthorizationServer,
  type AuthorizationServerOptions,
  startAuthorizationServer,
} from './authorization-server.ts';
import { AuthorizationServerState } from './authorization-state.ts';
import { type McpServerOptions, type RunningMcpServer, startMcpServer } from './mcp-server.ts';

export type {
  AccessTokenInfo,
  AuthorizationServer,
  AuthorizationServerBehaviour,
  AuthorizationServerOptions,
  AuthorizationServerRequest,
} from './authorization-server.ts';
export { DEFAULT_SCOPES, startAuthorizationServer } from './authorization-server.ts';
export type {
  Challenge,
  McpServerBehaviour,
  McpServerOptions,
  McpServerRequest,
  RunningMcpServer,
} from './mcp-server.ts';
export { bearerChallenge, startMcpServer } from './mcp-server.ts';
export type { Recorder, RespondHook } from './recorder.ts';
export { type SignInOptions, type SignInResult, signInByHttp } from './sign-in.ts';
export { AuthorizationServerState };

export interface UpstreamOptions {
  authorizationServer?: AuthorizationServerOptions;
  mcpServer?: Omit<McpServerOptions, 'authorizationServer'>;
}

/** A whole upstream: an MCP server and the authorization server that guards it. */
export interface Upstream {
  /** Streamable HTTP endpoint, for `UPSTREAM_MCP_URL`. */
  readonly mcpUrl: string;
  /** HTTP+SSE endpoint of 2024-11-05. */
  readonly sseUrl: string;
  readonly issuer: string;
  /** The one that runs now, or ran last. `authorizationServer.close()` is an outage that a restart ends. */
  readonly authorizationServer: AuthorizationServer;
  readonly mcpServer: RunningMcpServer;
  /**
   * Closes the authorization server, if it still runs, and starts it on the same port with the same options. It
   * remembers everything, or, with `forget`, nothing: no client, no grant, no browser session. Its `requests` are empty.
   */
  restartAuthorizationServer(how?: { forget?: boolean }): Promise<AuthorizationServer>;
  /** Ends both servers. Safe to call twice, and after either was closed by itself. */
  close(): Promise<void>;
}

/**
 * Starts an MCP server and its authorization server on loopback.
 * @throws the system's error (`EADDRINUSE`) when a given port is taken.
 */
export async function startUpstream(options: UpstreamOptions = {}): Promise<Upstream> {
  let resources: string[] = [];
  const authorizationOptions = { resources: () => resources, ...options.authorizationServer };
  let current = await startAuthorizationServer(authorizationOptions);
  const { issuer, port } = current;
  const mcpServer = await startMcpServer({
    ...options.mcpServer,
    authorizationServer: {
      issuer,
      get state() {
        return current.state;
      },
      verifyAccessToken: (token) => current.verifyAccessToken(token),
    },
  }).catch(async (error: unknown) => {
    await current.close();
    throw error;
  });
  const { mcpUrl, jsonUrl, sseUrl } = mcpServer;
  resources = [mcpUrl, jsonUrl, sseUrl];
  return {
    mcpUrl,
    sseUrl,
    issuer,
    get authorizationServer() {
      return current;
    },
    mcpServer,
    async restartAuthorizationServer(how = {}) {
      await current.close();
      current = await startAuthorizationServer({
        ...authorizationOptions,
        ...current.behaviour,
        port,
        state: how.forget ? new AuthorizationServerState() : current.state,
      });
      return current;
    },
    async close() {
      await mcpServer.close();
      await current.close();
    },
  };
}
