import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { jsonOrUndefined } from './http.ts';
import { AUTHORIZATION_SERVER_METADATA, CLIENT, isSecureUrl } from './metadata.ts';

/** Discovery has checked these URLs, but whoever changed an item could send the refresh token anywhere. */
const SERVER = v.pipe(
  AUTHORIZATION_SERVER_METADATA,
  v.check(({ issuer, token_endpoint, revocation_endpoint = token_endpoint }) =>
    [issuer, token_endpoint, revocation_endpoint].every(isSecureUrl),
  ),
);

const GRANT = v.object({
  refreshToken: v.pipe(v.string(), v.minLength(1)),
  server: SERVER,
  client: CLIENT,
  resource: v.optional(v.string()),
  /** Milliseconds since the epoch. */
  grantedAt: v.number(),
});

const RECORD = v.object({
  version: v.literal(1),
  upstream: v.string(),
  profile: v.string(),
  grant: v.optional(GRANT),
  /** The client registration of the last login, kept beyond the grant. */
  client: v.optional(CLIENT),
  /** The scope the last login asked for, and the one it was granted. */
  requestedScope: v.optional(v.string()),
  grantedScope: v.optional(v.string()),
  /** Why the last grant ended, when there was one. */
  ended: v.optional(v.string()),
});

/** What can be refreshed: the refresh token and everything its use needs. */
export type Grant = v.InferOutput<typeof GRANT>;
/** All that is stored of one login: one item per upstream and profile. */
export type LoginRecord = v.InferOutput<typeof RECORD>;

/** The stored item's name: the host for people, a digest that tells upstreams and profiles apart. */
export function accountOf(upstreamMcpUrl: string, profile: string): string {
  const digest = createHash('sha256').update(`${upstreamMcpUrl}\n${profile}`).digest('hex').slice(0, 16);
  return `${new URL(upstreamMcpUrl).host} ${profile} ${digest}`;
}

/** The text of a stored item; see {@link parseRecord}. It holds secrets. */
export function serializeRecord(record: LoginRecord): string {
  return JSON.stringify(record);
}

/**
 * Reads a stored item.
 * @returns `undefined` for an item that is damaged, of another version, or of another login
 */
export function parseRecord(text: string, upstream: string, profile: string): LoginRecord | undefined {
  const parsed = v.safeParse(RECORD, jsonOrUndefined(text));
  return parsed.success && parsed.output.upstream === upstream && parsed.output.profile === profile
    ? parsed.output
    : undefined;
}
