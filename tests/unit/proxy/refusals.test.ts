import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_BATCH_REQUESTS } from '../../../app/limits.ts';
import {
  type Refusal,
  type RefusedCaller,
  readJsonRpc,
  refusalBody,
  refuse,
  refuseCall,
} from '../../../app/proxy/refusals.ts';

const LOGIN: Refusal = {
  code: 'not_authenticated',
  status: 401,
  message: 'Open http://127.0.0.1:5177/oauth/login to log in to mcp.example.com, then reconnect this server.',
  loginUrl: 'http://127.0.0.1:5177/oauth/login',
};
const SCOPE: Refusal = { ...LOGIN, code: 'insufficient_scope', status: 403 };
const TROUBLE: Refusal = {
  code: 'refresh_unavailable',
  status: 503,
  message: 'Later.',
  retryAfterSeconds: 2,
};
const OBJECT = { error: LOGIN.code, message: LOGIN.message, login_url: LOGIN.loginUrl };
const ANYONE: RefusedCaller = { rpc: undefined, wantsEventStream: false, notAuthenticatedStatus: 200 };
const request = { kind: 'request', id: 7, method: 'tools/list' } as const;

const server = createServer();
let origin = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

async function answerTo(caller: Partial<RefusedCaller>, refusal: Refusal) {
  server.removeAllListeners('request').once('request', (_request, response) => {
    refuseCall(response, refusal, { ...ANYONE, ...caller });
  });
  const response = await fetch(origin);
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: text === '' ? undefined : (JSON.parse(text) as unknown),
  };
}

const rpcError = (id: unknown, refusal: Refusal) => ({
  jsonrpc: '2.0',
  id,
  error: { code: -32001, message: refusal.message, data: refusalBody(refusal) },
});

describe('reading a body as JSON-RPC', () => {
  it('takes a batch whose refusal would be larger than itself for none', () => {
    const batch = (length: number) =>
      readJsonRpc(Buffer.from(JSON.stringify(Array(length).fill({ jsonrpc: '2.0', id: 1, method: 'm' }))));
    expect(batch(MAX_BATCH_REQUESTS)).toMatchObject({ kind: 'batch' });
    expect(batch(MAX_BATCH_REQUESTS + 1)).toBeUndefined();
  });

  it.each([
    [
      'a request with a number as id',
      '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      { kind: 'request', id: 1, method: 'ping' },
    ],
    [
      'a request with a string as id',
      '{"jsonrpc":"2.0","id":"a","method":"ping"}',
      { kind: 'request', id: 'a', method: 'ping' },
    ],
    [
      'a request with null as id',
      '{"jsonrpc":"2.0","id":null,"method":"ping"}',
      { kind: 'request', id: null, method: 'ping' },
    ],
    ['a notification', '{"jsonrpc":"2.0","method":"notifications/initialized"}', { kind: 'one-way' }],
    ['a response', '{"jsonrpc":"2.0","id":1,"result":{}}', { kind: 'one-way' }],
    ['an error response', '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}', { kind: 'one-way' }],
    [
      'a batch, of which only requests are answered',
      '[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","method":"n"},{"jsonrpc":"2.0","id":"x","method":"b"}]',
      { kind: 'batch', ids: [1, 'x'], methods: ['a', 'b'] },
    ],
    [
      'a batch without requests',
      '[{"jsonrpc":"2.0","method":"n"},{"jsonrpc":"2.0","id":1,"result":0}]',
      { kind: 'one-way' },
    ],
    ['an empty batch', '[]', undefined],
    ['a batch with something else in it', '[{"jsonrpc":"2.0","id":1,"method":"a"},1]', undefined],
    ['a batch in a batch', '[[{"jsonrpc":"2.0","id":1,"method":"a"}]]', undefined],
    ['another version', '{"jsonrpc":"1.0","id":1,"method":"a"}', undefined],
    ['JSON that is no object', '"tools/list"', undefined],
    ['null', 'null', undefined],
    ['no JSON', 'jsonrpc=2.0', undefined],
    ['nothing', '', undefined],
  ])('%s', (_what, body, expected) => {
    expect(readJsonRpc(Buffer.from(body))).toEqual(expected);
  });
});

describe('a refusal that asks for a login', () => {
  it('answers a JSON-RPC request in a 200 with its id and the object as data', async () => {
    const { status, json, headers } = await answerTo({ rpc: request }, LOGIN);
    expect(status).toBe(200);
    expect(json).toEqual(rpcError(7, LOGIN));
    expect(headers.get('content-type')).toBe('application/json');
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('uses 401 for it where NOT_AUTHENTICATED_STATUS says so', async () => {
    const { status, json } = await answerTo({ rpc: request, notAuthenticatedStatus: 401 }, LOGIN);
    expect(status).toBe(401);
    expect(json).toEqual(rpcError(7, LOGIN));
  });

  it('answers each request of a batch, in an array', async () => {
    const rpc = { kind: 'batch', ids: [1, 'x'], methods: ['a', 'b'] } as const;
    const { status, json } = await answerTo({ rpc }, LOGIN);
    expect(status).toBe(200);
    expect(json).toEqual([rpcError(1, LOGIN), rpcError('x', LOGIN)]);
  });

  it.each([LOGIN, SCOPE])('answers what expects no answer with an empty 202 ($code)', async (refusal) => {
    const { status, text, headers } = await answerTo({ rpc: { kind: 'one-way' } }, refusal);
    expect(status).toBe(202);
    expect(text).toBe('');
    expect(headers.get('content-type')).toBeNull();
  });

  it.each([LOGIN, SCOPE])('answers a GET for an event stream with 405 ($code)', async (refusal) => {
    const { status, json, headers } = await answerTo({ wantsEventStream: true }, refusal);
    expect(status).toBe(405);
    expect(headers.get('allow')).toBe('POST');
    expect(json).toEqual({ ...OBJECT, error: refusal.code });
  });

  it('answers anybody else with the object itself, 401 or 403', async () => {
    expect(await answerTo({}, LOGIN)).toMatchObject({ status: 401, json: OBJECT });
    expect(await answerTo({}, SCOPE)).toMatchObject({
      status: 403,
      json: { ...OBJECT, error: 'insufficient_scope' },
    });
  });

  it('never carries a challenge', async () => {
    for (const caller of [{}, { rpc: request }, { wantsEventStream: true }]) {
      expect((await answerTo(caller, LOGIN)).headers.get('www-authenticate')).toBeNull();
    }
  });
});

describe('any other refusal', () => {
  it('keeps its status for a JSON-RPC request and says when to try again', async () => {
    const { status, json, headers } = await answerTo({ rpc: request }, TROUBLE);
    expect(status).toBe(503);
    expect(headers.get('retry-after')).toBe('2');
    expect(json).toEqual(rpcError(7, TROUBLE));
  });

  it('is the object itself for a notification and for a GET for an event stream', async () => {
    const object = { error: 'refresh_unavailable', message: 'Later.' };
    expect(await answerTo({ rpc: { kind: 'one-way' } }, TROUBLE)).toMatchObject({
      status: 503,
      json: object,
    });
    expect(await answerTo({ wantsEventStream: true }, TROUBLE)).toMatchObject({ status: 503, json: object });
  });

  it('says Retry-After: 0 when that is meant', async () => {
    const renewed: Refusal = { ...TROUBLE, code: 'token_renewed', retryAfterSeconds: 0 };
    expect((await answerTo({}, renewed)).headers.get('retry-after')).toBe('0');
  });
});

it('is not written over an answer that has begun', async () => {
  server.removeAllListeners('request').once('request', (_request, response) => {
    response.writeHead(200).write('begun');
    refuse(response, LOGIN);
    response.end();
  });
  const response = await fetch(origin);
  expect([response.status, await response.text()]).toEqual([200, 'begun']);
});
