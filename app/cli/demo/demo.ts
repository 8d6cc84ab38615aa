import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { Broker } from '../../broker.ts';
import { openLog } from '../../log.ts';
import { type Settings, settingsFromEnvironment } from '../../settings.ts';
import { settingsFailure, startFailure } from '../serve.ts';
import type { Upstream } from './upstream.ts';

/** As a shell says it of a program that SIGINT has ended. */
const EXIT_INTERRUPTED = 130;
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
export async function demo(options: DemoOptions): Promise<number> {
  const stopped = signalOfStop();
  const stateDir = await mkdtemp(join(tmpdir(), 'mcp-auth-proxy-demo-'));
  try {
    const { startUpstream } = await loadUpstream();
    const upstream = await startUpstream({
      authorizationServer: { accessTokenSeconds: ACCESS_TOKEN_SECONDS },
    });
    try {
      return await showWith(upstream, stateDir, options, stopped);
    } finally {
      await upstream.close();
    }
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
}

async function showWith(
  upstream: Upstream,
  stateDir: string,
  { keep, out }: DemoOptions,
  stopped: AbortSignal,
): Promise<number> {
  const say = (text = '') => void out.write(`${text}\n`);
  let settings: Settings;
  try {
    settings = settingsOf(upstream, stateDir, keep);
  } catch (error) {
    return settingsFailure(error);
  }
  const broker = new Broker({ settings, log: openLog({ level: 'error' }) });
  try {
    await broker.start();
  } catch (error) {
    return startFailure(error, settings);
  }
  try {
    say('MCP Auth Proxy: the main job, end to end, on this machine only.\n');
    say(`1. An MCP server that wants OAuth runs at       ${upstream.mcpUrl}`);
    say(`   Its authorization server is                  ${upstream.issuer}`);
    say(`2. The broker listens in front of it at         ${broker.mcpUrl}\n`);
    for (const show of [showRefusal, showLogin, showCalls, showLogout]) {
      await show(broker, say, stopped);
      if (stopped.aborted) return EXIT_INTERRUPTED;
    }
    if (keep) await stayUp(broker, say, stopped);
    else sayWhatNext(say);
    return 0;
  } finally {
    await broker.close();
  }
}

type Say = (text?: string) => void;

/** Its authorization server warns, in words that help nobody here, of every Node.js but the newest. */
async function loadUpstream() {
  const { warn } = console;
  console.warn = () => undefined;
  try {
    return await import('./upstream.ts');
  } finally {
    console.warn = warn;
  }
}

function signalOfStop(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => controller.abort());
  return controller.signal;
}

function settingsOf({ mcpUrl }: Upstream, stateDir: string, keep: boolean): Settings {
  return settingsFromEnvironment({
    UPSTREAM_MCP_URL: mcpUrl,
    STATE_DIR: stateDir,
    TOKEN_STORE: 'file',
    // Only somebody who points a client at the demo needs the usual port; the steps alone run beside a real broker.
    PORT: keep ? (process.env.PORT ?? PORT) : '0',
  });
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
  const { signInByHttp } = await import('./upstream.ts');
  const { status } = await signInByHttp(broker.loginUrl, { user: 'demo', follow: true });
  const { state, client, scopes } = await broker.status();
  say(`   The callback page answered ${status}; the broker is now "${state}".`);
  say(`   It registered itself as client ${client?.id} and was granted: ${scopes.granted.join(' ')}.\n`);
}

async function showCalls(broker: Broker, say: Say, stopped: AbortSignal): Promise<void> {
  const client = new Client({ name: 'demo-client', version: '1.0.0' });
  // The SDK's transport declares its optional members in a way that `exactOptionalPropertyTypes` does not accept.
  await client.connect(new StreamableHTTPClientTransport(new URL(broker.mcpUrl)) as Transport);
  const { tools } = await client.listTools();
  say('5. An MCP client that knows nothing of OAuth connects:');
  say(`   tools/list: ${tools.map(({ name }) => name).join(', ')}`);
  say(`   add 2 + 3: ${await callAdd(client, 2, 3)}\n`);
  say(`6. The access token lives for ${ACCESS_TOKEN_SECONDS} s. Waiting for its end …`);
  await endOfToken(broker, stopped);
  if (!stopped.aborted) {
    const sum = await callAdd(client, 20, 22);
    const { refreshes } = (await broker.status()).counters;
    say(
      `   add 20 + 22: ${sum}, after ${refreshes} silent refresh${refreshes === 1 ? '' : 'es'}. Nobody had to log in again.\n`,
    );
  }
  await client.close();
}

async function callAdd(client: Client, a: number, b: number): Promise<string> {
  const { content } = await client.callTool({ name: 'add', arguments: { a, b } });
  const [first] = content as ReadonlyArray<{ type: string; text?: string }>;
  if (first?.text !== String(a + b)) throw new Error(`the tool answered ${JSON.stringify(content)}`);
  return first.text;
}

async function endOfToken(broker: Broker, stopped: AbortSignal): Promise<void> {
  const { expires_at } = (await broker.status()).access_token;
  const wait = expires_at === undefined ? 0 : Date.parse(expires_at) - Date.now();
  await delay(Math.max(wait, 0) + 100, undefined, { signal: stopped }).catch(() => undefined);
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

async function stayUp(broker: Broker, say: Say, stopped: AbortSignal): Promise<void> {
  say('The demo stays up until Ctrl-C. It is logged out; now it is your turn:');
  say(`  log in       open ${broker.loginUrl} in a browser`);
  say(`  call         claude mcp add --transport http demo ${broker.mcpUrl}`);
  say(`  look inside  curl ${broker.localUrl}/oauth/status`);
  if (!stopped.aborted) await once(stopped, 'abort');
  say('\nStopping.');
}
