import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { Agent } from 'undici';
import * as v from 'valibot';
import type { Random } from '../support/random.ts';
import type { Ledger } from './ledger.ts';
import { recordedFetch } from './recorded-fetch.ts';
import { Tally } from './tally.ts';

/** Of a hundred operations of a client, so many are this. */
const OPERATIONS = {
  echo: 40,
  'long echo': 12,
  'list of tools': 8,
  'read of a resource': 8,
  'stream of progress': 20,
  'cancelled call': 6,
  'hang-up': 6,
} as const;
type Operation = keyof typeof OPERATIONS;

const MOST_PER_SESSION = 60;
const PATIENCE_MS = 20_000;
const LONGEST_TEXT = 64 * 1024;
/** One text in so many is too long to be held by the broker, so it is streamed. */
const HUGE_ONE_IN = 25;
const HUGE_TEXT = 5 * 1024 * 1024;
const PAUSE_AFTER_FAILURE_MS = 100;

/** The text of a logging notification of the upstream: its number, from 1. */
const TICK = v.pipe(
  v.string(),
  v.regex(/^tick \d+$/),
  v.transform((text) => Number(text.slice(5))),
);

/** What all clients together have done. */
export interface LoadCounts {
  readonly calls: Tally;
  readonly failed: Tally;
  sessions: number;
  /** Streams opened again after a break. */
  resumed: number;
  notifications: number;
  progress: number;
}

export function createLoadCounts(): LoadCounts {
  return { calls: new Tally(), failed: new Tally(), sessions: 0, resumed: 0, notifications: 0, progress: 0 };
}

export interface LaneOptions {
  readonly mcpUrl: string;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly counts: LoadCounts;
}

/** One MCP client after the other, each with a session, its event stream, and one operation at a time. */
export async function runLane(options: LaneOptions, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const session = new ClientSession(options);
    if (await session.open()) await session.work(stop);
    else await delay(PAUSE_AFTER_FAILURE_MS);
    await session.close();
  }
}

class ClientSession {
  readonly #options: LaneOptions;
  readonly #fetch: typeof fetch;
  readonly #client = new Client({ name: 'soak', version: '1.0.0' });
  readonly #transport: StreamableHTTPClientTransport;
  readonly #reconnection = {
    initialReconnectionDelay: 50,
    maxReconnectionDelay: 1_000,
    reconnectionDelayGrowFactor: 1.5,
    maxRetries: 1_000,
  };
  readonly #connections = new Agent();
  /** Requests that went wrong so far, each of which the ledger has judged. */
  #troubles = 0;
  #lastTick: number | undefined;
  #troublesAtTick = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
    const recorded = recordedFetch({
      ledger: options.ledger,
      dispatcher: this.#connections,
      onTrouble: () => this.#troubles++,
    });
    this.#fetch = (url, init) => {
      if (new Headers(init?.headers).has('last-event-id')) options.counts.resumed++;
      return recorded(url, init);
    };
    this.#transport = new StreamableHTTPClientTransport(new URL(options.mcpUrl), {
      fetch: this.#fetch,
      reconnectionOptions: this.#reconnection,
    });
    this.#client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) =>
      this.#onTick(params.data),
    );
  }

  /** @returns whether the client is connected */
  async open(): Promise<boolean> {
    return this.#judged('initialize', async () => {
      await this.#client.connect(this.#transport as Transport, { timeout: PATIENCE_MS });
      this.#options.counts.sessions++;
    });
  }

  async work(stop: AbortSignal): Promise<void> {
    const { random } = this.#options;
    for (let left = random.whole(1, MOST_PER_SESSION); left > 0 && !stop.aborted; left--) {
      const operation = random.pick(OPERATIONS);
      await this.#judged(operation, () => this.#perform(operation));
    }
  }

  async close(): Promise<void> {
    // The transport would go on to open the streams again, even after its end.
    this.#reconnection.maxRetries = 0;
    if (this.#transport.sessionId !== undefined)
      await this.#judged('end of a session', () => this.#transport.terminateSession());
    await this.#client.close();
    await this.#connections.destroy();
  }

  /** What fails without any of its requests having failed is the broker's fault, or that of this program. */
  async #judged(name: string, task: () => Promise<void>): Promise<boolean> {
    const { counts, ledger } = this.#options;
    const before = this.#troubles;
    counts.calls.add(name);
    try {
      await task();
      return true;
    } catch (error) {
      counts.failed.add(name);
      if (this.#troubles === before || error instanceof WrongAnswer) ledger.unexplained(`${name}: ${error}`);
      return false;
    }
  }

  async #perform(operation: Operation): Promise<void> {
    const { random, counts } = this.#options;
    const options = { timeout: PATIENCE_MS };
    switch (operation) {
      case 'echo':
        return this.#echo(random.whole(0, 200));
      case 'long echo':
        return this.#echo(random.whole(1, HUGE_ONE_IN) === 1 ? HUGE_TEXT : random.whole(200, LONGEST_TEXT));
      case 'list of tools': {
        const { tools } = await this.#client.listTools({}, options);
        if (!tools.some(({ name }) => name === 'echo')) throw new WrongAnswer();
        return;
      }
      case 'read of a resource': {
        const { contents } = await this.#client.readResource({ uri: 'demo://greeting' }, options);
        if (contents.length !== 1) throw new WrongAnswer();
        return;
      }
      case 'stream of progress': {
        const steps = random.whole(1, 8);
        const before = this.#troubles;
        let seen = 0;
        const onprogress = () => {
          seen++;
          counts.progress++;
        };
        const call = { name: 'slow', arguments: { steps, ms: random.whole(0, 40) } };
        await this.#client.callTool(call, undefined, { ...options, onprogress });
        if (seen !== steps && this.#troubles === before) throw new WrongAnswer(`${seen} of ${steps} steps`);
        return;
      }
      case 'cancelled call': {
        const cancel = new AbortController();
        const call = { name: 'slow', arguments: { steps: 1_000, ms: 10 } };
        const done = this.#client.callTool(call, undefined, { ...options, signal: cancel.signal });
        const timer = setTimeout(() => cancel.abort(), random.whole(0, 200));
        await done.catch((error: unknown) => {
          if (!cancel.signal.aborted) throw error;
        });
        clearTimeout(timer);
        return;
      }
      case 'hang-up':
        return this.#hangUp();
    }
  }

  async #echo(length: number): Promise<void> {
    const text = `${this.#options.random.unit()} `.repeat(length / 18 + 1).slice(0, length);
    const call = { name: 'echo', arguments: { text } };
    const { content } = await this.#client.callTool(call, undefined, { timeout: PATIENCE_MS });
    const [first] = content as ReadonlyArray<{ text?: string }>;
    if (first?.text !== text) throw new WrongAnswer(`${length} characters`);
  }

  /** The way to cancel of MCP 2026-07-28: the client ends the connection of the call. */
  async #hangUp(): Promise<void> {
    const { random, mcpUrl } = this.#options;
    const hangUp = new AbortController();
    const timer = setTimeout(() => hangUp.abort(), random.whole(0, 150));
    const call = { name: 'slow', arguments: { steps: 1_000, ms: 10 } };
    try {
      const response = await this.#fetch(mcpUrl, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-session-id': this.#transport.sessionId ?? '',
          'mcp-protocol-version': this.#transport.protocolVersion ?? '',
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: `hang-up ${random.unit()}`,
          method: 'tools/call',
          params: call,
        }),
        signal: hangUp.signal,
      });
      await response.text();
    } catch (error) {
      if (!hangUp.signal.aborted) throw error;
    }
    clearTimeout(timer);
  }

  /** Notifications come once and in order; some may be missing only where a stream was broken. */
  #onTick(data: unknown): void {
    const { counts, ledger } = this.#options;
    const tick = v.parse(TICK, data);
    counts.notifications++;
    const last = this.#lastTick;
    if (last !== undefined && tick !== last + 1 && this.#troubles === this.#troublesAtTick)
      ledger.unexplained(`notification ${tick} came after ${last}`);
    this.#lastTick = tick;
    this.#troublesAtTick = this.#troubles;
  }
}

class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}
