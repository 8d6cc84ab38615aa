/** What went wrong on the way to a login; the part of a page, a log line and the status that names the trouble. */
export type LoginFailureCode =
  | 'not_required'
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
    : '';
}
