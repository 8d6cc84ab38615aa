import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readLiveness } from '../../../app/cli/background/process.ts';
import {
  EXIT_NOT_RUNNING,
  logs,
  type StartOptions,
  start,
  status,
  stop,
} from '../../../app/cli/background.ts';

/** Stands where `serve` will stand: a real program that listens and answers. */
const BROKER = `
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
appendFileSync('spawned', process.pid + ' ' + process.argv.slice(3).join(' ') + '\\n');
const mode = process.argv[2];
if (mode === 'refuse') {
  console.error('PORT=99999 is not a port; choose one from 1 to 65535.');
  process.exit(Number(process.env.EXIT_CODE));
}
if (mode === 'stubborn') process.on('SIGTERM', () => {});
const server = createServer((request, response) => {
  if (mode === 'mute') return;
  if (mode === 'guarded' && request.headers['x-api-key'] !== 'the key') return response.writeHead(401).end('{}');
  response.end(JSON.stringify({ state: process.env.STATE }));
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  if (mode !== 'silent') process.send({ type: 'listening', url: 'http://127.0.0.1:' + port });
});
`;

let folder: string;
let out: Sink;
let err: Sink;
let others: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'background-'));
  await writeFile(join(folder, 'broker.mjs'), BROKER);
  out = new Sink();
  err = new Sink();
  others = [];
});

afterEach(async () => {
  await stop({ folder, out: new Sink(), err: new Sink(), graceMs: 0 });
  for (const child of others) if (child.kill('SIGKILL')) await once(child, 'exit');
  await rm(folder, { recursive: true });
});

describe('start', () => {
  it('returns when the broker listens and says where', async () => {
    expect(await start(how('serve'))).toBe(0);
    const record = await readRecord();
    expect(out.text).toContain(`Started: ${record.url} (pid ${record.pid})\n`);
    expect(out.text).toContain('broker.log\n');
    expect(out.text).toContain(`Log in: ${record.url}/oauth/login\n`);
    expect(err.text).toBe('');
    expect(await isAlive(record.pid)).toBe(true);
    expect(record.upstream).toBe('mcp.example.com');
    expect((await stat(join(folder, '.run/broker.json'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, '.run'))).mode & 0o777).toBe(0o700);
  });

  it('names the log file to the broker', async () => {
    await start(how('serve'));
    expect(await spawned()).toEqual([
      expect.stringContaining(`--log-file ${join(folder, '.run/broker.log')}`),
    ]);
  });

  it('leaves a running broker alone', async () => {
    await start(how('serve'));
    const { pid, url } = await readRecord();
    expect(await start(how('serve'))).toBe(0);
    expect(out.text).toContain(`Already running: ${url} (pid ${pid})\n`);
    expect(await spawned()).toHaveLength(1);
  });

  it('starts one broker when asked several times at once', async () => {
    expect(await Promise.all([1, 2, 3, 4].map(() => start(how('serve'))))).toEqual([0, 0, 0, 0]);
    expect(await spawned()).toHaveLength(1);
    expect(out.text.match(/Already running/g)).toHaveLength(3);
  });

  it.each([2, 3])('hands on exit code %i and the words of a broker that ends first', async (code) => {
    expect(await start(how('refuse', { EXIT_CODE: `${code}` }))).toBe(code);
    expect(err.text).toBe('PORT=99999 is not a port; choose one from 1 to 65535.\n');
    expect(out.text).toBe('');
    expect(await status(streams())).toBe(EXIT_NOT_RUNNING);
  });

  it('does not call an early end without a fault a success', async () => {
    expect(await start(how('refuse', { EXIT_CODE: '0' }))).toBe(1);
  });

  it('forgets the words of an earlier failure', async () => {
    await start(how('refuse', { EXIT_CODE: '2' }));
    await start(how('serve'));
    expect(await readFile(join(folder, '.run/start.err'), 'utf8')).toBe('');
  });

  it('says so when the program cannot be run', async () => {
    expect(await start({ ...how('serve'), command: [join(folder, 'missing')] })).toBe(1);
    expect(err.text).toContain('missing cannot be run');
  });

  it('ends a broker that never listens', async () => {
    expect(await start({ ...how('silent'), startTimeoutMs: 300 })).toBe(1);
    expect(err.text).toContain('did not listen within 0.3 s');
    for (const line of await spawned()) expect(await isAlive(Number.parseInt(line, 10))).toBe(false);
  });

  it('recognises the record of a dead process', async () => {
    const ended = spawn(process.execPath, ['-e', '']);
    await once(ended, 'exit');
    await writeRecord({ pid: ended.pid, startTime: '1' });
    expect(await start(how('serve'))).toBe(0);
    expect(err.text).toContain(`The broker that had pid ${ended.pid} has ended without a stop`);
    expect((await readRecord()).pid).not.toBe(ended.pid);
  });

  it('recognises a record that is damaged', async () => {
    await mkdir(join(folder, '.run'));
    await writeFile(join(folder, '.run/broker.json'), '{"pid": 1');
    expect(await start(how('serve'))).toBe(0);
    expect(err.text).toContain('is damaged');
  });
});

describe('start as a process of its own', () => {
  it('ends while the broker goes on, and two at the same moment start one', async () => {
    const script = join(folder, 'start.cjs');
    await build({
      stdin: {
        contents: `
          import { start } from './app/cli/background.ts';
          start({
            folder: ${JSON.stringify(folder)}, out: process.stdout, err: process.stderr,
            command: ${JSON.stringify([process.execPath, join(folder, 'broker.mjs'), 'serve'])},
          }).then((code) => { process.exitCode = code; });`,
        resolveDir: process.cwd(),
      },
      outfile: script,
      bundle: true,
      platform: 'node',
      format: 'cjs',
    });
    const starts = [1, 2].map(() =>
      spawn(process.execPath, [script], { stdio: ['ignore', 'ignore', 'inherit'] }),
    );
    others.push(...starts);
    const codes = await Promise.all(starts.map((child) => once(child, 'exit')));
    expect(codes).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(await spawned()).toHaveLength(1);
    expect(await isAlive((await readRecord()).pid)).toBe(true);
    expect(await stop(streams())).toBe(0);
  });
});

describe('status', () => {
  it('says that nothing runs', async () => {
    expect(await status(streams())).toBe(EXIT_NOT_RUNNING);
    expect(out.text).toBe('Not running.\n');
  });

  it.each([
    ['authenticated', 'State: logged in\n'],
    ['login_required', 'State: the login has ended; log in again\n'],
    ['constructor', 'State: unknown; the answer was not understood\n'],
  ])('puts state %s into words', async (state, words) => {
    await start(how('serve', { STATE: state }));
    const { pid, url, since } = await readRecord();
    out.clear();
    expect(await status(streams())).toBe(0);
    expect(out.text).toContain(`Running: ${url} (pid ${pid})\nSince: ${since}\nUpstream: mcp.example.com\n`);
    expect(out.text).toContain(words);
  });

  it('does not wait for a broker that does not answer', async () => {
    await start(how('mute'));
    expect(await status({ ...streams(), answerTimeoutMs: 50 })).toBe(0);
    expect(out.text).toContain('State: unknown; no answer within 0.05 s');
  });

  it('sends the key to a broker that asks for one', async () => {
    await start(how('guarded', { STATE: 'logged_out' }));
    await status(streams());
    expect(out.text).toContain('the broker asks for PROXY_API_KEY');
    await status({ ...streams(), apiKey: 'the key' });
    expect(out.text).toContain('State: not logged in\n');
    expect(out.text).not.toContain('the key');
  });

  it('is not deceived by another process with the same id', async () => {
    const other = await startOther();
    await writeRecord({ pid: other.pid, startTime: 'another time' });
    expect(await status(streams())).toBe(EXIT_NOT_RUNNING);
    expect(err.text).toContain(`The broker that had pid ${other.pid} has ended`);
    await expect(readRecord()).rejects.toThrow('ENOENT');
  });
});

describe('stop', () => {
  it('returns when the broker has ended', async () => {
    await start(how('serve'));
    const { pid } = await readRecord();
    expect(await stop(streams())).toBe(0);
    expect(out.text).toContain(`Stopped: pid ${pid}\n`);
    expect(await isAlive(pid)).toBe(false);
    await expect(readRecord()).rejects.toThrow('ENOENT');
  });

  it('is content when nothing runs', async () => {
    expect(await stop(streams())).toBe(0);
    expect(out.text).toBe('Not running.\n');
  });

  it('ends by force what does not listen to it', async () => {
    await start(how('stubborn'));
    const { pid } = await readRecord();
    expect(await stop({ ...streams(), graceMs: 100 })).toBe(0);
    expect(err.text).toContain(`Pid ${pid} is still there after 0.1 s.`);
    expect(await isAlive(pid)).toBe(false);
  });

  it('never touches another process with the same id', async () => {
    const other = await startOther();
    await writeRecord({ pid: other.pid, startTime: 'another time' });
    expect(await stop(streams())).toBe(0);
    expect(out.text).toBe('Not running.\n');
    expect(other.exitCode ?? other.signalCode).toBeNull();
  });

  it('uses no force on a process it cannot prove to be the broker', async () => {
    const other = await startOther("process.on('SIGTERM', () => {});");
    await writeRecord({ pid: other.pid });
    expect(await stop({ ...streams(), graceMs: 100 })).toBe(1);
    expect(err.text).toContain(`kill -9 ${other.pid}`);
    expect(other.exitCode ?? other.signalCode).toBeNull();
  });
});

describe('logs', () => {
  const log = () => join(folder, '.run/broker.log');

  it('says that there is no log', async () => {
    expect(await logs(streams())).toBe(1);
    expect(err.text).toContain('There is no log');
  });

  it.each([
    ['fewer lines than asked for', 'one\ntwo\n', 5, 'one\ntwo\n'],
    ['the last ones', 'one\ntwo\nthree\n', 2, 'two\nthree\n'],
    ['an unfinished last line', 'one\ntwo\nthr', 2, 'two\nthr'],
    ['no line', 'one\n', 0, ''],
    ['an empty file', '', 3, ''],
  ])('prints %s', async (_, text, lines, expected) => {
    await writeLog(text);
    expect(await logs({ ...streams(), lines })).toBe(0);
    expect(out.text).toBe(expected);
  });

  it('prints 200 lines of a long log, whole characters across every read', async () => {
    const line = (n: number) => `${n} ${'é'.repeat(700)}\n`;
    await writeLog(Array.from({ length: 300 }, (_, n) => line(n)).join(''));
    await logs(streams());
    expect(out.text).toBe(Array.from({ length: 200 }, (_, n) => line(n + 100)).join(''));
  });

  it('follows across rotation and truncation until told to end', async () => {
    await writeLog('old\nlast\n');
    const ending = new AbortController();
    const done = logs({ ...streams(), lines: 1, follow: true, signal: ending.signal });
    await out.until('last\n');
    await appendFile(log(), 'added\n');
    await out.until('added\n');
    await appendFile(log(), 'before rotation\n');
    await rename(log(), join(folder, '.run/broker.old.log'));
    await writeFile(log(), 'after rotation, longer than what came before it was\n');
    await out.until('after rotation, longer than what came before it was\n');
    await writeFile(log(), 'truncated\n');
    await out.until('truncated\n');
    ending.abort();
    expect(await done).toBe(0);
    expect(out.text).toBe(
      'last\nadded\nbefore rotation\nafter rotation, longer than what came before it was\ntruncated\n',
    );
  });

  it('follows a log that is yet to come', async () => {
    await mkdir(join(folder, '.run'));
    const ending = new AbortController();
    const done = logs({ ...streams(), follow: true, signal: ending.signal });
    await writeFile(log(), 'first\n');
    await out.until('first\n');
    ending.abort();
    await done;
  });

  async function writeLog(text: string): Promise<void> {
    await mkdir(join(folder, '.run'));
    await writeFile(log(), text);
  }
});

function streams() {
  return { folder, out, err };
}

function how(mode: string, env: NodeJS.ProcessEnv = {}): StartOptions {
  return {
    ...streams(),
    command: [process.execPath, join(folder, 'broker.mjs'), mode],
    env: { ...process.env, UPSTREAM_MCP_URL: 'https://user:secret@mcp.example.com/mcp?key=secret', ...env },
  };
}

/** A live process that is not the broker. */
async function startOther(before = ''): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', `${before} setInterval(() => {}, 1e6); process.send('up');`], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  others.push(child);
  await once(child, 'message');
  return child;
}

interface Recorded {
  readonly pid: number;
  readonly url: string;
  readonly since: string;
  readonly upstream: string;
}

async function readRecord(): Promise<Recorded> {
  const text = await readFile(join(folder, '.run/broker.json'), 'utf8');
  expect(text).not.toContain('secret');
  return JSON.parse(text) as Recorded;
}

async function writeRecord(record: { readonly pid: number | undefined; readonly startTime?: string }) {
  await mkdir(join(folder, '.run'));
  const text = JSON.stringify({ ...record, since: new Date().toISOString(), url: 'http://127.0.0.1:1' });
  await writeFile(join(folder, '.run/broker.json'), text);
}

async function spawned(): Promise<string[]> {
  return (await readFile(join(folder, 'spawned'), 'utf8')).trimEnd().split('\n');
}

async function isAlive(pid: number): Promise<boolean> {
  return (await readLiveness({ pid })) !== 'gone';
}

/** Collects what is written. */
class Sink extends Writable {
  #chunks: Buffer[] = [];

  get text(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  clear(): void {
    this.#chunks = [];
  }

  async until(end: string): Promise<void> {
    while (!this.text.endsWith(end)) await once(this, 'written');
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#chunks.push(chunk);
    done();
    this.emit('written');
  }
}
