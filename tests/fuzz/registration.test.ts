import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LoginFailure } from '../../app/oauth/errors.ts';
import { parseRecord, serializeRecord } from '../../app/oauth/login-record.ts';
import { obtainClient } from '../../app/oauth/registration.ts';
import {
  expectNoneOf,
  expectSentence,
  givenFuzzTarget,
  hostileAnswer,
  hostileJson,
  mutated,
  runs,
  settled,
} from '../support/fuzz.ts';
import { registrationAt } from '../support/registration.ts';

const SECRETS = { client_secret: 'cs-4Tq9Zm2Xb7', registration_access_token: 'ra-8Wd3Lk6Yp1' };

const registered = mutated(
  {
    client_id: 'client-1',
    ...SECRETS,
    client_secret_expires_at: 0,
    token_endpoint_auth_method: 'client_secret_basic',
    redirect_uris: ['http://127.0.0.1:5177/oauth/callback'],
    scope: 'mcp:tools',
  },
  ['error', 'error_description', '__proto__'],
  fc.oneof(
    hostileJson,
    fc.constantFrom<unknown>('', 'invalid_redirect_uri', 'private_key_jwt', '3600', 3600, -5),
  ),
);

describe('a registration', () => {
  it('gives a client that can be kept, or says why not, whatever the server answers', async () => {
    const { server, request } = await givenFuzzTarget();
    const { origin } = server;
    await fc.assert(
      fc.asyncProperty(hostileAnswer(registered), async (answer) => {
        server.script['/register'] = answer;
        const before = server.requests.length;
        const { value: client, error } = await settled(
          obtainClient(registrationAt(origin, request, { scope: 'mcp:tools' })),
        );
        expect(server.requests.length - before).toBeLessThanOrEqual(2);
        if (client !== undefined) {
          expect(client).toMatchObject({ issuer: origin, source: 'registered' });
          expect(client.client_id).not.toBe('');
          expect(client.client_secret).not.toBe('');
          const record = { version: 1, upstream: origin, profile: 'p', client } as const;
          expect(parseRecord(serializeRecord(record), origin, 'p')).toEqual(record);
          expectNoneOf([SECRETS.registration_access_token], client);
          return;
        }
        expect(error).toBeInstanceOf(LoginFailure);
        const { message, cure } = error as LoginFailure;
        expectSentence(message);
        expectSentence(cure);
        expectNoneOf(Object.values(SECRETS), error);
      }),
      runs(800),
    );
  });
});
