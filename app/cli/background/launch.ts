import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { endProcess, readStartTime } from './process.ts';
import { type BrokerRecord, type RunFiles, removeRecord, writeRecord } from './record.ts';

const START_ERROR_LINES = 20;

/** What the served program sends to the one that started it. */
export interface ListeningMessage {
  readonly type: 'listening';
  /** Local base URL. */
  readonly url: string;
}

export interface LaunchOptions {
  readonly command: readonly [string, ...string[]];
  readonly env?: NodeJS.ProcessEnv;
  readonly out: NodeJS.WritableStream;
  readonly err: NodeJS.WritableStream;
}

/**
 * Runs the program in a session of its own and waits until it listens.
 *
 * @returns the exit code of `start`: 0, the program's own when it ended first, or 1
 */
export async function launch(files: RunFiles, options: LaunchOptions, timeoutMs: number): Promise<number> {
  const { out, err } = options;
  const env = options.env ?? process.env;
  const [program, ...args] = options.command;
  const startErrors = await open(files.startErrors, 'w', 0o600);
  let child: ChildProcess;
  let first: Promise<FirstWord>;
  try {
    child = spawn(program, [...args, '--log-file', files.log], {
      cwd: files.folder,
      env,
      detached: true,
      stdio: ['ignore', 'ignore', startErrors.fd, 'ipc'],
    });
    first = firstWord(child, timeoutMs);
  } finally {
    await startErrors.close();
  }

  const record = await describeChild(child, env);
  // Before it listens: a start that is interrupted now leaves a broker that `status` and `stop` know.
  if (record !== undefined) await writeRecord(files, record);

  const word = await first;
  // From here on nothing of the child keeps this process alive.
  if (child.connected) child.disconnect();
  child.unref();

  if (record !== undefined && word.type === 'listening') {
    await writeRecord(files, { ...record, url: word.url });
    out.write(`Started: ${describe({ ...record, url: word.url })}\n`);
    out.write(`Log: ${relative(process.cwd(), files.log)}\n`);
    out.write(`Log in: ${new URL('/oauth/login', word.url).href}\n`);
    return 0;
  }

  if (record !== undefined && word.type === 'silent') {
    err.write(`The broker did not listen within ${timeoutMs / 1_000} s; ending it.\n`);
    if (!(await endProcess(record, 5_000, err))) return 1;
  }
  await removeRecord(files);
  for (const line of await readLastLines(files.startErrors)) err.write(`${line}\n`);
  if (word.type === 'failed') err.write(`${program} cannot be run: ${word.reason}\n`);
  if (word.type === 'ended' && word.signal !== null) err.write(`The broker was ended by ${word.signal}.\n`);
  return word.type === 'ended' && word.code ? word.code : 1;
}

async function describeChild(child: ChildProcess, env: NodeJS.ProcessEnv): Promise<BrokerRecord | undefined> {
  const { pid } = child;
  if (pid === undefined) return undefined;
  const startTime = await readStartTime(pid);
  const upstream = hostOf(env.UPSTREAM_MCP_URL);
  return { pid, startTime, since: new Date().toISOString(), upstream };
}

function hostOf(url: string | undefined): string | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url).host : undefined;
}

type FirstWord =
  | ListeningMessage
  | { readonly type: 'ended'; readonly code: number | null; readonly signal: NodeJS.Signals | null }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'silent' };

function firstWord(child: ChildProcess, timeoutMs: number): Promise<FirstWord> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => settle({ type: 'silent' }), timeoutMs);
    const settle = (word: FirstWord) => {
      clearTimeout(timer);
      resolve(word);
    };
    child.on('message', (message) => {
      if (isListeningMessage(message)) settle(message);
    });
    child.once('exit', (code, signal) => settle({ type: 'ended', code, signal }));
    child.once('error', (error) => settle({ type: 'failed', reason: error.message }));
  });
}

function isListeningMessage(message: unknown): message is ListeningMessage {
  const { type, url } = (message ?? {}) as { readonly type?: unknown; readonly url?: unknown };
  return type === 'listening' && typeof url === 'string' && URL.canParse(url);
}

/** A broker in a few words. */
export function describe({ pid, url }: BrokerRecord): string {
  return url === undefined ? `pid ${pid}, not listening yet` : `${url} (pid ${pid})`;
}

async function readLastLines(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-START_ERROR_LINES).filter(Boolean);
}
