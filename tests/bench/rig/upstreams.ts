import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { type AuthorizationServer, startAuthorizationServer } from '../../../app/cli/demo/upstream.ts';
import { chunksOf, readSlowly } from './large-body.ts';
import { startNginx } from './nginx.ts';
import type { Program } from './programs.ts';

/** An MCP server, as far as a proxy is concerned; all paths but those for strangers want a token. */
export interface BenchUpstream {
  readonly origin: string;
  stop(): Promise<void>;
}

const ANSWER = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  result: {
    content: [{ type: 'text', text: 'The quick brown fox jumps over the lazy dog.' }],
    isError: false,
  },
});
const METADATA = '/.well-known/oauth-protected-resource';

/** The authorization server of all upstreams of a bench. */
export function startBenchAuthorizationServer(accessTokenSeconds: number): Promise<AuthorizationServer> {
  return startAuthorizationServer({ accessTokenSeconds, rotate: true });
}

function metadataOf(resource: string, issuer: string): string {
  return JSON.stringify({
    resource,
    authorization_servers: [issuer],
    scopes_supported: ['mcp:tools', 'offline_access'],
  });
}

/** Answers every call with the same JSON, faster than any proxy asks. */
export async function startFastUpstream(
  nginx: Program,
  folder: string,
  issuer: string,
): Promise<BenchUpstream> {
  const { origin, stop } = await startNginx(nginx, {
    folder,
    place: 'load',
    server: `
      default_type application/json;
      location ${METADATA} { return 200 '${metadataOf('http://$http_host/mcp', issuer)}'; }
      location / { if ($http_authorization = "") { return 401; } return 200 '${ANSWER}'; }`,
  });
  return { origin, stop };
}

/** An event is sent this long after the head of its stream, in milliseconds. */
const EVENT_DELAY_MS = 4;

/** Starts the upstream of streams and large bodies, in this process, so that both ends of a stream have the same clock. */
export async function startStreamUpstream(issuer: string): Promise<BenchUpstream> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', origin);
    if (pathname.startsWith(METADATA)) {
      sendJson(response, metadataOf(`${origin}/mcp`, issuer));
    } else if (pathname.startsWith('/open/')) {
      void answerRpc(request, response);
    } else if (request.headers.authorization === undefined) {
      request.resume();
      response.writeHead(401).end();
    } else if (pathname === '/mcp/down') {
      sendBytes(response, Number(searchParams.get('bytes')));
    } else if (pathname === '/mcp/up') {
      void receiveBytes(request, response, Number(searchParams.get('rate') ?? Number.POSITIVE_INFINITY));
    } else if (pathname === '/mcp/event') {
      request.resume();
      sendEventSoon(response);
    } else if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n');
    } else {
      void answerRpc(request, response);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Says in the event when it was sent. */
function sendEventSoon(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  setTimeout(() => response.end(`data: ${performance.now()}\n\n`), EVENT_DELAY_MS);
}

function sendBytes(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes });
  pipeline(Readable.from(chunksOf(bytes)), response, () => undefined);
}

async function receiveBytes(request: IncomingMessage, response: ServerResponse, rate: number): Promise<void> {
  const received = await readSlowly(request, rate);
  sendJson(response, JSON.stringify({ received }));
}

/** As much of MCP as a client needs to make calls. */
async function answerRpc(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST') {
    response.writeHead(405).end();
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString());
  if (id === undefined) {
    response.writeHead(202).end();
    return;
  }
  const result =
    method === 'initialize'
      ? {
          protocolVersion: params.protocolVersion,
          capabilities: { tools: {} },
          serverInfo: { name: 'bench', version: '1' },
        }
      : { content: [{ type: 'text', text: 'pong' }] };
  sendJson(response, JSON.stringify({ jsonrpc: '2.0', id, result }));
}

function sendJson(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
