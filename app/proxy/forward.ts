import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { wasReused } from '../connection-reuse.ts';
import { CLOSING_RACE_MS, MAX_REPLAYS } from '../limits.ts';
import type { Logger } from '../log.ts';
import type { BearerChallenge } from '../oauth/challenge.ts';
import { type AccessToken, RefreshUnavailable, type TokenSource } from '../oauth/session.ts';
import type { CallRecord } from './call-record.ts';
import { type ExchangeOutcome, exchange } from './exchange.ts';
import { upwardHeaders } from './headers.ts';
import { ClientGone, type HeldBytes, holdBody, type RequestBody, sendable } from './held-body.ts';
import { type JsonRpcCall, type Refusal, readJsonRpc, readOperation, refuseCall } from './refusals.ts';
import type { UpstreamPaths } from './target.ts';

/** What has happened to calls so far, for the status. */
export interface CallCounters {
  calls: number;
  refused: number;
  replayed: number;
  failed: number;
}

export interface ForwardParts {
  dispatcher: Dispatcher;
  session: TokenSource;
  paths: UpstreamPaths;
  counters: CallCounters;
  /** Counts the bodies that are held. */
  held: HeldBytes;
  log: Logger;
  /** Host of the upstream, for messages. */
  upstreamHost: string;
  apiKeyInUse: boolean;
  notAuthenticatedStatus: 200 | 401;
  loginUrl: () => string;
  /** Told whenever a call has found that it needs a login, before it waits for one or is refused. */
  onLoginNeeded: () => void;
  /** Waits for a login, if calls are to wait at all; see `LOGIN_WAIT_SECONDS`. */
  waitForLogin: () => Promise<boolean>;
}

/** Codes of answers that came and could not be read. */
const NOT_HTTP = /^(?:HPE_|HTTPParserError|ERR_ASSERTION|UND_ERR_RES_|UND_ERR_HEADERS_OVERFLOW)/;

/** Repeating one of these has the effect of sending it once (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/**
 * Forwards one call: body, token, upstream, answer. A 401 has the token renewed and the call sent again; what cannot
 * be forwarded is refused in the form the caller understands.
 * @param upstreamPath path and query at the upstream
 * @param record told what is known of the call, when somebody wants to know
 */
export function forward(
  request: IncomingMessage,
  response: ServerResponse,
  upstreamPath: string,
  parts: ForwardParts,
  record?: CallRecord,
): Promise<void> {
  parts.counters.calls++;
  return new Promise((resolve, reject) => {
    const call = new Call({ request, response, path: upstreamPath, parts, record, resolve, reject });
    // Node goes on reading once this turn has ended: a small body that came with its head is there then.
    process.nextTick(begin, call);
  });
}

function begin(call: Call): void {
  call.begin();
}

function refreshRefusal({ message, retryAfterSeconds }: RefreshUnavailable, upstreamHost: string): Refusal {
  return {
    code: 'refresh_unavailable',
    status: 503,
    message: `No new access token can be had for ${upstreamHost} right now (${message.replace(/\.$/, '')}); the login is kept, try again in a moment.`,
    retryAfterSeconds,
  };
}

/** Whether a GET asks for an event stream, and so is an MCP call wherever it goes. */
export function wantsEventStream({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && /\btext\/event-stream\b/i.test(headers.accept ?? '');
}

interface CallOptions {
  request: IncomingMessage;
  response: ServerResponse;
  path: string;
  parts: ForwardParts;
  record: CallRecord | undefined;
  /** The call has come to its end. */
  resolve: () => void;
  /** It has failed in a way that nobody has thought of. */
  reject: (error: unknown) => void;
}

class Call {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #path: string;
  readonly #parts: ForwardParts;
  readonly #record: CallRecord | undefined;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  /** The call's alone, which lets go of it as soon as there is an answer. */
  #body: RequestBody = { kind: 'none' };
  #sentAt = 0;

  constructor({ request, response, path, parts, record, resolve, reject }: CallOptions) {
    this.#request = request;
    this.#response = response;
    this.#path = path;
    this.#parts = parts;
    this.#record = record;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /**
   * Runs the call to its end. An everyday call has its body and its token at hand and is answered at once: it does with
   * callbacks, since promises would cost every tenth call a second (docs/performance.md). All else is awaited.
   */
  begin(): void {
    try {
      const body = holdBody(this.#request, this.#parts.held);
      if (body instanceof Promise) {
        this.#finish(body.then((late) => this.#attempts(this.#tokenFor(late))));
        return;
      }
      const token = this.#tokenFor(body);
      if (token instanceof Promise) {
        this.#finish(this.#attempts(token));
        return;
      }
      if (this.#response.destroyed) throw new ClientGone();
      this.#send(token, (outcome) => {
        if (outcome.kind === 'answered') this.#end(undefined);
        else this.#finish(this.#attempts(token, outcome));
      });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The body has arrived. */
  #tokenFor(body: RequestBody): ReturnType<TokenSource['token']> {
    this.#body = body;
    this.#record?.received(body);
    return this.#parts.session.token();
  }

  #finish(attempts: Promise<Refusal | undefined>): void {
    attempts.then((refusal) => this.#end(refusal)).catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (error instanceof RefreshUnavailable) this.#end(refreshRefusal(error, this.#parts.upstreamHost));
    else if (error instanceof ClientGone) this.#end(undefined);
    else {
      this.#letGo();
      this.#reject(error);
    }
  }

  /** @param refusal to answer with, when nothing was answered yet */
  #end(refusal: Refusal | undefined): void {
    if (refusal && !this.#response.destroyed) this.#refuse(refusal);
    this.#letGo();
    this.#resolve();
  }

  #letGo(): void {
    this.#letGoOfBody();
    // A client that still sends a body when its answer comes reads it only once the rest was taken from it.
    if (!this.#request.complete) this.#request.resume();
  }

  /**
   * Sends the call, again if need be.
   * @param first what became of it when it was sent for the first time, if it was
   * @returns the refusal to answer with, when nothing was answered yet
   * @throws {RefreshUnavailable}
   */
  async #attempts(
    pending: ReturnType<TokenSource['token']>,
    first?: ExchangeOutcome,
  ): Promise<Refusal | undefined> {
    const { session, counters } = this.#parts;
    let token = await pending;
    let outcome = first;
    let replays = 0;
    let waited = false;
    for (;;) {
      if (this.#response.destroyed) return undefined;
      outcome ??= await this.#sent(token);
      if (outcome.kind === 'failed' && this.#mayRepeat(outcome.error)) outcome = await this.#sent(token);
      if (outcome.kind === 'answered') return undefined;
      if (outcome.kind === 'failed') return this.#failure(outcome.error);
      if (outcome.status === 403) {
        return this.#insufficientScope(outcome.challenge);
      }
      const renewed: AccessToken | undefined = await session.renew(token);
      if (renewed && replays < MAX_REPLAYS) {
        if (this.#body.kind === 'streamed') return this.#tokenRenewed();
        counters.replayed++;
        replays++;
        token = renewed;
        outcome = undefined;
        continue;
      }
      session.challenged(outcome.challenge);
      this.#parts.onLoginNeeded();
      if (waited || !this.#mayWait() || !(await this.#parts.waitForLogin())) return this.#notAuthenticated();
      waited = true;
      replays = 0;
      token = await session.token();
      outcome = undefined;
    }
  }

  #refuse(refusal: Refusal): void {
    this.#parts.counters.refused++;
    this.#record?.refused(refusal.code);
    refuseCall(this.#response, refusal, {
      rpc: this.#rpc,
      wantsEventStream: wantsEventStream(this.#request),
      notAuthenticatedStatus: this.#parts.notAuthenticatedStatus,
    });
  }

  #letGoOfBody(): void {
    if (this.#body.kind === 'held') this.#parts.held.letGo(this.#body.bytes.length);
    this.#body = { kind: 'none' };
  }

  #sent(token: AccessToken | undefined): Promise<ExchangeOutcome> {
    return new Promise((resolve) => this.#send(token, resolve));
  }

  #send(token: AccessToken | undefined, settle: (outcome: ExchangeOutcome) => void): void {
    this.#sentAt = performance.now();
    const { dispatcher, session, paths, apiKeyInUse, log } = this.#parts;
    const { body, length } = this.#outgoingBody();
    const options = {
      origin: paths.origin,
      path: this.#path,
      method: this.#request.method ?? 'GET',
      headers: upwardHeaders(this.#request.rawHeaders, {
        accessToken: token?.value,
        apiKeyInUse,
        plainAnswer: wantsEventStream(this.#request),
        contentLength: length,
      }),
      body,
    };
    const exchangeParts = {
      request: this.#request,
      response: this.#response,
      paths,
      log,
      onAnswer: (status: number) => {
        this.#letGoOfBody();
        if (token !== undefined || status < 400) session.accepted(token);
      },
    };
    exchange(dispatcher, options, exchangeParts, (outcome) => {
      if (body instanceof Readable) body.destroy();
      settle(outcome);
    });
  }

  #outgoingBody(): { body: Buffer | Readable | null; length?: string | undefined } {
    switch (this.#body.kind) {
      case 'none':
        return { body: null };
      case 'held':
        return { body: sendable(this.#body.bytes), length: String(this.#body.bytes.length) };
      case 'streamed':
        return { body: this.#body.stream(), length: this.#body.length };
    }
  }

  /** A kept connection may close just as a request leaves for it; the upstream has not seen that request. */
  #mayRepeat(error: Error): boolean {
    if (!wasReused(error) || this.#response.destroyed) return false;
    const { kind } = this.#body;
    if (IDEMPOTENT.has(this.#request.method ?? '')) return kind !== 'streamed';
    // Later than that, the upstream may well have begun to work on the call before it died.
    return kind === 'held' && performance.now() - this.#sentAt < CLOSING_RACE_MS;
  }

  get #rpc(): JsonRpcCall | undefined {
    return this.#request.method === 'POST' && this.#body.kind === 'held'
      ? readJsonRpc(this.#body.bytes)
      : undefined;
  }

  /** Only who waits for an answer may be kept waiting; clients give `server/discover` a few seconds only. */
  #mayWait(): boolean {
    const rpc = this.#rpc;
    if (rpc?.kind === 'request') return rpc.method !== 'server/discover';
    return rpc?.kind === 'batch' && !rpc.methods.includes('server/discover');
  }

  #notAuthenticated(): Refusal {
    const { upstreamHost, loginUrl } = this.#parts;
    const url = loginUrl();
    return {
      code: 'not_authenticated',
      status: 401,
      message: `Open ${url} to log in to ${upstreamHost}, then reconnect this server.`,
      loginUrl: url,
    };
  }

  #insufficientScope(challenge: BearerChallenge): Refusal {
    const { upstreamHost, loginUrl, session, onLoginNeeded } = this.#parts;
    const operation = this.#body.kind === 'held' ? readOperation(this.#body.bytes) : '';
    const { scope } = challenge;
    const wanted = scope && /^[\x21-\x7e ]{1,200}$/.test(scope) ? ` (${scope})` : '';
    const refusal = { code: 'insufficient_scope', status: 403 } as const;
    if (!session.scopeRefused(challenge, `${this.#request.method} ${operation}`)) {
      const message = `${upstreamHost} still refuses this call although you logged in for the access it needs${wanted}; ask its operator to give your account that access.`;
      return { ...refusal, message };
    }
    onLoginNeeded();
    const url = loginUrl();
    return {
      ...refusal,
      message: `Open ${url} to grant ${upstreamHost} the further access this call needs${wanted}, then try again.`,
      loginUrl: url,
    };
  }

  #tokenRenewed(): Refusal {
    return {
      code: 'token_renewed',
      status: 503,
      message:
        'The access token was renewed while a body too large to be sent again was under way; send the call again.',
      retryAfterSeconds: 0,
    };
  }

  #failure(error: Error): Refusal | undefined {
    if (this.#response.destroyed) return undefined;
    const { upstreamHost, counters, log } = this.#parts;
    counters.failed++;
    const code = (error as { code?: unknown }).code;
    const reason = typeof code === 'string' ? code : error.name;
    log.warn('The upstream did not answer', { upstream: upstreamHost, reason });
    return reason === 'UND_ERR_HEADERS_TIMEOUT'
      ? {
          code: 'upstream_timeout',
          status: 504,
          message: `${upstreamHost} did not answer in time; try again, or raise UPSTREAM_TIMEOUT_SECONDS.`,
        }
      : {
          code: 'upstream_unreachable',
          status: 502,
          message: NOT_HTTP.test(reason)
            ? `${upstreamHost} answered with something that is not valid HTTP (${reason}); check UPSTREAM_MCP_URL, or tell its operator.`
            : `${upstreamHost} cannot be reached (${reason}); check your network and UPSTREAM_MCP_URL, then try again.`,
        };
  }
}
