import { describe, expect, it } from 'vitest';
import type { Upstream, UpstreamOptions } from '../../app/cli/demo/upstream.ts';
import {
  givenFolder,
  givenServedBroker,
  givenUpstream,
  logIn,
  type ServedBroker,
} from '../support/broker.ts';
import { call, givenGate, onPath, outcomeOf, tokenRequests } from '../support/login.ts';

interface Scene {
  readonly upstream: Upstream;
  /** Starts a broker on the one store. */
  readonly start: () => Promise<ServedBroker>;
}

async function givenStore(options: UpstreamOptions = {}): Promise<Scene> {
  const upstream = await givenUpstream({
    ...options,
    authorizationServer: { accessTokenSeconds: 300, ...options.authorizationServer },
  });
  const environment = {
    UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
    STATE_DIR: await givenFolder(),
    TOKEN_STORE: 'file',
  };
  return { upstream, start: () => givenServedBroker(environment) };
}

async function statusOf({ url }: ServedBroker) {
  const response = await fetch(`${url}/oauth/status`);
  return (await response.json()) as { state: string; reason?: string; store: { kind: string } };
}

describe('a login outlives the process', () => {
  it('is found again after a restart: the first call refreshes by itself', async () => {
    const { upstream, start } = await givenStore();
    const first = await start();
    await logIn(first);
    expect(await outcomeOf(first)).toBe('ok');
    expect(await first.end('SIGTERM')).toEqual({ code: 0, signal: null });

    const second = await start();
    expect(await statusOf(second)).toMatchObject({ state: 'authenticated', store: { kind: 'file' } });
    expect(tokenRequests(upstream)).toHaveLength(0);
    expect(await outcomeOf(second)).toBe('ok');
    expect(tokenRequests(upstream)).toHaveLength(1);
  });

  it('is there after kill -9 at rest', async () => {
    const { start } = await givenStore();
    const first = await start();
    await logIn(first);
    await first.end('SIGKILL');
    const second = await start();
    expect(await outcomeOf(second)).toBe('ok');
    await second.end('SIGKILL');
    expect(await outcomeOf(await start())).toBe('ok');
  });

  it('is there after kill -9 while a refresh request is on its way', async () => {
    const { upstream, start } = await givenStore();
    const first = await start();
    await logIn(first);
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
    upstream.mcpServer.rejectCurrentTokens();
    const cut = outcomeOf(first).catch(() => 'cut');
    await gate.reached;
    await first.end('SIGKILL');
    expect(await cut).toBe('cut');
    gate.open('drop');
    upstream.authorizationServer.behaviour.respond = undefined;

    // The dead process has left its lock behind.
    expect(await outcomeOf(await start())).toBe('ok');
  });

  it('is there after kill -9 as soon as the new access token is used: the new refresh token was stored before', async () => {
    const { upstream, start } = await givenStore();
    const first = await start();
    await logIn(first);
    upstream.mcpServer.rejectCurrentTokens();
    const gate = givenGate();
    const { behaviour, requests } = upstream.mcpServer;
    behaviour.respond = (request, response) =>
      requests.entries.at(-2)?.status === 401 && gate.hook(request, response);
    const cut = outcomeOf(first).catch(() => 'cut');
    await gate.reached;
    await first.end('SIGKILL');
    expect(await cut).toBe('cut');
    gate.open('drop');
    behaviour.respond = undefined;
    expect(tokenRequests(upstream).map(({ status }) => status)).toEqual([200]);

    expect(await outcomeOf(await start())).toBe('ok');
  });

  it('is lost, in good order, when the process dies between the rotation and its answer', async () => {
    const { upstream, start } = await givenStore();
    const first = await start();
    await logIn(first);
    const gate = givenGate();
    const lost = upstream.authorizationServer.dropNextTokenResponse();
    upstream.mcpServer.rejectCurrentTokens();
    // The next refresh would come after the back-off; the process dies before.
    upstream.mcpServer.behaviour.respond = gate.hook;
    const cut = outcomeOf(first).catch(() => 'cut');
    await gate.reached;
    gate.open('go on');
    await lost;
    await first.end('SIGKILL');
    expect(await cut).not.toBe('ok');

    const second = await start();
    expect(await outcomeOf(second)).toBe('not_authenticated');
    const { state, reason } = await statusOf(second);
    expect(state).toBe('login_required');
    expect(reason).toContain('"invalid_grant"');
    await logIn(second);
    expect(await outcomeOf(second)).toBe('ok');
    expect(await second.end('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('is lost, in good order, when the answer to a rotation never arrives', async () => {
    const { upstream, start } = await givenStore();
    const broker = await start();
    await logIn(broker);
    upstream.mcpServer.rejectCurrentTokens();
    const lost = upstream.authorizationServer.dropNextTokenResponse();
    expect(await call(broker)).toMatchObject({ status: 503, retryAfter: '1' });
    await lost;
    await expect.poll(() => outcomeOf(broker), { timeout: 10_000 }).toBe('not_authenticated');
    expect((await statusOf(broker)).reason).toContain('"invalid_grant"');
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    expect(tokenRequests(upstream)).toHaveLength(2);
  });

  it('finishes a refresh that is under way when it is told to stop', async () => {
    const { upstream, start } = await givenStore();
    const first = await start();
    await logIn(first);
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
    upstream.mcpServer.rejectCurrentTokens();
    const answered = outcomeOf(first);
    await gate.reached;
    const ended = first.end('SIGTERM');
    gate.open('go on');
    expect(await answered).toBe('ok');
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(await outcomeOf(await start())).toBe('ok');
  });
});
