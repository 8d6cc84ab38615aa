import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import { sendJson } from './loopback.ts';
import type { McpServerBehaviour, McpServerOptions } from './mcp-server.ts';

const METADATA_PREFIX = '/.well-known/oauth-protected-resource';
const DEFAULT_SCOPES = ['mcp:tools'];

/** Lets requests in that carry a valid access token, and tells the others where to get one. */
export interface BearerGuard {
  /** The token's data, or undefined when the request was refused and has its answer. */
  admit(request: IncomingMessage, response: ServerResponse, endpoint: string): Promise<AuthInfo | undefined>;
  /** The protected resource metadata (RFC 9728) at a path, if one of the endpoints has its own there. */
  metadata(path: string, endpoints: readonly string[]): object | undefined;
  /** Refuses all access tokens issued so far. */
  rejectCurrentTokens(): void;
}

/** Guards the endpoints of one MCP server at `origin`. */
export function createBearerGuard(
  origin: string,
  behaviour: McpServerBehaviour,
  options: Pick<McpServerOptions, 'authorizationServer' | 'scopes'>,
): BearerGuard {
  const { authorizationServer, scopes = DEFAULT_SCOPES } = options;
  let rejected = { state: authorizationServer.state, upTo: 0 };

  const verify = async (token: string, resource: string): Promise<AuthInfo | undefined> => {
    const found = await authorizationServer.verifyAccessToken(token);
    if (found?.audience !== resource) return undefined;
    if (rejected.state === authorizationServer.state && found.ordinal <= rejected.upTo) return undefined;
    return {
      token,
      clientId: found.clientId,
      scopes: [...found.scopes],
      expiresAt: found.expiresAt,
      resource: new URL(resource),
      extra: { subject: found.subject },
    };
  };

  return {
    async admit(request, response, endpoint) {
      const resourceMetadata = origin + METADATA_PREFIX + endpoint;
      const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
      const auth = token === undefined ? undefined : await verify(token, origin + endpoint);
      if (!auth) {
        const challenge = behaviour.challenge({
          resourceMetadata,
          scope: scopes.join(' '),
          ...(token === undefined ? {} : { error: 'invalid_token' }),
        });
        const headers: Record<string, string> =
          challenge === undefined ? {} : { 'www-authenticate': challenge };
        sendJson(
          response,
          401,
          { error: 'invalid_token', error_description: 'A valid access token is needed' },
          headers,
        );
        return undefined;
      }
      const { requiredScopes } = behaviour;
      if (requiredScopes.some((scope) => !auth.scopes.includes(scope))) {
        sendJson(
          response,
          403,
          { error: 'insufficient_scope' },
          {
            'www-authenticate': `Bearer error="insufficient_scope", scope="${requiredScopes.join(' ')}", resource_metadata="${resourceMetadata}"`,
          },
        );
        return undefined;
      }
      return auth;
    },
    metadata(path, endpoints) {
      const endpoint = endpoints.find((known) => path === METADATA_PREFIX + known);
      if (endpoint === undefined || !behaviour.requireAuth) return undefined;
      return {
        resource: origin + endpoint,
        authorization_servers: [authorizationServer.issuer],
        scopes_supported: scopes,
        bearer_methods_supported: ['header'],
      };
    },
    rejectCurrentTokens() {
      const { state } = authorizationServer;
      rejected = { state, upTo: state.issuedAccessTokens };
    },
  };
}
