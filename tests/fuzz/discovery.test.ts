import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLoopbackHost } from '../../app/address.ts';
import { type Discovery, type DiscoveryStep, discover } from '../../app/oauth/discovery.ts';
import { LoginFailure } from '../../app/oauth/errors.ts';
import {
  expectNoneOf,
  expectSentence,
  givenFuzzTarget,
  hostileAnswer,
  hostileText,
  mutated,
  runs,
  settled,
} from '../support/fuzz.ts';
import type { ScriptedAnswer } from '../support/scripted-server.ts';

const PRM = '/.well-known/oauth-protected-resource';
const ASM = '/.well-known/oauth-authorization-server';
const OIDC = '/.well-known/openid-configuration';
/** A key that the operator of the server gave the person, in the URL. */
const URL_KEY = 'uk5Vb2Qz8Ld1';
/** Two probes, three places of the first document, five servers with three places each; each redirected three times. */
const MOST_REQUESTS = 2 + (3 + 5 * 3) * 4;

const redirect = (origin: string) =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constant({}) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(ASM, `${origin}${PRM}`, 'https://127.0.0.1:1/', 'file:///x', 'javascript:x', '//', '')
        .map((location) => ({ location })),
    },
  );

/** Everything a stranger decides about a discovery. */
function strangers(origin: string): fc.Arbitrary<Record<string, ScriptedAnswer>> {
  const issuer = fc.constantFrom(origin, origin, origin, `${origin}/tenant`, `${origin}/`);
  const urls = fc.oneof(hostileText, fc.constantFrom(`${origin}/x`, `${origin}/token?a=b#c`, origin));
  const resources = fc.constantFrom(
    ...[origin, `${origin}/`, `${origin}/mc`, `${origin}/mcp/x`, `${origin}/mcp#x`, `${origin}/mcp?other`],
    ...['https://mcp.example', 'https://mcp.example/mcp', '/mcp'],
  );
  const list = fc.oneof(fc.array(fc.oneof(issuer, urls), { maxLength: 8 }), urls);
  const resource = mutated(
    {
      resource: `${origin}/mcp?key=${URL_KEY}`,
      authorization_servers: [origin],
      scopes_supported: ['mcp:tools'],
    },
    ['__proto__', 'jwks_uri'],
    fc.oneof(list, urls, resources),
  );
  const server = issuer.chain((name) =>
    mutated(
      {
        issuer: name,
        authorization_endpoint: `${name}/authorize`,
        token_endpoint: `${name}/token`,
        registration_endpoint: `${name}/register`,
        code_challenge_methods_supported: ['S256'],
      },
      ['revocation_endpoint', 'scopes_supported', 'authorization_response_iss_parameter_supported'],
      fc.oneof(urls, list),
    ),
  );
  const headers = redirect(origin);
  const challenge = fc.oneof(
    fc.constant('Bearer'),
    fc.constantFrom(PRM, `${PRM}/mcp`, '/elsewhere').map((path) => `resource_metadata="${origin}${path}"`),
    fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
  );
  const probe = fc.oneof(
    {
      weight: 6,
      arbitrary: challenge.map((value) => answer(401, { 'www-authenticate': `Bearer ${value}` })),
    },
    { weight: 1, arbitrary: fc.constantFrom(200, 404, 500).map((status) => answer(status)) },
  );
  const documents = (document: fc.Arbitrary<unknown>) =>
    fc.oneof(
      { weight: 5, arbitrary: hostileAnswer(document, headers) },
      { weight: 1, arbitrary: fc.constant<ScriptedAnswer>(404) },
    );
  return fc.record({
    '/mcp': probe,
    [`${PRM}/mcp`]: documents(resource),
    [PRM]: documents(resource),
    '/elsewhere': documents(resource),
    [ASM]: documents(server),
    [`${ASM}/tenant`]: documents(server),
    [OIDC]: documents(server),
    [`${OIDC}/tenant`]: documents(server),
    [`/tenant${OIDC}`]: documents(server),
  });
}

const answer = (status: number, headers: Record<string, string> = {}): ScriptedAnswer => ({
  status,
  headers,
  text: '{}',
});

function expectWellFormed({ server, resource, mode }: Discovery, origin: string): void {
  expect(['metadata', 'legacy']).toContain(mode);
  const { authorization_endpoint, token_endpoint, registration_endpoint, revocation_endpoint } = server;
  for (const endpoint of [
    authorization_endpoint,
    token_endpoint,
    registration_endpoint,
    revocation_endpoint,
  ]) {
    if (endpoint === undefined) continue;
    const { protocol, hostname, username, password } = new URL(endpoint);
    expect(protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname))).toBe(true);
    expect(username + password).toBe('');
  }
  expect(new URL(server.issuer).origin).toBe(origin);
  if (mode === 'legacy') expect(resource).toBeUndefined();
  else {
    const found = [`${origin}`, `${origin}/`, `${origin}/mcp`, `${origin}/mcp?key=${URL_KEY}`];
    expect(found).toContain(new URL(resource ?? '').href.replace(/#$/, ''));
  }
}

describe('a discovery', () => {
  it('finds something sound or says why not, whatever strangers answer', async () => {
    const { server, request } = await givenFuzzTarget();
    const { origin } = server;
    const issuers = fc.constantFrom(undefined, undefined, undefined, origin, `${origin}/tenant`);
    await fc.assert(
      fc.asyncProperty(strangers(origin), issuers, fc.boolean(), async (script, issuer, strict) => {
        Object.assign(server.script, script);
        const before = server.requests.length;
        const steps: DiscoveryStep[] = [];
        const { value, error } = await settled(
          discover({
            upstreamMcpUrl: `${origin}/mcp?key=${URL_KEY}`,
            issuer,
            requirePkceMetadata: strict,
            challenge: undefined,
            request,
            onStep: (step) => void steps.push(step),
          }),
        );
        expect(server.requests.length - before).toBeLessThanOrEqual(MOST_REQUESTS);
        expectNoneOf([URL_KEY], steps);
        for (const { outcome } of steps) expectSentence(outcome);
        if (value !== undefined) {
          expectWellFormed(value, origin);
          return;
        }
        expect(error).toBeInstanceOf(LoginFailure);
        const { message, cure } = error as LoginFailure;
        expectSentence(message);
        expectSentence(cure);
        expectNoneOf([URL_KEY], message, cure);
      }),
      runs(1_500),
    );
  });
});
