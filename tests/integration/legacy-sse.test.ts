import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { callTool, givenBroker, givenUpstream, logIn } from '../support/broker.ts';
import { givenScriptedUpstream, portOf, requestText, Wire } from '../support/wire.ts';

async function givenLegacyClient(url: string): Promise<Client> {
  const client = new Client({ name: 'legacy', version: '1.0.0' });
  await client.connect(new SSEClientTransport(new URL(url)));
  onTestFinished(() => client.close());
  return client;
}

describe('a client of the 2024-11-05 transport', () => {
  it('works where the message endpoint is beside the base path', async () => {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.sseUrl);
    await logIn(broker);
    for (const url of [broker.mcpUrl, broker.localUrl]) {
      const client = await givenLegacyClient(url);
      expect(await callTool(client, 'echo', { text: 'hello' })).toBe('hello');
    }
    const posts = upstream.mcpServer.requests.entries.filter(({ url }) =>
      url.startsWith('/messages?sessionId='),
    );
    expect(posts.length).toBeGreaterThan(0);
    expect(posts.every(({ authorized }) => authorized)).toBe(true);
  });

  it('works where it is below the base path', async () => {
    const upstream = await givenUpstream({ mcpServer: { requireAuth: false } });
    const { broker } = await givenBroker(upstream.mcpServer.origin);
    const client = await givenLegacyClient(`${broker.mcpUrl}/sse`);
    expect(await callTool(client, 'add', { a: 1, b: 2 })).toBe('3');
  });

  it('survives a token that was refused as the stream was opened, and one while it is open', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 600 } });
    const { broker } = await givenBroker(upstream.sseUrl);
    await logIn(broker);
    upstream.mcpServer.rejectCurrentTokens();
    const client = await givenLegacyClient(broker.mcpUrl);
    expect(await callTool(client, 'echo', { text: 'one' })).toBe('one');
    upstream.mcpServer.rejectCurrentTokens();
    expect(await callTool(client, 'echo', { text: 'two' })).toBe('two');
    expect((await broker.status()).counters).toMatchObject({ refreshes: 2, replayed: 2 });
  });
});

describe('an endpoint event', () => {
  async function announced(data: string, headers: Record<string, string> = {}) {
    const upstream = await givenScriptedUpstream((request, response) => {
      if (request.method === 'POST') response.writeHead(202).end('Accepted');
      else {
        const text = data.replaceAll('PORT', String(request.socket.localPort));
        response.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
        response.write(`event: endpoint\ndata: ${text}\n\n: then\n\ndata: /messages\n\n`);
      }
    });
    const { broker, log } = await givenBroker(`${upstream.origin}/base/sse`);
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.write(
      requestText(broker, 'GET /mcp HTTP/1.1', 'Accept: text/event-stream', 'Accept-Encoding: gzip'),
    );
    return { upstream, broker, log, wire };
  }

  it.each([
    ['root-relative', '/messages?sessionId=1', '/messages?sessionId=1'],
    ['absolute', 'http://127.0.0.1:PORT/messages?sessionId=1', '/messages?sessionId=1'],
    ['relative', 'messages?sessionId=1', '/base/messages?sessionId=1'],
    ['a query only', '?sessionId=1', '/base/sse?sessionId=1'],
    ['below the base path', '/base/sse/messages?sessionId=1', '/base/sse/messages?sessionId=1'],
  ])('leads to the upstream through us, and what follows is untouched: %s', async (_what, data, path) => {
    const { upstream, broker, wire } = await announced(data);
    const text = await wire.until('data: /messages\n\n');
    expect(text).toContain('\n\n: then\n\n');
    expect(upstream.requests.entries[0]?.headers['accept-encoding']).toBe('identity');
    const endpoint = /data: (\S+)\n/.exec(text)?.[1] ?? '';
    expect(endpoint).toMatch(/^\/mcp.*\?sessionId=1$/);
    expect((await fetch(broker.localUrl + endpoint, { method: 'POST', body: '{}' })).status).toBe(202);
    expect(upstream.requests.entries.at(-1)?.url).toBe(path);
  });

  it.each([
    ['on another origin', 'http://127.0.0.1:1/messages'],
    ['on another host', 'https://evil.example/messages'],
    ['with credentials', 'http://a:b@127.0.0.1:PORT/messages'],
    ['that is no web address', 'javascript:alert(1)'],
    ['that is no address', 'http://['],
  ])('%s ends the stream, with a line in the log that names no address', async (_what, data) => {
    const { upstream, log, wire } = await announced(data);
    await wire.closed;
    expect(wire.text).not.toContain('data:');
    expect(await upstream.requests.entries[0]?.ended).toBe(false);
    const lines = log.entries.filter(({ level }) => level === 'warn' || level === 'error');
    expect(lines).toEqual([
      {
        level: 'warn',
        event: 'An event stream was ended',
        details: { reason: expect.stringContaining('not on its own origin') },
      },
    ]);
  });

  it('in a compressed stream passes as it is: nothing of it can be read', async () => {
    const { wire } = await announced('/messages', { 'content-encoding': 'x-own' });
    expect(await wire.until('data: /messages\n\n')).toContain('event: endpoint\ndata: /messages\n\n');
  });

  it('that was never sent is not an endpoint: 400, and the upstream hears nothing', async () => {
    const { upstream, broker, wire } = await announced('/messages?sessionId=1');
    await wire.until('data: /messages\n\n');
    const forged = `/mcp/.legacy-sse/${Buffer.from('/admin').toString('base64url')}`;
    const response = await fetch(broker.localUrl + forged, { method: 'POST', body: '{}' });
    expect([response.status, ((await response.json()) as { error: string }).error]).toEqual([
      400,
      'bad_request',
    ]);
    expect(upstream.requests.entries).toHaveLength(1);
  });

  it('is looked for in event streams that a GET has opened, and nowhere else', async () => {
    const upstream = await givenScriptedUpstream((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('event: endpoint\ndata: /x\n\n');
    });
    const { broker } = await givenBroker(upstream.origin);
    const posted = await fetch(broker.mcpUrl, { method: 'POST', body: '{}' });
    expect(await posted.text()).toBe('event: endpoint\ndata: /x\n\n');
  });
});
