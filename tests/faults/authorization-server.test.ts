import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { RespondHook, Upstream } from '../../app/cli/demo/upstream.ts';
import { signInByHttp } from '../../app/cli/demo/upstream.ts';
import { givenBroker, givenUpstream, logIn, type RunningBroker } from '../support/broker.ts';
import {
  altering,
  answering,
  call,
  givenClock,
  onPath,
  outcomeOf,
  TOKEN_SECONDS,
  tokenRequests,
} from '../support/login.ts';
import { openPage, type PageAnswer } from '../support/scripted-authorization.ts';

/** Answers in bytes, and leaves the connection as the test says. */
function raw(bytes: string, end: 'cut' | 'silent' | 'endless'): RespondHook {
  return (_request, response) => {
    const { socket } = response;
    socket?.write(bytes);
    if (end === 'cut') setImmediate(() => socket?.resetAndDestroy());
    if (end === 'endless') pour(response);
    return true;
  };
}

/** Sends without an end, at the pace of whoever reads. */
function pour({ socket }: ServerResponse): void {
  if (!socket) return;
  const more = () => {
    while (!socket.destroyed && socket.write(Buffer.alloc(16 * 1024, ' ')));
  };
  socket.on('error', () => undefined).on('drain', more);
  more();
}

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n';
const FAULTS: ReadonlyArray<readonly [string, RespondHook]> = [
  ['resets before an answer', raw('', 'cut')],
  ['resets in the middle of the head', raw('HTTP/1.1 200 OK\r\nContent-', 'cut')],
  ['sends half an answer and resets', raw(`${HEAD}{"issuer":"http`, 'cut')],
  ['answers without an end', raw(HEAD.replace('5000', '9000000000'), 'endless')],
  ['speaks no HTTP', raw('220 mail.example ESMTP\r\n', 'cut')],
  ['answers with 500', answering(500, '{"error":"server_error"}')],
  ['answers with 503 and a page', answering(503, '<h1>Back soon</h1>', 'text/html')],
  ['answers with a page', answering(200, '<h1>Log in to the Wi-Fi</h1>', 'text/html')],
  ['answers with half of a JSON text', answering(200, '{"issuer":"http')],
  ['answers with JSON of another shape', answering(200, '[1,2,3]')],
  ['answers with nothing', answering(200, '')],
];

/** The requests of a login, and who answers them. */
const STAGES: ReadonlyArray<readonly [string, (upstream: Upstream, fault: RespondHook | undefined) => void]> =
  [
    [
      'protected resource metadata',
      ({ mcpServer }, fault) => {
        mcpServer.behaviour.respond = fault && onPath(/^\/\.well-known\//, fault);
      },
    ],
    ...(
      [
        ['authorization server metadata', /^\/\.well-known\//],
        ['registration', '/register'],
        ['token request', '/token'],
      ] as const
    ).map(
      ([stage, path]) =>
        [
          stage,
          ({ authorizationServer }: Upstream, fault: RespondHook | undefined) => {
            authorizationServer.behaviour.respond = fault && onPath(path, fault);
          },
        ] as const,
    ),
  ];

/** Logs in as far as it goes: the page on which a person learns how it went. */
async function lastPage(loginUrl: string): Promise<PageAnswer> {
  const first = await openPage(loginUrl);
  return first.location === null ? first : openPage(await signInByHttp(first.location));
}

function expectExplained({ status, page }: PageAnswer): void {
  expect(status).toBeGreaterThanOrEqual(400);
  expect(page).toContain('<h1');
  expect(page).not.toMatch(/Wi-Fi|Back soon|ESMTP|\bat .*\.ts:/);
}

async function givenLogin(): Promise<RunningBroker & { upstream: Upstream; expire: () => void }> {
  const clock = givenClock();
  const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: TOKEN_SECONDS } });
  const running = await givenBroker(upstream.mcpServer.jsonUrl);
  await logIn(running.broker);
  upstream.authorizationServer.requests.clear();
  return { ...running, upstream, expire: () => clock.advance(TOKEN_SECONDS + 1) };
}

describe.each(STAGES)('a login whose %s', (_stage, breakStage) => {
  it.each(FAULTS)('meets a server that %s: a page says why, and the next login works', async (_, fault) => {
    const upstream = await givenUpstream();
    const { broker, log } = await givenBroker(upstream.mcpServer.jsonUrl);
    breakStage(upstream, fault);
    expectExplained(await lastPage(broker.loginUrl));
    expect(broker.state).toBe('logged_out');
    expect((await broker.status()).last_error?.cure).not.toBe('');
    expect(await outcomeOf(broker)).toBe('not_authenticated');

    breakStage(upstream, undefined);
    await logIn(broker);
    expect(await outcomeOf(broker)).toBe('ok');
    expect(log.entries.filter(({ event }) => event.includes('unknown reason'))).toEqual([]);
  });
});

describe('a refresh', () => {
  it.each(FAULTS)('at a server that %s: 503, and the login is kept', async (_, fault) => {
    const { broker, upstream, expire } = await givenLogin();
    const { behaviour } = upstream.authorizationServer;
    behaviour.respond = onPath('/token', fault);
    expire();
    expect(await call(broker)).toMatchObject({ status: 503, retryAfter: '1' });
    expect(broker.state).toBe('authenticated');

    behaviour.respond = undefined;
    await broker.wake();
    expect(await outcomeOf(broker)).toBe('ok');
    expect(tokenRequests(upstream)).toHaveLength(2);
  });

  it.each(['text/html', 'text/plain; charset=iso-8859-1', 'application/octet-stream'])(
    'whose answer is called %s is read all the same: its token would be lost',
    async (type) => {
      const { broker, upstream, expire } = await givenLogin();
      upstream.authorizationServer.behaviour.respond = onPath('/token', (request, response) => {
        altering((json) => {
          response.setHeader('content-type', type);
          return json;
        })(request, response);
        return false;
      });
      expire();
      expect(await outcomeOf(broker)).toBe('ok');
      expire();
      expect(await outcomeOf(broker)).toBe('ok');
    },
  );
});

it('a server that falls silent in the middle of an answer is given up after its 10 s, wherever that is', async () => {
  const silent = raw(`${HEAD}{"issuer":"http`, 'silent');
  const logins = STAGES.map(async ([, breakStage]) => {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl);
    breakStage(upstream, silent);
    const answer = await lastPage(broker.loginUrl);
    expectExplained(answer);
    return answer.status;
  });
  const refresh = async () => {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpServer.jsonUrl);
    await logIn(broker);
    upstream.mcpServer.rejectCurrentTokens();
    upstream.authorizationServer.behaviour.respond = onPath('/token', silent);
    const { status, body } = await call(broker);
    return [status, body.error?.data?.message.includes('did not answer within 10 s'), broker.state];
  };
  const [refreshed, ...statuses] = await Promise.all([refresh(), ...logins]);
  expect(refreshed).toEqual([503, true, 'authenticated']);
  expect(statuses).toEqual([504, 504, 504, 504]);
});
