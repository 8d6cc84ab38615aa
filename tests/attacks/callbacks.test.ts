import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import { MAX_PENDING_LOGINS, MAX_TARGET_BYTES } from '../../app/limits.ts';
import { givenBroker, type RunningBroker } from '../support/broker.ts';
import {
  callbackFor,
  comeBack,
  givenScriptedAuthorizationServer,
  givenScriptedMcpServer,
  leaveForLogin,
  openPage,
  type ScriptedAuthorizationServer,
} from '../support/scripted-authorization.ts';

async function givenBoth(): Promise<RunningBroker & { as: ScriptedAuthorizationServer; mcpUrl: string }> {
  const as = await givenScriptedAuthorizationServer();
  const { mcpUrl } = await givenScriptedMcpServer(as.issuer);
  return { as, mcpUrl, ...(await givenBroker(mcpUrl)) };
}

function callback(broker: Broker, query: Readonly<Record<string, string>> | string): URL {
  return new URL(`${broker.redirectUri}?${new URLSearchParams(query)}`);
}

describe('a callback that is guessed', () => {
  it('a thousand times does nothing: no code is redeemed, no fault is kept, and the real login goes on', async () => {
    const { broker, as, log } = await givenBoth();
    const left = await leaveForLogin(broker);
    for (let n = 0; n < 1_000; n += 50) {
      const guesses = Array.from({ length: 50 }, () => randomBytes(32).toString('base64url'));
      const answers = await Promise.all(
        guesses.map((state) => openPage(callback(broker, { code: 'stolen-code', state }))),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([400]));
      for (const guess of guesses) expect(log.text).not.toContain(guess);
    }
    expect(as.tokenRequests()).toEqual([]);
    expect((await broker.status()).last_error).toBeUndefined();
    expect(broker.state).toBe('logging_in');
    expect((await comeBack(left, { code: 'the-code' })).status).toBe(200);
    expect(as.tokenRequests().map((form) => form.get('code'))).toEqual(['the-code']);
    expect(log.text).not.toContain('stolen-code');
  });

  it.each([
    ['the beginning of the state', (state: string) => state.slice(0, -1)],
    ['the state and more', (state: string) => `${state}A`],
    [
      'the state in other letters',
      (state: string) => state.replace(/[a-z]/, (letter) => letter.toUpperCase()),
    ],
    ['the state with a space', (state: string) => ` ${state}`],
    ['the name of something every object has', () => '__proto__'],
  ])('is not taken for the real one: %s', async (_, change) => {
    const { broker, as } = await givenBoth();
    const left = await leaveForLogin(broker);
    const state = change(left.searchParams.get('state') ?? '');
    expect((await openPage(callback(broker, { code: 'c', state }))).status).toBe(400);
    expect(as.tokenRequests()).toEqual([]);
    expect((await comeBack(left, { code: 'c' })).status).toBe(200);
  });
});

describe('a callback of somebody else’s login (login CSRF)', () => {
  it('does not log this person in, whose own login goes on', async () => {
    const { broker, as } = await givenBoth();
    const other = await givenBroker((await givenScriptedMcpServer(as.issuer)).mcpUrl);
    const own = await leaveForLogin(broker);
    const foreign = await leaveForLogin(other.broker);
    const state = foreign.searchParams.get('state') ?? '';
    expect((await openPage(callback(broker, { code: 'of-the-attacker', state }))).status).toBe(400);
    expect(as.tokenRequests()).toEqual([]);
    expect([broker.state, other.broker.state]).toEqual(['logging_in', 'logging_in']);
    expect((await comeBack(own, { code: 'mine' })).status).toBe(200);
    expect((await comeBack(foreign, { code: 'theirs' })).status).toBe(200);
    expect(as.tokenRequests().map((form) => form.get('code'))).toEqual(['mine', 'theirs']);
  });
});

describe('a callback with HTML in it', () => {
  const HTML = `"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;`;
  const NAMES = [
    'state',
    'code',
    'iss',
    'error',
    'error_description',
    'error_uri',
    'session_state',
    'x',
    HTML,
  ];

  it.each([
    ['to a login that is under way', true],
    ['to none', false],
  ])('in every parameter has it shown as text, if at all: one %s', async (_, isKnown) => {
    const { broker } = await givenBoth();
    for (const name of NAMES) {
      const left = await leaveForLogin(broker);
      const given = callbackFor(left, isKnown ? { error: 'access_denied' } : { state: 'none' });
      if (!isKnown || name !== 'state') given.searchParams.set(name, HTML);
      const response = await fetch(given, { headers: { accept: 'text/html' } });
      const page = await response.text();
      expect(response.status).toBe(400);
      expect(page).not.toMatch(/<script|<img|onerror=alert\(1\)>/);
      expect(response.headers.get('content-security-policy')).toMatch(
        /^default-src 'none';.*frame-ancestors 'none'/,
      );
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect(response.headers.get('referrer-policy')).toBe('no-referrer');
      expect(response.headers.get('cache-control')).toBe('no-store');
      const landing = await (await fetch(broker.localUrl, { headers: { accept: 'text/html' } })).text();
      expect(landing).not.toMatch(/<script|<img/);
    }
  });

  it('leads nowhere, whatever it names', async () => {
    const { broker } = await givenBoth();
    const names = ['redirect_uri', 'return_to', 'next', 'url', 'error_uri', 'RelayState'];
    const query = Object.fromEntries(names.map((name) => [name, 'https://evil.example/']));
    const left = await leaveForLogin(broker);
    for (const given of [callbackFor(left, { ...query, code: 'c' }), callback(broker, query)]) {
      const { location, page } = await openPage(given);
      expect(location).toBeNull();
      expect(page).not.toContain('evil.example');
    }
  });
});

describe('a callback that says things twice', () => {
  it.each(['state', 'code', 'iss'])('is refused, and no code is redeemed: %s', async (name) => {
    const { broker, as } = await givenBoth();
    const left = await leaveForLogin(broker);
    const given = callbackFor(left, { code: 'c', iss: as.issuer });
    given.searchParams.append(name, 'another');
    expect((await openPage(given)).status).toBe(400);
    expect(as.tokenRequests()).toEqual([]);
  });
});

it('a callback that is too long is refused before anybody reads it', async () => {
  const { broker, as } = await givenBoth();
  const left = await leaveForLogin(broker);
  const { status } = await openPage(callbackFor(left, { code: 'c'.repeat(MAX_TARGET_BYTES) }));
  expect(status).toBe(431);
  expect(as.tokenRequests()).toEqual([]);
  expect((await comeBack(left, { code: 'c' })).status).toBe(200);
});

it('logins that are begun and left open end the oldest of them, and no more is remembered', async () => {
  const { broker, as } = await givenBoth();
  const left: URL[] = [];
  for (let n = 0; n <= MAX_PENDING_LOGINS; n++) left.push(await leaveForLogin(broker));
  const [first, second] = left;
  if (!first || !second) throw new Error('no login was begun');
  expect((await comeBack(first, { code: 'first' })).status).toBe(400);
  expect((await comeBack(second, { code: 'second' })).status).toBe(200);
  expect(as.tokenRequests().map((form) => form.get('code'))).toEqual(['second']);
});
