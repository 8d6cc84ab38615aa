import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { AuthorizationServer } from '../../../app/cli/demo/upstream.ts';
import type { Target } from '../rig/targets.ts';

/** What became of many calls that came just when the access token had ended. */
export interface Expiry {
  readonly refreshes: number;
  /** From the token request's arrival at the authorization server to the end of its answer, in milliseconds. */
  readonly refreshMs: number;
  /** From sending a call to its answer. */
  readonly slowestMs: number;
}

/** Lifetime of the access tokens: long enough to open the connections in, in seconds. */
export const EXPIRY_TOKEN_SECONDS = 3;
/** How long the authorization server takes for a refresh at least, in milliseconds. */
const REFRESH_MS = 200;
const LATE_MS = 50;

/** Sends calls on open connections, all at once, to a broker whose access token has just ended. */
export async function measureExpiry(
  broker: Target,
  authorizationServer: AuthorizationServer,
  count: number,
): Promise<Expiry> {
  let began = 0;
  let refreshMs = 0;
  let obtained = 0;
  authorizationServer.behaviour.respond = async ({ url }, response) => {
    if (url !== '/token') return false;
    began = performance.now();
    response.once('finish', () => {
      obtained = performance.now();
      refreshMs = obtained - began;
    });
    await delay(REFRESH_MS);
    return false;
  };
  const sockets = await openConnections(broker, count);
  // The token that these calls need is a new one, whose end is known; after it nobody renews it ahead of time.
  obtained = performance.now();
  await Promise.all(sockets.map((socket) => call(socket, broker)));
  await delay(obtained + EXPIRY_TOKEN_SECONDS * 1_000 + LATE_MS - performance.now());
  const before = refreshCount(authorizationServer);
  const times = await Promise.all(sockets.map((socket) => call(socket, broker)));
  for (const socket of sockets) socket.destroy();
  authorizationServer.behaviour.respond = undefined;
  return { refreshes: refreshCount(authorizationServer) - before, refreshMs, slowestMs: Math.max(...times) };
}

function refreshCount({ requests }: AuthorizationServer): number {
  return requests.entries.filter(({ grantType }) => grantType === 'refresh_token').length;
}

function openConnections(broker: Target, count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(broker.origin);
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(Number(port), hostname).setNoDelay();
      await once(socket, 'connect');
      return socket;
    }),
  );
}

const BODY = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

/** @returns how long the answer took, in milliseconds */
async function call(socket: Socket, broker: Target): Promise<number> {
  const started = performance.now();
  const answered = once(socket, 'data') as Promise<[Buffer]>;
  socket.write(
    `POST /mcp HTTP/1.1\r\nHost: ${new URL(broker.origin).host}\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  );
  const [bytes] = await answered;
  const answer = bytes.toString('latin1');
  // A refusal of the broker is a 200, too.
  if (!answer.startsWith('HTTP/1.1 200 ') || answer.includes('"error"'))
    throw new Error(`a call got ${answer}`);
  return performance.now() - started;
}
