import { expect, it } from 'vitest';
import { callTool, givenBroker, givenClient, givenUpstream, logIn } from '../support/broker.ts';

it('lists and calls tools at /mcp and at the bare origin after one login', async () => {
  const upstream = await givenUpstream();
  const { broker } = await givenBroker(upstream.mcpUrl);
  await logIn(broker);

  for (const url of [broker.mcpUrl, broker.localUrl]) {
    const client = await givenClient(url);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toContain('add');
    expect(await callTool(client, 'add', { a: 2, b: 3 })).toBe('5');
  }
  expect((await broker.status()).state).toBe('authenticated');
});
