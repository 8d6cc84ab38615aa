import { expect, it } from 'vitest';
import { givenBroker, givenUpstream, logIn, rpc } from '../support/broker.ts';
import { givenGate, outcomeOf } from '../support/login.ts';

async function givenLogin() {
  const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 60 } });
  const running = await givenBroker(upstream.mcpServer.jsonUrl);
  await logIn(running.broker);
  return { ...running, upstream };
}

it('a call is sent once more when the token it was sent again with has ended meanwhile, too', async () => {
  const { broker, upstream } = await givenLogin();
  const { behaviour } = upstream.mcpServer;
  const gate = givenGate();
  behaviour.respond = gate.hook;
  const slow = outcomeOf(broker);
  await gate.reached;
  behaviour.respond = undefined;
  upstream.mcpServer.rejectCurrentTokens();
  expect(await outcomeOf(broker)).toBe('ok');
  upstream.mcpServer.rejectCurrentTokens();
  let askedForLogin = false;
  broker.once('login_needed', () => {
    askedForLogin = true;
  });

  gate.open('go on');

  expect(await slow).toBe('ok');
  expect(askedForLogin).toBe(false);
  expect((await broker.status()).counters).toMatchObject({ replayed: 3, refused: 0, refreshes: 2 });
});

it('a new token counts as accepted as soon as a stream with it begins, not when the stream ends', async () => {
  const { broker, upstream } = await givenLogin();
  const opened = await fetch(
    broker.mcpUrl,
    rpc('initialize', 1, {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    }),
  );
  await opened.text();
  upstream.mcpServer.rejectCurrentTokens();
  const stream = await fetch(broker.mcpUrl, {
    headers: {
      accept: 'text/event-stream',
      'mcp-session-id': opened.headers.get('mcp-session-id') ?? '',
      'mcp-protocol-version': '2025-06-18',
    },
  });
  expect(stream.status).toBe(200);
  upstream.mcpServer.rejectCurrentTokens();

  expect(await outcomeOf(broker)).toBe('ok');
  expect(broker.state).toBe('authenticated');
  await stream.body?.cancel();
});
