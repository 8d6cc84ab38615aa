import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Broker, BrokerCall } from '../../app/broker.ts';
import { givenBroker, givenUpstream, logIn, rpc } from '../support/broker.ts';
import { givenScriptedServer, type Script } from '../support/scripted-server.ts';
import { portOf } from '../support/wire.ts';

async function givenOpenUpstream(script: Script = { '/mcp': { json: {} } }) {
  const upstream = await givenScriptedServer(script);
  const { broker } = await givenBroker(`${upstream.origin}/mcp`);
  return { upstream, broker };
}

/** Sends a call, reads the answer to its end, and resolves with what the broker tells of it. */
async function told(broker: Broker, init: RequestInit = {}, path = ''): Promise<BrokerCall> {
  const call = once(broker, 'call');
  await (await fetch(broker.mcpUrl + path, init)).text();
  return ((await call) as [BrokerCall])[0];
}

const json = { 'content-type': 'application/json' };
const post = (body: unknown, headers = {}): RequestInit => ({
  method: 'POST',
  headers: { ...json, ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

describe('a call', () => {
  it('is told of once it has ended: when, what, with which status, and how long', async () => {
    const { broker } = await givenOpenUpstream();
    const before = Date.now();
    const call = await told(broker, rpc('tools/list'));
    expect(call).toEqual({
      at: expect.any(Number),
      method: 'POST',
      rpc: 'tools/list',
      status: 200,
      refusal: undefined,
      durationMs: expect.any(Number),
    });
    expect(call.at).toBeGreaterThanOrEqual(before);
    expect(call.durationMs).toBeGreaterThanOrEqual(0);
    expect(Number.isInteger(call.durationMs)).toBe(true);
  });

  it.each<[string, RequestInit, string | undefined]>([
    ['Mcp-Method', post({ method: 'other' }, { 'mcp-method': 'tools/call' }), 'tools/call'],
    ['the body', post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: {} }), 'tools/call'],
    ['the first of a batch', post([{ jsonrpc: '2.0', id: 1, method: 'a' }, { method: 'b' }]), 'a'],
    ['the first of a batch that has one', post([{ id: 1, result: {} }, { method: 'b' }]), 'b'],
    [
      'a notification',
      post({ jsonrpc: '2.0', method: 'notifications/cancelled' }),
      'notifications/cancelled',
    ],
    ['nothing: a response', post({ jsonrpc: '2.0', id: 1, result: {} }), undefined],
    ['nothing: no JSON', post('{"method":"x"'), undefined],
    ['nothing: null', post('null'), undefined],
    ['nothing: a name that is none', post({ method: 'drop\r\ntable' }), undefined],
    ['nothing: a name that is too long', post({ method: 'x'.repeat(65) }), undefined],
    ['nothing: an object', post({ method: { x: 1 } }), undefined],
    ['nothing: a body of more than 64 KiB', post({ method: 'x', pad: 'x'.repeat(65_536) }), undefined],
    ['nothing: no body', {}, undefined],
  ])('has its name from %s', async (_, init, name) => {
    const { broker } = await givenOpenUpstream();
    expect((await told(broker, init)).rpc).toBe(name);
  });

  it('that the broker answers itself has the code of the refusal', async () => {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl);
    expect(await told(broker, rpc('tools/list'))).toMatchObject({
      rpc: 'tools/list',
      status: 200,
      refusal: 'not_authenticated',
    });
    const stream = { headers: { accept: 'text/event-stream' } };
    expect(await told(broker, stream)).toMatchObject({
      method: 'GET',
      rpc: undefined,
      status: 405,
      refusal: 'not_authenticated',
    });
  });

  it('to an upstream that is gone has the status and the code of that', async () => {
    const { broker } = await givenBroker('http://127.0.0.1:9/mcp');
    expect(await told(broker, rpc('tools/list'))).toMatchObject({
      status: 502,
      refusal: 'upstream_unreachable',
    });
  });

  it('whose client goes before there is an answer has no status', async () => {
    const upstream = await givenScriptedServer({ '/mcp': () => undefined });
    const { broker } = await givenBroker(`${upstream.origin}/mcp`);
    const call = once(broker, 'call');
    const socket = connect(portOf(broker.localUrl), '127.0.0.1');
    socket.write(
      `POST /mcp HTTP/1.1\r\nHost: ${new URL(broker.localUrl).host}\r\nContent-Length: 10\r\n\r\n{`,
    );
    socket.once('connect', () => socket.end());
    const [told] = (await call) as [BrokerCall];
    expect(told).toMatchObject({ method: 'POST', rpc: undefined, status: undefined, refusal: undefined });
  });

  it('that streams is told of when the stream has ended', async () => {
    let end: () => void = () => undefined;
    const { broker } = await givenOpenUpstream({
      '/mcp': (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
        end = () => response.end();
      },
    });
    const calls: BrokerCall[] = [];
    broker.on('call', (call) => calls.push(call));
    const ended = once(broker, 'call');
    const response = await fetch(broker.mcpUrl, rpc('tools/call'));
    expect(calls).toEqual([]);
    end();
    await response.text();
    await ended;
    expect(calls).toMatchObject([{ rpc: 'tools/call', status: 200 }]);
  });

  it('on a route of our own, or that the guard refuses, is none', async () => {
    const { broker } = await givenOpenUpstream();
    const calls: BrokerCall[] = [];
    broker.on('call', (call) => calls.push(call));
    await (await fetch(`${broker.localUrl}/oauth/status`)).text();
    await (await fetch(broker.mcpUrl, { headers: { origin: 'https://evil.example' } })).text();
    await told(broker);
    expect(calls).toHaveLength(1);
  });
});

describe('login_needed', () => {
  async function givenCounted(environment: NodeJS.ProcessEnv = {}) {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl, environment);
    let needed = 0;
    broker.on('login_needed', () => {
      needed++;
    });
    return { upstream, broker, needed: () => needed };
  }

  it.each<[string, RequestInit]>([
    ['a request', rpc('tools/list')],
    ['server/discover', rpc('server/discover')],
    ['a notification', post({ jsonrpc: '2.0', method: 'notifications/initialized' })],
    ['an event stream', { headers: { accept: 'text/event-stream' } }],
  ])('is told when %s needs one', async (_, init) => {
    const { broker, needed } = await givenCounted();
    await (await fetch(broker.mcpUrl, init)).text();
    expect(needed()).toBe(1);
  });

  it('is told before the call waits', async () => {
    const { broker } = await givenCounted({ LOGIN_WAIT_SECONDS: '600' });
    const asked = once(broker, 'login_needed');
    const answer = fetch(broker.mcpUrl, rpc('initialize'));
    await asked;
    broker.cancelLogin();
    expect(await (await answer).json()).toMatchObject({ error: { data: { error: 'not_authenticated' } } });
  });

  it('is told when a call needs further access', async () => {
    const { upstream, broker, needed } = await givenCounted();
    await logIn(broker);
    expect(needed()).toBe(0);
    upstream.mcpServer.behaviour.respond = (_request, response) => {
      const challenge = 'Bearer error="insufficient_scope", scope="mcp:admin"';
      response.writeHead(403, { 'www-authenticate': challenge }).end();
      return true;
    };
    const answer = await fetch(broker.mcpUrl, rpc('tools/list'));
    expect(await answer.json()).toMatchObject({ error: { data: { error: 'insufficient_scope' } } });
    expect(needed()).toBe(1);
  });

  it('is not told of what works', async () => {
    const { broker, needed } = await givenCounted();
    await logIn(broker);
    await (await fetch(broker.mcpUrl, rpc('initialize'))).text();
    await broker.readiness();
    expect(needed()).toBe(0);
  });
});

describe('state', () => {
  it('is told when a login is begun, fails, is not needed, and works', async () => {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl);
    const states: string[] = [];
    broker.on('state', () => void (states.at(-1) !== broker.state && states.push(broker.state)));
    upstream.authorizationServer.behaviour.respond = (_request, response) => {
      response.writeHead(404).end();
      return true;
    };
    await expect(broker.login()).rejects.toMatchObject({ code: 'discovery_failed' });
    expect(states).toEqual(['logging_in', 'logged_out']);
    upstream.authorizationServer.behaviour.respond = undefined;
    await logIn(broker);
    expect(states).toEqual(['logging_in', 'logged_out', 'logging_in', 'authenticated']);
  });

  it('is told when no login was needed', async () => {
    const { broker } = await givenOpenUpstream({ '/mcp': { json: {} } });
    const states: string[] = [];
    broker.on('state', () => void states.push(broker.state));
    await expect(broker.login()).rejects.toMatchObject({ code: 'not_required' });
    expect(states).toEqual(['logging_in', 'logged_out']);
  });
});
