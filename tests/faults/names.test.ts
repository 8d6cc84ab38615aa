import { describe, expect, it } from 'vitest';
import type { RespondHook } from '../../app/cli/demo/upstream.ts';
import { givenFolder, givenServedBroker, givenUpstream, logIn } from '../support/broker.ts';
import { givenFaultPlan, type SystemFault } from '../support/faults.ts';
import { altering, call, onPath, outcomeOf } from '../support/login.ts';
import { givenScriptedUpstream } from '../support/wire.ts';

/** A name of loopback by definition (RFC 6761 §6.3), which the resolver of the machine is not asked for here. */
const NAME = 'server.localhost';
const THERE: SystemFault = { call: 'lookup', path: `^${NAME}$`, effect: 'answer', code: '127.0.0.1' };

describe('a name that cannot be looked up', () => {
  it.each([
    ['the network is away', 'EAI_AGAIN'],
    ['it is not known', 'ENOTFOUND'],
  ])('of the upstream, because %s: 502 with the reason, and calls work once it is found', async (_, code) => {
    const upstream = await givenScriptedUpstream((_request, response) => {
      response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
    });
    const plan = await givenFaultPlan();
    const broker = await givenServedBroker({
      ...plan.environment,
      UPSTREAM_MCP_URL: `http://${NAME}:${upstream.port}/mcp`,
      TOKEN_STORE: 'memory',
    });
    await plan.set([{ ...THERE, effect: 'fail', code }]);
    const { status, body } = await call(broker);
    expect([status, body.error?.data?.error]).toEqual([502, 'upstream_unreachable']);
    expect(body.error?.message).toContain(`(${code})`);
    expect((await fetch(`${broker.url}/mcp/health`)).status).toBe(503);

    await plan.set([THERE]);
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('of the authorization server: 503 with the reason, the login is kept, and goes on once it is found', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 300 } });
    const { behaviour, port } = upstream.authorizationServer;
    const elsewhere: RespondHook = altering((json) => ({
      ...json,
      token_endpoint: `http://${NAME}:${port}/token`,
    }));
    behaviour.respond = onPath(/^\/\.well-known\//, elsewhere);
    const plan = await givenFaultPlan();
    await plan.set([THERE]);
    const broker = await givenServedBroker({
      ...plan.environment,
      UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
      STATE_DIR: await givenFolder(),
      TOKEN_STORE: 'file',
    });
    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');

    await plan.set([{ ...THERE, effect: 'fail', code: 'EAI_AGAIN' }]);
    // A connection that is kept needs no name.
    await upstream.restartAuthorizationServer();
    upstream.mcpServer.rejectCurrentTokens();
    const { status, retryAfter, body } = await call(broker);
    expect({ status, retryAfter }).toEqual({ status: 503, retryAfter: '1' });
    expect(body.error?.message).toContain('its name cannot be looked up now');
    const answer = await fetch(`${broker.url}/oauth/status`);
    expect(await answer.json()).toMatchObject({ state: 'authenticated', refresh_token: { present: true } });

    await plan.set([THERE]);
    await expect.poll(() => outcomeOf(broker), { timeout: 10_000 }).toBe('ok');
  });
});
