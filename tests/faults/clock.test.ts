import { describe, expect, it } from 'vitest';
import { signInByHttp, type Upstream } from '../../app/cli/demo/upstream.ts';
import type { SecretStore } from '../../app/store/secret-store.ts';
import { givenBroker, givenFolder, givenUpstream, logIn, type RunningBroker } from '../support/broker.ts';
import {
  answering,
  type Clock,
  givenBreakableStore,
  givenClock,
  onPath,
  outcomeOf,
  TOKEN_SECONDS,
  tokenRequests,
} from '../support/login.ts';
import { callbackFor, leaveForLogin, openPage } from '../support/scripted-authorization.ts';
import { givenScriptedUpstream } from '../support/wire.ts';

const FIVE_HOURS = 5 * 3600;
/** A clock that is set to local time, and then to the right one: by hours, one way or the other. */
const JUMPS = [
  ['ahead', FIVE_HOURS],
  ['back', -FIVE_HOURS],
] as const;

async function givenLogin(
  issueRefreshTokens = true,
): Promise<RunningBroker & { clock: Clock; upstream: Upstream }> {
  const clock = givenClock();
  const upstream = await givenUpstream({
    authorizationServer: { accessTokenSeconds: TOKEN_SECONDS, issueRefreshTokens },
  });
  const running = await givenBroker(upstream.mcpServer.jsonUrl);
  await logIn(running.broker);
  upstream.authorizationServer.requests.clear();
  return { ...running, clock, upstream };
}

describe.each(JUMPS)('a clock that jumps %s by five hours', (_way, jump) => {
  it('and back again costs one refresh at most per jump, and no login', async () => {
    const { broker, clock, upstream } = await givenLogin();
    for (const [index, seconds] of [jump, -jump, -jump, jump].entries()) {
      clock.advance(seconds);
      // A server whose clock is right does not take old tokens for longer.
      upstream.mcpServer.rejectCurrentTokens();
      for (const _ of Array(5).keys()) expect(await outcomeOf(broker)).toBe('ok');
      expect(tokenRequests(upstream).length).toBeLessThanOrEqual(index + 1);
    }
    expect(broker.state).toBe('authenticated');
  });

  it('during a wait after a failure: the next call tries again', async () => {
    const { broker, clock, upstream } = await givenLogin();
    upstream.authorizationServer.behaviour.respond = onPath('/token', answering(500, '{}'));
    clock.advance(TOKEN_SECONDS + 1);
    expect(await outcomeOf(broker)).toBe('refresh_unavailable');
    expect(await outcomeOf(broker)).toBe('refresh_unavailable');
    expect(tokenRequests(upstream)).toHaveLength(1);

    upstream.authorizationServer.behaviour.respond = undefined;
    clock.advance(jump);
    upstream.mcpServer.rejectCurrentTokens();
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('after a server has refused a new token: the next one is asked for all the same', async () => {
    const { broker, clock, upstream } = await givenLogin();
    const { behaviour } = upstream.mcpServer;
    behaviour.respond = (_request, response) => {
      response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
      return true;
    };
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    behaviour.respond = undefined;
    upstream.mcpServer.rejectCurrentTokens();
    clock.advance(jump);
    expect(await outcomeOf(broker)).toBe('ok');
    expect((await broker.status()).state).toBe('authenticated');
  });

  it('does not hide the login of another process', async () => {
    const clock = givenClock();
    const upstream = await givenUpstream();
    // Seen by both, as one that lies on a disk.
    const shared: SecretStore = { ...givenBreakableStore(), lockFolder: await givenFolder() };
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, shared);
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    const other = await givenBroker(upstream.mcpServer.jsonUrl, {}, shared);
    await logIn(other.broker);
    clock.advance(jump);
    expect(await outcomeOf(broker)).toBe('ok');
  });

  it('does not leave the health of the upstream at what it was', async () => {
    const clock = givenClock();
    let status = 200;
    const upstream = await givenScriptedUpstream((_request, response) => {
      if (status === 0) response.destroy();
      else response.writeHead(status).end('{}');
    });
    const { broker } = await givenBroker(upstream.origin);
    expect((await broker.readiness()).ready).toBe(true);
    status = 0;
    expect((await broker.readiness()).ready).toBe(true);
    clock.advance(jump);
    expect((await broker.readiness()).ready).toBe(false);
  });

  it('does not have calls refused for hours that may wait for a login', async () => {
    const clock = givenClock();
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, { LOGIN_WAIT_SECONDS: '600' });
    broker.cancelLogin();
    expect(await outcomeOf(broker)).toBe('not_authenticated');
    clock.advance(jump);
    const asked = new Promise<void>((resolve) => broker.once('login_needed', () => resolve()));
    const waiting = outcomeOf(broker);
    await asked;
    await logIn(broker);
    expect(await waiting).toBe('ok');
  });
});

it('a login without a refresh token that a clock ahead has ended is there again when the clock is right', async () => {
  const { broker, clock } = await givenLogin(false);
  expect(await outcomeOf(broker)).toBe('ok');
  clock.advance(FIVE_HOURS);
  expect(broker.state).toBe('login_required');
  expect(await outcomeOf(broker)).toBe('not_authenticated');
  clock.advance(-FIVE_HOURS);
  expect(await outcomeOf(broker)).toBe('ok');
  expect(broker.state).toBe('authenticated');
});

it('a login that is under way ends when the clock jumps ahead, and goes on when it jumps back', async () => {
  const clock = givenClock();
  const upstream = await givenUpstream();
  const { broker } = await givenBroker(upstream.mcpServer.jsonUrl);
  const first = await leaveForLogin(broker);
  clock.advance(FIVE_HOURS);
  expect((await openPage(callbackFor(first, { code: 'x' }))).page).toContain('older than 10 minutes');
  const second = await leaveForLogin(broker);
  clock.advance(-FIVE_HOURS);
  expect((await openPage(await signInByHttp(second.href))).status).toBe(200);
  expect(await outcomeOf(broker)).toBe('ok');
});
