import { describe, expect, it } from 'vitest';
import {
  accountOf,
  type LoginRecord,
  parseRecord,
  serializeRecord,
} from '../../../app/oauth/login-record.ts';

const UPSTREAM = 'https://mcp.example.com/my/mcp';

const client = {
  issuer: 'https://as.example.com',
  redirect_uri: 'http://127.0.0.1:5177/oauth/callback',
  source: 'registered',
  client_id: 'c-1',
  client_secret: 's',
  client_secret_expires_at: 0,
  token_endpoint_auth_method: 'client_secret_basic',
} as const;

const record: LoginRecord = {
  version: 1,
  upstream: UPSTREAM,
  profile: 'default',
  grant: {
    refreshToken: 'r-1 "ü"\n',
    server: {
      issuer: 'https://as.example.com',
      authorization_endpoint: 'https://as.example.com/authorize',
      token_endpoint: 'https://as.example.com/token',
      scopes_supported: ['a', 'b'],
      authorization_response_iss_parameter_supported: true,
    },
    client,
    resource: UPSTREAM,
    grantedAt: 1_700_000_000_000,
  },
  client,
  requestedScope: 'a b c',
  grantedScope: 'a b',
};

const damaged = (change: (copy: Record<string, unknown>) => void): string => {
  const copy = JSON.parse(serializeRecord(record)) as Record<string, unknown>;
  change(copy);
  return JSON.stringify(copy);
};

describe('a login record', () => {
  it('is read as it was written', () => {
    expect(parseRecord(serializeRecord(record), UPSTREAM, 'default')).toEqual(record);
    const bare = { version: 1, upstream: UPSTREAM, profile: 'p', ended: 'why' } as const;
    expect(parseRecord(serializeRecord(bare), UPSTREAM, 'p')).toEqual(bare);
  });

  it('of another login is not read', () => {
    const text = serializeRecord(record);
    expect(parseRecord(text, `${UPSTREAM}/`, 'default')).toBeUndefined();
    expect(parseRecord(text, UPSTREAM, 'other')).toBeUndefined();
  });

  it.each([
    ['nothing', ''],
    ['a bare token', 'r-1'],
    ['JSON that was cut', serializeRecord(record).slice(0, -1)],
    ['null', 'null'],
    ['a list', '[]'],
    ['another version', damaged((copy) => Object.assign(copy, { version: 2 }))],
    ['no version', damaged((copy) => delete copy.version)],
    [
      'a grant without refresh token',
      damaged((copy) => delete (copy.grant as { refreshToken?: string }).refreshToken),
    ],
    ['a grant without client', damaged((copy) => delete (copy.grant as { client?: unknown }).client)],
    [
      'a client of an unknown source',
      damaged((copy) => Object.assign(copy.client as object, { source: 'x' })),
    ],
    ['a scope of the wrong type', damaged((copy) => Object.assign(copy, { grantedScope: 7 }))],
  ])('that is damaged is not read: %s', (_, text) => {
    expect(parseRecord(text, UPSTREAM, 'default')).toBeUndefined();
  });
});

describe('accountOf', () => {
  it('names the host and the profile for people, and is a plain line', () => {
    expect(accountOf(UPSTREAM, 'work')).toMatch(/^mcp\.example\.com work [0-9a-f]{16}$/);
  });

  it('is the same each time', () => {
    expect(accountOf(UPSTREAM, 'default')).toBe(accountOf(UPSTREAM, 'default'));
  });

  it('tells upstreams and profiles apart', () => {
    const upstreams = [
      UPSTREAM,
      `${UPSTREAM}/`,
      'https://mcp.example.com/other',
      'https://mcp.example.com:8443/my/mcp',
    ];
    const names = upstreams.flatMap((upstream) => ['a', 'b'].map((profile) => accountOf(upstream, profile)));
    expect(new Set(names).size).toBe(8);
  });

  it('does not show what the URL may hide', () => {
    expect(accountOf('https://mcp.example.com/s/hidden/mcp?key=hidden', 'default')).not.toContain('hidden');
  });
});
