import type { IncomingMessage, ServerResponse } from 'node:http';
import { MAX_NAMED_BYTES } from '../limits.ts';
import type { RequestBody } from './held-body.ts';
import { type RefusalCode, readMethodName } from './refusals.ts';

/** One proxied call after its end, without any of its contents. */
export interface BrokerCall {
  /** When it came, in milliseconds since the epoch. */
  readonly at: number;
  /** HTTP method. */
  readonly method: string;
  /** Name of the JSON-RPC method, the first one of a batch; `undefined` where there is none or it was not looked for. */
  readonly rpc: string | undefined;
  /** HTTP status; `undefined` when the client went before there was one. */
  readonly status: number | undefined;
  /** Code of the refusal, when the broker answered itself. */
  readonly refusal: RefusalCode | undefined;
  readonly durationMs: number;
}

/** What is remembered of a call for as long as it runs, when somebody wants to be told of it. */
export class CallRecord {
  #body: Buffer | undefined;
  #refusal: RefusalCode | undefined;
  readonly #named: string | undefined;

  /** @param report called once, after the answer has gone out or the client has hung up */
  constructor(request: IncomingMessage, response: ServerResponse, report: (call: BrokerCall) => void) {
    const at = Date.now();
    const started = performance.now();
    this.#named = methodName(request.headers['mcp-method']);
    response.once('close', () => {
      report({
        at,
        method: request.method ?? '',
        rpc: this.#named ?? (this.#body && methodName(readMethodName(this.#body))),
        status: response.headersSent ? response.statusCode : undefined,
        refusal: this.#refusal,
        durationMs: Math.round(performance.now() - started),
      });
    });
  }

  /** The body has arrived. */
  received(body: RequestBody): void {
    if (this.#named === undefined && body.kind === 'held' && body.bytes.length <= MAX_NAMED_BYTES)
      this.#body = body.bytes;
  }

  refused(code: RefusalCode): void {
    this.#refusal = code;
  }
}

/**
 * The name of an MCP method, as it stands in `Mcp-Method` (MCP 2026-07-28) or in a body: a short word, or it is not shown.
 * @returns `undefined` for anything else
 */
export function methodName(text: unknown): string | undefined {
  return typeof text === 'string' && /^[\w/$.-]{1,64}$/.test(text) ? text : undefined;
}
