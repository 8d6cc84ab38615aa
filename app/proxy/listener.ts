import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Logger } from '../log.ts';
import type { Settings } from '../settings.ts';
import { methodName } from './call-record.ts';
import { createGuard, type Guard } from './guard.ts';
import { type Refusal, refusalBody, refuse } from './refusals.ts';
import { parseTarget, type Target } from './target.ts';

/** Largest request head, in bytes. */
const MAX_HEAD_BYTES = 64 * 1024;
/** A request head has this long to arrive, in milliseconds. */
const HEAD_TIMEOUT_MS = 60_000;
/** A client's idle connection is kept for so long, in milliseconds. */
const KEEP_ALIVE_MS = 60_000;

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
export async function listen({ settings, log, route }: ListenerOptions): Promise<Listener> {
  const server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // A body may take as long as it takes; without a limit of its own the head could, too.
    requestTimeout: 0,
    headersTimeout: HEAD_TIMEOUT_MS,
    // The guard answers a missing Host in our own words.
    requireHostHeader: false,
  });
  const connections = new Connections(server);
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    answerBrokenRequest(error, socket, connections.isAnswering(socket));
  });
  const port = await bind(server, settings.port, settings.bind);
  const guard = createGuard(settings, port);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response, { guard, log, route });
  });
  // What is expected beyond `100-continue` is not the upstream's to say: such a request is one like any other.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  return { port, close: (graceMs) => close(server, connections, graceMs) };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { guard, log, route }: { guard: Guard; log: Logger; route: ListenerOptions['route'] },
): void {
  const started = performance.now();
  response.once('close', () => {
    log.debug('request', {
      method: request.method,
      path: request.url?.split('?', 1)[0],
      rpc: methodName(request.headers['mcp-method']),
      status: response.headersSent ? response.statusCode : undefined,
      ms: Math.round(performance.now() - started),
      complete: response.writableFinished,
    });
  });
  const refused = guard.judge(request);
  if (refused) {
    log.warn('Request refused', { code: refused.code, method: request.method });
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
    log.warn('Request refused', { code: refusal.code, method: request.method });
    const isPerson = refusal.code === 'cross_site' && followsLink(request) && !guard.judgeKeyOfPeer(request);
    if (handleCrossSite && isPerson) run(handleCrossSite, request, response, target, log);
    else refuse(response, refusal);
    return;
  }
  run(handle, request, response, target, log);
}

function judgeRoute(guard: Guard, rule: Route['rule'], request: IncomingMessage): Refusal | undefined {
  switch (rule) {
    case 'key':
      return guard.judgeKey(request);
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

async function run(
  handle: Handler,
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
  log: Logger,
): Promise<void> {
  try {
    await handle(request, response, target);
  } catch (error) {
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
          message: 'The request headers are longer than 64 KiB; send fewer or shorter ones.',
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

/**
 * The connections of a server, with the answers under way on each. Node's own `closeIdleConnections` spares connections
 * that have not sent anything yet, and would let an idle client hold the end up.
 */
class Connections {
  readonly #answers = new Map<Socket, Set<ServerResponse>>();
  #closing = false;

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.#answers.set(socket, new Set());
      socket.once('close', () => this.#ended(socket));
    });
    server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      this.#answers.get(socket)?.add(response);
      response.once('close', () => this.#answered(socket, response));
    });
  }

  /** Whether part of an answer was sent already. */
  isAnswering(socket: Socket): boolean {
    return [...(this.#answers.get(socket) ?? [])].some((response) => response.headersSent);
  }

  /** Ends what is idle now, and the rest as soon as its requests are answered. */
  closeWhenIdle(): void {
    this.#closing = true;
    for (const [socket, answers] of this.#answers)
      if ([...answers].every(({ req }) => listensOnly(req))) socket.destroy();
  }

  #answered(socket: Socket, response: ServerResponse): void {
    const answers = this.#answers.get(socket);
    answers?.delete(response);
    // The end of the answer is still on its way to the client.
    if (this.#closing && answers?.size === 0) socket.destroySoon();
  }

  /** An answer that waits behind another one on its connection is not told by Node that the connection has ended. */
  #ended(socket: Socket): void {
    const answers = this.#answers.get(socket) ?? [];
    this.#answers.delete(socket);
    for (const response of answers) {
      if (response.socket !== null) continue;
      response.destroy();
      response.emit('close');
    }
  }
}

/**
 * Whether a request opens the stream of a session on which its server may say something, and which has no end: answers
 * are sent there only when a stream is resumed (MCP 2025-11-25, Transports, "Listening for Messages from the Server").
 * The stream of HTTP+SSE, which does carry answers, is asked for without a session.
 */
function listensOnly({ method, headers }: IncomingMessage): boolean {
  return (
    method === 'GET' && headers['mcp-session-id'] !== undefined && headers['last-event-id'] === undefined
  );
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
