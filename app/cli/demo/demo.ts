import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { Broker } from '../../broker.ts';
import { openLog } from '../../log.ts';
import { settingsFromEnvironment } from '../../settings.ts';
import { signInByHttp, startUpstream, type Upstream } from './upstream.ts';

const PORT = '5177';
const ACCESS_TOKEN_SECONDS = 3;

export interface DemoOptions {
  /** Stays up after the steps, logged out, for a person with a browser and an MCP client. */
  keep: boolean;
  out: NodeJS.WritableStream;
}

/**
 * Shows the main job end to end on this machine: an upstream with an authorization server of its own, a broker in
 * front, one login, a tool call, a silent refresh, another call.
 * @returns the exit code
 */
export async function demo({ keep, out }: DemoOptions): Promise<number> {
  const say = (text = '') => void out.write(`${text}\n`);
  const stateDir = await mkdtemp(join(tmpdir(), 'mcp-auth-proxy-demo-'));
  const upstream = await startUpstream({ authorizationServer: { accessTokenSeconds: ACCESS_TOKEN_SECONDS } });
  const broker = await startBroker(upstream, stateDir, keep);
  try {
    say('MCP Auth Proxy: the main job, end to end, on this machine only.\n');
    say(`1. An MCP server that wants OAuth runs at       ${upstream.mcpUrl}`);
    say(`   Its authorization server is                  ${upstream.issuer}`);
    say(`2. The broker listens in front of it at         ${broker.mcpUrl}\n`);
    await showRefusal(broker, say);
    await showLogin(broker, say);
    await showCalls(broker, say);
    await showLogout(broker, say);
    if (keep) await stayUp(broker, say);
    else sayWhatNext(say);
    return 0;
  } finally {
    await broker.close();
    await upstream.close();
    await rm(stateDir, { recursive: true, force: true });
  }
}

type Say = (text?: string) => void;

async function startBroker(upstream: Upstream, stateDir: string, keep: boolean): Promise<Broker> {
  // Only somebody who points a client at the demo needs the usual port; the steps alone run beside a real broker.
  const environment = { UPSTREAM_MCP_URL: upstream.mcpUrl, STATE_DIR: stateDir, TOKEN_STORE: 'file' };
  const settings = settingsFromEnvironment({ ...environment, PORT: keep ? (process.env.PORT ?? PORT) : '0' });
  const broker = new Broker({ settings, log: openLog({ level: 'error' }) });
  try {
    await broker.start();
  } catch (error) {
    await upstream.close();
    throw error;
  }
  return broker;
}

async function showRefusal(broker: Broker, say: Say): Promise<void> {
  say('3. A call before anybody has logged in:');
  const response = await fetch(broker.mcpUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
  });
  const { error } = (await response.json()) as { error: { message: string } };
  say(`   The client is told: "${error.message}"\n`);
}

async function showLogin(broker: Broker, say: Say): Promise<void> {
  say(`4. Logging in, as you would in a browser, at    ${broker.loginUrl}`);
  const { status } = await signInByHttp(broker.loginUrl, { user: 'demo', follow: true });
  const { state, client, scopes } = await broker.status();
  say(`   The callback page answered ${status}; the broker is now "${state}".`);
  say(`   It registered itself as client ${client?.id} and was granted: ${scopes.join(' ')}.\n`);
}

async function showCalls(broker: Broker, say: Say): Promise<void> {
  const client = new Client({ name: 'demo-client', version: '1.0.0' });
  // The SDK's transport declares its optional members in a way that `exactOptionalPropertyTypes` does not accept.
  await client.connect(new StreamableHTTPClientTransport(new URL(broker.mcpUrl)) as Transport);
  const { tools } = await client.listTools();
  say('5. An MCP client that knows nothing of OAuth connects:');
  say(`   tools/list: ${tools.map(({ name }) => name).join(', ')}`);
  say(`   add 2 + 3: ${await callAdd(client, 2, 3)}\n`);
  say(`6. The access token lives for ${ACCESS_TOKEN_SECONDS} s. Waiting for its end …`);
  await endOfToken(broker);
  const sum = await callAdd(client, 20, 22);
  const { counters } = await broker.status();
  say(
    `   add 20 + 22: ${sum}, after ${counters.refreshes} silent refresh(es). Nobody had to log in again.\n`,
  );
  await client.close();
}

async function callAdd(client: Client, a: number, b: number): Promise<string> {
  const { content } = await client.callTool({ name: 'add', arguments: { a, b } });
  const [first] = content as ReadonlyArray<{ type: string; text?: string }>;
  if (first?.text !== String(a + b)) throw new Error(`the tool answered ${JSON.stringify(content)}`);
  return first.text;
}

async function endOfToken(broker: Broker): Promise<void> {
  const { expires_at } = (await broker.status()).access_token;
  const wait = expires_at === undefined ? 0 : Date.parse(expires_at) - Date.now();
  await new Promise((resolve) => setTimeout(resolve, Math.max(wait, 0) + 100));
}

async function showLogout(broker: Broker, say: Say): Promise<void> {
  const revocation = await broker.logout();
  say(`7. Logged out: tokens ${revocation} at the server, nothing is kept here.\n`);
}

function sayWhatNext(say: Say): void {
  say('What to try next:');
  say('  npm run demo -- --keep                       stay up, log in with a browser, point a client at it');
  say('  UPSTREAM_MCP_URL=https://… npm run serve     your own server; then open /oauth/login');
}

async function stayUp(broker: Broker, say: Say): Promise<void> {
  say('The demo stays up until Ctrl-C. It is logged out; now it is your turn:');
  say(`  log in       open ${broker.loginUrl} in a browser`);
  say(`  call         claude mcp add --transport http demo ${broker.mcpUrl}`);
  say(`  look inside  curl ${broker.localUrl}/oauth/status`);
  await new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  say('\nStopping.');
}
