/** Chromium's name for a page that somebody stopped on its way, mostly this app itself. */
export const ABORTED = 'ERR_ABORTED';

/** Chromium's network errors (net/base/net_error_list.h) in words. */
const WORDS: ReadonlyArray<readonly [names: RegExp, words: (host: string) => string]> = [
  [/^INTERNET_DISCONNECTED$/, () => 'This computer is offline. Connect it, then try again.'],
  [/^(NAME_|DNS_)/, (host) => `No server named ${host} was found. Check your network, then try again.`],
  [/^CONNECTION_REFUSED$/, (host) => `${host} refuses connections. It may be down; try again later.`],
  [/TIMED_OUT$/, (host) => `${host} does not answer. Check your network, or try again later.`],
  [/^ADDRESS_/, (host) => `There is no way to ${host} from this network.`],
  [
    /CLIENT_AUTH/,
    (host) => `${host} wants a certificate of yours, which this app shows to nobody. Go on in your browser.`,
  ],
  // A certificate is never waved through: the password that would be typed here is worth more.
  [
    /SSL|CERT/,
    (host) => `The connection to ${host} is not safe: its certificate or encryption is not valid.`,
  ],
  [/PROX|TUNNEL|SOCKS/, () => 'The proxy of this network does not let the page through.'],
  [/^(CONNECTION_|EMPTY_RESPONSE|HTTP2_|QUIC_)/, (host) => `${host} broke off the connection. Try again.`],
  [/^NETWORK_/, () => 'The network changed on the way. Try again.'],
  [/^TOO_MANY_REDIRECTS$/, (host) => `${host} sends the page round in circles.`],
  [/^HTTP_RESPONSE_CODE/, (host) => `${host} answered with an error and no page. Try again later.`],
];

/**
 * Says in one or two sentences why a page did not come, and what to do.
 * @param name Chromium's, such as `ERR_CONNECTION_REFUSED`
 * @param host of the page
 */
export function loadTrouble(name: string, host: string): string {
  const error = name.replace(/^ERR_/, '');
  const found = WORDS.find(([names]) => names.test(error));
  return found ? found[1](host) : `The page of ${host} cannot be loaded (${error.slice(0, 60)}).`;
}

/** Said when the process that draws the page has ended. */
export const CRASHED = 'The login page has crashed.';

/** Said when a page leads to what is no page of the web; only its kind is shown. */
export function leadsAway(url: string): string {
  const scheme = URL.canParse(url) ? new URL(url).protocol : 'unknown';
  return scheme === 'http:'
    ? 'The login leads to a page without encryption, which is not opened here.'
    : `The page wants to open something that is no web page (${scheme.slice(0, 40)}), which is not done here.`;
}
