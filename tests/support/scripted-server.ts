import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

/** A request as it arrived. */
export interface ScriptedRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What a path answers: a status alone, JSON with 200, or everything by hand. */
export type ScriptedAnswer =
  | number
  | { readonly json: unknown; readonly status?: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly text: string; readonly status?: number; readonly headers?: Readonly<Record<string, string>> }
  | ((request: ScriptedRequest, response: ServerResponse, raw: IncomingMessage) => void | Promise<void>);

/** Answers by `METHOD /path`, else by `/path`; what is not there is a 404. May be changed while it runs. */
export type Script = Record<string, ScriptedAnswer>;

/** A server that answers by a table and remembers what it was asked. */
export interface ScriptedServer {
  readonly origin: string;
  readonly host: string;
  readonly port: number;
  readonly script: Script;
  readonly requests: readonly ScriptedRequest[];
  /** `METHOD /path?query` of each request, in order. */
  readonly asked: readonly string[];
}

/** Starts a server on 127.0.0.1 that ends with the test. */
export async function givenScriptedServer(script: Script = {}): Promise<ScriptedServer> {
  const requests: ScriptedRequest[] = [];
  const server = createServer(scriptedListener(script, requests));
  const port = await listenUntilTestEnds(server);
  return {
    origin: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    port,
    script,
    requests,
    get asked() {
      return requests.map(({ method, url }) => `${method} ${url}`);
    },
  };
}

/** The request listener of a scripted server, for servers of another kind. */
export function scriptedListener(script: Script, requests: ScriptedRequest[] = []) {
  return async (raw: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = raw;
    const request = { method, url, headers, body: await text(raw) };
    requests.push(request);
    const path = url.split('?', 1)[0] ?? '';
    const answer = script[`${method} ${path}`] ?? script[path] ?? 404;
    if (typeof answer === 'function') await answer(request, response, raw);
    else if (typeof answer === 'number') response.writeHead(answer).end();
    else if ('json' in answer) {
      const type = { 'content-type': 'application/json', ...answer.headers };
      response.writeHead(answer.status ?? 200, type).end(JSON.stringify(answer.json));
    } else response.writeHead(answer.status ?? 200, answer.headers).end(answer.text);
  };
}

/** Listens on a free port of 127.0.0.1 until the test ends. */
export async function listenUntilTestEnds(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return (server.address() as AddressInfo).port;
}
