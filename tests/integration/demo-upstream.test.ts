import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, expect, it } from 'vitest';
import {
  signInByHttp,
  startAuthorizationServer,
  startUpstream,
  type Upstream,
  type UpstreamOptions,
} from '../../app/cli/demo/upstream.ts';

const REDIRECT_URI = 'http://127.0.0.1:5177/oauth/callback';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: UpstreamOptions = {}): Promise<Upstream> {
  const upstream = await startUpstream(options);
  cleanups.push(() => upstream.close());
  return upstream;
}

interface Tokens {
  status: number;
  error?: string;
  access_token: string;
  refresh_token: string;
  expires_in: number;
  scope: string;
}

/** A hand-made OAuth client: what goes over the wire is written out, no library decides. */
class HandMadeClient {
  readonly id: string;
  readonly secret: string | undefined;
  readonly #issuer: string;

  constructor(issuer: string, id: string, secret?: string) {
    this.#issuer = issuer;
    this.id = id;
    this.secret = secret;
  }

  static async register(issuer: string, method = 'none'): Promise<HandMadeClient> {
    const response = await fetch(`${issuer}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'Hand-made <client>',
        application_type: 'native',
        redirect_uris: [REDIRECT_URI],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: method,
      }),
    });
    expect(response.status).toBe(201);
    const { client_id, client_secret } = (await response.json()) as {
      client_id: string;
      client_secret?: string;
    };
    return new HandMadeClient(issuer, client_id, client_secret);
  }

  authorizationUrl(verifier: string, parameters: Record<string, string>): string {
    const url = new URL(`${this.#issuer}/authorize`);
    url.search = new URLSearchParams({
      response_type: 'code',
      client_id: this.id,
      redirect_uri: REDIRECT_URI,
      state: 'state-1',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...parameters,
    }).toString();
    return url.href;
  }

  async logIn(resource: string, scope = 'mcp:tools offline_access'): Promise<Tokens> {
    const verifier = randomBytes(32).toString('base64url');
    const callback = new URL(await signInByHttp(this.authorizationUrl(verifier, { scope, resource })));
    expect(callback.searchParams.get('state')).toBe('state-1');
    expect(callback.searchParams.get('iss')).toBe(this.#issuer);
    return this.token({
      grant_type: 'authorization_code',
      code: callback.searchParams.get('code') ?? '',
      redirect_uri: REDIRECT_URI,
      code_verifier: verifier,
      resource,
    });
  }

  refresh(refreshToken: string): Promise<Tokens> {
    return this.token({ grant_type: 'refresh_token', refresh_token: refreshToken });
  }

  async token(parameters: Record<string, string>): Promise<Tokens> {
    const basic = Buffer.from(`${this.id}:${this.secret}`).toString('base64');
    const response = await fetch(`${this.#issuer}/token`, {
      method: 'POST',
      // No pooled connection: the server may have been restarted.
      headers: {
        connection: 'close',
        ...(this.secret === undefined ? {} : { authorization: `Basic ${basic}` }),
      },
      body: new URLSearchParams(
        this.secret === undefined ? { client_id: this.id, ...parameters } : parameters,
      ),
    });
    return { status: response.status, ...((await response.json()) as Omit<Tokens, 'status'>) };
  }
}

async function logIn(upstream: Upstream, resource = upstream.mcpUrl): Promise<Tokens> {
  const client = await HandMadeClient.register(upstream.issuer);
  return client.logIn(resource);
}

function streamable(url: string, token: string): Transport {
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
    reconnectionOptions: {
      initialReconnectionDelay: 1,
      maxReconnectionDelay: 1,
      reconnectionDelayGrowFactor: 1,
      maxRetries: 5,
    },
  });
  return transport as Transport;
}

function legacy(url: string, token: string): Transport {
  const headers = { authorization: `Bearer ${token}` };
  return new SSEClientTransport(new URL(url), { requestInit: { headers } });
}

async function connect(transport: Transport): Promise<Client> {
  const client = new Client({ name: 'demo-upstream-test', version: '1.0.0' });
  await client.connect(transport);
  cleanups.push(() => client.close());
  return client;
}

async function callTool(client: Client, name: string, args: Record<string, unknown> = {}): Promise<string> {
  const { content } = await client.callTool({ name, arguments: args });
  const [first] = content as { type: string; text: string }[];
  return first?.text ?? '';
}

function post(url: string, token: string | undefined, method: string): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method,
      ...(method === 'initialize'
        ? {
            params: {
              protocolVersion: '2025-06-18',
              capabilities: {},
              clientInfo: { name: 'x', version: '1' },
            },
          }
        : {}),
    }),
  });
}

describe('the authorization server', () => {
  it('describes itself under RFC 8414 and under OpenID Connect', async () => {
    const { issuer } = await start();
    for (const name of ['oauth-authorization-server', 'openid-configuration']) {
      const response = await fetch(`${issuer}/.well-known/${name}`);
      expect(await response.json()).toMatchObject({
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        registration_endpoint: `${issuer}/register`,
        revocation_endpoint: `${issuer}/revoke`,
        code_challenge_methods_supported: ['S256'],
        authorization_response_iss_parameter_supported: true,
        token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
        scopes_supported: expect.arrayContaining(['mcp:tools', 'mcp:resources', 'offline_access']),
      });
    }
  });

  it('shows one page that needs no script and names the client, escaped', async () => {
    const upstream = await start();
    const client = await HandMadeClient.register(upstream.issuer);
    const response = await fetch(
      client.authorizationUrl('v'.repeat(43), { scope: 'mcp:tools', resource: upstream.mcpUrl }),
      { redirect: 'manual' },
    );
    const page = await fetch(new URL(response.headers.get('location') ?? '', upstream.issuer), {
      headers: {
        cookie: response.headers
          .getSetCookie()
          .map((line) => line.split(';')[0])
          .join('; '),
      },
    });
    const html = await page.text();
    expect(html).toContain('Hand-made &lt;client&gt;');
    expect(html).toContain(upstream.mcpUrl);
    expect(html).toContain('Allow</button>');
    expect(html).not.toContain('<script');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  it('says what the person denied, and refuses a sign-in of another browser', async () => {
    const upstream = await start();
    const client = await HandMadeClient.register(upstream.issuer);
    const url = client.authorizationUrl('v'.repeat(43), { scope: 'mcp:tools', resource: upstream.mcpUrl });
    const denied = new URL(await signInByHttp(url, { deny: true }));
    expect(denied.searchParams.get('error')).toBe('access_denied');
    const page = await fetch(`${upstream.issuer}/interaction/unknown`);
    expect(page.status).toBe(400);
    expect(await page.text()).toContain('Start it again');
  });

  it('follows the callback when it is asked to', async () => {
    const upstream = await start();
    const callbacks = createServer((request, response) => {
      response.end(`seen ${new URL(request.url ?? '/', 'http://127.0.0.1').searchParams.get('state')}`);
    });
    callbacks.listen(0, '127.0.0.1');
    await once(callbacks, 'listening');
    cleanups.push(async () => {
      callbacks.close();
      callbacks.closeAllConnections();
    });
    const client = await HandMadeClient.register(upstream.issuer);
    const { port } = callbacks.address() as AddressInfo;
    const url = client.authorizationUrl('v'.repeat(43), {
      scope: 'mcp:tools',
      resource: upstream.mcpUrl,
      // RFC 8252 §7.3: the port of a loopback redirect URI is free.
      redirect_uri: `http://127.0.0.1:${port}/oauth/callback`,
    });
    const result = await signInByHttp(url, { follow: true });
    expect(result).toMatchObject({ status: 200, body: 'seen state-1' });
  });

  it.each(['none', 'client_secret_basic'])('issues tokens to a client with %s', async (method) => {
    const upstream = await start({ authorizationServer: { accessTokenSeconds: 7 } });
    const client = await HandMadeClient.register(upstream.issuer, method);
    const tokens = await client.logIn(upstream.mcpUrl);
    expect(tokens).toMatchObject({ status: 200, expires_in: 7, scope: 'mcp:tools' });
    expect(tokens.refresh_token).toBeTypeOf('string');
    expect(upstream.authorizationServer.requests.entries).toContainEqual(
      expect.objectContaining({
        path: '/token',
        grantType: 'authorization_code',
        clientId: client.id,
        resource: [upstream.mcpUrl],
        status: 200,
      }),
    );
  });

  it('accepts client_secret_post of a pre-registered client', async () => {
    const redirect = { redirect_uris: [REDIRECT_URI], application_type: 'native' as const };
    const upstream = await start({
      authorizationServer: {
        registration: false,
        clients: [
          {
            client_id: 'fixed',
            client_secret: 'fixed-secret',
            token_endpoint_auth_method: 'client_secret_post',
            grant_types: ['authorization_code', 'refresh_token'],
            ...redirect,
          },
        ],
      },
    });
    expect((await fetch(`${upstream.issuer}/register`, { method: 'POST' })).status).toBe(404);
    const client = new HandMadeClient(upstream.issuer, 'fixed');
    const verifier = randomBytes(32).toString('base64url');
    const callback = new URL(
      await signInByHttp(
        client.authorizationUrl(verifier, { scope: 'mcp:tools', resource: upstream.mcpUrl }),
      ),
    );
    const tokens = await client.token({
      grant_type: 'authorization_code',
      code: callback.searchParams.get('code') ?? '',
      redirect_uri: REDIRECT_URI,
      code_verifier: verifier,
      client_secret: 'fixed-secret',
    });
    expect(tokens.status).toBe(200);
  });

  it('rotates refresh tokens, and ends the whole grant when a used one comes back', async () => {
    const upstream = await start();
    const client = await HandMadeClient.register(upstream.issuer);
    const first = await client.logIn(upstream.mcpUrl);
    const second = await client.refresh(first.refresh_token);
    expect(second.status).toBe(200);
    expect(second.refresh_token).not.toBe(first.refresh_token);

    expect(await client.refresh(first.refresh_token)).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(await client.refresh(second.refresh_token)).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(await upstream.authorizationServer.verifyAccessToken(second.access_token)).toBeUndefined();
  });

  it('keeps the refresh token without rotation, and issues none when told so', async () => {
    const upstream = await start({ authorizationServer: { rotate: false } });
    const client = await HandMadeClient.register(upstream.issuer);
    const first = await client.logIn(upstream.mcpUrl);
    expect((await client.refresh(first.refresh_token)).refresh_token).toBe(first.refresh_token);

    expect((await client.logIn(upstream.mcpUrl, 'mcp:tools')).refresh_token).toBeUndefined();
    upstream.authorizationServer.behaviour.issueRefreshTokens = 'always';
    expect((await client.logIn(upstream.mcpUrl, 'mcp:tools')).refresh_token).toBeTypeOf('string');
    upstream.authorizationServer.behaviour.issueRefreshTokens = false;
    expect((await client.logIn(upstream.mcpUrl)).refresh_token).toBeUndefined();
  });

  it('loses a response after the work was done', async () => {
    const upstream = await start();
    const client = await HandMadeClient.register(upstream.issuer);
    const { refresh_token } = await client.logIn(upstream.mcpUrl);
    const dropped = upstream.authorizationServer.dropNextTokenResponse();
    await expect(client.refresh(refresh_token)).rejects.toThrow();
    await dropped;
    expect(await client.refresh(refresh_token)).toMatchObject({ status: 400, error: 'invalid_grant' });
  });

  it('revokes by request, and ends grants and clients by hand', async () => {
    const upstream = await start();
    const client = await HandMadeClient.register(upstream.issuer);
    const revoked = await client.logIn(upstream.mcpUrl);
    const answer = await fetch(`${upstream.issuer}/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token: revoked.refresh_token, client_id: client.id }),
    });
    expect(answer.status).toBe(200);
    expect((await client.refresh(revoked.refresh_token)).error).toBe('invalid_grant');

    const ended = await client.logIn(upstream.mcpUrl);
    upstream.authorizationServer.revokeGrants();
    expect((await client.refresh(ended.refresh_token)).error).toBe('invalid_grant');
    upstream.authorizationServer.forgetClients();
    expect((await client.refresh(ended.refresh_token)).error).toBe('invalid_client');
  });

  it('asks for a resource it knows, unless it is told to guess', async () => {
    const upstream = await start();
    const client = await HandMadeClient.register(upstream.issuer);
    for (const parameters of [
      { scope: 'mcp:tools' },
      { scope: 'mcp:tools', resource: `${upstream.mcpUrl}/` },
    ]) {
      const callback = new URL(await signInByHttp(client.authorizationUrl('v'.repeat(43), parameters)));
      expect(callback.searchParams.get('error')).toBe('invalid_target');
    }

    const old = await start({ authorizationServer: { resourceOptional: true } });
    const oldClient = await HandMadeClient.register(old.issuer);
    const verifier = randomBytes(32).toString('base64url');
    const callback = new URL(
      await signInByHttp(oldClient.authorizationUrl(verifier, { scope: 'mcp:tools' })),
    );
    const { access_token } = await oldClient.token({
      grant_type: 'authorization_code',
      code: callback.searchParams.get('code') ?? '',
      redirect_uri: REDIRECT_URI,
      code_verifier: verifier,
    });
    expect(await old.authorizationServer.verifyAccessToken(access_token)).toMatchObject({
      audience: old.mcpUrl,
      subject: 'demo',
    });
  });

  it('demands PKCE', async () => {
    const upstream = await start();
    const client = await HandMadeClient.register(upstream.issuer, 'client_secret_basic');
    const url = new URL(
      client.authorizationUrl('v'.repeat(43), { scope: 'mcp:tools', resource: upstream.mcpUrl }),
    );
    url.searchParams.delete('code_challenge');
    url.searchParams.delete('code_challenge_method');
    expect(new URL(await signInByHttp(url.href)).searchParams.get('error')).toBe('invalid_request');
  });

  it('keeps clients and grants over a restart on the same port, and forgets them when told so', async () => {
    const upstream = await start();
    const client = await HandMadeClient.register(upstream.issuer);
    const first = await client.logIn(upstream.mcpUrl);
    await upstream.authorizationServer.close();
    await expect(client.refresh(first.refresh_token)).rejects.toThrow();

    await upstream.restartAuthorizationServer();
    const second = await client.refresh(first.refresh_token);
    expect(second.status).toBe(200);
    expect((await post(upstream.mcpUrl, second.access_token, 'initialize')).status).toBe(200);

    await upstream.restartAuthorizationServer({ forget: true });
    expect(await client.refresh(second.refresh_token)).toMatchObject({ error: 'invalid_client' });
    const third = await logIn(upstream);
    expect((await post(upstream.mcpUrl, third.access_token, 'initialize')).status).toBe(200);
  });

  it('lets a test answer, hold back and read requests', async () => {
    const bodies: URLSearchParams[] = [];
    const server = await startAuthorizationServer({ onTokenRequest: (body) => bodies.push(body) });
    cleanups.push(() => server.close());
    const client = await HandMadeClient.register(server.issuer);
    const tokens = await client.logIn('http://127.0.0.1:1/mcp');
    expect(bodies[0]?.get('code_verifier')).toBeTypeOf('string');

    server.behaviour.respond = (request, response) => {
      if (request.url !== '/token') return false;
      response.writeHead(503, { 'content-type': 'application/json' }).end('{}');
      return true;
    };
    expect((await client.refresh(tokens.refresh_token)).status).toBe(503);

    let release: (held: false) => void = () => {};
    server.behaviour.respond = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const arrival = server.requests.next(({ grantType }) => grantType === 'refresh_token');
    const refreshed = client.refresh(tokens.refresh_token);
    expect((await arrival).status).toBeUndefined();
    release(false);
    expect((await refreshed).status).toBe(200);
    expect((await arrival).status).toBe(200);
  });
});

describe('the MCP server', () => {
  it('challenges, and its metadata name the authorization server', async () => {
    const upstream = await start();
    const response = await post(upstream.mcpUrl, undefined, 'initialize');
    const metadataUrl = `${upstream.mcpServer.origin}/.well-known/oauth-protected-resource/mcp`;
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer resource_metadata="${metadataUrl}", scope="mcp:tools"`,
    );
    expect(await (await fetch(metadataUrl)).json()).toEqual({
      resource: upstream.mcpUrl,
      authorization_servers: [upstream.issuer],
      scopes_supported: ['mcp:tools'],
      bearer_methods_supported: ['header'],
    });
    const root = await fetch(`${upstream.mcpServer.origin}/.well-known/oauth-protected-resource`);
    expect(root.status).toBe(404);
  });

  it.each([
    ['event streams', (upstream: Upstream) => upstream.mcpUrl, streamable],
    ['JSON', (upstream: Upstream) => upstream.mcpServer.jsonUrl, streamable],
    ['the 2024-11-05 transport', (upstream: Upstream) => upstream.sseUrl, legacy],
  ])('serves the SDK client over %s', async (_name, url, transport) => {
    const upstream = await start({ authorizationServer: { accessTokenSeconds: 60 } });
    const tokens = await logIn(upstream, url(upstream));
    const client = await connect(transport(url(upstream), tokens.access_token));
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(['echo', 'add', 'whoami', 'slow', 'notify']);
    expect(await callTool(client, 'echo', { text: 'grüß dich' })).toBe('grüß dich');
    expect(await callTool(client, 'add', { a: 2, b: 40 })).toBe('42');
    const identity = await callTool(client, 'whoami');
    expect(JSON.parse(identity)).toMatchObject({
      subject: 'demo',
      scopes: ['mcp:tools'],
      resource: url(upstream),
    });
    expect(identity).not.toContain(tokens.access_token);
    expect(await callTool(client, 'slow', { steps: 2, ms: 0 })).toBe('made 2 steps');
    await expect(callTool(client, 'add', { a: '2' })).rejects.toThrow('a must be a number');
    const { contents } = await client.readResource({ uri: 'demo://greeting' });
    expect(contents[0]).toMatchObject({ text: 'Hello from the demo server' });
    const { messages } = await client.getPrompt({ name: 'greet', arguments: { name: 'Ada' } });
    expect(messages[0]?.content).toMatchObject({ text: 'Say hello to Ada' });
  });

  it('reports the steps of a slow tool one by one', async () => {
    const upstream = await start({ mcpServer: { requireAuth: false } });
    const client = await connect(streamable(upstream.mcpUrl, 'none'));
    const seen: number[] = [];
    const result = client.callTool({ name: 'slow', arguments: { steps: 2 } }, undefined, {
      onprogress: ({ progress }) => seen.push(progress),
    });
    await upstream.mcpServer.stepSlowTool();
    await upstream.mcpServer.stepSlowTool();
    await result;
    expect(seen).toEqual([1, 2]);
  });

  it('sends notifications on the GET stream, and again to who resumes', async () => {
    const upstream = await start({ mcpServer: { requireAuth: false } });
    const { mcpServer } = upstream;
    const stream = mcpServer.requests.next(({ method }) => method === 'GET');
    const client = await connect(streamable(upstream.mcpUrl, 'none'));
    const texts: unknown[] = [];
    let arrived = () => {};
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      texts.push(params.data);
      arrived();
    });
    const arrival = () =>
      new Promise<void>((resolve) => {
        arrived = resolve;
      });
    await (await stream).answered;
    let next = arrival();
    expect(await callTool(client, 'notify', { kind: 'log', text: 'one' })).toBe('sent log');
    await next;

    // The next stream is held back, so that what is sent meanwhile must be replayed.
    let release: (held: false) => void = () => {};
    mcpServer.behaviour.respond = (request) =>
      request.method === 'GET' &&
      new Promise((resolve) => {
        release = resolve;
      });
    const resumed = mcpServer.requests.next(({ method }) => method === 'GET');
    const ended = (await stream).ended;
    mcpServer.dropStreams();
    expect(await ended).toBe(false);
    expect((await resumed).headers['last-event-id']).toMatch(/^\d+$/);
    next = arrival();
    await mcpServer.sendLog('two');
    release(false);
    await next;
    expect(texts).toEqual(['one', 'two']);
  });

  it('opens and ends sessions', async () => {
    const upstream = await start({ mcpServer: { requireAuth: false } });
    const transport = new StreamableHTTPClientTransport(new URL(upstream.mcpUrl));
    const client = await connect(transport as Transport);
    expect(upstream.mcpServer.sessionCount).toBe(1);
    await transport.terminateSession();
    expect(upstream.mcpServer.sessionCount).toBe(0);
    expect(upstream.mcpServer.requests.entries.at(-1)).toMatchObject({ method: 'DELETE', status: 200 });
    await client.close();

    const forgotten = await connect(streamable(upstream.mcpUrl, 'none'));
    await upstream.mcpServer.forgetSessions();
    await expect(forgotten.listTools()).rejects.toThrow('Session not found');
  });

  it('takes tokens for the endpoint they were issued for, as long as they are good', async () => {
    const upstream = await start({ authorizationServer: { accessTokenSeconds: 60 } });
    const client = await HandMadeClient.register(upstream.issuer);
    const tokens = await client.logIn(upstream.mcpUrl);
    const status = async (url: string, token: string) => (await post(url, token, 'initialize')).status;
    expect(await status(upstream.mcpUrl, tokens.access_token)).toBe(200);
    expect(await status(upstream.mcpServer.jsonUrl, tokens.access_token)).toBe(401);
    expect(await status(upstream.mcpUrl, 'made-up')).toBe(401);

    upstream.mcpServer.rejectCurrentTokens();
    const refused = await post(upstream.mcpUrl, tokens.access_token, 'initialize');
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('error="invalid_token"');
    const renewed = await client.refresh(tokens.refresh_token);
    expect(await status(upstream.mcpUrl, renewed.access_token)).toBe(200);

    upstream.mcpServer.behaviour.requiredScopes = ['mcp:tools', 'mcp:resources'];
    const narrow = await post(upstream.mcpUrl, renewed.access_token, 'initialize');
    expect(narrow.status).toBe(403);
    expect(narrow.headers.get('www-authenticate')).toContain('scope="mcp:tools mcp:resources"');
    const wide = await client.logIn(upstream.mcpUrl, 'mcp:tools mcp:resources');
    expect(await status(upstream.mcpUrl, wide.access_token)).toBe(200);
  });

  it('leaves initialize open when asked to, and nothing else', async () => {
    const upstream = await start({ mcpServer: { openInitialize: true, challenge: () => undefined } });
    expect((await post(upstream.mcpUrl, undefined, 'initialize')).status).toBe(200);
    const refused = await post(upstream.mcpUrl, undefined, 'tools/list');
    expect(refused.status).toBe(401);
    expect(refused.headers.has('www-authenticate')).toBe(false);
  });

  it('records requests without the token, and gives it to the test alone', async () => {
    const seen: (string | undefined)[] = [];
    const upstream = await start({
      mcpServer: { requireAuth: false, onRequest: ({ headers }) => seen.push(headers.authorization) },
    });
    await post(upstream.mcpUrl, 'secret-token', 'initialize');
    expect(seen).toEqual(['Bearer secret-token']);
    expect(upstream.mcpServer.requests.entries[0]).toMatchObject({
      method: 'POST',
      url: '/mcp',
      authorized: true,
      status: 200,
    });
    expect(JSON.stringify(upstream.mcpServer.requests.entries)).not.toContain('secret-token');
  });
});

it('closes with streams, slow tools and held requests under way, and twice', async () => {
  const upstream = await start({ mcpServer: { requireAuth: false } });
  const client = await connect(streamable(upstream.mcpUrl, 'none'));
  const call = client.callTool({ name: 'slow', arguments: {} });
  const settled = call.then(
    () => 'answered',
    () => 'failed',
  );
  upstream.authorizationServer.behaviour.respond = () => true;
  const held = fetch(`${upstream.issuer}/token`, { method: 'POST' });
  const failed = expect(held).rejects.toThrow();
  await upstream.authorizationServer.requests.next();
  await upstream.close();
  await upstream.close();
  await failed;
  await client.close();
  expect(await settled).toBe('failed');
});
