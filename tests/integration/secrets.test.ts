import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { signInByHttp } from '../../app/cli/demo/upstream.ts';
import { givenFolder, givenServedBroker, givenUpstream, logIn, rpc } from '../support/broker.ts';
import { altering, answering, onPath } from '../support/login.ts';

const CLIENT_SECRET = 'the-secret-of-the-client-4711';
const API_KEY = 'the-key-of-the-callers-0815';
const PASSPHRASE = 'the passphrase of the store';
const TOKEN_VALUES = ['access_token', 'refresh_token', 'id_token'];
const REQUEST_VALUES = ['code', 'code_verifier', 'refresh_token', 'token'];

/** A life with all that can happen: refusals, logins that fail, calls, refreshes, outages, a logout. */
async function liveThrough(logFile: string | undefined) {
  const secrets = new Set([CLIENT_SECRET, API_KEY, PASSPHRASE]);
  const pages: string[] = [];
  const stateDir = await givenFolder();
  const keep = (value: unknown) => {
    if (typeof value === 'string' && value !== '') secrets.add(value);
  };
  const collect = onPath(
    '/token',
    altering((json) => {
      for (const name of TOKEN_VALUES) keep(json[name]);
      return json;
    }),
  );
  const upstream = await givenUpstream({
    authorizationServer: {
      accessTokenSeconds: 300,
      respond: collect,
      clients: [
        {
          client_id: 'fixed-client',
          client_secret: CLIENT_SECRET,
          redirect_uris: ['http://127.0.0.1/oauth/callback'],
          application_type: 'native',
          grant_types: ['authorization_code', 'refresh_token'],
          token_endpoint_auth_method: 'client_secret_basic',
        },
      ],
      onTokenRequest: (body) => {
        for (const name of REQUEST_VALUES) keep(body.get(name));
      },
    },
    mcpServer: { onRequest: ({ headers }) => keep(headers.authorization?.replace(/^Bearer /, '')) },
  });
  const { behaviour } = upstream.authorizationServer;
  const broker = await givenServedBroker(
    {
      UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
      STATE_DIR: stateDir,
      TOKEN_STORE: 'file',
      TOKEN_STORE_KEY: PASSPHRASE,
      CLIENT_ID: 'fixed-client',
      CLIENT_SECRET,
      PROXY_API_KEY: API_KEY,
      LOG_LEVEL: 'debug',
    },
    logFile === undefined ? [] : ['--log-file', logFile],
  );
  const look = async (url: string) => {
    for (const accept of ['text/html', 'application/json']) {
      const response = await fetch(url, { headers: { accept } });
      pages.push(await response.text());
    }
  };
  const call = async (key = API_KEY) => {
    const response = await fetch(broker.mcpUrl, {
      ...rpc('initialize', 1, {
        protocolVersion: '2025-06-18',
        capabilities: {},
        clientInfo: { name: 'test', version: '1' },
      }),
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${key}`,
      },
    });
    const text = await response.text();
    pages.push(text);
    return text;
  };

  expect(await call('a-wrong-key-1234567890')).toContain('invalid_api_key');
  expect(await call()).toContain('not_authenticated');
  await signInByHttp(broker.loginUrl, { deny: true, follow: true }).then(({ body }) => pages.push(body));
  behaviour.respond = onPath('/token', answering(400, '{"error":"invalid_grant"}'));
  const failed = await signInByHttp(broker.loginUrl, { follow: true });
  pages.push(failed.body);
  behaviour.respond = collect;
  const { body, callback } = await signInByHttp(broker.loginUrl, { follow: true });
  pages.push(body);
  await look(callback);
  keep(new URL(callback).searchParams.get('state'));
  await look(broker.url);
  expect(await call()).toContain('"result"');
  upstream.mcpServer.rejectCurrentTokens();
  expect(await call()).toContain('"result"');
  await look(`${broker.url}/oauth/status`);
  upstream.mcpServer.rejectCurrentTokens();
  behaviour.respond = onPath('/token', answering(500, '{"error":"server_error"}'));
  expect(await call()).toContain('refresh_unavailable');
  behaviour.respond = collect;
  await look(`${broker.url}/oauth/status`);
  const commandLine = await readFile(`/proc/${broker.child.pid}/cmdline`, 'utf8');
  await expect.poll(() => call(), { timeout: 10_000 }).toContain('"result"');

  const files = await readdir(stateDir, { recursive: true, withFileTypes: true });
  for (const file of files.filter((entry) => entry.isFile())) {
    pages.push(file.name, await readFile(path.join(file.parentPath, file.name), 'latin1'));
  }
  upstream.authorizationServer.revokeGrants();
  expect(await call()).toContain('not_authenticated');
  await look(`${broker.url}/oauth/status`);
  await logIn(broker);
  await look(`${broker.url}/oauth/logout`);
  await upstream.close();
  expect(await call()).toContain('upstream_unreachable');
  await look(broker.loginUrl);
  await look(broker.url);
  expect(await broker.end('SIGTERM')).toEqual({ code: 0, signal: null });
  const log = broker.output() + (logFile === undefined ? '' : await readFile(logFile, 'utf8'));
  return { secrets: [...secrets], log, shown: [commandLine, ...pages].join('\n') };
}

it.each(['standard error', 'a log file'])(
  'no secret is shown or stored in plain, with the log on %s',
  async (where) => {
    const logFile = where === 'a log file' ? path.join(await givenFolder(), 'broker.log') : undefined;
    const { secrets, log, shown } = await liveThrough(logFile);
    // Three of ours; of two logins and two refreshes the tokens, codes and verifiers.
    expect(secrets.length).toBeGreaterThan(12);
    expect(log).toContain('Logged in');
    expect(log).toContain('Access token refreshed');
    expect(log).toContain('The login has ended');
    const leaked = secrets.filter((secret) => (log + shown).includes(secret));
    expect(leaked.map((secret) => `${secret.slice(0, 4)}…`)).toEqual([]);
  },
);
