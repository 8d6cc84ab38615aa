import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import type { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { AuthorizationServer } from './authorization-server.ts';
import { type BearerGuard, createBearerGuard } from './bearer-guard.ts';
import { MemoryEventStore } from './event-store.ts';
import { listenOnLoopback, peekBody, sendJson } from './loopback.ts';
import { createMcpSession } from './mcp-tools.ts';
import { Recorder, type RespondHook } from './recorder.ts';
import { StepGate } from './step-gate.ts';

/** What a 401 challenge can say (RFC 9728 §5.1). */
export interface Challenge {
  /** URL of the protected resource metadata. */
  resourceMetadata: string;
  /** Space-separated. */
  scope: string;
  /** Set when a token was presented, and refused (RFC 6750 §3.1). */
  error?: 'invalid_token';
}

/** What of an MCP server may be changed while it runs. */
export interface McpServerBehaviour {
  /** `false` answers without a token and has no protected resource metadata; default true. */
  requireAuth: boolean;
  /** `initialize` and `notifications/initialized` need no token, the first 401 comes on what follows. Default false. */
  openInitialize: boolean;
  /**
   * Scopes a token must have, else the request gets a 403 `insufficient_scope` whose challenge names them. Default none.
   * To be granted, they must be among the authorization server's `scopesSupported`.
   */
  requiredScopes: readonly string[];
  /** The `WWW-Authenticate` value of a 401, or undefined for a 401 without one. Default {@link bearerChallenge}. */
  challenge: (challenge: Challenge) => string | undefined;
  /** Called first for every request; see {@link RespondHook}. */
  respond: RespondHook | undefined;
}

export interface McpServerOptions extends Partial<McpServerBehaviour> {
  /** Port on 127.0.0.1; 0, the default, takes a free one. */
  port?: number;
  /** The authorization server that is asked about tokens and named in the protected resource metadata. */
  authorizationServer: Pick<AuthorizationServer, 'issuer' | 'verifyAccessToken' | 'state'>;
  /** `scopes_supported` of the protected resource metadata and `scope` of the challenge; default `mcp:tools`. */
  scopes?: readonly string[];
  /** Receives each request with its raw headers, `Authorization` included, for tests that compare it. Never print it. */
  onRequest?: (request: IncomingMessage) => void;
}

/** One request to the MCP server. */
export interface McpServerRequest {
  readonly method: string;
  /** Path and query as they arrived. */
  readonly url: string;
  /** Without `authorization`. */
  readonly headers: Omit<IncomingHttpHeaders, 'authorization'>;
  /** Whether an `Authorization` header was there. */
  readonly authorized: boolean;
  /** HTTP status; undefined until the response head was sent. */
  readonly status: number | undefined;
  /** Resolves when the response head was sent; from then on an event stream delivers. */
  readonly answered: Promise<void>;
  /** Resolves when the response was sent fully (`true`) or was cut off by either side (`false`). */
  readonly ended: Promise<boolean>;
}

/** A running MCP server. Each of its three endpoints is a protected resource of its own, with its own token audience. */
export interface RunningMcpServer {
  readonly origin: string;
  readonly port: number;
  /** Streamable HTTP, answers as event streams. */
  readonly mcpUrl: string;
  /** Streamable HTTP, answers as JSON. */
  readonly jsonUrl: string;
  /** The HTTP+SSE transport of 2024-11-05. */
  readonly sseUrl: string;
  readonly requests: Recorder<McpServerRequest>;
  /** May be changed at any time. */
  readonly behaviour: McpServerBehaviour;
  /** Number of open sessions, of both transports. */
  readonly sessionCount: number;
  /** Refuses with 401 every access token issued before this call, though it has not expired. */
  rejectCurrentTokens(): void;
  /** Lets a `slow` tool make its next step, now or as soon as one waits; resolves when its progress was sent. */
  stepSlowTool(): Promise<void>;
  /** Sends a logging notification to every session, on its GET stream. */
  sendLog(text: string): Promise<void>;
  /** Cuts all open event streams and keeps the sessions, so that clients resume with `Last-Event-ID`. */
  dropStreams(): void;
  /** Forgets all sessions: their requests get 404 from now on. */
  forgetSessions(): Promise<void>;
  /** Ends all sessions and connections and frees the port. Safe to call twice. */
  close(): Promise<void>;
}

interface Session {
  endpoint: string;
  transport: StreamableHTTPServerTransport | SSEServerTransport;
  server: Server;
}

const ENDPOINTS = { mcp: '/mcp', json: '/json/mcp', sse: '/sse' } as const;
const MESSAGES_PATH = '/messages';
/** Larger than the SDK's limit, so that what a proxy in front allows or refuses can be told. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/**
 * Starts an MCP server on loopback that takes the tokens of `options.authorizationServer`.
 * @throws the system's error (`EADDRINUSE`) when the port is taken.
 */
export async function startMcpServer(options: McpServerOptions): Promise<RunningMcpServer> {
  const behaviour: McpServerBehaviour = {
    requireAuth: options.requireAuth ?? true,
    openInitialize: options.openInitialize ?? false,
    requiredScopes: options.requiredScopes ?? [],
    challenge: options.challenge ?? bearerChallenge,
    respond: options.respond,
  };
  const requests = new Recorder<McpServerRequest>();
  const unfinished = new Set<ServerResponse>();
  const loopback = await listenOnLoopback(options.port ?? 0);
  const guard = createBearerGuard(loopback.origin, behaviour, options);
  const sessions = new Sessions();

  loopback.serve(async (request, response) => {
    requests.record(describe(request, response));
    options.onRequest?.(request);
    unfinished.add(response);
    response.once('close', () => unfinished.delete(response));
    if (await behaviour.respond?.(request, response)) return;
    await route(request, response, guard, sessions, behaviour);
  });

  return {
    origin: loopback.origin,
    port: loopback.port,
    mcpUrl: loopback.origin + ENDPOINTS.mcp,
    jsonUrl: loopback.origin + ENDPOINTS.json,
    sseUrl: loopback.origin + ENDPOINTS.sse,
    requests,
    behaviour,
    get sessionCount() {
      return sessions.byId.size;
    },
    rejectCurrentTokens: () => guard.rejectCurrentTokens(),
    stepSlowTool: () => sessions.gate.open(),
    async sendLog(text) {
      for (const { server } of sessions.byId.values()) {
        await server.sendLoggingMessage({ level: 'info', data: text });
      }
    },
    dropStreams() {
      for (const response of unfinished) {
        if (response.headersSent) response.destroy();
      }
    },
    forgetSessions: () => sessions.close(),
    async close() {
      await sessions.close();
      await loopback.close();
    },
  };
}

/** The challenge of RFC 6750 §3 with the parameters of RFC 9728 §5.1. */
export function bearerChallenge({ resourceMetadata, scope, error }: Challenge): string {
  const parameters = { ...(error ? { error } : {}), resource_metadata: resourceMetadata, scope };
  return `Bearer ${Object.entries(parameters)
    .map(([name, value]) => `${name}="${value}"`)
    .join(', ')}`;
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  guard: BearerGuard,
  sessions: Sessions,
  behaviour: McpServerBehaviour,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const path = url.pathname === MESSAGES_PATH ? ENDPOINTS.sse : url.pathname;
  const endpoint = Object.values(ENDPOINTS).find((known) => known === path);
  if (endpoint === undefined) {
    const metadata = guard.metadata(url.pathname, Object.values(ENDPOINTS));
    sendJson(response, metadata ? 200 : 404, metadata ?? { error: 'not_found' });
    return;
  }
  let auth: AuthInfo | undefined;
  if (behaviour.requireAuth && !(behaviour.openInitialize && (await isInitialization(request)))) {
    auth = await guard.admit(request, response, endpoint);
    if (!auth) return;
  }
  const authorized = auth ? Object.assign(request, { auth }) : request;
  if (endpoint !== ENDPOINTS.sse) await sessions.handleStreamable(authorized, response, endpoint);
  else if (request.method === 'GET') await sessions.openLegacy(response);
  else await sessions.handleLegacyMessage(authorized, response, url.searchParams.get('sessionId') ?? '');
}

async function isInitialization(request: IncomingMessage): Promise<boolean> {
  if (request.method !== 'POST') return false;
  const body = await peekBody(request, MAX_BODY_BYTES);
  return /"method"\s*:\s*"(initialize|notifications\/initialized)"/.test(body?.toString() ?? '');
}

/** The open sessions of all endpoints. */
class Sessions {
  readonly byId = new Map<string, Session>();
  readonly gate = new StepGate();

  async handleStreamable(
    request: IncomingMessage & { auth?: AuthInfo },
    response: ServerResponse,
    endpoint: string,
  ): Promise<void> {
    const id = request.headers['mcp-session-id'];
    if (id === undefined) return this.#initialize(request, response, endpoint);
    const session = this.byId.get(String(id));
    if (session?.endpoint === endpoint && session.transport instanceof StreamableHTTPServerTransport) {
      return session.transport.handleRequest(request, response);
    }
    sendJson(response, 404, {
      jsonrpc: '2.0',
      error: { code: -32001, message: 'Session not found' },
      id: null,
    });
  }

  /** The 2024-11-05 transport: its stream is its session. */
  async openLegacy(response: ServerResponse): Promise<void> {
    const transport = new SSEServerTransport(MESSAGES_PATH, response);
    const server = createMcpSession(this.gate);
    server.onclose = () => this.byId.delete(transport.sessionId);
    this.byId.set(transport.sessionId, { endpoint: ENDPOINTS.sse, transport, server });
    await server.connect(transport);
  }

  async handleLegacyMessage(
    request: IncomingMessage & { auth?: AuthInfo },
    response: ServerResponse,
    id: string,
  ): Promise<void> {
    const session = this.byId.get(id);
    if (session?.transport instanceof SSEServerTransport) {
      await session.transport.handlePostMessage(request, response);
    } else sendJson(response, 404, { error: 'session_not_found' });
  }

  async close(): Promise<void> {
    const open = [...this.byId.values()];
    this.byId.clear();
    for (const { server } of open) await server.close();
  }

  async #initialize(request: IncomingMessage, response: ServerResponse, endpoint: string): Promise<void> {
    const server = createMcpSession(this.gate);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse: endpoint === ENDPOINTS.json,
      eventStore: new MemoryEventStore(),
      maxRequestBodySize: MAX_BODY_BYTES,
      onsessioninitialized: (id) => {
        this.byId.set(id, { endpoint, transport, server });
      },
    });
    server.onclose = () => this.byId.delete(transport.sessionId ?? '');
    // Its callbacks are accessors that may answer undefined, which exactOptionalPropertyTypes holds against it.
    await server.connect(transport as Transport);
    await transport.handleRequest(request, response);
    if (transport.sessionId === undefined) await server.close();
  }
}

function describe(request: IncomingMessage, response: ServerResponse): McpServerRequest {
  const { authorization, ...headers } = request.headers;
  return {
    method: request.method ?? '',
    url: request.url ?? '',
    headers,
    authorized: authorization !== undefined,
    get status() {
      return response.headersSent ? response.statusCode : undefined;
    },
    answered: headSent(response),
    ended: new Promise((resolve) => response.once('close', () => resolve(response.writableFinished))),
  };
}

/** Node has no event for it. */
function headSent(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.writeHead = new Proxy(response.writeHead, {
      apply(writeHead, self, parameters) {
        const result = Reflect.apply(writeHead, self, parameters);
        resolve();
        return result;
      },
    });
  });
}
