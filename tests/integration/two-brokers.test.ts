import { expect, it } from 'vitest';
import {
  givenFolder,
  givenServedBroker,
  givenUpstream,
  logIn,
  type ServedBroker,
} from '../support/broker.ts';
import { givenGate, onPath, outcomeOf, tokenRequests } from '../support/login.ts';

const ACCESS_TOKEN_SECONDS = 2;
const EXPIRIES = 4;

async function givenTwo(first: NodeJS.ProcessEnv = {}, second: NodeJS.ProcessEnv = {}) {
  const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: ACCESS_TOKEN_SECONDS } });
  const common = {
    UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
    STATE_DIR: await givenFolder(),
    TOKEN_STORE: 'file',
  };
  const brokers: [ServedBroker, ServedBroker] = [
    await givenServedBroker({ ...common, ...first }),
    await givenServedBroker({ ...common, ...second }),
  ];
  return { upstream, brokers };
}

async function stateOf({ url }: ServedBroker): Promise<string> {
  const { state } = (await (await fetch(`${url}/oauth/status`)).json()) as { state: string };
  return state;
}

it('two processes share one login over several expiries: no refusal, no used refresh token', async () => {
  const { upstream, brokers } = await givenTwo();
  await logIn(brokers[0]);
  const outcomes: string[] = [];
  const enough = () => tokenRequests(upstream).length >= 2 * EXPIRIES;
  const callers = brokers.flatMap((broker) =>
    Array.from({ length: 8 }, async () => {
      while (!enough()) outcomes.push(await outcomeOf(broker));
    }),
  );
  await Promise.all(callers);

  expect(new Set(outcomes)).toEqual(new Set(['ok']));
  const statuses = tokenRequests(upstream).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200]));
  // The next refresh would show whether the server has seen a token twice.
  expect(await Promise.all(brokers.map(outcomeOf))).toEqual(['ok', 'ok']);
});

it('while one process refreshes, the other waits and goes on with the next refresh token', async () => {
  const { upstream, brokers } = await givenTwo();
  const [first, second] = brokers;
  await logIn(first);
  expect(await Promise.all(brokers.map(outcomeOf))).toEqual(['ok', 'ok']);
  upstream.authorizationServer.requests.clear();
  const gate = givenGate();
  upstream.authorizationServer.behaviour.respond = onPath('/token', gate.hook);
  upstream.mcpServer.rejectCurrentTokens();

  const one = outcomeOf(first);
  await gate.reached;
  const refused = upstream.mcpServer.requests.next();
  const other = outcomeOf(second);
  await (await refused).ended;
  // By now a process that does not wait would have asked as well.
  for (const _ of Array(20).keys()) await fetch(`${second.url}/oauth/status`);
  expect(tokenRequests(upstream)).toHaveLength(1);
  gate.open('go on');

  expect(await Promise.all([one, other])).toEqual(['ok', 'ok']);
  expect(tokenRequests(upstream).map(({ status }) => status)).toEqual([200, 200]);
});

it('a login in one process is found by the other when it is needed', async () => {
  const { brokers } = await givenTwo();
  expect(await stateOf(brokers[1])).toBe('logged_out');
  await logIn(brokers[0]);
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcomeOf(brokers[1])));
  expect(new Set(outcomes)).toEqual(new Set(['ok']));
});

it('a logout in one process is noticed by the other at its next refresh', async () => {
  const { brokers, upstream } = await givenTwo();
  await logIn(brokers[0]);
  expect(await outcomeOf(brokers[1])).toBe('ok');
  expect((await fetch(`${brokers[0].url}/oauth/logout`, { method: 'POST' })).status).toBe(200);

  upstream.mcpServer.rejectCurrentTokens();
  upstream.authorizationServer.requests.clear();
  expect(await outcomeOf(brokers[1])).toBe('not_authenticated');
  expect(await stateOf(brokers[1])).toBe('logged_out');
  expect(tokenRequests(upstream)).toEqual([]);
});

it('two profiles at one upstream do not touch each other', async () => {
  const { brokers } = await givenTwo({ PROFILE: 'work' }, { PROFILE: 'home' });
  const [work, home] = brokers;
  await logIn(work);
  expect(await outcomeOf(home)).toBe('not_authenticated');
  await logIn(home);
  expect((await fetch(`${home.url}/oauth/logout`, { method: 'POST' })).status).toBe(200);
  expect(await outcomeOf(home)).toBe('not_authenticated');
  expect(await outcomeOf(work)).toBe('ok');
});
