import { describe, expect, it } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import { accountOf } from '../../app/oauth/login-record.ts';
import { VERSION } from '../../app/version.ts';
import { givenBroker, givenUpstream, logIn } from '../support/broker.ts';
import { givenScriptedUpstream } from '../support/wire.ts';

async function ask(broker: Broker, path: string, init: RequestInit = {}) {
  const response = await fetch(broker.localUrl + path, { redirect: 'manual', ...init });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
}

async function askJson(broker: Broker, path: string, init: RequestInit = {}) {
  const answer = await ask(broker, path, init);
  expect(answer.headers.get('content-type')).toBe('application/json');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  return { ...answer, json: JSON.parse(answer.text) as Record<string, unknown> };
}

const page: RequestInit = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } };

async function givenLoggedOut(environment: NodeJS.ProcessEnv = {}) {
  const upstream = await givenUpstream();
  const { broker } = await givenBroker(upstream.mcpUrl, environment);
  return { upstream, broker };
}

describe('GET /health', () => {
  it('answers while the process lives, and HEAD has the same head', async () => {
    const { broker } = await givenLoggedOut();
    const { status, json, headers } = await askJson(broker, '/health');
    expect(status).toBe(200);
    expect(json).toEqual({ status: 'ok', version: VERSION, uptime_s: expect.any(Number) });
    const head = await ask(broker, '/health', { method: 'HEAD' });
    expect([head.status, head.text, head.headers.get('content-length')]).toEqual([
      200,
      '',
      headers.get('content-length'),
    ]);
  });
});

describe('GET /mcp/health', () => {
  it('is 503 with the way out while a login is missing, and 200 after it', async () => {
    const { upstream, broker } = await givenLoggedOut();
    expect(await askJson(broker, '/mcp/health')).toMatchObject({
      status: 503,
      json: {
        status: 'unavailable',
        upstream: upstream.mcpUrl,
        authenticated: false,
        reason: `Not logged in; open ${broker.loginUrl}.`,
      },
    });
    await logIn(broker);
    const { status, json } = await askJson(broker, '/mcp/health');
    expect([status, json]).toEqual([200, { status: 'ok', upstream: upstream.mcpUrl, authenticated: true }]);
  });

  it('is 200 without a login where the upstream needs none', async () => {
    const upstream = await givenUpstream({ mcpServer: { requireAuth: false } });
    const { broker } = await givenBroker(upstream.mcpUrl);
    expect(await askJson(broker, '/mcp/health')).toMatchObject({
      status: 200,
      json: { status: 'ok', authenticated: false },
    });
  });

  it('is 503 and says so when the upstream is down', async () => {
    const { upstream, broker } = await givenLoggedOut();
    await logIn(broker);
    await upstream.mcpServer.close();
    expect(await askJson(broker, '/mcp/health')).toMatchObject({
      status: 503,
      json: {
        status: 'unavailable',
        authenticated: true,
        reason: expect.stringContaining('cannot be reached'),
      },
    });
  });

  it('is 503 and says so when the login was ended at the server', async () => {
    const { upstream, broker } = await givenLoggedOut();
    await logIn(broker);
    upstream.authorizationServer.revokeGrants();
    upstream.mcpServer.rejectCurrentTokens();
    await (await fetch(broker.mcpUrl, { method: 'DELETE' })).text();
    expect(await askJson(broker, '/mcp/health')).toMatchObject({
      status: 503,
      json: { authenticated: false, reason: expect.stringContaining('login has ended') },
    });
  });

  it('is a call like any other when it is not asked for with GET', async () => {
    const upstream = await givenScriptedUpstream((_request, response) => void response.end('from upstream'));
    const { broker } = await givenBroker(`${upstream.origin}/mcp`);
    expect((await ask(broker, '/mcp/health', { method: 'POST' })).text).toBe('from upstream');
    expect(upstream.requests.entries[0]?.url).toBe('/mcp/health');
  });
});

describe('GET /', () => {
  it('is a page for a browser', async () => {
    const { broker } = await givenLoggedOut();
    const { status, headers, text } = await ask(broker, '/', page);
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(text).toContain(broker.mcpUrl);
  });

  it.each(['application/json', '*/*'])('is JSON with the useful addresses for %s', async (accept) => {
    const { upstream, broker } = await givenLoggedOut();
    const { status, json } = await askJson(broker, '/', { headers: { accept } });
    expect(status).toBe(200);
    expect(json).toEqual({
      name: 'MCP Auth Proxy',
      version: VERSION,
      state: 'logged_out',
      upstream: upstream.mcpUrl,
      mcp_url: `${broker.localUrl}/mcp`,
      login_url: `${broker.localUrl}/oauth/login`,
      logout_url: `${broker.localUrl}/oauth/logout`,
      status_url: `${broker.localUrl}/oauth/status`,
      health_url: `${broker.localUrl}/health`,
    });
  });

  it('is a call when it asks for events, or is not a GET', async () => {
    const upstream = await givenScriptedUpstream((_request, response) => void response.end('from upstream'));
    const { broker } = await givenBroker(`${upstream.origin}/mcp`);
    for (const init of [
      { headers: { accept: 'application/json, text/event-stream' } },
      { method: 'POST' },
      { method: 'DELETE' },
    ]) {
      expect((await ask(broker, '/', init)).text).toBe('from upstream');
    }
    expect(upstream.requests.entries.map(({ url }) => url)).toEqual(['/mcp', '/mcp', '/mcp']);
  });
});

describe('GET /oauth/status', () => {
  it('says what there is to know, and no secret: neither a token nor the client’s nor the key', async () => {
    const secrets = new Set<string>(['the-proxy-key']);
    const upstream = await givenUpstream({
      authorizationServer: {
        onTokenRequest: (body) => {
          for (const name of ['code', 'code_verifier', 'refresh_token']) {
            const value = body.get(name);
            if (value) secrets.add(value);
          }
        },
      },
      mcpServer: {
        onRequest: ({ headers }) => {
          const token = headers.authorization?.split(' ')[1];
          if (token) secrets.add(token);
        },
      },
    });
    const { broker, store } = await givenBroker(upstream.mcpUrl, { PROXY_API_KEY: 'the-proxy-key' });
    await logIn(broker);
    await (await fetch(broker.mcpUrl, { headers: { 'x-api-key': 'the-proxy-key' } })).text();
    const stored = [
      ...JSON.stringify(await store.get(accountOf(upstream.mcpUrl, 'default'))).matchAll(/[\w-]{32,}/g),
    ];
    expect(secrets.size).toBeGreaterThanOrEqual(4);
    const { json, text } = await askJson(broker, '/oauth/status');
    expect(json).toMatchObject({
      state: 'authenticated',
      upstream: upstream.mcpUrl,
      profile: 'default',
      issuer: upstream.issuer,
      client: { source: 'registered' },
      access_token: { expires_at: expect.stringMatching(/^\d{4}-.*Z$/) },
      refresh_token: { present: true },
      discovery: { resource: upstream.mcpUrl },
      store: { kind: 'memory' },
      counters: { calls: 1, logins: 1 },
    });
    for (const secret of secrets) expect(text).not.toContain(secret);
    const { client } = json as { client: { id: string } };
    for (const [secret] of stored) if (secret !== client.id) expect(text).not.toContain(secret);
    const landing = await ask(broker, '/', page);
    for (const secret of secrets) expect(landing.text).not.toContain(secret);
  });
});

describe('GET /oauth/login', () => {
  it('sends the browser to the authorization server and tells nobody where it came from', async () => {
    const { upstream, broker } = await givenLoggedOut();
    const { status, headers } = await ask(broker, '/oauth/login', page);
    expect(status).toBe(302);
    const url = new URL(headers.get('location') ?? '');
    expect(url.origin).toBe(upstream.issuer);
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
      resource: upstream.mcpUrl,
      redirect_uri: broker.redirectUri,
    });
    expect([headers.get('cache-control'), headers.get('referrer-policy')]).toEqual([
      'no-store',
      'no-referrer',
    ]);
  });

  it('says that no login is needed where that is so', async () => {
    const upstream = await givenScriptedUpstream(({ method }, response) => {
      response.writeHead(method === 'POST' ? 200 : 404).end('{}');
    });
    const { broker } = await givenBroker(`${upstream.origin}/mcp`);
    expect((await ask(broker, '/oauth/login', page)).status).toBe(200);
    expect(await askJson(broker, '/oauth/login')).toMatchObject({
      status: 200,
      json: { error: 'not_required' },
    });
  });

  it('is 502 with the reason when the upstream is down, as a page and as JSON', async () => {
    const { upstream, broker } = await givenLoggedOut();
    await upstream.close();
    expect((await ask(broker, '/oauth/login', page)).status).toBe(502);
    expect(await askJson(broker, '/oauth/login')).toMatchObject({
      status: 502,
      json: { error: expect.any(String), message: expect.any(String), cure: expect.any(String) },
    });
  });
});

describe('the callback', () => {
  it('is a 4xx page for an answer that nobody has asked for', async () => {
    const { upstream, broker } = await givenLoggedOut();
    for (const query of ['', '?code=a', '?code=a&state=b', '?error=access_denied&state=b']) {
      const { status, headers } = await ask(broker, `/oauth/callback${query}`, page);
      expect([status, headers.get('content-type')]).toEqual([400, 'text/html; charset=utf-8']);
    }
    expect(upstream.authorizationServer.requests.entries).toEqual([]);
  });

  it('is where REDIRECT_PATH says', async () => {
    const { broker } = await givenLoggedOut({ REDIRECT_PATH: '/cb' });
    expect((await ask(broker, '/cb')).status).toBe(400);
    await logIn(broker);
    expect(broker.state).toBe('authenticated');
  });
});

describe('/oauth/logout', () => {
  it.each(['GET', 'POST', 'DELETE'])('ends the login by %s', async (method) => {
    const { broker } = await givenLoggedOut();
    await logIn(broker);
    expect(await askJson(broker, '/oauth/logout', { method })).toMatchObject({
      status: 200,
      json: { status: 'logged_out', revocation: 'revoked' },
    });
    expect(broker.state).toBe('logged_out');
  });

  it('has a page for a browser', async () => {
    const { broker } = await givenLoggedOut();
    const { status, headers } = await ask(broker, '/oauth/logout', { ...page, method: 'POST' });
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  });
});

describe('an OAuth client’s questions', () => {
  const paths = [
    '/.well-known',
    '/.well-known/oauth-protected-resource',
    '/.well-known/oauth-protected-resource/mcp',
    '/.well-known/oauth-authorization-server',
    '/.well-known/openid-configuration',
    '/mcp/.well-known/oauth-protected-resource',
    '/mcp/.well-known/openid-configuration',
    '/register',
    '/authorize',
    '/token',
    '/token/',
    '/%2Ewell-known/oauth-authorization-server',
  ];

  it.each(paths)(
    'are answered with a 404 that says how to log in, and no more once there is a login: %s',
    async (path) => {
      const { upstream, broker } = await givenLoggedOut();
      for (const method of ['GET', 'POST']) {
        expect(await askJson(broker, path, { method })).toMatchObject({
          status: 404,
          json: {
            error: 'not_found',
            error_description: `Open ${broker.loginUrl} to log in to ${broker.upstreamHost}, then reconnect this server.`,
          },
        });
      }
      await logIn(broker);
      upstream.mcpServer.requests.clear();
      expect((await askJson(broker, path)).json.error_description).toBe(
        'This proxy adds the token by itself; connect without OAuth.',
      );
      expect(upstream.mcpServer.requests.entries).toEqual([]);
    },
  );

  it('are not what /mcp/token or /registered ask', async () => {
    const upstream = await givenScriptedUpstream((_request, response) => void response.end('from upstream'));
    const { broker } = await givenBroker(upstream.origin);
    for (const path of ['/mcp/token', '/registered', '/x/.well-known/y']) {
      expect((await ask(broker, path)).text).toBe('from upstream');
    }
  });
});

describe('a method that a local route does not have', () => {
  it.each([
    ['POST', '/oauth/login'],
    ['HEAD', '/oauth/login'],
    ['POST', '/oauth/callback'],
    ['HEAD', '/oauth/callback'],
    ['POST', '/oauth/status'],
    ['DELETE', '/oauth/status'],
  ])('is refused with 405: %s %s', async (method, path) => {
    const { upstream, broker } = await givenLoggedOut();
    const { status, headers, text } = await ask(broker, path, { method });
    expect([status, headers.get('allow')]).toEqual([405, 'GET']);
    if (method !== 'HEAD') expect(JSON.parse(text)).toMatchObject({ error: 'bad_request' });
    expect(upstream.mcpServer.requests.entries).toEqual([]);
  });
});
