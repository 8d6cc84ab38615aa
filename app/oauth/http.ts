/** Why a request to an authorization server, or for metadata, got no usable answer. */
export type HttpFailureCode = 'timeout' | 'unreachable' | 'too_large' | 'forbidden_address';

/**
 * A request that ended without an HTTP answer. The message is for people, names the host only, and says what to do
 * where that is known.
 */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure';
  readonly code: HttpFailureCode;
  /** What happened, as a sentence: the message without the cure. */
  readonly reason: string;
  readonly cure: string | undefined;

  constructor(code: HttpFailureCode, reason: string, cure?: string) {
    super(cure === undefined ? reason : `${reason} ${cure}`);
    this.code = code;
    this.reason = reason;
    this.cure = cure;
  }
}

export interface HttpAnswer {
  readonly status: number;
  /** The values of a header field, one per field line; empty when it is absent. */
  header(name: string): readonly string[];
  /** The body; empty when only headers were asked for. */
  readonly text: string;
}

/**
 * One HTTP exchange that has to do with authorization: bounded in time and size, never following a redirect, never
 * reaching an address that the rules against server-side request forgery forbid.
 * @throws {HttpFailure}
 */
export type HttpRequest = (
  url: string,
  options?: {
    method?: string;
    headers?: Record<string, string>;
    body?: string;
    /** Leaves the body unread, for answers that may be endless streams. */
    headersOnly?: boolean;
  },
) => Promise<HttpAnswer>;

/** Whose doing it was that a request got no answer: `timeout`, or else the server's. */
export function originOf(error: unknown): 'timeout' | 'server' {
  return error instanceof HttpFailure && error.code === 'timeout' ? 'timeout' : 'server';
}

/** Parses JSON of a stranger; anything that is not JSON is `undefined`. */
export function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
