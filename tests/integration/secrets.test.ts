import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { signInByHttp } from '../../app/cli/demo/upstream.ts';
import { givenFolder, givenServedBroker, logIn, rpc, type ServedBroker } from '../support/broker.ts';
import { answering, onPath } from '../support/login.ts';
import { filesBelow, leaksOf, placesOf, processList } from '../support/secrets.ts';
import { givenWatchedUpstream } from '../support/watched-upstream.ts';

// Each has characters that look different in JSON, in a URL and in a form.
const CLIENT_SECRET = 'the secret+of/the "client" & 4711';
const API_KEY = 'the-key+of/the"callers"&0815';
const PASSPHRASE = 'the passphrase/of+the "store" &';
const CLIENT_ID = 'fixed-client';

/** Makes a process die of an error that nobody catches, when it is told to. */
const DIE_ON_SIGALRM = `data:text/javascript,${encodeURIComponent(
  'process.once("SIGALRM", () => { throw new Error("on purpose"); });',
)}`;

/** Resolves once the broker has written this to standard error. */
async function written({ child, output }: ServedBroker, text: string): Promise<void> {
  while (!output().includes(text) && child.stderr) await once(child.stderr, 'data');
}

/**
 * A life with all that can happen: refusals, logins that fail, calls, refreshes, outages, more scope, crashes, a logout.
 * Where secrets may not show is collected on the way.
 */
async function liveThrough(clientSettings: NodeJS.ProcessEnv, logFile: string | undefined) {
  const { upstream, secrets, watch } = await givenWatchedUpstream({
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
  });
  const known = new Set([CLIENT_SECRET, API_KEY, PASSPHRASE]);
  const places = new Map<string, string | Buffer>();
  const show = (what: string, text: string) => void places.set(`${places.size}: ${what}`, text);
  const folder = await givenFolder();
  const reports = path.join(await givenFolder(), 'reports');
  await mkdir(reports);
  const { behaviour } = upstream.authorizationServer;
  const options = [
    '--report-on-signal',
    '--report-uncaught-exception',
    `--report-directory=${reports}`,
    `--import=${DIE_ON_SIGALRM}`,
  ];
  const start = () =>
    givenServedBroker(
      {
        UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
        HOME: folder,
        STATE_DIR: path.join(folder, 'state'),
        TOKEN_STORE: 'file',
        TOKEN_STORE_KEY: PASSPHRASE,
        PROXY_API_KEY: API_KEY,
        LOG_LEVEL: 'debug',
        NODE_OPTIONS: options.join(' '),
        ...clientSettings,
      },
      logFile === undefined ? [] : ['--log-file', logFile],
    );
  let broker = await start();
  const look = async (url: string) => {
    for (const accept of ['text/html', 'application/json']) {
      const response = await fetch(url, { headers: { accept } });
      show(`${accept} of ${new URL(url).pathname}`, await response.text());
    }
  };
  const call = async (key = API_KEY) => {
    const { headers, ...request } = rpc('initialize', 1, {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    });
    const authorization = `Bearer ${key}`;
    const response = await fetch(broker.mcpUrl, { ...request, headers: { ...headers, authorization } });
    const text = await response.text();
    show('the answer to a call', text + JSON.stringify([...response.headers]));
    return text;
  };
  const signIn = async (how: { deny?: true } = {}) => {
    const { body, callback } = await signInByHttp(broker.loginUrl, { ...how, follow: true });
    show('the page of a callback', body);
    return callback;
  };

  expect(await call('a-wrong-key-1234567890')).toContain('invalid_api_key');
  expect(await call()).toContain('not_authenticated');
  await signIn({ deny: true });
  behaviour.respond = onPath('/token', answering(400, '{"error":"invalid_grant"}'));
  await signIn();
  behaviour.respond = watch;
  await look(await signIn());
  await look(broker.url);
  expect(await call()).toContain('"result"');
  upstream.mcpServer.rejectCurrentTokens();
  expect(await call()).toContain('"result"');
  show('the process list', await processList());
  await look(`${broker.url}/oauth/status`);

  upstream.mcpServer.behaviour.requiredScopes = ['mcp:resources'];
  expect(await call()).toContain('insufficient_scope');
  await look(`${broker.url}/oauth/status`);
  await signIn();
  expect(await call()).toContain('"result"');
  upstream.mcpServer.behaviour.requiredScopes = [];

  upstream.mcpServer.rejectCurrentTokens();
  behaviour.respond = onPath('/token', answering(500, '{"error":"server_error"}'));
  expect(await call()).toContain('refresh_unavailable');
  behaviour.respond = watch;
  await look(`${broker.url}/oauth/status`);
  await expect.poll(() => call(), { timeout: 10_000 }).toContain('"result"');

  // A report, and a death that writes one, with a token and a login in memory.
  const begun = await fetch(broker.loginUrl, { redirect: 'manual' });
  known.add(new URL(begun.headers.get('location') ?? '').searchParams.get('state') ?? '');
  broker.child.kill('SIGUSR2');
  await written(broker, 'Node.js report completed');
  expect(await broker.end('SIGALRM')).toEqual({ code: 1, signal: null });
  show('standard error', broker.output());
  broker = await start();
  expect(await call()).toContain('"result"');
  for (const [file, content] of await filesBelow(folder)) places.set(file, content);

  upstream.authorizationServer.revokeGrants();
  expect(await call()).toContain('not_authenticated');
  await look(`${broker.url}/oauth/status`);
  await logIn(broker);
  await look(`${broker.url}/oauth/logout`);
  await upstream.close();
  expect(await call()).toContain('upstream_unreachable');
  await look(broker.loginUrl);
  await look(broker.url);
  show('the process list', await processList());
  expect(await broker.end('SIGTERM')).toEqual({ code: 0, signal: null });
  show('standard error', broker.output());
  for (const [file, content] of await filesBelow(folder)) places.set(`${file} at the end`, content);
  const log =
    logFile === undefined
      ? [...places].flatMap(([name, text]) => (name.endsWith('standard error') ? [text] : [])).join('')
      : await readFile(logFile, 'utf8');
  places.set('log', log);
  const reported = await filesBelow(reports);
  for (const report of reported) places.set(...report);
  return { upstream, secrets: new Set([...known, ...secrets]), places, log, reports: [...reported.keys()] };
}

it.each([
  ['a client with a secret', 'standard error'],
  ['a client that registers itself', 'a log file'],
])(
  'no secret of %s is shown or stored in plain, with the log on %s',
  { timeout: 60_000 },
  async (client, where) => {
    const settings = client === 'a client with a secret' ? { CLIENT_ID, CLIENT_SECRET } : {};
    const logFile = where === 'a log file' ? path.join(await givenFolder(), 'broker.log') : undefined;
    const { upstream, secrets, places, log, reports } = await liveThrough(settings, logFile);

    // Three of ours; of three logins and two refreshes the tokens, codes, states and verifiers.
    expect(secrets.size).toBeGreaterThan(20);
    for (const event of ['Logged in', 'Access token refreshed', 'The login has ended', 'Logged out'])
      expect(log).toContain(event);
    expect(reports).toHaveLength(2);
    // What is there is found.
    expect(placesOf(upstream.mcpServer.jsonUrl, places)).toEqual(expect.arrayContaining(['log', ...reports]));
    expect(leaksOf(secrets, places)).toEqual([]);
  },
);
