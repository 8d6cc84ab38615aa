import { setTimeout as delay } from 'node:timers/promises';
import type { AuthorizationServer } from '../../../app/cli/demo/upstream.ts';
import { RawClient } from '../rig/raw-client.ts';
import type { Target } from '../rig/targets.ts';

/** What became of calls that came just when the access token had ended. */
export interface Expiry {
  /** How many refreshes the many calls have caused. */
  readonly refreshes: number;
  /** How long a call that comes alone takes then, from being sent to its answer, in milliseconds: as long as the refresh. */
  readonly aloneMs: number;
  /** How long the slowest of many takes. */
  readonly slowestMs: number;
}

/** Lifetime of the access tokens, in seconds. */
export const EXPIRY_TOKEN_SECONDS = 2;
/** How long the authorization server takes for a refresh at least, in milliseconds. */
const REFRESH_MS = 200;
/** Calls come only so long after its end. */
const LATE_MS = 50;

/**
 * Until so long after it was obtained, a token is used by other calls, since a broker at work is what is measured. Later
 * ones would have it renewed ahead of its end.
 */
const BUSY_MS = 1_200;

/** Sends calls on open connections to a broker whose access token has just ended, in turn one alone and many at once. */
export async function measureExpiry(
  broker: Target,
  authorizationServer: AuthorizationServer,
  { calls, rounds }: { calls: number; rounds: number },
): Promise<Expiry[]> {
  let obtainedAt = performance.now();
  authorizationServer.behaviour.respond = async ({ url }, response) => {
    if (url !== '/token') return false;
    response.once('finish', () => {
      obtainedAt = performance.now();
    });
    await delay(REFRESH_MS);
    return false;
  };
  const clients = await openConnections(broker, calls);
  const atExpiry = async (callers: readonly RawClient[]) => {
    while (performance.now() < obtainedAt + BUSY_MS) await Promise.all(clients.map(timed));
    await delay(obtainedAt + EXPIRY_TOKEN_SECONDS * 1_000 + LATE_MS - performance.now());
    return Math.max(...(await Promise.all(callers.map(timed))));
  };
  // The first time opens the connections to the upstream, and begins the life of a token whose end is known.
  await atExpiry(clients);
  const results: Expiry[] = [];
  while (results.length < rounds) {
    const aloneMs = await atExpiry(clients.slice(0, 1));
    const before = refreshCount(authorizationServer);
    const slowestMs = await atExpiry(clients);
    results.push({ refreshes: refreshCount(authorizationServer) - before, aloneMs, slowestMs });
  }
  for (const client of clients) client.close();
  authorizationServer.behaviour.respond = undefined;
  return results;
}

function refreshCount({ requests }: AuthorizationServer): number {
  return requests.entries.filter(({ grantType }) => grantType === 'refresh_token').length;
}

function openConnections(broker: Target, count: number): Promise<RawClient[]> {
  return Promise.all(Array.from({ length: count }, () => RawClient.open(broker.origin)));
}

const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

/** @returns how long the answer took, in milliseconds */
async function timed(client: RawClient): Promise<number> {
  const started = performance.now();
  const answer = await client.call(PING);
  // What the broker refuses has the status 200 as well.
  if (answer.includes('"error"')) throw new Error(`a call was answered with ${answer}`);
  return performance.now() - started;
}
