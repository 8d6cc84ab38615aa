import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { type BearerChallenge, bearerChallenge } from '../oauth/challenge.ts';
import { downwardHeaders, valuesOf } from './headers.ts';
import { EndpointRewriter, LegacyEndpointError, resolveEndpoint } from './legacy-sse.ts';
import type { UpstreamPaths } from './target.ts';

/** What became of sending a call once. */
export type ExchangeOutcome =
  /** The upstream's answer went to the client, whole or until one of the two hung up. */
  | { readonly kind: 'answered'; readonly status: number }
  /** The upstream wants a login (401) or more scope (403); nothing has gone to the client. */
  | { readonly kind: 'refused'; readonly status: 401 | 403; readonly challenge: BearerChallenge | undefined }
  /** No answer; nothing has gone to the client. */
  | { readonly kind: 'failed'; readonly error: Error };

interface ExchangeParts {
  request: IncomingMessage;
  response: ServerResponse;
  dispatcher: Dispatcher;
  options: Dispatcher.DispatchOptions;
  paths: UpstreamPaths;
}

/** A refusal's body is thrown away; a longer one than this ends the connection instead. */
const MAX_DISCARDED_BYTES = 64 * 1024;

/** Sends a call to the upstream once and streams the answer back, each side waiting for the other. */
export function exchange(parts: ExchangeParts): Promise<ExchangeOutcome> {
  return new Promise((resolve) => {
    const handler = new ExchangeHandler(parts, resolve);
    parts.dispatcher.dispatch(parts.options, handler);
  });
}

class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #parts: ExchangeParts;
  readonly #settle: (outcome: ExchangeOutcome) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #refusal: Extract<ExchangeOutcome, { kind: 'refused' }> | undefined;
  #discarded = 0;
  #rewriter: EndpointRewriter | undefined;
  #clientGone = false;

  constructor(parts: ExchangeParts, settle: (outcome: ExchangeOutcome) => void) {
    this.#parts = parts;
    this.#settle = settle;
    parts.response.once('close', this.#onClientClose);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#clientGone) controller.abort(new Error('client gone'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusMessage?: string,
  ): void {
    if (status < 200) return;
    this.#status = status;
    const raw = (controller.rawHeaders ?? []) as Buffer[];
    if (status === 401 || status === 403) {
      const challenge = bearerChallenge(valuesOf(raw, 'www-authenticate'));
      if (status === 401 || challenge?.error === 'insufficient_scope') {
        this.#refusal = { kind: 'refused', status, challenge };
        return;
      }
    }
    const { request, response, paths, options } = this.#parts;
    const streams = /^\s*text\/event-stream\b/i.test(valuesOf(raw, 'content-type')[0] ?? '');
    if (streams && status === 200 && request.method === 'GET') this.#rewriter = this.#endpointRewriter();
    response.sendDate = false;
    response.writeHead(
      status,
      statusMessage,
      downwardHeaders(raw, {
        localLocation: (location) => paths.toLocal(location, options.path),
        bodyMayChange: this.#rewriter !== undefined,
      }),
    );
    // An empty Buffer as the first write sends the head at once; `flushHeaders` would re-encode its bytes above 0x7F.
    if (streams) response.write(Buffer.alloc(0));
    response.on('drain', this.#onDrain);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#refusal) {
      this.#discarded += chunk.length;
      if (this.#discarded > MAX_DISCARDED_BYTES) controller.abort(new Error('refusal too long'));
      return;
    }
    if (this.#rewriter && !this.#rewriter.done) {
      for (const part of this.#rewriter.push(chunk)) this.#write(controller, part);
    } else {
      this.#write(controller, chunk);
    }
  }

  onResponseEnd(): void {
    if (this.#refusal) {
      this.#end(this.#refusal);
      return;
    }
    const { response } = this.#parts;
    for (const part of this.#rewriter?.flush() ?? []) response.write(part);
    response.end();
    this.#end({ kind: 'answered', status: this.#status });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const { response } = this.#parts;
    if (this.#refusal) {
      this.#end(this.#refusal);
    } else if (response.headersSent) {
      // The client must not take a part for the whole: its connection ends without the end of the message.
      response.destroy();
      this.#end({ kind: 'answered', status: this.#status });
    } else {
      this.#end({ kind: 'failed', error });
    }
  }

  #write(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#parts.response.write(chunk)) controller.pause();
  }

  readonly #onDrain = () => this.#controller?.resume();

  /** A client that hangs up cancels its call (MCP 2026-07-28, Streamable HTTP): the upstream is told at once. */
  readonly #onClientClose = () => {
    if (this.#parts.response.writableFinished) return;
    this.#clientGone = true;
    this.#controller?.abort(new Error('client gone'));
  };

  #end(outcome: ExchangeOutcome): void {
    this.#parts.response.off('close', this.#onClientClose);
    this.#parts.response.off('drain', this.#onDrain);
    this.#settle(outcome);
  }

  #endpointRewriter(): EndpointRewriter {
    const { paths, options } = this.#parts;
    const sseUrl = new URL(paths.origin + options.path);
    return new EndpointRewriter((uri) => {
      const endpoint = resolveEndpoint(uri, sseUrl);
      if (!endpoint) throw new LegacyEndpointError();
      return paths.announce(endpoint);
    });
  }
}
