import { describe, expect, it } from 'vitest';
import { signInByHttp } from '../../app/cli/demo/upstream.ts';
import { givenBroker, givenUpstream, logIn, rpc } from '../support/broker.ts';
import {
  answering,
  givenClock,
  givenGate,
  onPath,
  outcomeOf,
  statusWhere,
  tokenRequests,
} from '../support/login.ts';

async function givenBoth(environment: NodeJS.ProcessEnv = {}) {
  const upstream = await givenUpstream();
  return { upstream, ...(await givenBroker(upstream.mcpServer.jsonUrl, environment)) };
}

describe('cancelLogin', () => {
  it('gives up a login under way: its callback is refused, and nothing has failed', async () => {
    const { broker, upstream } = await givenBoth();
    const callback = await signInByHttp(broker.loginUrl);
    expect(broker.state).toBe('logging_in');
    const changed = statusWhere(broker, ({ state }) => state === 'logged_out');
    broker.cancelLogin();
    expect((await changed).last_error).toBeUndefined();
    await expect(broker.finishLogin(new URL(callback))).rejects.toMatchObject({
      code: 'invalid_callback',
      message: expect.stringContaining('was cancelled'),
    });
    expect(tokenRequests(upstream, 'authorization_code')).toEqual([]);
    expect((await broker.status()).last_error).toBeUndefined();
  });

  it('refuses calls that wait at once, and later ones until a login is begun', async () => {
    const { broker } = await givenBoth({ LOGIN_WAIT_SECONDS: '600' });
    await broker.login();
    const needed = new Promise<void>((resolve) => {
      broker.once('login_needed', resolve);
    });
    const waiting = outcomeOf(broker);
    await needed;
    broker.cancelLogin();
    expect(await waiting).toBe('not_authenticated');
    expect(await outcomeOf(broker)).toBe('not_authenticated');

    await broker.login();
    const again = new Promise<void>((resolve) => {
      broker.once('login_needed', resolve);
    });
    const waitingAgain = outcomeOf(broker);
    await again;
    await logIn(broker);
    expect(await waitingAgain).toBe('ok');
  });

  it('leaves the last failure as it was', async () => {
    const { broker, upstream } = await givenBoth();
    upstream.authorizationServer.behaviour.respond = onPath(/./, answering(404, ''));
    await expect(broker.login()).rejects.toMatchObject({ code: 'discovery_failed' });
    upstream.authorizationServer.behaviour.respond = undefined;
    await broker.login();
    broker.cancelLogin();
    expect((await broker.status()).last_error?.code).toBe('discovery_failed');
  });

  it('ends a login that is looking for its server, and a later one shares its work', async () => {
    const { broker, upstream } = await givenBoth();
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath(/oauth-authorization-server/, gate.hook);
    const login = broker.login();
    await gate.reached;
    expect(broker.state).toBe('logging_in');
    broker.cancelLogin();
    expect(broker.state).toBe('logged_out');
    const later = broker.login();
    gate.open('go on');
    await expect(login).rejects.toMatchObject({ code: 'cancelled' });
    expect((await later).origin).toBe(upstream.issuer);
    expect(broker.state).toBe('logging_in');
    expect((await broker.status()).last_error).toBeUndefined();
    const { entries } = upstream.authorizationServer.requests;
    expect(entries.filter(({ path }) => path === '/register')).toHaveLength(1);
  });

  it('is the end of a login that would have failed afterwards, too', async () => {
    const { broker, upstream } = await givenBoth();
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath(/oauth-authorization-server/, gate.hook);
    const page = fetch(broker.loginUrl, { headers: { accept: 'text/html' } });
    await gate.reached;
    broker.cancelLogin();
    gate.open('drop');
    const answer = await page;
    expect(answer.status).toBe(409);
    expect(await answer.text()).toContain('The login was cancelled.');
    expect((await broker.status()).last_error).toBeUndefined();
  });

  it('comes too late for a login that is being finished: calls wait on, and go through', async () => {
    const { broker, upstream } = await givenBoth({ LOGIN_WAIT_SECONDS: '600' });
    const callback = await signInByHttp(broker.loginUrl);
    const needed = new Promise<void>((resolve) => {
      broker.once('login_needed', resolve);
    });
    const waiting = outcomeOf(broker);
    await needed;
    const gate = givenGate();
    upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
    const finishing = broker.finishLogin(new URL(callback));
    await gate.reached;
    expect(broker.state).toBe('logging_in');
    broker.cancelLogin();
    gate.open('go on');
    expect(await finishing).toEqual({ warning: undefined });
    expect(await waiting).toBe('ok');
    expect(broker.state).toBe('authenticated');
  });

  it('keeps a login that is there', async () => {
    const { broker } = await givenBoth();
    await logIn(broker);
    await broker.login();
    broker.cancelLogin();
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('does nothing to a broker without a login, or one that is closed', async () => {
    const { broker } = await givenBoth();
    broker.cancelLogin();
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    await broker.close();
    broker.cancelLogin();
    expect(broker.state).toBe('logged_out');
  });

  it('remembers that a kept registration led nowhere, so that the next login registers anew', async () => {
    const clock = givenClock();
    const { broker, upstream } = await givenBoth();
    await logIn(broker);
    await upstream.restartAuthorizationServer({ forget: true });
    const stuck = await broker.login();
    expect((await fetch(stuck)).status).toBe(400);
    clock.advance(6);
    broker.cancelLogin();
    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');
  });
});

describe('closing a broker', () => {
  it('gives up its logins', async () => {
    const { broker } = await givenBoth();
    await broker.login();
    await broker.close();
    expect(broker.state).toBe('logged_out');
    await expect(fetch(broker.mcpUrl, rpc('initialize'))).rejects.toThrow();
  });
});
