import * as v from 'valibot';
import { isLoopbackHost } from '../address.ts';
import { MAX_HOST_LENGTH } from '../limits.ts';

/** Whether a URL may be asked for anything of a login: `https:`, or `http:` on loopback; without credentials in it. */
export function isSecureUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  return (
    (protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname))) &&
    hostname.length <= MAX_HOST_LENGTH &&
    username === '' &&
    password === ''
  );
}

const strings = v.array(v.string());

/** Protected resource metadata (RFC 9728 §2), as far as it is used. */
export const PROTECTED_RESOURCE_METADATA = v.object({
  resource: v.string(),
  authorization_servers: v.optional(strings),
  scopes_supported: v.optional(strings),
});
export type ProtectedResourceMetadata = v.InferOutput<typeof PROTECTED_RESOURCE_METADATA>;

/** Authorization server metadata (RFC 8414 §2, OpenID Connect Discovery §3), as far as it is used. */
export const AUTHORIZATION_SERVER_METADATA = v.object({
  issuer: v.string(),
  authorization_endpoint: v.string(),
  token_endpoint: v.string(),
  registration_endpoint: v.optional(v.string()),
  revocation_endpoint: v.optional(v.string()),
  scopes_supported: v.optional(strings),
  token_endpoint_auth_methods_supported: v.optional(strings),
  code_challenge_methods_supported: v.optional(strings),
  authorization_response_iss_parameter_supported: v.optional(v.boolean()),
  client_id_metadata_document_supported: v.optional(v.boolean()),
});
export type AuthorizationServerMetadata = v.InferOutput<typeof AUTHORIZATION_SERVER_METADATA>;

/** A client's registration at one issuer: what registration answered (RFC 7591 §3.2.1), or what was configured. */
export const CLIENT = v.object({
  issuer: v.string(),
  redirect_uri: v.string(),
  source: v.picklist(['configured', 'metadata-document', 'registered']),
  client_id: v.pipe(v.string(), v.minLength(1)),
  client_secret: v.optional(v.string()),
  /** Seconds since the epoch; 0 or absent: never. */
  client_secret_expires_at: v.optional(v.number()),
  token_endpoint_auth_method: v.optional(v.string()),
  /** The scope it was registered for; a server may refuse any other. */
  scope: v.optional(v.string()),
});
export type Client = v.InferOutput<typeof CLIENT>;
