const MASK = '[redacted]';

/** `Bearer x`, `Basic x`, `DPoP x`: whatever follows the scheme, however short. */
const CREDENTIALS = /\b(Bearer|Basic|DPoP)(\s+)(?!resource_metadata|realm|scope|error|token\b)[^\s,;"']+/gi;

/** Values of parameters and properties that are secret by name, in a URL, a form, JSON or a log line. */
const NAMED =
  /((?:access_?token|refresh_?token|id_?token|registration_?access_?token|client_?secret|client_?assertion|code_?verifier|code_?challenge|device_?code|api_?key|x-api-key|authorization|cookie|password|passphrase|token_?store_?key|\bcode|\bstate|\btoken|\bsecret)["']?\s*[=:]\s*["']?)(?!\[redacted\]|(?:Bearer|Basic|DPoP)\s)([^\s"'&,;}]+)/gi;

/** A JSON Web Token, whole (RFC 7519 §3). */
const JWT = /\beyJ[\w-]*\.[\w-]*(?:\.[\w-]*){0,3}/g;

/** A run of token characters (RFC 6750 `b64token`, RFC 7636 `unreserved`) between separators of ordinary text. */
const WORD = /[\w~+-]{20,}=*/g;

/**
 * Removes whatever could be a secret from a line of text. It errs on the side of hiding: long opaque words go even
 * when they are harmless, because a line that hides an identifier costs less than one that shows a token.
 * @param known secrets that are known by value, whatever they look like
 */
export function redact(text: string, known: Iterable<string> = []): string {
  let clean = text;
  for (const secret of known) if (secret !== '') clean = clean.replaceAll(secret, MASK);
  return clean
    .replace(CREDENTIALS, `$1$2${MASK}`)
    .replace(NAMED, `$1${MASK}`)
    .replace(JWT, MASK)
    .replace(WORD, (word) => (isOpaque(word) ? MASK : word));
}

/** Names are words joined by dashes or underscores, with at most a number as a part; tokens mix within a part. */
function isOpaque(word: string): boolean {
  const readable = word
    .split(/[-_+~]/)
    .every((part) => /^(?:[A-Z]?[a-z]{0,18}|[A-Z]{0,18}|\d{0,8})$/.test(part));
  return !readable;
}
