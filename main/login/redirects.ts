/**
 * Whether a URL is the redirect URI, with whatever answer it carries: the same origin and the same path, as the
 * authorization server has compared them (RFC 6749 §3.1.2.3, RFC 9700 §2.1). A prefix would let another path in.
 */
export function isRedirect(url: string, redirectUri: string): boolean {
  if (!URL.canParse(url)) return false;
  const [to, expected] = [new URL(url), new URL(redirectUri)];
  return to.origin === expected.origin && to.pathname === expected.pathname;
}

/**
 * Whether a redirect answers this very authorization request. A page that is only part of another, such as an
 * advertisement, may not end the login with an answer of its own invention.
 */
export function answers(url: string, authorizationUrl: URL): boolean {
  const state = authorizationUrl.searchParams.get('state');
  return state !== null && URL.canParse(url) && new URL(url).searchParams.get('state') === state;
}
