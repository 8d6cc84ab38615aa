import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import {
  type AddressInfo,
  connect,
  createServer as createRawServer,
  type Server,
  type Socket,
} from 'node:net';
import { buffer as bytesOf } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { Recorder } from '../../app/cli/demo/recorder.ts';

/** The client's end of a connection, on which bytes are written and read as they are. */
export class Wire {
  readonly socket: Socket;
  /** Resolves when the connection has ended, with the error it ended by, if any. */
  readonly closed: Promise<Error | undefined>;
  #received = '';
  #isClosed = false;
  #waiting: (() => void)[] = [];

  /** Connects; the connection ends with the test. */
  static async open(port: number, host = '127.0.0.1'): Promise<Wire> {
    const socket = connect({ port, host });
    const wire = new Wire(socket);
    await once(socket, 'connect');
    return wire;
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    let error: Error | undefined;
    this.closed = new Promise((resolve) => {
      socket.once('error', (reason) => {
        error = reason;
      });
      socket.once('close', () => resolve(error));
    });
    socket.setEncoding('latin1').on('data', (text: string) => {
      this.#received += text;
      this.#wake();
    });
    socket.once('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
    onTestFinished(() => void socket.destroy());
  }

  /** Everything received so far, one character per byte. */
  get text(): string {
    return this.#received;
  }

  /** Sends bytes: a string has one character per byte. */
  write(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /**
   * Waits until what was received holds a text.
   * @throws Error when the connection ends first
   */
  async until(wanted: string | RegExp): Promise<string> {
    const isThere = () =>
      typeof wanted === 'string' ? this.#received.includes(wanted) : wanted.test(this.#received);
    while (!isThere()) {
      if (this.#isClosed) throw new Error(`the connection ended before ${wanted}: ${this.#received}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#received;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly statusLine: string;
  readonly status: number;
  /** Field lines, in order and as they were spelled. */
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>;
  /** The values of one field, in order. */
  readonly values: (name: string) => string[];
  /** Everything behind the head, one character per byte, not decoded. */
  readonly rest: string;
}

/** Takes an answer apart. */
export function parseAnswer(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  return {
    statusLine,
    status: Number(statusLine.split(' ')[1]),
    headers,
    values: (name) => headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value),
    rest: text.slice(end + 4),
  };
}

/** Sends one request on a connection of its own and reads until the other side ends it. */
export async function sendRaw(port: number, request: string, host?: string): Promise<RawAnswer> {
  const wire = await Wire.open(port, host);
  wire.write(request);
  await wire.closed;
  return parseAnswer(wire.text);
}

/** A request as a scripted upstream saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  /** Resolves with the whole body; rejects when the request was cut off. */
  readonly body: Promise<Buffer>;
  /** Resolves when the answer was sent fully (`true`) or was cut off (`false`). */
  readonly ended: Promise<boolean>;
}

export interface ScriptedUpstream {
  readonly origin: string;
  readonly port: number;
  readonly requests: Recorder<SeenRequest>;
}

/**
 * Starts an HTTP server that answers as the test says and wants no login; it ends with the test.
 * @param readBody `false` leaves the body to the script
 */
export async function givenScriptedUpstream(
  answer: RequestListener,
  { readBody = true }: { readBody?: boolean } = {},
): Promise<ScriptedUpstream> {
  const requests = new Recorder<SeenRequest>();
  const server = createServer({ maxHeaderSize: 128 * 1024 }, (request, response) => {
    const body = readBody ? bytesOf(request) : Promise.resolve(Buffer.alloc(0));
    body.catch(() => undefined);
    const ended = new Promise<boolean>((resolve) => {
      response.once('close', () => resolve(response.writableFinished));
    });
    const { method = '', url = '', rawHeaders, headers } = request;
    requests.record({ method, url, rawHeaders, headers, body, ended });
    answer(request, response);
  });
  const port = await listenForTest(server, () => server.closeAllConnections());
  return { origin: `http://127.0.0.1:${port}`, port, requests };
}

/** Starts a server that answers in bytes; it ends with the test. `nth` counts the connections from 1. */
export async function givenRawUpstream(
  serve: (socket: Socket, nth: number) => void,
): Promise<{ readonly origin: string; readonly port: number; readonly connections: () => number }> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createRawServer((socket) => {
    sockets.add(socket);
    count += 1;
    socket.on('error', () => undefined);
    serve(socket, count);
  });
  const port = await listenForTest(server, () => {
    for (const socket of sockets) socket.destroy();
  });
  return { origin: `http://127.0.0.1:${port}`, port, connections: () => count };
}

async function listenForTest(server: Server, endConnections: () => void): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    const closed = once(server, 'close');
    server.close();
    endConnections();
    await closed;
  });
  return (server.address() as AddressInfo).port;
}

/** Serves raw requests without a body on a connection: calls back with each head as it completes. */
export function onHeads(socket: Socket, answer: (head: string, nth: number) => void): void {
  let received = '';
  let nth = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
    for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
      const head = received.slice(0, end);
      received = received.slice(end + 4);
      nth += 1;
      answer(head, nth);
    }
  });
}

/** The local port of a URL. */
export function portOf(url: string): number {
  return Number(new URL(url).port);
}

/** The lines of a request to a broker, with its Host. */
export function requestText(broker: { readonly localUrl: string }, ...lines: string[]): string {
  const [first, ...rest] = lines;
  return `${[first, `Host: ${new URL(broker.localUrl).host}`, ...rest].join('\r\n')}\r\n\r\n`;
}
