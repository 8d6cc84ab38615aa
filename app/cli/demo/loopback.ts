import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An HTTP server on 127.0.0.1. */
export interface LoopbackServer {
  readonly origin: string;
  readonly port: number;
  /** Sets who answers. Whoever throws before the head was sent is answered for with a 500. */
  serve(handler: (request: IncomingMessage, response: ServerResponse) => Promise<void>): void;
  /** Ends all connections, busy ones too, and frees the port. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Listens on 127.0.0.1.
 * @param port 0 takes a free one.
 * @throws the system's error (`EADDRINUSE`) when the port is taken.
 */
export async function listenOnLoopback(port: number): Promise<LoopbackServer> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  return {
    origin: `http://127.0.0.1:${address.port}`,
    port: address.port,
    serve(handler) {
      server.on('request', (request, response) => {
        handler(request, response).catch(() => {
          if (response.headersSent) response.destroy();
          else response.writeHead(500).end();
        });
      });
    },
    close() {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closed;
    },
  };
}

/**
 * Reads a request's body and puts it back, so that whoever handles the request reads it as if untouched. A body beyond
 * `limit` bytes is put back too, but not returned.
 */
export async function peekBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  while (!request.complete || request.readableLength > 0) {
    const chunk: Buffer | null = request.read();
    if (chunk === null) {
      if (request.complete) break;
      await once(request, 'readable');
      continue;
    }
    chunks.push(chunk);
    size += chunk.length;
    if (size > limit) break;
  }
  // Put back in the tick in which the last byte was read: after the stream's 'end', which comes a tick later, it is refused.
  if (size > 0) request.unshift(Buffer.concat(chunks));
  return size > limit ? undefined : Buffer.concat(chunks);
}

/** Sends JSON that nobody caches. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers })
    .end(JSON.stringify(body));
}
