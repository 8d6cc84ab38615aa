import { describe, expect, it } from 'vitest';
import { givenBroker } from '../support/broker.ts';
import { givenBreakableStore, givenClock, outcomeOf } from '../support/login.ts';
import {
  callbackFor,
  comeBack,
  givenScriptedAuthorizationServer,
  givenScriptedMcpServer,
  leaveForLogin,
} from '../support/scripted-authorization.ts';

/** A server with a login at one authorization server, and another one that it will move to. */
async function givenMove(environment: NodeJS.ProcessEnv = {}) {
  const before = await givenScriptedAuthorizationServer('old');
  const after = await givenScriptedAuthorizationServer('new');
  const mcp = await givenScriptedMcpServer(before.issuer);
  mcp.accepted.splice(0, Infinity, 'old-access');
  const store = givenBreakableStore();
  const { broker } = await givenBroker(mcp.mcpUrl, environment, store);
  const move = () => {
    mcp.metadata.authorization_servers = [after.issuer];
    mcp.accepted.splice(0, Infinity, 'new-access');
  };
  return {
    before,
    after,
    mcp,
    store,
    broker,
    move,
    /** Starts the broker anew, with the same redirect URI, as a registration belongs to that. */
    again: async () => {
      await broker.close();
      const variables = { ...environment, PUBLIC_BASE_URL: broker.localUrl };
      return (await givenBroker(mcp.mcpUrl, variables, store)).broker;
    },
  };
}

/** All of a login that is meant for one authorization server only. */
function secretsOf(authorizationUrl: URL, form: URLSearchParams | undefined): string[] {
  const { searchParams } = authorizationUrl;
  return [
    ...['state', 'code_challenge', 'client_id'].map((name) => searchParams.get(name) ?? ''),
    ...['code', 'code_verifier'].map((name) => form?.get(name) ?? ''),
  ];
}

describe('a server that has moved to another authorization server', () => {
  it.each(['in the same process', 'after a restart'])(
    'gets a login that shows the new one nothing of the old one, %s',
    async (when) => {
      const { before, after, broker, move, again } = await givenMove();
      const atOld = await leaveForLogin(broker);
      expect((await comeBack(atOld, { code: 'old-code' })).status).toBe(200);
      expect(await outcomeOf(broker)).toBe('ok');
      const [exchange] = before.tokenRequests();
      const ofOld = [...before.given, ...secretsOf(atOld, exchange)];
      // ID, secret and both tokens; state, challenge, client, code and verifier.
      expect(new Set(ofOld).size).toBe(8);
      expect(ofOld).not.toContain('');

      move();
      const used = when === 'after a restart' ? await again() : broker;
      const local = { mcpUrl: `${used.localUrl}/mcp` };
      expect(await outcomeOf(local)).not.toBe('ok');
      const atNew = await used.login();
      expect(atNew.origin).toBe(new URL(after.issuer).origin);
      await used.finishLogin(callbackFor(atNew, { code: 'new-code' }));
      expect(await outcomeOf(local)).toBe('ok');

      expect(after.asked).toEqual([
        'GET /.well-known/oauth-authorization-server',
        'POST /register',
        'POST /token',
      ]);
      expect(after.seenOf(ofOld)).toEqual([]);
      expect(ofOld.filter((secret) => atNew.href.includes(secret))).toEqual([]);
      expect(before.seenOf([...after.given, ...secretsOf(atNew, after.tokenRequests()[0])])).toEqual([]);
    },
  );

  it('has the refresh token sent to the one that gave it, and to no other', async () => {
    const clock = givenClock();
    const { before, after, broker, move } = await givenMove();
    await comeBack(await leaveForLogin(broker), { code: 'old-code' });
    move();
    clock.advance(3601);
    expect(await outcomeOf(broker)).not.toBe('ok');
    expect(before.tokenRequests().map((form) => form.get('grant_type'))).toContain('refresh_token');
    expect(after.asked).toEqual([]);
  });

  it('has a code redeemed where its login began, though another login is under way at the new one', async () => {
    const { before, after, broker, move } = await givenMove();
    const atOld = await leaveForLogin(broker);
    move();
    const atNew = await leaveForLogin(broker);
    expect((await comeBack(atOld, { code: 'old-code' })).status).toBe(200);
    expect(before.tokenRequests().map((form) => form.get('code'))).toEqual(['old-code']);
    expect(after.tokenRequests()).toEqual([]);
    expect((await comeBack(atNew, { code: 'new-code' })).status).toBe(200);
    expect(after.tokenRequests().map((form) => form.get('code'))).toEqual(['new-code']);
    expect(before.tokenRequests()).toHaveLength(1);
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('has an answer of the new one refused that comes to a login at the old one (mix-up)', async () => {
    const { before, after, broker, move } = await givenMove();
    const atOld = await leaveForLogin(broker);
    move();
    const { status, page } = await comeBack(atOld, { code: 'new-code', iss: after.issuer });
    expect(status).toBe(400);
    expect(page).toContain('comes from another issuer');
    expect([...before.tokenRequests(), ...after.tokenRequests()]).toEqual([]);
  });

  it('is not shown a client that was configured for the old one, until ISSUER says that it may be', async () => {
    const client = { CLIENT_ID: 'fixed-client', CLIENT_SECRET: 'fixed-secret' };
    const { after, mcp, store, broker, move } = await givenMove(client);
    await comeBack(await leaveForLogin(broker), { code: 'old-code' });
    move();
    const refusal = await fetch(broker.loginUrl);
    expect(refusal.status).toBe(502);
    expect(await refusal.json()).toMatchObject({
      error: 'registration_failed',
      message: expect.stringContaining('CLIENT_ID was used at'),
      cure: expect.stringContaining('ISSUER'),
    });
    expect(after.seenOf(Object.values(client))).toEqual([]);

    const { broker: told } = await givenBroker(mcp.mcpUrl, { ...client, ISSUER: after.issuer }, store);
    await comeBack(await leaveForLogin(told), { code: 'new-code' });
    expect(await outcomeOf(told)).toBe('ok');
  });
});
