const MASK = '[redacted]';

/** `Bearer x`, `Basic x`, `DPoP x`: whatever follows the scheme, however short, unless it is a challenge or a sentence. */
const CREDENTIALS =
  /\b(Bearer|Basic|DPoP)(\s+|%20)(?!(?:resource_metadata|realm|scope|error\w*|algs)=|(?:access|and|auth|authentication|authorization|challenges?|credentials|headers?|is|or|scheme|tokens?|was)(?=[\s.,;:)]|$))[^\s,;"'\\]+/gi;

/** Header fields that are secret to the end of the line, or of the quotes they stand in. */
const FIELDS =
  /\b((?:proxy-)?authorization|(?:set-)?cookie)((?:\\*["'])?\s*[=:]\s*)(?:(\\*["']).*?(?:\3|$)|(?!\\*["'])[^\r\n]*)/gis;

const SECRET_NAMES = [
  '(?:access|refresh|id|registration_?access|device|bearer)_?token',
  'client_?secret',
  'client_?assertion',
  'code_?(?:verifier|challenge)',
  '(?:device|user)_?code',
  '(?:x-)?(?:proxy_?)?api[_-]?key',
  'passw(?:or)?d',
  'passphrase',
  'token_?store_?key',
  '(?:(?<![A-Za-z0-9_])|(?<=%26|%3F|%20))(?:code|state|token|secret)',
].join('|');

/**
 * Parameters and properties that are secret by name, in a URL, a form, JSON (also inside a JSON string) or a log line:
 * the name with its separator, then a value in quotes or a bare one.
 */
const NAMED = new RegExp(
  `(${SECRET_NAMES})((?:\\\\*["'])?\\s*(?:[=:]|%3D|%3A)\\s*)(?:(\\\\*["'])(.*?)(?:(?<!\\\\)\\3|$)|((?![{[])[^\\s"'&,;}\\\\]+?(?=%26|[\\s"'&,;}\\\\]|$)))`,
  'gis',
);

/** `code` and `state` also name what a log is there to show: `code=ECONNREFUSED`, `state=logged_out`, `code: -32001`. */
const PLAIN_VALUE =
  /^(?:[a-z]{2,20}(?:_[a-z]{2,20})*|E[A-Z]{3,19}|[A-Z]{2,9}(?:_[A-Z]{1,19})+|-?\d{1,5})[.)\]]?$/;

/** A JSON Web Token, whole (RFC 7519 §3). */
const JWT = /(?<![\w-])eyJ[\w-]*\.[\w-]*(?:\.[\w-]*){0,3}/g;

/** A run of token characters (RFC 6750 `b64token`, RFC 7636 `unreserved`) between separators of ordinary text. */
const WORD = /[\w~+-]{20,}=*/g;

/** Part of a name: a word, a camelCase name, or an acronym, each with a short number at its end; or a number. */
const NAME_PART =
  /^(?:[A-Z]?[a-z]{0,18}\d{0,3}|[a-z]{1,18}(?:[A-Z][a-z]{1,18}){1,4}|[A-Z]{0,18}\d{0,3}|\d{0,8})$/;

/**
 * Removes whatever could be a secret from a line of text. It errs on the side of hiding: long opaque words go even
 * when they are harmless, because a line that hides an identifier costs less than one that shows a token.
 * @param known secrets that are known by value, whatever they look like
 */
export function redact(text: string, known: Iterable<string> = []): string {
  let clean = text;
  for (const secret of spellings(known)) clean = clean.replaceAll(secret, MASK);
  return clean
    .replace(CREDENTIALS, `$1$2${MASK}`)
    .replace(
      FIELDS,
      (_, name: string, separator: string, quote = '') => name + separator + quote + MASK + quote,
    )
    .replace(NAMED, maskNamed)
    .replace(JWT, MASK)
    .replace(WORD, (word) => (isOpaque(word) ? MASK : word));
}

/** Each secret as it is, as it stands in JSON, in a URL and in a form; the longest first, as one may hold another. */
function spellings(known: Iterable<string>): string[] {
  const all = [...known].flatMap((secret) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    new URLSearchParams({ '': secret }).toString().slice(1),
  ]);
  return [...new Set(all)].filter((secret) => secret !== '').sort((a, b) => b.length - a.length);
}

function maskNamed(
  match: string,
  name: string,
  separator: string,
  quote: string | undefined,
  quoted: string | undefined,
  bare: string | undefined,
  at: number,
  whole: string,
): string {
  const value = quoted ?? bare ?? '';
  if (value === '' || value.startsWith(MASK)) return match;
  const alone =
    /^$|[\s([]/.test(whole.charAt(at - 1)) && /^(?:$|[\s,;})\]])/.test(whole.slice(at + match.length));
  const ambiguous = /^(?:code|state)$/i.test(name);
  if (ambiguous && quote === undefined && PLAIN_VALUE.test(value) && (alone || /^-?\d+$/.test(value)))
    return match;
  return `${name}${separator}${quote ?? ''}${MASK}${quote ?? ''}`;
}

/** Names are words joined by dashes or underscores; tokens mix letters and digits within a part. */
function isOpaque(word: string): boolean {
  return !word
    .replace(/=+$/, '')
    .split(/[-_+~]/)
    .every((part) => NAME_PART.test(part));
}
