import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { onTestFinished, vi } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import type { RespondHook, Upstream } from '../../app/cli/demo/upstream.ts';
import { type SecretStore, SecretStoreError } from '../../app/store/secret-store.ts';
import { rpc } from './broker.ts';
import { createStandInKeychain, type StandInKeychain } from './keychain.ts';

/** Access tokens of tests that move the clock live this long, in seconds. */
export const TOKEN_SECONDS = 60;

/** The clock of this process, which stands still and moves by command. Timers and sockets stay real. */
export interface Clock {
  /** @param seconds may be negative */
  advance(seconds: number): void;
}

/** Stops the clock of brokers and of the embedded upstream alike, until the test ends. */
export function givenClock(): Clock {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  return { advance: (seconds) => void vi.setSystemTime(Date.now() + seconds * 1000) };
}

/** What a call through the broker came to. */
export interface CallAnswer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: {
    readonly result?: unknown;
    readonly error?: {
      readonly code: number;
      readonly message: string;
      readonly data?: { readonly error: string; readonly message: string; readonly login_url?: string };
    };
  };
}

/** Sends `initialize`, which needs no session, to a broker in front of an endpoint that answers with JSON. */
export async function call(broker: { readonly mcpUrl: string }): Promise<CallAnswer> {
  const response = await fetch(
    broker.mcpUrl,
    rpc('initialize', 1, {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    }),
  );
  const body = (await response.json()) as CallAnswer['body'];
  return { status: response.status, retryAfter: response.headers.get('retry-after'), body };
}

/** How a call went, in one word: `ok` or the code of the refusal. */
export async function outcomeOf(broker: { readonly mcpUrl: string }): Promise<string> {
  const { body } = await call(broker);
  return body.result === undefined ? (body.error?.data?.error ?? 'unknown') : 'ok';
}

/** The token requests of one grant type that the authorization server has seen. */
export function tokenRequests(upstream: Upstream, grantType = 'refresh_token') {
  return upstream.authorizationServer.requests.entries.filter((entry) => entry.grantType === grantType);
}

/** Resolves once the broker's status fulfils a condition. */
export async function statusWhere(
  broker: Broker,
  holds: (status: Awaited<ReturnType<Broker['status']>>) => boolean,
): Promise<Awaited<ReturnType<Broker['status']>>> {
  for (;;) {
    const changed = once(broker, 'state');
    const status = await broker.status();
    if (holds(status)) return status;
    await changed;
  }
}

/** A hook that breaks or changes requests for one path, and leaves the others alone. */
export function onPath(path: string | RegExp, hook: RespondHook): RespondHook {
  return (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://127.0.0.1');
    const matches = typeof path === 'string' ? pathname === path : path.test(pathname);
    return matches ? hook(request, response) : false;
  };
}

/** Answers by itself. */
export function answering(status: number, body: string, type = 'application/json'): RespondHook {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': type }).end(body);
    return true;
  };
}

/** Lets the server do its work, and changes the JSON it answers with. */
export function altering(change: (json: Record<string, unknown>) => Record<string, unknown>): RespondHook {
  return (_request, response) => {
    const end = response.end.bind(response) as (body?: unknown) => ServerResponse;
    const altered = (body?: unknown) => {
      if (typeof body !== 'string' && !Buffer.isBuffer(body)) return end(body);
      const text = JSON.stringify(change(JSON.parse(String(body))));
      response.setHeader('content-length', Buffer.byteLength(text));
      return end(text);
    };
    response.end = altered as typeof response.end;
    return false;
  };
}

/** A hook that holds requests until they are let go on (`false`) or dropped (`true`). */
export interface Gate {
  readonly hook: RespondHook;
  /** Resolves with the first request that is held. */
  readonly reached: Promise<IncomingMessage>;
  open(how: 'go on' | 'drop'): void;
}

export function givenGate(): Gate {
  let reach: (request: IncomingMessage) => void = () => undefined;
  let open: (handled: boolean) => void = () => undefined;
  const reached = new Promise<IncomingMessage>((resolve) => {
    reach = resolve;
  });
  const opened = new Promise<boolean>((resolve) => {
    open = resolve;
  });
  return {
    reached,
    hook: (request, response) => {
      reach(request);
      return opened.then((drop) => {
        if (drop) response.destroy();
        return drop;
      });
    },
    open: (how) => open(how === 'drop'),
  };
}

/** A store that another process could see, and that fails on command. */
export interface BreakableStore extends SecretStore {
  /** What fails from now on. */
  broken: { get?: SecretStoreError; set?: SecretStoreError; delete?: SecretStoreError };
  readonly items: Map<string, string>;
}

export function givenBreakableStore(): BreakableStore {
  const items = new Map<string, string>();
  const store: BreakableStore = {
    kind: 'keychain',
    description: 'a store of the test',
    lockFolder: undefined,
    broken: {},
    items,
    async get(account) {
      if (store.broken.get) throw store.broken.get;
      return items.get(account);
    },
    async set(account, value) {
      if (store.broken.set) throw store.broken.set;
      items.set(account, value);
    },
    async delete(account) {
      if (store.broken.delete) throw store.broken.delete;
      items.delete(account);
    },
  };
  return store;
}

/** The failure of a store whose person has to unlock it. */
export const LOCKED = new SecretStoreError('locked', 'The keyring is locked. Unlock it, then try again.');

/** A Keychain by its stand-in, which ends with the test. */
export async function givenKeychain(): Promise<StandInKeychain> {
  const keychain = await createStandInKeychain();
  onTestFinished(() => keychain.remove());
  return keychain;
}

/** A Keychain that has put a prompt on the screen which nobody answers, until the test ends. */
export async function givenHangingKeychain(): Promise<StandInKeychain> {
  const keychain = await givenKeychain();
  await keychain.setFaults([{ on: 'find-generic-password', hang: true }]);
  onTestFinished(async () => {
    const calls = await keychain.calls();
    for (const { pid, start } of calls) if (start !== undefined) process.kill(pid, 'SIGKILL');
  });
  return keychain;
}
