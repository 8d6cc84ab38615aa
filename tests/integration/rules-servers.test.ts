import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { givenBroker } from '../support/broker.ts';
import { outcomeOf } from '../support/login.ts';
import {
  comeBack,
  givenScriptedAuthorizationServer,
  givenScriptedMcpServer,
  leaveForLogin,
  openPage,
} from '../support/scripted-authorization.ts';

describe('several authorization servers', () => {
  it('are tried in order, and the first that can be used is', async () => {
    const [broken, first, second] = await Promise.all([
      givenScriptedAuthorizationServer(),
      givenScriptedAuthorizationServer(),
      givenScriptedAuthorizationServer(),
    ]);
    broken.metadata.code_challenge_methods_supported = ['plain'];
    const mcp = await givenScriptedMcpServer(broken.issuer, first.issuer, second.issuer);
    const { broker } = await givenBroker(mcp.mcpUrl);
    const url = await leaveForLogin(broker);
    expect(url.origin).toBe(first.origin);
    expect((await comeBack(url, { code: 'c', iss: first.issuer })).status).toBe(200);
    expect((await broker.status()).issuer).toBe(first.issuer);
    expect(broken.asked).toEqual(['GET /.well-known/oauth-authorization-server']);
    expect(second.asked).toEqual([]);
  });

  it('leave the choice to ISSUER', async () => {
    const first = await givenScriptedAuthorizationServer();
    const second = await givenScriptedAuthorizationServer();
    const mcp = await givenScriptedMcpServer(first.issuer, second.issuer);
    const { broker } = await givenBroker(mcp.mcpUrl, { ISSUER: second.issuer });
    const url = await leaveForLogin(broker);
    expect(url.origin).toBe(second.origin);
    expect((await comeBack(url, { code: 'c', iss: second.issuer })).status).toBe(200);
    expect(await outcomeOf(broker)).toBe('ok');
    expect(first.asked).toEqual([]);
  });
});

describe('an issuer that differs by a trailing slash', () => {
  it.each([
    ['announced without, named with', (origin: string) => [origin, `${origin}/`]],
    ['announced with, named without', (origin: string) => [`${origin}/`, origin]],
  ])('is refused with the cure, and used once ISSUER names it exactly: %s', async (_, issuers) => {
    const as = await givenScriptedAuthorizationServer();
    const [announced = '', named = ''] = issuers(as.origin);
    as.metadata.issuer = named;
    const mcp = await givenScriptedMcpServer(announced);
    const { broker } = await givenBroker(mcp.mcpUrl);
    const refusal = await openPage(broker.loginUrl);
    expect(refusal.status).toBe(502);
    expect(refusal.page).toContain(`calls itself ${named}, so it was not used`);
    expect(refusal.page).toContain('set ISSUER to it exactly');
    expect(as.asked).toEqual(['GET /.well-known/oauth-authorization-server']);

    const { broker: told } = await givenBroker(mcp.mcpUrl, { ISSUER: named });
    const wrong = await comeBack(await leaveForLogin(told), { code: 'c', iss: announced });
    expect(wrong.status).toBe(400);
    expect(wrong.page).toContain('comes from another issuer');
    expect(as.tokenRequests()).toEqual([]);
    expect((await comeBack(await leaveForLogin(told), { code: 'c', iss: named })).status).toBe(200);
    expect((await told.status()).issuer).toBe(named);
    expect(await outcomeOf(told)).toBe('ok');
  });
});

describe('an authorization server that does not advertise PKCE', () => {
  it('is not logged in at; with REQUIRE_PKCE_METADATA=false it is, by S256 all the same', async () => {
    const as = await givenScriptedAuthorizationServer();
    delete as.metadata.code_challenge_methods_supported;
    const mcp = await givenScriptedMcpServer(as.issuer);
    const { broker } = await givenBroker(mcp.mcpUrl);
    const refusal = await openPage(broker.loginUrl);
    expect([refusal.status, refusal.location]).toEqual([502, null]);
    expect(refusal.page).toContain('REQUIRE_PKCE_METADATA=false');

    const { broker: told } = await givenBroker(mcp.mcpUrl, { REQUIRE_PKCE_METADATA: 'false' });
    const url = await leaveForLogin(told);
    expect((await comeBack(url, { code: 'c' })).status).toBe(200);
    const verifier = as.tokenRequests()[0]?.get('code_verifier') ?? '';
    expect(url.searchParams.get('code_challenge_method')).toBe('S256');
    expect(url.searchParams.get('code_challenge')).toBe(
      createHash('sha256').update(verifier).digest('base64url'),
    );
  });
});

describe('the authorization request', () => {
  it.each<[string, string[], string | null, string | null]>([
    ['where it is advertised', ['tools', 'offline_access'], 'tools offline_access', 'consent'],
    ['where it is not', ['tools'], 'tools', null],
  ])('asks for offline_access, and for consent, only %s', async (_, supported, scope, prompt) => {
    const as = await givenScriptedAuthorizationServer();
    as.metadata.scopes_supported = supported;
    const mcp = await givenScriptedMcpServer(as.issuer);
    const { broker } = await givenBroker(mcp.mcpUrl);
    const { searchParams } = await leaveForLogin(broker);
    expect([searchParams.get('scope'), searchParams.get('prompt')]).toEqual([scope, prompt]);
  });

  it.each(['javascript:alert(1)', 'file:///etc/passwd', 'data:text/html,x', 'http://as.example/authorize'])(
    'never leads to %s',
    async (endpoint) => {
      const as = await givenScriptedAuthorizationServer();
      as.metadata.authorization_endpoint = endpoint;
      const mcp = await givenScriptedMcpServer(as.issuer);
      const { broker } = await givenBroker(mcp.mcpUrl);
      const { status, location, page } = await openPage(broker.loginUrl);
      expect([status, location]).toEqual([502, null]);
      expect(page).toContain('is not an https: URL');
      for (const quote of [`"`, "'", '=']) expect(page).not.toContain(quote + endpoint);
      expect(as.asked).toEqual(['GET /.well-known/oauth-authorization-server']);
      await expect(broker.login()).rejects.toMatchObject({ code: 'discovery_failed' });
    },
  );
});

describe('metadata that names an address which is not public', () => {
  const addresses = ['169.254.169.254', '[fe80::1]', '10.0.0.1', '192.168.0.1', '[fd00::1]', '0.0.0.0'];

  it.each(addresses)('as that of an authorization server is not followed: %s', async (address) => {
    const mcp = await givenScriptedMcpServer(`https://${address}`);
    const { broker } = await givenBroker(mcp.mcpUrl);
    const { status, location, page } = await openPage(broker.loginUrl);
    expect([status, location]).toEqual([502, null]);
    expect(page).toContain('is not a public address');
    expect((await broker.status()).discovery.requests.at(-1)).toMatchObject({
      url: expect.stringContaining(`https://${address}/`),
      outcome: 'forbidden_address',
    });
  });

  it.each(addresses)('as a redirect is not followed: %s', async (address) => {
    const as = await givenScriptedAuthorizationServer();
    as.script['/.well-known/oauth-authorization-server'] = {
      text: '',
      status: 302,
      headers: { location: `https://${address}/metadata` },
    };
    const mcp = await givenScriptedMcpServer(as.issuer);
    const { broker } = await givenBroker(mcp.mcpUrl);
    const { status, page } = await openPage(broker.loginUrl);
    expect(status).toBe(502);
    expect(page).toContain('is not a public address');
  });

  it('as a token endpoint is sent neither the code nor the verifier', async () => {
    const as = await givenScriptedAuthorizationServer();
    as.metadata.token_endpoint = 'https://169.254.169.254/token';
    const mcp = await givenScriptedMcpServer(as.issuer);
    const { broker } = await givenBroker(mcp.mcpUrl);
    const { status, page } = await comeBack(await leaveForLogin(broker), { code: 'the-code' });
    expect(status).toBe(502);
    expect(page).toContain('169.254.169.254 is not a public address');
    expect(page).not.toContain('the-code');
    expect(as.asked).toEqual(['GET /.well-known/oauth-authorization-server', 'POST /register']);
  });

  it('as a registration endpoint is sent nothing', async () => {
    const as = await givenScriptedAuthorizationServer();
    as.metadata.registration_endpoint = 'https://169.254.169.254/register';
    const mcp = await givenScriptedMcpServer(as.issuer);
    const { broker } = await givenBroker(mcp.mcpUrl);
    const { status, page } = await openPage(broker.loginUrl);
    expect(status).toBe(502);
    expect(page).toContain('is not a public address');
  });
});
