import { describe, expect, it } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import type { RespondHook } from '../../app/cli/demo/upstream.ts';
import { createMemoryStore } from '../../app/store/memory.ts';
import { givenBroker, givenUpstream, logIn, rpc } from '../support/broker.ts';

/** Refuses every call that carries a token for want of a scope, however much was granted. */
const neverEnough: RespondHook = (request, response) => {
  if (request.method !== 'POST' || request.headers.authorization === undefined) return false;
  request.resume();
  response.writeHead(403, { 'www-authenticate': 'Bearer error="insufficient_scope", scope="mcp:resources"' });
  response.end();
  return true;
};

interface RefusalData {
  readonly error: string;
  readonly message: string;
  readonly login_url?: string;
}

async function callTool(broker: Broker, name: string): Promise<RefusalData> {
  const response = await fetch(broker.mcpUrl, rpc('tools/call', 1, { name }));
  const { error } = (await response.json()) as { error: { data: RefusalData } };
  return error.data;
}

async function givenNeverEnough() {
  const upstream = await givenUpstream();
  const { broker } = await givenBroker(upstream.mcpUrl);
  await logIn(broker);
  upstream.mcpServer.behaviour.respond = neverEnough;
  return { upstream, broker, requests: upstream.authorizationServer.requests };
}

describe('a server for which no scope is enough', () => {
  it('gets three logins for an operation; then its refusal lasts and names no login', async () => {
    const { broker, requests } = await givenNeverEnough();
    requests.clear();
    for (let login = 1; login <= 3; login++) {
      for (let repeated = 0; repeated < 5; repeated++) {
        expect(await callTool(broker, 'write')).toMatchObject({
          error: 'insufficient_scope',
          login_url: broker.loginUrl,
        });
      }
      await logIn(broker);
    }
    const last = await callTool(broker, 'write');
    expect(last.error).toBe('insufficient_scope');
    expect(last).not.toHaveProperty('login_url');
    expect(last.message).toMatch(/still refuses this call .*\(mcp:resources\); ask its operator/);
    expect(
      requests.entries.filter(({ path }) => path === '/token').map(({ grantType }) => grantType),
    ).toEqual(['authorization_code', 'authorization_code', 'authorization_code']);
  });

  it('is tried again for another operation, and after a logout', async () => {
    const { broker } = await givenNeverEnough();
    for (let login = 1; login <= 3; login++) {
      await callTool(broker, 'write');
      await logIn(broker);
    }
    expect(await callTool(broker, 'write')).not.toHaveProperty('login_url');
    expect(await callTool(broker, 'read')).toHaveProperty('login_url');
    await broker.logout();
    await logIn(broker);
    expect(await callTool(broker, 'write')).toHaveProperty('login_url');
  });
});

describe('what was granted', () => {
  it('is remembered across a restart, and a step-up asks for it too', async () => {
    const upstream = await givenUpstream();
    const store = createMemoryStore();
    const { broker } = await givenBroker(upstream.mcpUrl, {}, store);
    await logIn(broker);
    await broker.close();

    const { broker: restarted } = await givenBroker(upstream.mcpUrl, {}, store);
    expect((await restarted.status()).scopes).toEqual({
      requested: ['mcp:tools', 'offline_access'],
      granted: ['mcp:tools'],
    });
    upstream.mcpServer.behaviour.requiredScopes = ['mcp:resources'];
    expect((await callTool(restarted, 'echo')).error).toBe('insufficient_scope');
    await logIn(restarted);
    expect((await restarted.status()).scopes).toEqual({
      requested: ['mcp:tools', 'offline_access', 'mcp:resources'],
      granted: ['mcp:tools', 'mcp:resources'],
    });
  });
});

describe('a broker whose login does not reach far enough', () => {
  /** Refuses every call that carries a token, with this challenge, until `respond` is taken away. */
  async function givenRefused(challenge: (token: string) => string) {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl);
    await logIn(broker);
    upstream.mcpServer.behaviour.respond = ({ headers }, response) => {
      const { authorization } = headers;
      if (authorization === undefined) return false;
      const parameters = challenge(authorization.replace(/^Bearer /, ''));
      response.writeHead(403, { 'www-authenticate': `Bearer error="insufficient_scope"${parameters}` }).end();
      return true;
    };
    return { upstream, broker };
  }

  it('is logged in, and says what the server wants, until a login', async () => {
    const { upstream, broker } = await givenRefused(() => ', scope="mcp:resources"');
    expect(await broker.status()).toMatchObject({
      state: 'authenticated',
      step_up: undefined,
      reason: undefined,
    });
    await callTool(broker, 'write');
    let changes = 0;
    broker.on('state', () => {
      changes++;
    });
    for (const tool of ['write', 'read']) await callTool(broker, tool);
    expect(changes).toBe(0);
    expect(await broker.status()).toMatchObject({
      state: 'authenticated',
      step_up: { scope: 'mcp:resources' },
      reason: 'The server wants more access (mcp:resources); log in again to grant it.',
    });
    const page = await (await fetch(broker.localUrl, { headers: { accept: 'text/html' } })).text();
    expect(page).toContain('Log in again');

    upstream.mcpServer.behaviour.respond = undefined;
    await logIn(broker);
    expect(await broker.status()).toMatchObject({
      state: 'authenticated',
      step_up: undefined,
      reason: undefined,
    });
  });

  it('says nothing of it after a logout, nor of a refusal that no login helps against', async () => {
    const { broker } = await givenRefused(() => '');
    await callTool(broker, 'write');
    expect(await broker.status()).toMatchObject({
      step_up: { scope: undefined },
      reason: 'The server wants more access; log in again to grant it.',
    });
    await broker.logout();
    expect(await broker.status()).toMatchObject({
      state: 'logged_out',
      step_up: undefined,
      reason: undefined,
    });

    await logIn(broker);
    for (let login = 1; login <= 3; login++) {
      await callTool(broker, 'write');
      await logIn(broker);
    }
    await callTool(broker, 'write');
    expect(await broker.status()).toMatchObject({ state: 'authenticated', step_up: undefined });
  });

  it('shows no token that the server repeats as a scope', async () => {
    let sent = '';
    const { broker } = await givenRefused((token) => {
      sent = token;
      return `, scope="mcp:admin ${token}"`;
    });
    await callTool(broker, 'write');
    const status = await broker.status();
    expect(status.step_up).toEqual({ scope: 'mcp:admin …' });
    expect(JSON.stringify(status)).not.toContain(sent);
  });
});
