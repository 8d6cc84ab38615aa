import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import {
  HEAD_CHECK_MS,
  HEAD_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  MAX_HEAD_BYTES,
  REFUSAL_NOTE_MS,
  TOO_MANY_RETRY_SECONDS,
} from '../limits.ts';
import type { Logger } from '../log.ts';
import type { Settings } from '../settings.ts';
import { methodName } from './call-record.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import { createGuard, type Guard } from './guard.ts';
import { type Refusal, refusalBody, refuse } from './refusals.ts';
import { parseTarget, type Target } from './target.ts';

/** Answers one request that the guard has let in. */
export type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
) => void | Promise<void>;

/** What stands behind a path: the handler, and which further rules of the guard apply to it. */
export interface Route {
  readonly handle: Handler;
  /** `key`: proxied, so the API key is asked for; `site`: changes the login, so other sites may not; `open`: anyone. */
  readonly rule: 'key' | 'site' | 'peer' | 'open';
  /** Answers a person whom another site has sent here by a link, in place of the refusal. It changes nothing. */
  readonly handleCrossSite?: Handler;
}

export interface ListenerOptions {
  settings: Pick<Settings, 'bind' | 'port' | 'proxyApiKey' | 'allowedHosts' | 'allowedOrigins'>;
  log: Logger;
  /** Finds the route of a request; there always is one, because what is not local is proxied. */
  route: (request: IncomingMessage, target: Target) => Route;
  /** Other limits than those of limits.ts. */
  limits?: Partial<ListenerLimits>;
}

/** What a listener takes on, and for how long. */
export interface ListenerLimits extends ConnectionLimits {
  readonly headTimeoutMs: number;
  /** How often heads are looked at for their time. */
  readonly headCheckMs: number;
}

/** A local HTTP server with the guard at its door. */
export interface Listener {
  /** The port that is listened on, also when port 0 was asked for. */
  readonly port: number;
  /** Stops accepting, lets requests in flight finish for at most so many milliseconds, and ends the rest. */
  close(graceMs: number): Promise<void>;
}

/**
 * Opens the local HTTP server.
 * @throws the system error, e.g. `EADDRINUSE`, when the port cannot be had
 */
export async function listen({ settings, log, route, limits = {} }: ListenerOptions): Promise<Listener> {
  const server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // A body may take as long as it takes; without a limit of its own the head could, too.
    requestTimeout: 0,
    headersTimeout: limits.headTimeoutMs ?? HEAD_TIMEOUT_MS,
    connectionsCheckingInterval: limits.headCheckMs ?? HEAD_CHECK_MS,
    // The guard answers a missing Host in our own words.
    requireHostHeader: false,
  });
  const connections = new Connections(server, limits, (response, ms) => noteAnswered(log, response, ms));
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    answerBrokenRequest(error, socket, connections.isAnswering(socket));
  });
  const port = await bind(server, settings.port, settings.bind);
  const guard = createGuard(settings, port);
  const note = refusalNotes(log);
  const parts = { guard, log, route, connections, note };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (connections.isEnding(request.socket)) return;
    connections.began(request, response);
    if (connections.isSurplus(request.socket)) turnAway(request, response, note);
    else answer(request, response, parts);
  });
  // What is expected beyond `100-continue` is not the upstream's to say: such a request is one like any other.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  return { port, close: (graceMs) => close(server, connections, graceMs) };
}

interface AnswerParts {
  guard: Guard;
  log: Logger;
  route: ListenerOptions['route'];
  connections: Connections;
  note: RefusalNote;
}

const TOO_MANY: Refusal = {
  code: 'too_many',
  status: 503,
  message: 'Too many calls are under way here; try again in a moment, or end programs that hold calls open.',
  retryAfterSeconds: TOO_MANY_RETRY_SECONDS,
};

/** The refusal waits for the end of the request: a connection that ends while its client still sends loses the answer. */
function turnAway(request: IncomingMessage, response: ServerResponse, note: RefusalNote): void {
  note(TOO_MANY, request);
  response.setHeader('connection', 'close');
  request.once('end', () => refuse(response, TOO_MANY)).resume();
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { guard, log, route, connections, note }: AnswerParts,
): void {
  if (connections.isCrowded(request.socket)) {
    note(TOO_MANY, request);
    refuse(response, TOO_MANY);
    return;
  }
  const refused = guard.judge(request);
  if (refused) {
    note(refused, request);
    if (refused.code === 'bad_request') connections.endWith(response);
    refuse(response, refused);
    return;
  }
  const cors = guard.corsHeaders(request);
  if (cors) {
    addHeaders(response, cors);
    if ('access-control-allow-methods' in cors) {
      response.writeHead(204).end();
      return;
    }
  }
  const target = parseTarget(request.url ?? '/');
  if ('code' in target) {
    refuse(response, target);
    return;
  }
  const { handle, rule, handleCrossSite } = route(request, target);
  const refusal = judgeRoute(guard, rule, request);
  if (refusal) {
    note(refusal, request);
    const isPerson = refusal.code === 'cross_site' && followsLink(request) && !guard.judgeKeyOfPeer(request);
    if (handleCrossSite && isPerson) run(handleCrossSite, request, response, target, log);
    else refuse(response, refusal);
    return;
  }
  if (rule === 'key') {
    if (!connections.admitCall(response)) {
      note(TOO_MANY, request);
      refuse(response, TOO_MANY);
      return;
    }
    if (isForShowing(request)) addHeaders(response, { 'content-security-policy': 'sandbox' });
  }
  run(handle, request, response, target, log);
}

function noteAnswered(log: Logger, response: ServerResponse, ms: number): void {
  const { method, url, headers } = response.req;
  log.debug('request', {
    method,
    path: url?.split('?', 1)[0],
    rpc: methodName(headers['mcp-method']),
    status: response.headersSent ? response.statusCode : undefined,
    ms: Math.round(ms),
    complete: response.writableFinished,
  });
}

function judgeRoute(guard: Guard, rule: Route['rule'], request: IncomingMessage): Refusal | undefined {
  switch (rule) {
    case 'key':
      return guard.judgeCaller(request) ?? guard.judgeKey(request);
    case 'site':
      return guard.judgeSite(request) ?? guard.judgeKeyOfPeer(request);
    case 'peer':
      return guard.judgeKeyOfPeer(request);
    case 'open':
      return undefined;
  }
}

/** Whether a browser asks for a page to show in a window or tab of its own (Fetch Metadata). */
function followsLink({ method, headers }: IncomingMessage): boolean {
  return (
    method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
  );
}

/**
 * Whether a browser asks for something to show or to run, and not for a script that reads it. What the upstream says must
 * not run as a page of ours, which may log in and out and call the upstream with the token (Fetch Metadata, CSP3 §6.3.2).
 */
function isForShowing({ headers }: IncomingMessage): boolean {
  const destination = headers['sec-fetch-dest'];
  return destination === undefined ? /\btext\/html\b/i.test(headers.accept ?? '') : destination !== 'empty';
}

type RefusalNote = (refusal: Refusal, request: IncomingMessage) => void;

/**
 * Tells the log of the first refusal of a kind at once, and of those that follow soon after in number only: a web page can
 * have thousands of requests refused in a second, and would wash all else out of a bounded log.
 */
function refusalNotes(log: Logger): RefusalNote {
  const noted = new Map<string, { at: number; unnoted: number }>();
  return ({ code }, { method }) => {
    const last = noted.get(code);
    const now = performance.now();
    if (last && now - last.at < REFUSAL_NOTE_MS) {
      last.unnoted++;
      return;
    }
    log.warn('Request refused', { code, method, unnoted_before: last?.unnoted || undefined });
    noted.set(code, { at: now, unnoted: 0 });
  };
}

function run(
  handle: Handler,
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
  log: Logger,
): void {
  const onError = (error: unknown) => {
    log.error('A request failed for an unknown reason', {
      error: error instanceof Error ? error.stack : String(error),
    });
    if (response.headersSent) response.destroy();
    else
      refuse(response, {
        code: 'internal_error',
        status: 500,
        message: 'Something went wrong here; look at the log.',
      });
  };
  try {
    Promise.resolve(handle(request, response, target)).catch(onError);
  } catch (error) {
    onError(error);
  }
}

/** Sees to it that these headers are part of whatever head is written later, also of one that is forwarded. */
function addHeaders(response: ServerResponse, headers: Record<string, unknown>): void {
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = ((status: number, ...rest: unknown[]) => {
    const given = rest.at(-1);
    const reason = typeof rest[0] === 'string' ? [rest[0]] : [];
    const merged = Array.isArray(given)
      ? [...given, ...Object.entries(headers).flat()]
      : { ...(given as object), ...headers };
    return writeHead(status, ...reason, merged);
  }) as ServerResponse['writeHead'];
}

/**
 * What Node's parser could not read: answered on the bare socket, because there is no response object. In the middle of
 * another answer, or where no request came at all, there is nothing that could be said.
 */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket, isAnswering: boolean): void {
  const ended = error.code === 'ECONNRESET' || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  if (ended || isAnswering || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal: Refusal =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? {
          code: 'too_large',
          status: 431,
          message: `The request headers are longer than ${MAX_HEAD_BYTES / 1024} KiB; send fewer or shorter ones.`,
        }
      : {
          code: 'bad_request',
          status: 400,
          message: 'The request is not valid HTTP/1.1; correct it and send it again.',
        };
  const body = JSON.stringify(refusalBody(refusal));
  const reason = refusal.status === 431 ? 'Request Header Fields Too Large' : 'Bad Request';
  socket.end(
    `HTTP/1.1 ${refusal.status} ${reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function bind(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function close(server: Server, connections: Connections, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    connections.closeWhenIdle();
  });
}
