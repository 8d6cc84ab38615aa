import * as v from 'valibot';
import { foreignText } from './errors.ts';
import { type HttpAnswer, HttpFailure, type HttpRequest, jsonOrUndefined } from './http.ts';

/** What an authorization server will demand of the document (OAuth client ID metadata document, §4). */
const DOCUMENT = v.object({
  client_id: v.string(),
  client_name: v.string(),
  redirect_uris: v.array(v.string()),
  token_endpoint_auth_method: v.optional(v.string()),
});

/**
 * Looks at the client ID metadata document as an authorization server will, so that a mistake in it shows at start
 * and not as a refusal on a stranger's page.
 * @param url `CLIENT_METADATA_URL`
 * @param redirectUri the redirect URI that logins will use
 * @returns what is wrong and what to do, as one sentence; `undefined` when the document is sound
 */
export async function faultOfClientMetadata(
  url: string,
  redirectUri: string,
  request: HttpRequest,
): Promise<string | undefined> {
  let answer: HttpAnswer;
  try {
    answer = await request(url, { headers: { accept: 'application/json' } });
  } catch (error) {
    if (!(error instanceof HttpFailure)) throw error;
    return `CLIENT_METADATA_URL cannot be read: ${error.message} Authorization servers must be able to fetch it.`;
  }
  if (answer.status !== 200) {
    return `CLIENT_METADATA_URL answers HTTP ${answer.status}; host the document there without a redirect.`;
  }
  const parsed = v.safeParse(DOCUMENT, jsonOrUndefined(answer.text));
  if (!parsed.success) {
    const field = v.getDotPath(parsed.issues[0]);
    return field === null
      ? 'The document at CLIENT_METADATA_URL is not a JSON object; host the one from docs/client-metadata.json.'
      : `The document at CLIENT_METADATA_URL has no valid "${field}"; add it.`;
  }
  const { client_id, redirect_uris, token_endpoint_auth_method: method = 'none' } = parsed.output;
  if (client_id !== url) {
    return `The document at CLIENT_METADATA_URL names the client_id ${foreignText(client_id)}; it must be exactly its own URL.`;
  }
  if (!redirect_uris.some((registered) => matchesRedirect(registered, redirectUri))) {
    return `The document at CLIENT_METADATA_URL does not list the redirect URI ${redirectUri}; add it to redirect_uris.`;
  }
  if (method !== 'none') {
    return `The document at CLIENT_METADATA_URL asks for ${foreignText(method)}; set token_endpoint_auth_method to "none".`;
  }
  return undefined;
}

/** Equal, but for the port of a loopback literal, which an authorization server must let vary (RFC 8252 §7.3). */
function matchesRedirect(registered: string, used: string): boolean {
  if (registered === used) return true;
  if (!URL.canParse(registered)) return false;
  const [one, other] = [new URL(registered), new URL(used)];
  const loopback = ['127.0.0.1', '[::1]'].includes(other.hostname) && one.protocol === 'http:';
  return (
    loopback &&
    one.hostname === other.hostname &&
    one.pathname === other.pathname &&
    one.search === other.search
  );
}
