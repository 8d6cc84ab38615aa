import type { Logger } from '../log.ts';
import { revokeToken, type TokenEndpoint, TokenEndpointError } from './token-endpoint.ts';

/** How a logout went at the authorization server. Everything local is gone in any case. */
export type Revocation = 'revoked' | 'nothing_to_revoke' | 'not_supported' | 'failed';

/** Revokes what there is of a login, the refresh token first (RFC 7009 §2.1). Never rejects: a logout goes on. */
export async function revokeLogin(
  endpoint: TokenEndpoint | undefined,
  tokens: { refresh: string | undefined; access: string | undefined },
  log: Logger,
): Promise<Revocation> {
  if (!endpoint) return 'nothing_to_revoke';
  if (endpoint.server.revocation_endpoint === undefined) return 'not_supported';
  try {
    if (tokens.refresh !== undefined) await revokeToken(endpoint, tokens.refresh, 'refresh_token');
    if (tokens.access !== undefined) {
      await revokeToken(endpoint, tokens.access, 'access_token').catch((error: unknown) => {
        // RFC 7009 §2.2.1: a server may revoke refresh tokens only, and their access tokens with them.
        const refused = error instanceof TokenEndpointError ? error.oauthError : undefined;
        if (refused !== 'unsupported_token_type' || tokens.refresh === undefined) throw error;
      });
    }
    return 'revoked';
  } catch (error) {
    const reason = error instanceof TokenEndpointError ? error.message : 'unknown failure';
    log.warn('Tokens were not revoked at the server', { reason });
    return 'failed';
  }
}
