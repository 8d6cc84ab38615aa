import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Login } from '../../../app/oauth/login.ts';
import { Session } from '../../../app/oauth/session.ts';
import { settingsFromEnvironment } from '../../../app/settings.ts';
import { createMemoryStore } from '../../../app/store/memory.ts';
import { RecordingLog } from '../../support/broker.ts';

const ISSUER = 'https://as.example.com';
const HOUR = 3_600;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A login at endpoints that were entered, so that nothing has to be asked for. */
function givenLogin() {
  const settings = settingsFromEnvironment({
    UPSTREAM_MCP_URL: 'https://mcp.example.com/mcp',
    AUTHORIZATION_ENDPOINT: `${ISSUER}/authorize`,
    TOKEN_ENDPOINT: `${ISSUER}/token`,
    CLIENT_ID: 'client',
  });
  const changes: string[] = [];
  const state = () => (login.underWay ? 'logging_in' : session.state);
  const parts = {
    settings,
    log: new RecordingLog(),
    request: () => Promise.reject(new Error('nothing is to be asked for')),
    onChange: () => void (changes.at(-1) !== state() && changes.push(state())),
  };
  const session = new Session({ ...parts, store: createMemoryStore() });
  const login: Login = new Login({ ...parts, session, software: { version: '1', homepage: undefined } });
  return { login, session, changes };
}

const REDIRECT_URI = 'http://127.0.0.1:5177/oauth/callback';

describe('a login that nobody finishes', () => {
  it('is told of as over when its time has passed', async () => {
    const { login, changes } = givenLogin();
    await login.start(REDIRECT_URI);
    await vi.advanceTimersByTimeAsync(300_000);
    await login.start(REDIRECT_URI);
    await vi.advanceTimersByTimeAsync(590_000);
    expect(changes).toEqual(['logging_in']);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(changes).toEqual(['logging_in', 'logged_out']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves no timer behind when it is cancelled', async () => {
    const { login, changes } = givenLogin();
    await login.start(REDIRECT_URI);
    login.cancel();
    expect(changes).toEqual(['logging_in', 'logged_out']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a login without a refresh token', () => {
  const tokens = (lifetimeSeconds: number | undefined) => ({
    accessToken: 'a',
    refreshToken: undefined,
    scope: undefined,
    obtainedAt: Date.now(),
    expiresAt: lifetimeSeconds === undefined ? undefined : Date.now() + lifetimeSeconds * 1000,
  });
  const of = {
    server: {
      issuer: ISSUER,
      authorization_endpoint: `${ISSUER}/authorize`,
      token_endpoint: `${ISSUER}/token`,
    },
    client: {
      client_id: 'client',
      issuer: ISSUER,
      redirect_uri: REDIRECT_URI,
      source: 'configured',
      token_endpoint_auth_method: 'none',
    },
    resource: undefined,
    requestedScope: undefined,
  } as const;

  it('is told of as over when its access token has ended', async () => {
    const { session, changes } = givenLogin();
    await session.adopt(tokens(HOUR), of);
    await vi.advanceTimersByTimeAsync(HOUR * 1000 - 1);
    expect(changes.at(-1)).toBe('authenticated');
    await vi.advanceTimersByTimeAsync(1);
    expect(changes.at(-1)).toBe('login_required');
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['never ends', undefined, 0],
    ['ends in a year', 365 * 24 * HOUR, 1],
  ])('that %s is not told of as over', async (_, lifetime, timers) => {
    const { session, changes } = givenLogin();
    await session.adopt(tokens(lifetime), of);
    await vi.advanceTimersByTimeAsync(30 * 24 * HOUR * 1000 - 1);
    expect(changes.at(-1)).toBe('authenticated');
    expect(vi.getTimerCount()).toBeLessThanOrEqual(timers);
    await session.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
