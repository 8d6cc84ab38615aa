import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import { type RespondHook, startMcpServer, type Upstream } from '../../app/cli/demo/upstream.ts';
import { givenBroker, givenClient, givenUpstream, logIn, rpc } from '../support/broker.ts';
import { call, outcomeOf, tokenRequests } from '../support/login.ts';
import {
  givenRawUpstream,
  givenScriptedUpstream,
  onHeads,
  portOf,
  requestText,
  Wire,
} from '../support/wire.ts';

const SSE = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';

/** Answers in bytes, then lets the connection end as connections of dying servers do. */
function dying(bytes: string): RespondHook {
  return (_request, { socket }) => {
    socket?.write(bytes);
    setImmediate(() => socket?.resetAndDestroy());
    return true;
  };
}

async function givenLogin(
  environment: NodeJS.ProcessEnv = {},
): Promise<{ broker: Broker; upstream: Upstream }> {
  const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 300 } });
  const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, environment);
  await logIn(broker);
  upstream.authorizationServer.requests.clear();
  return { broker, upstream };
}

/** The next call works, and the login was left alone. */
async function expectUnharmed(broker: Broker, upstream: Upstream): Promise<void> {
  upstream.mcpServer.behaviour.respond = undefined;
  expect(await outcomeOf(broker)).toBe('ok');
  expect(broker.state).toBe('authenticated');
  expect(tokenRequests(upstream)).toEqual([]);
}

describe('a call with a login', () => {
  it.each<[string, RespondHook, number, string]>([
    ['resets before an answer', dying(''), 502, 'upstream_unreachable'],
    ['resets in the middle of the head', dying('HTTP/1.1 200 OK\r\nContent-'), 502, 'upstream_unreachable'],
    ['speaks no HTTP', dying('SSH-2.0-OpenSSH\r\n'), 502, 'upstream_unreachable'],
    [
      'sends a head of more than 64 KiB',
      dying(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`),
      502,
      'upstream_unreachable',
    ],
    ['never answers', () => true, 504, 'upstream_timeout'],
    [
      'sends its head without an end',
      (_request, { socket }) => {
        socket?.write('HTTP/1.1 200 OK\r\n');
        const drip = setInterval(() => socket?.write('X: y\r\n'), 100);
        socket?.once('close', () => clearInterval(drip));
        return true;
      },
      504,
      'upstream_timeout',
    ],
  ])('to an upstream that %s is refused in words, and the next one works', async (_, fault, status, code) => {
    const { broker, upstream } = await givenLogin({ UPSTREAM_TIMEOUT_SECONDS: '1' });
    upstream.mcpServer.behaviour.respond = fault;
    expect(await call(broker)).toMatchObject({ status, body: { id: 1, error: { data: { error: code } } } });
    await expectUnharmed(broker, upstream);
  });

  it.each<[string, string]>([
    ['in the middle of a body', 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"jsonrpc":'],
    ['in the middle of a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{"json'],
    ['in the middle of an event', `${SSE}b\r\ndata: {"jso\r\n`],
    ['between two events', `${SSE}9\r\ndata: 1\n\n\r\n`],
  ])(
    'to an upstream that resets %s is cut off at the client as well, and the next one works',
    async (_, bytes) => {
      const { broker, upstream } = await givenLogin();
      upstream.mcpServer.behaviour.respond = dying(bytes);
      await expect(fetch(broker.mcpUrl, rpc('tools/list')).then((answer) => answer.text())).rejects.toThrow();
      await expectUnharmed(broker, upstream);
    },
  );

  it('that meets half of a 401 has its token renewed and is sent once more', async () => {
    const { broker, upstream } = await givenLogin();
    let first = true;
    upstream.mcpServer.behaviour.respond = (request, response) => {
      if (!first) return false;
      first = false;
      return dying(
        'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 900\r\n\r\n{"err',
      )(request, response);
    };
    expect(await outcomeOf(broker)).toBe('ok');
    expect(tokenRequests(upstream)).toHaveLength(1);
  });

  it('while the upstream is down is refused, and goes through once it is back on its port', async () => {
    const { broker, upstream } = await givenLogin();
    const { port } = upstream.mcpServer;
    await upstream.mcpServer.close();
    for (const _ of [1, 2]) {
      const { status, body } = await call(broker);
      expect([status, body.error?.data?.error]).toEqual([502, 'upstream_unreachable']);
    }
    const again = await startMcpServer({ port, authorizationServer: upstream.authorizationServer });
    onTestFinished(() => again.close());
    expect(await outcomeOf(broker)).toBe('ok');
    expect(tokenRequests(upstream)).toEqual([]);
  });
});

describe('an MCP client', () => {
  it('whose stream is cut in the middle of a call gets its result all the same, by resuming', async () => {
    const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 300 } });
    const { mcpServer } = upstream;
    const { broker } = await givenBroker(upstream.mcpUrl);
    await logIn(broker);
    const listening = mcpServer.requests.next(({ method }) => method === 'GET');
    const client = await givenClient(broker.mcpUrl);
    await (await listening).answered;
    let seen = () => undefined as undefined;
    const progress = new Promise<void>((resolve) => {
      seen = () => void resolve();
    });
    const slow = { name: 'slow', arguments: { steps: 2 } };
    const result = client.callTool(slow, undefined, { onprogress: () => seen() });
    await mcpServer.stepSlowTool();
    await progress;
    // The call's stream and the one that was open before both come again.
    const resumed = mcpServer.requests.next(
      ({ method, headers }) => method === 'GET' && headers['last-event-id'] !== undefined,
    );
    mcpServer.dropStreams();
    await resumed;
    await mcpServer.stepSlowTool();
    expect((await result).content).toMatchObject([{ type: 'text' }]);
    expect(tokenRequests(upstream)).toEqual([]);
  });

  it('is answered while another upstream connection is poured into without an end', async () => {
    const { broker, upstream } = await givenLogin();
    let pouring: ServerResponse | undefined;
    upstream.mcpServer.behaviour.respond = ({ method }, response) => {
      if (method !== 'GET') return false;
      pouring = response;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const more = () => {
        while (!response.destroyed && response.write(`: ${'x'.repeat(16_000)}\n\n`));
      };
      response.on('drain', more);
      more();
      return true;
    };
    const wire = await Wire.open(portOf(broker.localUrl));
    wire.socket.pause();
    wire.write(requestText(broker, 'GET /mcp HTTP/1.1', 'Accept: text/event-stream'));
    expect(await outcomeOf(broker)).toBe('ok');
    if (!pouring) await upstream.mcpServer.requests.next(({ method }) => method === 'GET');
    const cut = pouring && once(pouring, 'close');
    wire.socket.destroy();
    await cut;
    await expectUnharmed(broker, upstream);
  });
});

describe('informational answers without an end', () => {
  it('are signs of life: the call lasts as long as its client waits, and no longer', async () => {
    let ended: Promise<unknown> | undefined;
    const upstream = await givenRawUpstream((socket) => {
      ended = once(socket, 'close');
      onHeads(socket, () => {
        const signs = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'), 300);
        socket.once('close', () => clearInterval(signs));
      });
    });
    const { broker } = await givenBroker(upstream.origin, { UPSTREAM_TIMEOUT_SECONDS: '1' });
    const patience = AbortSignal.timeout(2_500);
    await expect(fetch(broker.mcpUrl, { signal: patience })).rejects.toThrow('aborted due to timeout');
    await ended;
  });
});

it('an answer that claims another length than it has does not become the answer to the next call', async () => {
  const upstream = await givenRawUpstream((socket) =>
    onHeads(socket, (head) => {
      const body = head.includes('/long')
        ? '{"a":1}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
        : 'good';
      const length = head.includes('/long') ? 7 : 4;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${body}`);
    }),
  );
  const { broker } = await givenBroker(upstream.origin);
  for (const _ of Array(10).keys()) {
    expect(await (await fetch(`${broker.mcpUrl}/long`)).text()).toBe('{"a":1}');
    expect(await (await fetch(`${broker.mcpUrl}/next`)).text()).toBe('good');
  }
});

it('calls to an upstream in trouble do not hold up those of another broker in the process', async () => {
  const hanging = await givenScriptedUpstream(() => undefined);
  const stuck = await givenBroker(hanging.origin);
  const waiting = Array.from({ length: 50 }, () => {
    const hangUp = new AbortController();
    const answer = fetch(stuck.broker.mcpUrl, { ...rpc('tools/list'), signal: hangUp.signal });
    return { hangUp, answer };
  });
  const { broker, upstream } = await givenLogin();
  expect(await outcomeOf(broker)).toBe('ok');
  await expectUnharmed(broker, upstream);
  for (const { hangUp, answer } of waiting) {
    hangUp.abort();
    await expect(answer).rejects.toThrow();
  }
});
