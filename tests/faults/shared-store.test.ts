import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { RespondHook } from '../../app/cli/demo/upstream.ts';
import { givenFolder, givenServedBroker, givenUpstream, logIn } from '../support/broker.ts';
import { givenKeychain, outcomeOf, tokenRequests } from '../support/login.ts';

const { FAULT_SECONDS, CI } = process.env;
/**
 * The store; how long its load lasts, unless `FAULT_SECONDS` says so; how long an access token lives. All in seconds. The
 * stand-in of the Keychain starts a process for each of its steps, which takes a while on a busy machine.
 */
const LOADS = [
  ['file', CI === 'true' ? 60 : 5, 2],
  ['keychain', 10, 5],
] as const;
const CALLERS = 8;
/** What a call may come to while servers are in trouble; `unknown` is a 500 of the upstream's own. A lost login is none of it. */
const HONEST = new Set(['ok', 'refresh_unavailable', 'upstream_unreachable', 'unknown']);

/** Lets every n-th request fail before the server has done anything, in turn by 500 and by a reset. */
function everyNth(n: number): RespondHook {
  let count = 0;
  return (_request, response) => {
    count += 1;
    if (count % n !== 0) return false;
    if (count % (2 * n) === 0) response.destroy();
    else response.writeHead(500, { 'content-type': 'application/json' }).end('{"error":"server_error"}');
    return true;
  };
}

it.each(LOADS)(
  'two processes under load on one store (%s), at servers in trouble: no login is lost, no token used twice',
  { timeout: 180_000 },
  async (kind, ownSeconds, accessTokenSeconds) => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds } });
    const environment = {
      UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
      STATE_DIR: await givenFolder(),
      TOKEN_STORE: kind,
      ...(kind === 'keychain'
        ? { SECURITY_BIN: (await givenKeychain()).securityBin, HOME: await givenFolder() }
        : {}),
    };
    const brokers = [await givenServedBroker(environment), await givenServedBroker(environment)] as const;
    await logIn(brokers[0]);
    const outcomes = new Map<string, number>();
    let over = false;
    const callers = brokers.flatMap((broker) =>
      Array.from({ length: CALLERS }, async () => {
        while (!over) {
          const outcome = await outcomeOf(broker);
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        }
      }),
    );
    const tokenFaults = everyNth(5);
    const { authorizationServer, mcpServer } = upstream;
    authorizationServer.behaviour.respond = (request, response) =>
      request.url === '/token' && tokenFaults(request, response);
    const callFaults = everyNth(97);
    mcpServer.behaviour.respond = (request, response) =>
      request.method === 'POST' && callFaults(request, response);
    // Callers end before that only when one of them meets a broker that does not answer.
    await Promise.race([delay(Number(FAULT_SECONDS ?? ownSeconds) * 1_000), Promise.all(callers)]);
    authorizationServer.behaviour.respond = undefined;
    mcpServer.behaviour.respond = undefined;
    over = true;
    await Promise.all(callers);

    expect([...outcomes.keys()].filter((outcome) => !HONEST.has(outcome))).toEqual([]);
    // A used refresh token would have been refused with 400, and so would everything after it.
    const statuses = new Set(tokenRequests(upstream).map(({ status }) => status));
    expect([...statuses].filter((status) => status !== undefined && ![200, 500].includes(status))).toEqual(
      [],
    );
    expect(outcomes.get('ok')).toBeGreaterThan(0);
    for (const broker of brokers) await expect.poll(() => outcomeOf(broker), { timeout: 20_000 }).toBe('ok');
  },
);
