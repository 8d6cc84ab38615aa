import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Dispatcher } from 'undici';
import { MAX_DISCARDED_BYTES, MAX_DISCARDING_MS } from '../limits.ts';
import type { Logger } from '../log.ts';
import { type BearerChallenge, bearerChallenge } from '../oauth/challenge.ts';
import { downwardHeaders, valuesOf } from './headers.ts';
import { EndpointRewriter, LegacyEndpointError, resolveEndpoint } from './legacy-sse.ts';
import type { UpstreamPaths } from './target.ts';

/** What became of sending a call once. */
export type ExchangeOutcome =
  /** The upstream's answer went to the client, whole or until one of the two hung up. */
  | { readonly kind: 'answered' }
  /** The upstream wants a login (401) or more scope (403); nothing has gone to the client. */
  | { readonly kind: 'refused'; readonly status: 401; readonly challenge: BearerChallenge | undefined }
  | { readonly kind: 'refused'; readonly status: 403; readonly challenge: BearerChallenge }
  /** No answer; nothing has gone to the client. */
  | { readonly kind: 'failed'; readonly error: Error };

/** What an exchange keeps for as long as it lasts; the body of its request is not among it. */
interface ExchangeParts {
  request: IncomingMessage;
  response: ServerResponse;
  paths: UpstreamPaths;
  log: Logger;
  /** Told, with its status, when an answer has begun to go to the client: the call will not be sent again. */
  onAnswer: (status: number) => void;
}

/** undici's complaint about a length without a body, which a 304 may have, and some servers give a 204 (RFC 9110 §8.6). */
const LENGTH_MISMATCH = 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH';

const NOTHING = Buffer.alloc(0);

/**
 * Sends a call to the upstream once and streams the answer back, each side waiting for the other.
 * @param settle told once what became of it
 */
export function exchange(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  parts: ExchangeParts,
  settle: (outcome: ExchangeOutcome) => void,
): void {
  dispatcher.dispatch(options, new ExchangeHandler(options.path, parts, settle));
}

function sendHead(handler: ExchangeHandler): void {
  handler.sendHead();
}

/**
 * Takes the upstream's headers as they came: undici's newer way of handing them over would make an object of them for each
 * call, which costs every thirtieth call a second (docs/performance.md).
 */
class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #parts: ExchangeParts;
  readonly #path: string;
  readonly #settle: (outcome: ExchangeOutcome) => void;
  #abort: ((reason: Error) => void) | undefined;
  #resume: () => void = () => undefined;
  #isPaused = false;
  #status = 0;
  #discarding: NodeJS.Timeout | undefined;
  #discarded = 0;
  #rewriter: EndpointRewriter | undefined;
  /** What came of the body together with the head, until both are sent. */
  #first: Buffer | undefined;
  #headSent = false;
  #clientGone = false;

  constructor(path: string, parts: ExchangeParts, settle: (outcome: ExchangeOutcome) => void) {
    this.#path = path;
    this.#parts = parts;
    this.#settle = settle;
    parts.response.on('close', this.#onClientClose);
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.#abort = abort;
    if (this.#clientGone) abort(new Error('client gone'));
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, statusMessage: string): boolean {
    if (status < 200) return true;
    this.#resume = resume;
    const refusal = refusalOf(status, raw);
    if (refusal) {
      this.#discarding = setTimeout(() => this.#abort?.(new Error('refusal too slow')), MAX_DISCARDING_MS);
      this.#discarding.unref();
      this.#end(refusal);
      return true;
    }
    this.#status = status;
    const { response, paths, onAnswer } = this.#parts;
    if (this.#mayAnnounceEndpoint(status, raw)) this.#rewriter = this.#endpointRewriter();
    response.sendDate = false;
    response.writeHead(
      status,
      reasonPhrase(statusMessage, status),
      downwardHeaders(raw, {
        localLocation: (location) => paths.toLocal(location, this.#path),
        bodyMayChange: this.#rewriter !== undefined || status === 204,
      }),
    );
    onAnswer(status);
    // A head that arrives without a body goes on without one; else both leave in one packet.
    process.nextTick(sendHead, this);
    return true;
  }

  onData(chunk: Buffer): boolean {
    if (this.#discarding) {
      this.#discarded += chunk.length;
      if (this.#discarded > MAX_DISCARDED_BYTES) this.#abort?.(new Error('refusal too long'));
      return true;
    }
    if (this.#rewriter) {
      for (const part of this.#rewritten(this.#rewriter, chunk)) this.#write(part);
    } else if (!this.#headSent && this.#first === undefined) {
      this.#first = chunk;
    } else {
      this.sendHead();
      this.#write(chunk);
    }
    return !this.#isPaused;
  }

  onComplete(): void {
    if (this.#discarding) {
      clearTimeout(this.#discarding);
      return;
    }
    const { response } = this.#parts;
    for (const part of this.#rewriter?.flush() ?? []) response.write(part);
    // All in one piece is what most answers are: it is written at once.
    response.end(this.#first);
    this.#first = undefined;
    this.#headSent = true;
    this.#end({ kind: 'answered' });
  }

  onError(error: Error): void {
    if (this.#discarding) {
      clearTimeout(this.#discarding);
      return;
    }
    const { response } = this.#parts;
    const isWithoutBody = this.#status === 304 || this.#status === 204;
    if (isWithoutBody && (error as NodeJS.ErrnoException).code === LENGTH_MISMATCH) {
      this.onComplete();
    } else if (response.headersSent) {
      // The client must not take a part for the whole: its connection ends without the end of the message.
      response.destroy();
      this.#end({ kind: 'answered' });
    } else {
      this.#end({ kind: 'failed', error });
    }
  }

  /** Even an empty Buffer as the first write sends the head as it is; `flushHeaders` would re-encode its bytes above 0x7F. */
  sendHead(): void {
    if (this.#headSent || this.#parts.response.destroyed) return;
    this.#headSent = true;
    this.#write(this.#first ?? NOTHING);
    this.#first = undefined;
  }

  #write(chunk: Buffer): void {
    if (this.#parts.response.write(chunk)) return;
    this.#isPaused = true;
    this.#parts.response.once('drain', () => {
      this.#isPaused = false;
      this.#resume();
    });
  }

  /** A client that hangs up cancels its call (MCP 2026-07-28, Streamable HTTP): the upstream is told at once. */
  readonly #onClientClose = () => {
    if (this.#parts.response.writableFinished) return;
    this.#clientGone = true;
    this.#abort?.(new Error('client gone'));
  };

  #end(outcome: ExchangeOutcome): void {
    if (!this.#discarding) this.#abort = undefined;
    this.#settle(outcome);
  }

  /** Whether this is the stream that the 2024-11-05 transport opens with; compressed it could not be read. */
  #mayAnnounceEndpoint(status: number, raw: readonly Buffer[]): boolean {
    if (status !== 200 || this.#parts.request.method !== 'GET') return false;
    const [coding = 'identity'] = valuesOf(raw, 'content-encoding');
    return (
      /^text\/event-stream\b/i.test(valuesOf(raw, 'content-type')[0] ?? '') &&
      coding.toLowerCase() === 'identity'
    );
  }

  #endpointRewriter(): EndpointRewriter {
    const { paths } = this.#parts;
    const sseUrl = new URL(paths.origin + this.#path);
    return new EndpointRewriter((uri) => {
      const endpoint = resolveEndpoint(uri, sseUrl);
      return endpoint && paths.announce(endpoint);
    });
  }

  #rewritten(rewriter: EndpointRewriter, chunk: Buffer): readonly Buffer[] {
    if (rewriter.done) return [chunk];
    try {
      return rewriter.push(chunk);
    } catch (error) {
      if (!(error instanceof LegacyEndpointError)) throw error;
      this.#parts.log.warn('An event stream was ended', { reason: error.message });
      this.#abort?.(error);
      return [];
    }
  }
}

/** The reason phrase as its bytes; `undefined` for one that must not be repeated (RFC 9112 §4). */
function reasonPhrase(text: string, status: number): string | undefined {
  if (text === STATUS_CODES[status]) return text;
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(bytes) ? bytes : undefined;
}

/** What is taken over instead of passed on: a 401, and a 403 that asks for more scope (RFC 6750 §3.1). */
function refusalOf(
  status: number,
  raw: readonly Buffer[],
): Extract<ExchangeOutcome, { kind: 'refused' }> | undefined {
  if (status !== 401 && status !== 403) return undefined;
  const challenge = bearerChallenge(valuesOf(raw, 'www-authenticate'));
  if (status === 401) return { kind: 'refused', status, challenge };
  return challenge?.error === 'insufficient_scope' ? { kind: 'refused', status, challenge } : undefined;
}
