import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LoginFailure } from '../../app/oauth/errors.ts';
import { Login } from '../../app/oauth/login.ts';
import { Session } from '../../app/oauth/session.ts';
import { settingsFromEnvironment } from '../../app/settings.ts';
import { createMemoryStore } from '../../app/store/memory.ts';
import { RecordingLog } from '../support/broker.ts';
import {
  expectNoneOf,
  expectSentence,
  givenFuzzTarget,
  hostileText,
  runs,
  settled,
} from '../support/fuzz.ts';

const REDIRECT_URI = 'http://127.0.0.1:5177/oauth/callback';
const CODE = 'co-6Jf1XrD0vGq7';
const GRANTED = { access_token: 'at-7Qm2ZkV9pLx4', refresh_token: 'rt-3Hn8YwT5sBc1' };
/** Words that only an error of the server holds. */
const SAID = 'said-by-the-server';

const NAMES = [
  'state',
  'code',
  'iss',
  'error',
  'error_description',
  'error_uri',
  'response',
  'id_token',
] as const;

/** What happens to the parameters of a good callback on its way here. */
interface Change {
  readonly how: 'set' | 'append' | 'delete';
  readonly name: string;
  readonly value: string;
}
const change: fc.Arbitrary<Change> = fc.record({
  how: fc.constantFrom('set', 'append', 'delete'),
  name: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...NAMES) },
    { weight: 1, arbitrary: fc.constantFrom('access_token', 'session_state', '__proto__', '') },
    { weight: 1, arbitrary: hostileText },
  ),
  value: fc.oneof(
    fc.constantFrom('STATE', 'ISSUER', 'ISSUER/', CODE, `${SAID} ${CODE} STATE`, 'access_denied', ''),
    hostileText,
  ),
});

describe('the callback of a login', () => {
  it('is taken only as it was asked for, whatever its query is', async () => {
    const { server, request } = await givenFuzzTarget();
    const { origin } = server;
    const metadata = {
      issuer: origin,
      authorization_endpoint: `${origin}/authorize`,
      token_endpoint: `${origin}/token`,
      registration_endpoint: `${origin}/register`,
      code_challenge_methods_supported: ['S256'],
    };
    Object.assign(server.script, {
      '/mcp': 401,
      '/.well-known/oauth-protected-resource/mcp': {
        json: { resource: `${origin}/mcp`, authorization_servers: [origin] },
      },
      '/register': { status: 201, json: { client_id: 'client-1' } },
      '/token': { json: { ...GRANTED, token_type: 'Bearer' } },
    });
    const settings = settingsFromEnvironment({ UPSTREAM_MCP_URL: `${origin}/mcp` });
    const log = new RecordingLog();
    const onChange = () => undefined;
    const session = new Session({ settings, store: createMemoryStore(), request, log, onChange });
    const software = { version: '1', homepage: undefined };
    const login = new Login({ settings, session, request, log, software, onChange });

    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 4 }), fc.boolean(), async (changes, promised) => {
        server.script['/.well-known/oauth-authorization-server'] = {
          json: { ...metadata, authorization_response_iss_parameter_supported: promised },
        };
        login.cancel();
        log.entries.length = 0;
        const state = (await login.start(REDIRECT_URI)).searchParams.get('state') ?? '';
        const query = new URLSearchParams({ code: CODE, state, iss: origin });
        for (const { how, name, value } of changes) {
          const text = value.replaceAll('STATE', state).replace('ISSUER', origin);
          if (how === 'delete') query.delete(name);
          else query[how](name, text);
        }
        const before = server.requests.length;
        const { value, error } = await settled(login.finish(query));
        const codes = server.requests.slice(before).filter(({ url }) => url === '/token');
        const verifier = new URLSearchParams(codes[0]?.body).get('code_verifier');
        const secrets = [
          ...[...query.getAll('state'), ...query.getAll('code')].filter((text) =>
            [state, CODE].includes(text),
          ),
          ...Object.values(GRANTED),
          ...(verifier === null ? [] : [verifier]),
        ];

        expectNoneOf(secrets, log.entries, error);
        const named = query.getAll('iss');
        const issuerFits = named.length === 0 ? !promised : named.length === 1 && named[0] === origin;
        if (query.get('state') !== state || !issuerFits || query.has('error')) expect(codes).toEqual([]);
        expect(codes.length).toBeLessThanOrEqual(1);
        if (value !== undefined) {
          expect(codes).toHaveLength(1);
          for (const name of ['code', 'state']) expect(query.getAll(name)).toHaveLength(1);
          return;
        }
        expect(error).toBeInstanceOf(LoginFailure);
        const { message, cure } = error as LoginFailure;
        expectSentence(message);
        expectSentence(cure);
        if (!issuerFits && !named.some((text) => text.includes(SAID))) expectNoneOf([SAID], message, cure);
        const warnings = log.entries.filter(({ level }) => level === 'warn').map(({ details }) => details);
        if (query.get('state') === state) {
          expect(login.failure).toBe(error);
          expect(warnings).toMatchObject([{ reason: message, cure }]);
        } else {
          // Anybody can open such a URL: it must not look like a login that failed.
          expect(login.failure).not.toBe(error);
          expect(warnings).toEqual([]);
        }
      }),
      runs(700),
    );
  });
});
