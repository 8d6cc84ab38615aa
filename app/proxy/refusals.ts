import type { ServerResponse } from 'node:http';
import { MAX_BATCH_REQUESTS } from '../limits.ts';

/** Every code a refusal may carry; see the table of refusals in the README. */
export type RefusalCode =
  | 'not_authenticated'
  | 'insufficient_scope'
  | 'forbidden_host'
  | 'forbidden_origin'
  | 'cross_site'
  | 'invalid_api_key'
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'refresh_unavailable'
  | 'token_renewed'
  | 'bad_request'
  | 'too_large'
  | 'too_many'
  | 'internal_error';

/** A call that is not, or not successfully, forwarded. The message is one sentence that says what to do. */
export interface Refusal {
  readonly code: RefusalCode;
  /** HTTP status for a caller that does not speak JSON-RPC. */
  readonly status: number;
  readonly message: string;
  readonly loginUrl?: string;
  readonly retryAfterSeconds?: number;
}

/** What a held request body says about who is waiting for which answer (JSON-RPC 2.0 §4, §6). */
export type JsonRpcCall =
  | { readonly kind: 'request'; readonly id: JsonRpcId; readonly method: string }
  | { readonly kind: 'batch'; readonly ids: readonly JsonRpcId[]; readonly methods: readonly string[] }
  /** Notifications and responses: nobody waits for an answer. */
  | { readonly kind: 'one-way' };

type JsonRpcId = string | number | null;

/** The implementation-defined server error that carries a refusal (JSON-RPC 2.0 §5.1). */
const JSON_RPC_ERROR = -32001;

/**
 * Reads a request body as JSON-RPC. Called for refusals and for calls that wait for a login only: what is forwarded is
 * never parsed on its way.
 * @returns `undefined` when it is not JSON-RPC, or too long a batch to answer each of its requests
 */
export function readJsonRpc(body: Buffer): JsonRpcCall | undefined {
  const json = parse(body);
  if (!Array.isArray(json)) {
    const message = readMessage(json);
    if (!message) return undefined;
    return message.request ? { kind: 'request', ...message.request } : { kind: 'one-way' };
  }
  const messages = json.map(readMessage);
  if (messages.length === 0 || messages.includes(undefined)) return undefined;
  const requests = messages.flatMap((message) => message?.request ?? []);
  if (requests.length === 0) return { kind: 'one-way' };
  if (requests.length > MAX_BATCH_REQUESTS) return undefined;
  return { kind: 'batch', ids: requests.map(({ id }) => id), methods: requests.map(({ method }) => method) };
}

/**
 * What a request body wants to do, for telling operations apart: the methods in it and what they are applied to, e.g.
 * `tools/call write_file`; empty when it is not JSON-RPC.
 */
export function readOperation(body: Buffer): string {
  const json = parse(body);
  const operations = (Array.isArray(json) ? json : [json]).map((message) => {
    const { method, params } = (message ?? {}) as { method?: unknown; params?: unknown };
    const { name, uri } = (params ?? {}) as { name?: unknown; uri?: unknown };
    return [method, name, uri].filter((part) => typeof part === 'string').join(' ');
  });
  return operations.join(', ');
}

/** The name of the method a request body calls, the first one of a batch, as it stands there. */
export function readMethodName(body: Buffer): unknown {
  const json = parse(body);
  const names = (Array.isArray(json) ? json : [json]).map(
    (message) => ((message ?? {}) as { method?: unknown }).method,
  );
  return names.find((name) => name !== undefined);
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function readMessage(json: unknown): { request?: { id: JsonRpcId; method: string } } | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
  const { jsonrpc, id, method } = json as Record<string, unknown>;
  if (jsonrpc !== '2.0') return undefined;
  if (typeof method !== 'string') return {};
  const hasId = typeof id === 'string' || typeof id === 'number' || id === null;
  return hasId ? { request: { id, method } } : {};
}

/** A caller's side of a refused call. */
export interface RefusedCaller {
  /** What the body says, when it was held and is JSON-RPC. */
  readonly rpc: JsonRpcCall | undefined;
  /** A GET that asks for an event stream. */
  readonly wantsEventStream: boolean;
  /** HTTP status of a JSON-RPC refusal that asks for a login. */
  readonly notAuthenticatedStatus: 200 | 401;
}

/**
 * Answers a call with a refusal, in the form its caller understands.
 *
 * A login is asked for in an HTTP 200, and a GET stream gets a 405: MCP clients with an OAuth of their own take a 401 or 403
 * as the start of it and never show the message.
 */
export function refuseCall(response: ServerResponse, refusal: Refusal, caller: RefusedCaller): void {
  const wantsLogin = refusal.code === 'not_authenticated' || refusal.code === 'insufficient_scope';
  const { rpc } = caller;
  if (rpc?.kind === 'one-way') {
    if (wantsLogin) send(response, 202, refusal, undefined);
    else refuse(response, refusal);
  } else if (rpc) {
    const status = wantsLogin ? caller.notAuthenticatedStatus : refusal.status;
    const errors = (rpc.kind === 'batch' ? rpc.ids : [rpc.id]).map((id) => jsonRpcError(id, refusal));
    send(response, status, refusal, rpc.kind === 'batch' ? errors : errors[0]);
  } else if (wantsLogin && caller.wantsEventStream) {
    send(response, 405, refusal, refusalBody(refusal), { allow: 'POST' });
  } else {
    refuse(response, refusal);
  }
}

/** Answers with the refusal object itself. */
export function refuse(response: ServerResponse, refusal: Refusal): void {
  send(response, refusal.status, refusal, refusalBody(refusal));
}

/** The JSON object of a refusal. */
export function refusalBody({ code, message, loginUrl }: Refusal): Record<string, string> {
  return { error: code, message, ...(loginUrl === undefined ? {} : { login_url: loginUrl }) };
}

function jsonRpcError(id: JsonRpcId, refusal: Refusal) {
  return {
    jsonrpc: '2.0',
    id,
    error: { code: JSON_RPC_ERROR, message: refusal.message, data: refusalBody(refusal) },
  };
}

function send(
  response: ServerResponse,
  status: number,
  { retryAfterSeconds }: Refusal,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    ...headers,
  });
  response.end(text);
}
