import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { onTestFailed, onTestFinished } from 'vitest';
import { Broker } from '../../app/broker.ts';
import {
  signInByHttp,
  startUpstream,
  type Upstream,
  type UpstreamOptions,
} from '../../app/cli/demo/upstream.ts';
import type { LogDetails, Logger, LogLevel } from '../../app/log.ts';
import { settingsFromEnvironment } from '../../app/settings.ts';
import { createMemoryStore } from '../../app/store/memory.ts';
import type { SecretStore } from '../../app/store/secret-store.ts';

/** The bundled program. */
export const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/** What a log was told. */
export interface LogEntry {
  readonly level: LogLevel;
  readonly event: string;
  readonly details: LogDetails;
}

/** A log that keeps what it is told. */
export class RecordingLog implements Logger {
  readonly entries: LogEntry[] = [];
  readonly error = this.#at('error');
  readonly warn = this.#at('warn');
  readonly info = this.#at('info');
  readonly debug = this.#at('debug');

  #at(level: LogLevel) {
    return (event: string, details: LogDetails = {}) => void this.entries.push({ level, event, details });
  }

  /** Everything in one string, to search in. */
  get text(): string {
    return JSON.stringify(this.entries);
  }
}

export interface RunningBroker {
  readonly broker: Broker;
  readonly log: RecordingLog;
  readonly store: SecretStore;
}

/** Starts an upstream that ends with the test. */
export async function givenUpstream(options: UpstreamOptions = {}): Promise<Upstream> {
  const upstream = await startUpstream(options);
  onTestFinished(() => upstream.close());
  return upstream;
}

/** A folder that is removed with the test. */
export async function givenFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'mcp-auth-proxy-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Starts a broker in this process, on a free port, that ends with the test.
 * @param environment further settings, by their variables
 * @param store default: a memory store of its own
 */
export async function givenBroker(
  upstreamMcpUrl: string,
  environment: NodeJS.ProcessEnv = {},
  store: SecretStore = createMemoryStore(),
): Promise<RunningBroker> {
  const log = new RecordingLog();
  const settings = settingsFromEnvironment({ UPSTREAM_MCP_URL: upstreamMcpUrl, PORT: '0', ...environment });
  const broker = new Broker({ settings, log, store });
  await broker.start();
  onTestFinished(() => broker.close());
  return { broker, log, store };
}

/** Logs a broker in, by HTTP, as a person with a browser would. */
export async function logIn(broker: Broker | { readonly loginUrl: string }): Promise<void> {
  const { status, body } = await signInByHttp(broker.loginUrl, { follow: true });
  if (status !== 200) throw new Error(`the callback answered ${status}: ${body}`);
}

/** Connects the SDK's Streamable HTTP client, which has no auth provider, to a URL. */
export async function givenClient(url: string): Promise<Client> {
  const client = new Client({ name: 'test-client', version: '1.0.0' });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)) as Transport);
  onTestFinished(() => client.close());
  return client;
}

/** Calls a demo tool and returns its text. */
export async function callTool(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
): Promise<string> {
  const { content } = await client.callTool({ name, arguments: args });
  const [first] = content as ReadonlyArray<{ text?: string }>;
  return first?.text ?? '';
}

/** A JSON-RPC request as `fetch` options. */
export function rpc(method: string, id: number | string = 1, params: object = {}): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
  };
}

/** A broker as a process of its own: `node dist/cli.js serve`. */
export interface ServedBroker {
  readonly child: ChildProcess;
  readonly url: string;
  readonly loginUrl: string;
  readonly mcpUrl: string;
  /** What it has written to standard error so far. */
  readonly output: () => string;
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Starts `serve` in a process of its own and waits until it listens; it ends with the test. */
export async function givenServedBroker(
  environment: NodeJS.ProcessEnv,
  options: readonly string[] = [],
): Promise<ServedBroker> {
  const child = spawn(process.execPath, [CLI, 'serve', ...options], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', ...environment },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const exited = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  let isAsked = false;
  let ownEnd = '';
  child.once('exit', (code, signal) => {
    if (!isAsked) ownEnd = `It ended by itself: ${code ?? signal}.`;
  });
  const end = async (signal: NodeJS.Signals) => {
    isAsked = true;
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const [code, endedBy] = await exited;
    return { code, signal: endedBy };
  };
  onTestFailed(() => console.error(`The broker wrote:\n${output}${ownEnd}`));
  onTestFinished(async () => void (await end('SIGKILL')));
  const first = await Promise.race([once(child, 'message'), exited]);
  const { url } = (first[0] ?? {}) as { url?: string };
  if (url === undefined) throw new Error(`serve ended before it listened: ${output}`);
  return { child, url, loginUrl: `${url}/oauth/login`, mcpUrl: `${url}/mcp`, output: () => output, end };
}
