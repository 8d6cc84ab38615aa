import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import { givenBroker, givenUpstream, logIn, rpc } from '../support/broker.ts';
import { givenScriptedUpstream, portOf, requestText, Wire } from '../support/wire.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const post = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: JSON_TYPE,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const request = (id: unknown, method = 'tools/list') => ({ jsonrpc: '2.0', id, method });
const notification = { jsonrpc: '2.0', method: 'notifications/initialized' };
const response = { jsonrpc: '2.0', id: 1, result: {} };
const stream: RequestInit = { headers: { accept: 'text/event-stream' } };

async function call(broker: Broker, init: RequestInit = {}) {
  const answer = await fetch(broker.mcpUrl, init);
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    json: text === '' ? undefined : (JSON.parse(text) as unknown),
  };
}

/** What a person is told who has to log in. */
function loginObject(broker: Broker) {
  return {
    error: 'not_authenticated',
    message: `Open ${broker.loginUrl} to log in to ${broker.upstreamHost}, then reconnect this server.`,
    login_url: broker.loginUrl,
  };
}

function rpcError(id: unknown, data: { message: string }) {
  return { jsonrpc: '2.0', id, error: { code: -32001, message: data.message, data } };
}

describe('without a login', () => {
  async function givenLoggedOut(environment: NodeJS.ProcessEnv = {}): Promise<Broker> {
    const upstream = await givenUpstream();
    return (await givenBroker(upstream.mcpUrl, environment)).broker;
  }

  it.each([[7], ['seven'], [null]])(
    'a JSON-RPC request gets an error with its id %s in a 200',
    async (id) => {
      const broker = await givenLoggedOut();
      const { status, json, headers } = await call(broker, post(request(id)));
      expect([status, headers.get('content-type')]).toEqual([200, 'application/json']);
      expect(json).toEqual(rpcError(id, loginObject(broker)));
    },
  );

  it('initialize gets the same', async () => {
    const broker = await givenLoggedOut();
    expect(await call(broker, post(request(0, 'initialize')))).toMatchObject({
      status: 200,
      json: rpcError(0, loginObject(broker)),
    });
  });

  it('a batch gets an array with one error per request', async () => {
    const broker = await givenLoggedOut();
    const { status, json } = await call(broker, post([request(1), notification, request('b')]));
    expect(status).toBe(200);
    expect(json).toEqual([rpcError(1, loginObject(broker)), rpcError('b', loginObject(broker))]);
  });

  it.each([
    ['a notification', notification],
    ['a response', response],
    ['a batch of both', [notification, response]],
  ])('%s gets an empty 202', async (_what, body) => {
    const broker = await givenLoggedOut();
    expect(await call(broker, post(body))).toMatchObject({ status: 202, text: '' });
  });

  it('a GET for an event stream gets 405, on the MCP URL and on the bare origin', async () => {
    const broker = await givenLoggedOut();
    expect(await call(broker, stream)).toMatchObject({ status: 405, json: loginObject(broker) });
    expect((await fetch(broker.localUrl, stream)).status).toBe(405);
  });

  it.each<[string, RequestInit]>([
    ['a plain GET', {}],
    ['a DELETE', { method: 'DELETE' }],
    ['a POST that is not JSON', post('a=b')],
    ['a POST of JSON that is not JSON-RPC', post({ id: 1, method: 'x' })],
    ['a POST without a body', { method: 'POST' }],
    ['a PUT of a JSON-RPC request', { ...post(request(1)), method: 'PUT' }],
  ])('%s gets the object in a 401', async (_what, init) => {
    const broker = await givenLoggedOut();
    expect(await call(broker, init)).toMatchObject({ status: 401, json: loginObject(broker) });
  });

  it('a HEAD gets a 401 without a body', async () => {
    const broker = await givenLoggedOut();
    expect(await call(broker, { method: 'HEAD' })).toMatchObject({ status: 401, text: '' });
  });

  it('nobody gets a challenge, whatever the upstream said', async () => {
    const broker = await givenLoggedOut();
    for (const init of [post(request(1)), post(notification), stream, {}, { method: 'DELETE' }]) {
      expect((await call(broker, init)).headers.get('www-authenticate')).toBeNull();
    }
  });

  it('NOT_AUTHENTICATED_STATUS=401 changes the status of JSON-RPC requests and batches, and nothing else', async () => {
    const broker = await givenLoggedOut({ NOT_AUTHENTICATED_STATUS: '401' });
    expect(await call(broker, post(request(1)))).toMatchObject({
      status: 401,
      json: rpcError(1, loginObject(broker)),
    });
    expect((await call(broker, post([request(1)]))).status).toBe(401);
    expect((await call(broker, post(notification))).status).toBe(202);
    expect((await call(broker, stream)).status).toBe(405);
  });

  it('a body that was streamed is not read as JSON-RPC: the object in a 401', async () => {
    const broker = await givenLoggedOut();
    const body = JSON.stringify({ ...request(1), params: { text: 'x'.repeat(5 * 1024 * 1024) } });
    expect(await call(broker, post(body))).toMatchObject({ status: 401, json: loginObject(broker) });
  });

  it('is counted', async () => {
    const broker = await givenLoggedOut();
    await call(broker, post(request(1)));
    expect((await broker.status()).counters).toMatchObject({ calls: 1, refused: 1, failed: 0 });
  });
});

describe('with too little scope', () => {
  async function givenShort() {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl);
    await logIn(broker);
    upstream.mcpServer.behaviour.requiredScopes = ['mcp:resources'];
    const data = {
      error: 'insufficient_scope',
      message: `Open ${broker.loginUrl} to grant ${broker.upstreamHost} the further access this call needs (mcp:resources), then try again.`,
      login_url: broker.loginUrl,
    };
    return { broker, data };
  }

  it('a JSON-RPC request gets an error in a 200 that names the scope', async () => {
    const { broker, data } = await givenShort();
    const { status, json, headers } = await call(broker, post(request(1)));
    expect(status).toBe(200);
    expect(json).toEqual(rpcError(1, data));
    expect(headers.get('www-authenticate')).toBeNull();
  });

  it('a notification gets 202, a GET for an event stream 405, and anything else 403', async () => {
    const { broker, data } = await givenShort();
    expect(await call(broker, post(notification))).toMatchObject({ status: 202, text: '' });
    expect(await call(broker, stream)).toMatchObject({ status: 405, json: data });
    expect(await call(broker, { method: 'DELETE' })).toMatchObject({ status: 403, json: data });
  });
});

describe('trouble on the way', () => {
  async function freePort(): Promise<number> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, 'close');
    return port;
  }

  it('a refused connection: 502, as JSON-RPC and as the object, never 202', async () => {
    const port = await freePort();
    const { broker, log } = await givenBroker(`http://127.0.0.1:${port}/mcp`);
    const data = {
      error: 'upstream_unreachable',
      message: `127.0.0.1:${port} cannot be reached (ECONNREFUSED); check your network and UPSTREAM_MCP_URL, then try again.`,
    };
    expect(await call(broker, post(request(1)))).toMatchObject({ status: 502, json: rpcError(1, data) });
    expect(await call(broker, post([request(1)]))).toMatchObject({ status: 502, json: [rpcError(1, data)] });
    expect(await call(broker, post(notification))).toMatchObject({ status: 502, json: data });
    expect(await call(broker, stream)).toMatchObject({ status: 502, json: data });
    expect(await call(broker, { method: 'DELETE' })).toMatchObject({ status: 502, json: data });
    expect((await broker.status()).counters).toMatchObject({ calls: 5, refused: 5, failed: 5 });
    expect(log.entries.filter(({ level }) => level === 'warn')[0]?.details).toMatchObject({
      reason: 'ECONNREFUSED',
    });
  });

  it('a name that does not resolve: 502', async () => {
    const { broker } = await givenBroker('https://upstream.invalid/mcp');
    const { status, json } = await call(broker, post(request(1)));
    expect(status).toBe(502);
    expect(json).toMatchObject({ id: 1, error: { data: { error: 'upstream_unreachable' } } });
  });

  it('no head within UPSTREAM_TIMEOUT_SECONDS: 504, and the upstream’s request is aborted', async () => {
    const upstream = await givenScriptedUpstream(() => undefined);
    const { broker } = await givenBroker(upstream.origin, { UPSTREAM_TIMEOUT_SECONDS: '1' });
    const { status, json } = await call(broker, post(request(1)));
    expect(status).toBe(504);
    expect(json).toMatchObject({
      id: 1,
      error: {
        data: {
          error: 'upstream_timeout',
          message: `${broker.upstreamHost} did not answer in time; try again, or raise UPSTREAM_TIMEOUT_SECONDS.`,
        },
      },
    });
    expect(await upstream.requests.entries[0]?.ended).toBe(false);
    expect(upstream.requests.entries).toHaveLength(1);
  });

  it('an authorization server that is down: 503, Retry-After, and the login is kept', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 600 } });
    const { broker } = await givenBroker(upstream.mcpUrl);
    await logIn(broker);
    await upstream.authorizationServer.close();
    upstream.mcpServer.rejectCurrentTokens();
    const { status, headers, json } = await call(broker, post(request(1)));
    expect([status, headers.get('retry-after')]).toEqual([503, '1']);
    expect(json).toMatchObject({ id: 1, error: { data: { error: 'refresh_unavailable' } } });
    expect(broker.state).toBe('authenticated');
  });
});

describe('LOGIN_WAIT_SECONDS', () => {
  async function givenWaiting(seconds = '60') {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl, { LOGIN_WAIT_SECONDS: seconds });
    return { upstream, broker };
  }

  it('lets calls that met no login go through when it comes, batches too', async () => {
    const { upstream, broker } = await givenWaiting();
    const bodies: unknown[] = [request(1), request(2, 'initialize'), [request(3), notification]];
    const calls = bodies.map((body) => call(broker, post(body)));
    const asked = () => upstream.mcpServer.requests.entries.filter(({ status }) => status === 401).length;
    while (asked() < bodies.length) await (await fetch(`${broker.localUrl}/health`)).text();
    upstream.mcpServer.behaviour.respond = ({ headers }, answer) => {
      if (headers.authorization === undefined) return false;
      answer.end('{"through":true}');
      return true;
    };
    await logIn(broker);
    for (const { status, json } of await Promise.all(calls)) {
      expect([status, json]).toEqual([200, { through: true }]);
    }
  });

  it.each<[string, RequestInit, number]>([
    ['server/discover', post(request(1, 'server/discover')), 200],
    ['a batch with server/discover in it', post([request(1), request(2, 'server/discover')]), 200],
    ['a notification', post(notification), 202],
    ['a response', post(response), 202],
    ['a GET for an event stream', stream, 405],
    ['a plain GET', {}, 401],
    ['a DELETE', { method: 'DELETE' }, 401],
  ])('never holds up %s', async (_what, init, status) => {
    const { broker } = await givenWaiting('600');
    expect((await call(broker, init)).status).toBe(status);
  });

  it('is one deadline for all: when it has passed, calls are refused, and later ones at once', async () => {
    const { broker } = await givenWaiting('1');
    const refused = rpcError(1, loginObject(broker));
    const together = await Promise.all([1, 1, 1].map((id) => call(broker, post(request(id)))));
    expect(together.map(({ json }) => json)).toEqual([refused, refused, refused]);
    // The wait would be 1 s for each, and the test would run out of time.
    for (let n = 0; n < 60; n++) expect((await call(broker, post(request(1)))).json).toEqual(refused);
  });

  it('begins anew with a new login', async () => {
    const { upstream, broker } = await givenWaiting('1');
    expect((await call(broker, post(request(1)))).json).toEqual(rpcError(1, loginObject(broker)));
    await broker.login();
    const asked = upstream.mcpServer.requests.next(({ method }) => method === 'POST');
    let answered = false;
    const waiting = call(broker, post(request(1))).then(() => {
      answered = true;
    });
    await (await asked).answered;
    for (let turn = 0; turn < 10; turn++) await (await fetch(`${broker.localUrl}/health`)).text();
    expect(answered).toBe(false);
    await waiting;
  });

  it('ends when the broker is closed: who waits is refused at once', async () => {
    const { upstream, broker } = await givenWaiting('600');
    const asked = upstream.mcpServer.requests.next();
    const wire = await Wire.open(portOf(broker.localUrl));
    const { body } = post(request(1)) as { body: string };
    wire.write(requestText(broker, 'POST /mcp HTTP/1.1', `Content-Length: ${body.length}`) + body);
    await (await asked).answered;
    await (await fetch(`${broker.localUrl}/health`)).text();
    await broker.close();
    await wire.closed;
    expect(wire.text).toContain('not_authenticated');
  });
});

it('a refusal never names a token or a key of the upstream’s URL', async () => {
  const upstream = await givenUpstream();
  const { broker, log } = await givenBroker(`${upstream.mcpUrl}?key=hidden-in-the-query`);
  const { text } = await call(broker, rpc('tools/list'));
  expect(text + log.text).not.toContain('hidden-in-the-query');
});
