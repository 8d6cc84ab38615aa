import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { callTool, givenBroker, givenClient, givenUpstream, logIn } from '../support/broker.ts';

async function givenLogin(which: 'mcpUrl' | 'jsonUrl' = 'mcpUrl') {
  const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 300 } });
  const { broker } = await givenBroker(upstream.mcpServer[which]);
  await logIn(broker);
  return { upstream, broker };
}

/** What arrives, and a promise of the next that does. */
class Inbox {
  readonly texts: unknown[] = [];
  #wake: () => void = () => undefined;

  constructor(client: Client) {
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      this.texts.push(params.data);
      this.#wake();
    });
  }

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

describe('the SDK’s client, which knows nothing of OAuth', () => {
  it.each(['mcpUrl', 'jsonUrl'] as const)('calls an upstream with %s', async (which) => {
    const { broker } = await givenLogin(which);
    const client = await givenClient(broker.mcpUrl);
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');
    expect(await callTool(client, 'echo', { text: 'grüß dich 👋' })).toBe('grüß dich 👋');
    const large = 'x'.repeat(1_000_000);
    expect(await callTool(client, 'echo', { text: large })).toBe(large);
    const { contents } = await client.readResource({ uri: 'demo://greeting' });
    expect(contents).toHaveLength(1);
    const { messages } = await client.getPrompt({ name: 'greet', arguments: { name: 'Ada' } });
    expect(messages).toHaveLength(1);
    await expect(callTool(client, 'add', { a: '2' })).rejects.toThrow('a must be a number');
  });

  it('sees the progress of a call step by step', async () => {
    const { broker, upstream } = await givenLogin();
    const client = await givenClient(broker.mcpUrl);
    const seen: number[] = [];
    let step: () => void = () => undefined;
    const result = client.callTool({ name: 'slow', arguments: { steps: 2 } }, undefined, {
      onprogress: ({ progress }) => {
        seen.push(progress);
        step();
      },
    });
    for (const expected of [1, 2]) {
      const arrived = new Promise<void>((resolve) => {
        step = resolve;
      });
      await upstream.mcpServer.stepSlowTool();
      await arrived;
      expect(seen).toHaveLength(expected);
    }
    await result;
    expect(seen).toEqual([1, 2]);
  });

  it('gets notifications on the GET stream, also those it resumes for, also with a new token', async () => {
    const { broker, upstream } = await givenLogin();
    const { mcpServer } = upstream;
    const stream = mcpServer.requests.next(({ method }) => method === 'GET');
    const client = await givenClient(broker.mcpUrl);
    const inbox = new Inbox(client);
    await (await stream).answered;
    let next = inbox.next();
    await mcpServer.sendLog('one');
    await next;

    mcpServer.rejectCurrentTokens();
    let release: (handled: false) => void = () => undefined;
    mcpServer.behaviour.respond = ({ method }) =>
      method === 'GET' &&
      new Promise((resolve) => {
        release = resolve;
      });
    const refused = mcpServer.requests.next(({ method }) => method === 'GET');
    mcpServer.dropStreams();
    expect((await refused).headers['last-event-id']).toMatch(/^\d+$/);
    const resumed = mcpServer.requests.next(({ method }) => method === 'GET');
    release(false);
    expect((await resumed).headers['last-event-id']).toBe((await refused).headers['last-event-id']);
    next = inbox.next();
    await mcpServer.sendLog('two');
    release(false);
    await next;
    expect(inbox.texts).toEqual(['one', 'two']);
    expect((await refused).status).toBe(401);
  });

  it('opens and ends sessions', async () => {
    const { broker, upstream } = await givenLogin();
    const transport = new StreamableHTTPClientTransport(new URL(broker.mcpUrl));
    const client = new Client({ name: 'test-client', version: '1.0.0' });
    await client.connect(transport as Transport);
    onTestFinished(() => client.close());
    expect(upstream.mcpServer.sessionCount).toBe(1);
    await transport.terminateSession();
    expect(upstream.mcpServer.sessionCount).toBe(0);
    expect(upstream.mcpServer.requests.entries.at(-1)).toMatchObject({ method: 'DELETE', status: 200 });

    const forgotten = await givenClient(broker.mcpUrl);
    await upstream.mcpServer.forgetSessions();
    await expect(forgotten.listTools()).rejects.toThrow('Session not found');
  });

  it('is told where to log in, in words, and works as it is once somebody has', async () => {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl);
    await expect(givenClient(broker.mcpUrl)).rejects.toThrow(`Open ${broker.loginUrl} to log in`);
    await logIn(broker);
    expect(await callTool(await givenClient(broker.mcpUrl), 'add', { a: 2, b: 3 })).toBe('5');
  });
});
