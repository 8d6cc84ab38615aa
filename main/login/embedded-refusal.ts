/** What is known of a page of a login. */
export interface PageFacts {
  readonly url: string;
  /** HTTP status of the page. */
  readonly status?: number;
  readonly title?: string;
  /** Beginning of the text the person sees; see {@link isTextWorthReading}. */
  readonly text?: string;
}

interface Provider {
  readonly name: string;
  readonly hosts: RegExp;
  /** Pages that are there to refuse. */
  readonly refusesAt?: (url: URL) => boolean;
  /** What a refusal says, in the title or the text. */
  readonly says: RegExp;
}

const PROVIDERS: readonly Provider[] = [
  {
    // https://developers.googleblog.com/upcoming-security-changes-to-googles-oauth-20-authorization-endpoint-in-embedded-webviews/
    name: 'Google',
    hosts: /^accounts\.(?:google|youtube)\.[a-z.]{2,6}$/,
    refusesAt: ({ pathname, searchParams }) =>
      /\/signin\/(?:.*\/)?rejected\/?$|\/deniedsigninrejected\/?$/i.test(pathname) ||
      isDisallowed(searchParams.get('authError')),
    says: /disallowed_useragent|browser or app may not be secure|(?:embedded webview|secure browsers) policy/i,
  },
  {
    // Conditional Access lets only browsers in that can prove which device they run on.
    name: 'Microsoft',
    hosts:
      /(?:^|\.)(?:login\.microsoftonline\.(?:com|us|cn)|login\.live\.com|login\.microsoft\.com|partner\.microsoftonline\.cn)$/,
    says: /can[’']t get there from here|AADSTS(?:50129|53000|53001|530001|530003)\b|(?:unsupported|not supported).{0,20} browser/i,
  },
  {
    // https://developers.facebook.com/blog/post/2021/06/28/deprecating-support-fb-login-authentication-android-embedded-browsers/
    name: 'Facebook',
    hosts: /(?:^|\.)facebook\.com$/,
    says: /embedded browser/i,
  },
];

/** Error codes by which servers of any make say it, in a page's address. */
const ERROR_CODES: ReadonlySet<string> = new Set([
  'disallowed_useragent',
  'restricted_useragent',
  'unsupported_browser',
  'browser_not_supported',
  'embedded_browser_not_allowed',
]);
/** What servers of any make write into the title, or on a page with an error's status. */
const WORDS =
  /\b(?:disallowed_useragent|(?:embedded|in-app) (?:browser|web ?view)s?|(?:browser|web ?view)s? (?:is |are )?not supported|unsupported (?:browser|web ?view)|use a supported browser)\b/i;

/**
 * Whether a page may say in its text, and nowhere else, that it refuses embedded browsers. Other pages are not read:
 * a login page is the person's own business.
 */
export function isTextWorthReading({ url, status = 0 }: PageFacts): boolean {
  return status >= 400 || providerOf(url) !== undefined;
}

/**
 * Finds out that a page of a login refuses to go on in an embedded browser, as RFC 8252 §8.12 wants servers to.
 * @returns what to tell the person, else `undefined`
 */
export function embeddedRefusal(facts: PageFacts): string | undefined {
  if (!URL.canParse(facts.url)) return undefined;
  const url = new URL(facts.url);
  const provider = providerOf(facts.url);
  if (provider && (provider.refusesAt?.(url) || provider.says.test(`${facts.title}\n${facts.text}`)))
    return refusedBy(provider.name);
  const errors = [url.searchParams.get('error'), new URLSearchParams(url.hash.slice(1)).get('error')];
  const said = `${facts.title}\n${(facts.status ?? 0) >= 400 ? facts.text : ''}`;
  const refused = errors.some((error) => error !== null && ERROR_CODES.has(error)) || WORDS.test(said);
  return refused ? refusedBy(url.host) : undefined;
}

function refusedBy(who: string): string {
  return `${who} does not let people log in inside an app. Go on in your browser.`;
}

function providerOf(url: string): Provider | undefined {
  if (!URL.canParse(url)) return undefined;
  const { hostname } = new URL(url);
  return PROVIDERS.find(({ hosts }) => hosts.test(hostname));
}

/** Google's `authError` is a serialized message in base64 that holds the error's name as it is. */
function isDisallowed(authError: string | null): boolean {
  return authError !== null && Buffer.from(authError, 'base64').includes('disallowed_useragent');
}
