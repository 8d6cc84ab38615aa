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

/** An answer that is under way. */
interface Answer {
  readonly response: ServerResponse;
  /** When its request came, by the clock of `performance.now()`. */
  readonly started: number;
  /** Whether it counts among the calls. */
  isCall: boolean;
}

/** What is known of a connection. Lists, since a `Set` whose members change with each call keeps garbage collection busy. */
interface Connection {
  readonly answers: Answer[];
  /** When its last answer ended, or it was opened; of no account while there is an answer. */
  idleSince: number;
}

/**
 * The connections of a server, with the answers under way on each. Node's own `closeIdleConnections` spares connections
 * that have not sent anything yet, and would let an idle client hold the end up.
 */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #onAnswered: (response: ServerResponse, ms: number) => void;
  readonly #connections = new Map<Socket, Connection>();
  /** Those beyond the limit, whose requests are to be refused. */
  readonly #surplus = new Set<Socket>();
  readonly #ending = new WeakSet<Socket>();
  #calls = 0;
  #closing = false;

  /** @param onAnswered told of each answer that has gone out, or whose client has, and how many milliseconds it took */
  constructor(
    server: Server,
    limits: Partial<ConnectionLimits>,
    onAnswered: (response: ServerResponse, ms: number) => void,
  ) {
    this.#limits = { ...LIMITS, ...limits };
    this.#onAnswered = onAnswered;
    server.maxConnections = this.#limits.connections + this.#limits.surplusConnections;
    server.on('connection', (socket: Socket) => this.#opened(socket));
  }

  /** A request has come: its answer is under way from now on. */
  began({ socket }: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    const answer = { response, started: performance.now(), isCall: false };
    connection.answers.push(answer);
    // The one listener for all that is to be done then: each costs every call.
    response.on('close', () => this.#answered(socket, connection, answer));
  }

  /** Whether a connection is one too many. */
  isSurplus(socket: Socket): boolean {
    return this.#surplus.has(socket);
  }

  /** Whether a connection has sent more requests than it may before the first of them is answered. */
  isCrowded(socket: Socket): boolean {
    return this.#answersOf(socket).length > this.#limits.pipelined;
  }

  /**
   * Counts a call, until its answer has gone out or its client has.
   * @returns whether there is room for it
   */
  admitCall(response: ServerResponse): boolean {
    if (this.#calls >= this.#limits.calls) return false;
    const answer = this.#answersOf(response.req.socket).findLast((one) => one.response === response);
    if (answer === undefined) return false;
    this.#calls++;
    answer.isCall = true;
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
    return this.#answersOf(socket).some(({ response }) => response.headersSent);
  }

  /** Ends what is idle now, and the rest as soon as its requests are answered. */
  closeWhenIdle(): void {
    this.#closing = true;
    for (const socket of this.#surplus) socket.destroy();
    for (const [socket, { answers }] of this.#connections)
      if (answers.every(({ response }) => listensOnly(response.req))) socket.destroy();
  }

  #answersOf(socket: Socket): readonly Answer[] {
    return this.#connections.get(socket)?.answers ?? [];
  }

  #opened(socket: Socket): void {
    if (this.#connections.size >= this.#limits.connections && !this.#makeRoom()) {
      this.#turnAway(socket);
      return;
    }
    this.#connections.set(socket, { answers: [], idleSince: performance.now() });
    socket.once('close', () => this.#ended(socket));
  }

  /** Silent connections must not keep callers out: the one that has been idle for longest is closed. */
  #makeRoom(): boolean {
    let longest: { socket: Socket; since: number } | undefined;
    for (const [socket, { answers, idleSince }] of this.#connections) {
      if (answers.length === 0 && (longest === undefined || idleSince < longest.since))
        longest = { socket, since: idleSince };
    }
    if (longest === undefined) return false;
    this.#connections.delete(longest.socket);
    longest.socket.destroy();
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

  #answered(socket: Socket, connection: Connection, answer: Answer): void {
    const { answers } = connection;
    const at = answers.indexOf(answer);
    if (at < 0) return;
    answers.splice(at, 1);
    if (answer.isCall) this.#calls--;
    const now = performance.now();
    connection.idleSince = now;
    // The end of the answer is still on its way to the client.
    if (this.#closing && answers.length === 0) socket.destroySoon();
    this.#onAnswered(answer.response, now - answer.started);
  }

  /** An answer that waits behind another one on its connection is not told by Node that the connection has ended. */
  #ended(socket: Socket): void {
    const answers = this.#answersOf(socket);
    this.#connections.delete(socket);
    for (const { response } of [...answers]) {
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
