import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import {
  MAX_CALLS,
  MAX_CONNECTIONS,
  MAX_PIPELINED,
  MAX_SURPLUS_CONNECTIONS,
  SURPLUS_PATIENCE_MS,
} from '../limits.ts';

/** How much a server takes on at once; see limits.ts. */
export interface ConnectionLimits {
  readonly connections: number;
  readonly surplusConnections: number;
  readonly surplusPatienceMs: number;
  readonly calls: number;
  readonly pipelined: number;
}

const LIMITS: ConnectionLimits = {
  connections: MAX_CONNECTIONS,
  surplusConnections: MAX_SURPLUS_CONNECTIONS,
  surplusPatienceMs: SURPLUS_PATIENCE_MS,
  calls: MAX_CALLS,
  pipelined: MAX_PIPELINED,
};

/**
 * The connections of a server, with the answers under way on each. Node's own `closeIdleConnections` spares connections
 * that have not sent anything yet, and would let an idle client hold the end up.
 */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #answers = new Map<Socket, Set<ServerResponse>>();
  /** Those without a request, the one that has had none for longest first. */
  readonly #idle = new Set<Socket>();
  /** Those beyond the limit, whose requests are to be refused. */
  readonly #surplus = new Set<Socket>();
  readonly #ending = new WeakSet<Socket>();
  #calls = 0;
  #closing = false;

  constructor(server: Server, limits: Partial<ConnectionLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits };
    server.maxConnections = this.#limits.connections + this.#limits.surplusConnections;
    server.on('connection', (socket: Socket) => this.#opened(socket));
    server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      const answers = this.#answers.get(socket);
      if (answers === undefined) return;
      this.#idle.delete(socket);
      answers.add(response);
      response.once('close', () => this.#answered(socket, response));
    });
  }

  /** Whether a connection is one too many. */
  isSurplus(socket: Socket): boolean {
    return this.#surplus.has(socket);
  }

  /** Whether a connection has sent more requests than it may before the first of them is answered. */
  isCrowded(socket: Socket): boolean {
    return (this.#answers.get(socket)?.size ?? 0) > this.#limits.pipelined;
  }

  /**
   * Counts a call, until its answer has gone out or its client has.
   * @returns whether there is room for it
   */
  admitCall(response: ServerResponse): boolean {
    if (this.#calls >= this.#limits.calls) return false;
    this.#calls++;
    response.once('close', () => {
      this.#calls--;
    });
    return true;
  }

  /**
   * Ends a connection with this answer, to a request that is not proper HTTP. What comes behind it may not be what it looks
   * like, and is not to be acted on (RFC 9112 §11.2).
   */
  endWith(response: ServerResponse): void {
    response.setHeader('connection', 'close');
    this.#ending.add(response.req.socket);
  }

  /** Whether {@link endWith} was called for a connection. */
  isEnding(socket: Socket): boolean {
    return this.#ending.has(socket);
  }

  /** Whether part of an answer was sent already. */
  isAnswering(socket: Socket): boolean {
    return [...(this.#answers.get(socket) ?? [])].some((response) => response.headersSent);
  }

  /** Ends what is idle now, and the rest as soon as its requests are answered. */
  closeWhenIdle(): void {
    this.#closing = true;
    for (const socket of this.#surplus) socket.destroy();
    for (const [socket, answers] of this.#answers)
      if ([...answers].every(({ req }) => listensOnly(req))) socket.destroy();
  }

  #opened(socket: Socket): void {
    if (this.#answers.size >= this.#limits.connections && !this.#makeRoom()) {
      this.#turnAway(socket);
      return;
    }
    this.#answers.set(socket, new Set());
    this.#idle.add(socket);
    socket.once('close', () => this.#ended(socket));
  }

  /** Silent connections must not keep callers out: the one that has been idle for longest is closed. */
  #makeRoom(): boolean {
    const [longest] = this.#idle;
    if (longest === undefined) return false;
    this.#idle.delete(longest);
    this.#answers.delete(longest);
    longest.destroy();
    return true;
  }

  #turnAway(socket: Socket): void {
    this.#surplus.add(socket);
    const patience = setTimeout(() => socket.destroy(), this.#limits.surplusPatienceMs).unref();
    socket.once('close', () => {
      clearTimeout(patience);
      this.#surplus.delete(socket);
    });
  }

  #answered(socket: Socket, response: ServerResponse): void {
    const answers = this.#answers.get(socket);
    answers?.delete(response);
    if (answers?.size !== 0) return;
    // The end of the answer is still on its way to the client.
    if (this.#closing) socket.destroySoon();
    else this.#idle.add(socket);
  }

  /** An answer that waits behind another one on its connection is not told by Node that the connection has ended. */
  #ended(socket: Socket): void {
    const answers = this.#answers.get(socket) ?? [];
    this.#answers.delete(socket);
    this.#idle.delete(socket);
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
