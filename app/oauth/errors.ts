/** What went wrong on the way to a login; the part of a page, a log line and the status that names the trouble. */
export type LoginFailureCode =
  | 'not_required'
  | 'cancelled'
  | 'upstream_unreachable'
  | 'discovery_failed'
  | 'pkce_unsupported'
  | 'registration_failed'
  | 'invalid_callback'
  | 'authorization_refused'
  | 'token_request_failed'
  | 'store_failed';

/** A login that cannot go on. `message` says what happened and `cure` what to do; neither holds a secret. */
export class LoginFailure extends Error {
  override readonly name = 'LoginFailure';
  readonly code: LoginFailureCode;
  readonly cure: string;
  /** Whose doing it was: `timeout` and `server` ask for another try later, `request` for another answer. */
  readonly origin: 'request' | 'server' | 'timeout';

  constructor(
    code: LoginFailureCode,
    message: string,
    cure: string,
    options: ErrorOptions & { origin?: LoginFailure['origin'] } = {},
  ) {
    super(message, options);
    this.code = code;
    this.cure = cure;
    this.origin = options.origin ?? 'request';
  }
}

/** Text of a stranger, cut and cleaned for showing: one line, printable, at most 300 characters. */
export function foreignText(text: unknown): string {
  return typeof text === 'string'
    ? text
        .replace(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, ' ')
        .trim()
        .slice(0, 300)
        // Half a surrogate pair would be left where the cut goes through one.
        .replace(/[\ud800-\udbff]$/, '')
    : '';
}

/** A URL for showing, as {@link foreignText}; without its query, which may hold a key that the person was given. */
export function shownUrl(url: string): string {
  if (!URL.canParse(url)) return foreignText(url);
  const query = url.indexOf('?');
  return query === -1 ? foreignText(url) : `${foreignText(url.slice(0, query))}?…`;
}

/**
 * As {@link foreignText}, without secrets that the stranger knows and may repeat: as they are and as they stand in JSON,
 * in a URL and in a form.
 */
export function withoutSecrets(text: unknown, secrets: readonly string[]): string {
  const spelled = secrets.flatMap((secret) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(Buffer.from(secret).toString()),
    formEncoded(secret),
  ]);
  let clean = typeof text === 'string' ? text : '';
  // The longest first, as one may hold another.
  for (const secret of spelled.sort((a, b) => b.length - a.length))
    if (secret !== '') clean = clean.replaceAll(secret, '…');
  return foreignText(clean);
}

/** A value as `application/x-www-form-urlencoded` has it. */
export function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
