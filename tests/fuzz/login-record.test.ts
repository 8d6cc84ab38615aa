import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HttpFailure } from '../../app/oauth/http.ts';
import { accountOf, type LoginRecord, parseRecord, serializeRecord } from '../../app/oauth/login-record.ts';
import { isSecureUrl } from '../../app/oauth/metadata.ts';
import { RefreshUnavailable, Session } from '../../app/oauth/session.ts';
import { DEFAULT_CLIENT_ID } from '../../app/settings.ts';
import { createMemoryStore } from '../../app/store/memory.ts';
import { RecordingLog } from '../support/broker.ts';
import { expectNoneOf, hostileJson, hostileText, jsonText, mutated, runs, settled } from '../support/fuzz.ts';

const UPSTREAM = 'https://mcp.example/mcp';
const SECRETS = { refresh: 'rt-3Hn8YwT5sBc1', client: 'cs-4Tq9Zm2Xb7' };

const CLIENT = {
  issuer: 'https://as.example',
  redirect_uri: 'http://127.0.0.1:5177/oauth/callback',
  source: 'registered',
  client_id: 'client-1',
  client_secret: SECRETS.client,
  client_secret_expires_at: 0,
  token_endpoint_auth_method: 'client_secret_basic',
  scope: 'mcp:tools',
} as const;
const SERVER = {
  issuer: 'https://as.example',
  authorization_endpoint: 'https://as.example/authorize',
  token_endpoint: 'https://as.example/token',
  revocation_endpoint: 'https://as.example/revoke',
};
const GRANT = { refreshToken: SECRETS.refresh, resource: UPSTREAM, grantedAt: 1 };
const RECORD = { version: 1, upstream: UPSTREAM, profile: 'p', requestedScope: 'a', grantedScope: 'a' };

const client = mutated(CLIENT);
const grant = fc
  .record({ grant: mutated(GRANT), client, server: mutated(SERVER, ['registration_endpoint']) })
  .map((parts) => ({ ...parts.grant, client: parts.client, server: parts.server }));
const record = fc
  .record({ record: mutated(RECORD, ['ended']), grant: fc.oneof(grant, hostileJson), client })
  .map((parts) => ({ ...parts.record, grant: parts.grant, client: parts.client }));
/** A stored item: one of ours with changes, or anything at all. */
const item = fc.oneof(
  { weight: 8, arbitrary: record.map(jsonText) },
  { weight: 1, arbitrary: record.map((whole) => jsonText(whole).slice(0, -9)) },
  { weight: 1, arbitrary: fc.oneof(hostileText, hostileJson.map(jsonText)) },
);

function expectSound(read: LoginRecord): void {
  expect(read).toMatchObject({ version: 1, upstream: UPSTREAM, profile: 'p' });
  expect(parseRecord(serializeRecord(read), UPSTREAM, 'p')).toEqual(read);
  if (read.grant === undefined) return;
  expect(read.grant.refreshToken).not.toBe('');
  expect(read.grant.client.client_id).not.toBe('');
  expect(isSecureUrl(read.grant.server.token_endpoint)).toBe(true);
}

describe('a stored item of any content', () => {
  it('is read as something sound, or not at all', () => {
    fc.assert(
      fc.property(item, (text) => {
        const read = parseRecord(text, UPSTREAM, 'p');
        if (read) expectSound(read);
      }),
      runs(1_500),
    );
  });

  it('never lets a session fail in a way it does not know', async () => {
    const settings = {
      upstreamMcpUrl: UPSTREAM,
      profile: 'p',
      clientId: DEFAULT_CLIENT_ID,
      clientSecret: undefined,
      requirePkceMetadata: true,
    };
    await fc.assert(
      fc.asyncProperty(item, fc.boolean(), async (text, reachable) => {
        const store = createMemoryStore();
        await store.set(accountOf(UPSTREAM, 'p'), text);
        const log = new RecordingLog();
        const request = async (url: string) => {
          expect(isSecureUrl(url)).toBe(true);
          if (!reachable) throw new HttpFailure('unreachable', 'as.example cannot be reached (TEST).');
          return { status: 200, header: () => [], text: '{"access_token":"a","token_type":"bearer"}' };
        };
        const session = new Session({ settings, store, request, log, onChange: () => undefined });
        await session.load();
        const { value, error } = await settled(Promise.resolve(session.token()));
        if (error === undefined) expect([undefined, 'a']).toContain(value?.value);
        else expect(error).toBeInstanceOf(RefreshUnavailable);
        expectNoneOf(Object.values(SECRETS), log.entries, session.status(), error);
        await session.logout();
        expect(await store.get(accountOf(settings.upstreamMcpUrl, settings.profile))).toBeUndefined();
        expectNoneOf(Object.values(SECRETS), log.entries);
      }),
      runs(800),
    );
  });
});
