import { SIGN_IN_FORM } from './sign-in-page.ts';

export interface SignInOptions {
  /** Name typed into the form; default `demo`. */
  user?: string;
  /** Press "Deny" instead of "Allow": the callback then carries `error=access_denied`. */
  deny?: boolean;
  /** Also fetch the callback, as a browser does. */
  follow?: boolean;
}

/** How a followed sign-in ended. */
export interface SignInResult {
  /** The callback URL with code and state: a secret, do not print it. */
  callback: string;
  /** What the callback answered. */
  status: number;
  body: string;
}

const MAX_STEPS = 10;
const STEP_TIMEOUT_MS = 30_000;

/**
 * Plays the person: opens the URL of a login at the demo's authorization server, keeps cookies, follows redirects, and
 * submits the form. Each call is a new browser without cookies.
 * @param authorizationUrl the authorization request, or a URL that redirects to it (a broker's `/oauth/login`).
 * @returns the callback URL with code and state, a secret that must not be printed; it is not fetched unless `follow` is set.
 * @throws Error when the way does not lead to the callback; its text names the status and the path only.
 */
export async function signInByHttp(
  authorizationUrl: string,
  options: SignInOptions & { follow: true },
): Promise<SignInResult>;
export async function signInByHttp(
  authorizationUrl: string,
  options?: SignInOptions & { follow?: false },
): Promise<string>;
export async function signInByHttp(
  authorizationUrl: string,
  options: SignInOptions = {},
): Promise<string | SignInResult> {
  const callback = await reachCallback(authorizationUrl, options);
  if (!options.follow) return callback;
  const response = await fetch(callback, { signal: AbortSignal.timeout(STEP_TIMEOUT_MS) });
  return { callback, status: response.status, body: await response.text() };
}

async function reachCallback(authorizationUrl: string, options: SignInOptions): Promise<string> {
  const cookies = new CookieJar();
  let url = new URL(authorizationUrl);
  let form: URLSearchParams | undefined;
  let redirectUri: URL | undefined;
  for (let step = 0; step < MAX_STEPS; step += 1) {
    redirectUri = parseUrl(url.searchParams.get('redirect_uri')) ?? redirectUri;
    const response = await fetch(url, {
      redirect: 'manual',
      // No pooled connection: the server may have been restarted since the last sign-in.
      headers: { accept: 'text/html', cookie: cookies.header(url), connection: 'close' },
      signal: AbortSignal.timeout(STEP_TIMEOUT_MS),
      ...(form ? { method: 'POST', body: form } : {}),
    });
    cookies.store(url, response.headers.getSetCookie());
    const body = await response.text();
    const location = response.headers.get('location');
    if (location !== null) {
      url = new URL(location, url);
      form = undefined;
      if (redirectUri && url.origin === redirectUri.origin && url.pathname === redirectUri.pathname) {
        return url.href;
      }
    } else if (response.ok && form === undefined && body.includes('<form')) {
      form = new URLSearchParams({
        [SIGN_IN_FORM.user]: options.user ?? SIGN_IN_FORM.defaultUser,
        [SIGN_IN_FORM.decision]: options.deny ? SIGN_IN_FORM.deny : SIGN_IN_FORM.allow,
      });
    } else {
      throw new Error(`The sign-in stopped at ${url.origin}${url.pathname} with status ${response.status}`);
    }
  }
  throw new Error(`The sign-in was redirected more than ${MAX_STEPS} times`);
}

function parseUrl(value: string | null): URL | undefined {
  return value !== null && URL.canParse(value) ? new URL(value) : undefined;
}

/** Cookies of one browser: by host (not port, RFC 6265 §8.5), path and name. */
class CookieJar {
  readonly #cookies = new Map<string, { host: string; path: string; pair: string }>();

  store(url: URL, setCookies: readonly string[]): void {
    for (const line of setCookies) {
      const [pair = '', ...attributes] = line.split(/; */);
      const attribute = (name: string) =>
        attributes.find((text) => text.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
      const path = attribute('path') ?? '/';
      const key = `${url.hostname} ${path} ${pair.slice(0, pair.indexOf('='))}`;
      const expires = attribute('expires');
      if (expires !== undefined && Date.parse(expires) <= Date.now()) this.#cookies.delete(key);
      else this.#cookies.set(key, { host: url.hostname, path, pair });
    }
  }

  header(url: URL): string {
    return [...this.#cookies.values()]
      .filter(({ host, path }) => host === url.hostname && coversPath(path, url.pathname))
      .map(({ pair }) => pair)
      .join('; ');
  }
}

/** RFC 6265 §5.1.4. */
function coversPath(cookiePath: string, path: string): boolean {
  return path === cookiePath || path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`);
}
