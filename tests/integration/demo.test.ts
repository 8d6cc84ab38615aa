import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { CLI, givenFolder } from '../support/broker.ts';

async function givenDemo(options: readonly string[] = [], environment: NodeJS.ProcessEnv = {}) {
  const folder = await givenFolder();
  const child = spawn(process.execPath, [CLI, 'demo', ...options], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, TMPDIR: folder, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk;
  });
  const errors = text(child.stderr);
  /** Resolves with all that was said once it holds some words. */
  const said = async (words: string) => {
    while (!out.includes(words)) await once(child.stdout, 'data');
    return out;
  };
  const result = async () => {
    const [code, signal] = await exited;
    return { code, signal, out, err: await errors, left: await readdir(folder) };
  };
  return { child, said, result };
}

it('shows the main job step by step, ends with 0 and leaves nothing behind', async () => {
  const { result } = await givenDemo();
  const { code, out, err, left } = await result();
  expect({ code, err, left }).toEqual({ code: 0, err: '', left: [] });
  for (const step of [1, 2, 3, 4, 5, 6, 7]) expect(out).toMatch(new RegExp(`^${step}\\. `, 'm'));
  expect(out).toContain('to log in to');
  expect(out).toContain('add 2 + 3: 5');
  expect(out).toContain('add 20 + 22: 42, after 1 silent refresh');
  expect(out).toContain('Logged out: tokens revoked');
  expect(out).not.toMatch(/undefined|\[object|\n\s+at /);
  for (const [url] of out.matchAll(/http:\/\/127\.0\.0\.1:\d+/g)) {
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  }
});

it('stays up when asked to, until Ctrl-C', async () => {
  const { child, said, result } = await givenDemo(['--keep'], { PORT: '0' });
  const url = /curl (\S+)/.exec(await said('/oauth/status\n'))?.[1] ?? '';
  expect(await (await fetch(url)).json()).toMatchObject({ state: 'logged_out' });
  child.kill('SIGINT');
  const { code, left } = await result();
  expect({ code, left }).toEqual({ code: 0, left: [] });
});

it('leaves nothing behind when it is interrupted', async () => {
  const { child, said, result } = await givenDemo();
  await said('Waiting for its end');
  child.kill('SIGINT');
  const { code, signal, err, left } = await result();
  expect({ code, signal, err, left }).toEqual({ code: 130, signal: null, err: '', left: [] });
});

it('says so in one line when its port is taken', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const { result } = await givenDemo(['--keep'], { PORT: String(port) });
  const { code, err, left } = await result();
  expect({ code, left }).toEqual({ code: 3, left: [] });
  expect(err).toBe(
    `Port ${port} on 127.0.0.1 is taken; end the program that listens there, or set PORT to a free one.\n`,
  );
});

it('says so in one line when a setting is wrong', async () => {
  const { result } = await givenDemo(['--keep'], { PORT: 'high' });
  const { code, err, left } = await result();
  expect({ code, left }).toEqual({ code: 2, left: [] });
  expect(err).toBe('PORT "high" must be a whole number from 0 to 65535.\n');
});
