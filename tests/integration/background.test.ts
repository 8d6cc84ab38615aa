import { execFile } from 'node:child_process';
import { expect, it, onTestFinished } from 'vitest';
import { CLI, givenFolder, givenUpstream, logIn } from '../support/broker.ts';
import { givenHangingKeychain, outcomeOf } from '../support/login.ts';

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A folder in which the commands of the real program are run. */
async function givenProgram(environment: NodeJS.ProcessEnv) {
  const cwd = await givenFolder();
  const env = {
    PATH: process.env.PATH,
    HOME: cwd,
    PORT: '0',
    STATE_DIR: `${cwd}/state`,
    TOKEN_STORE: 'file',
    ...environment,
  };
  const run = (...args: string[]): Promise<Result> =>
    new Promise((resolve) => {
      execFile(process.execPath, [CLI, ...args], { cwd, env }, (error, out, err) => {
        resolve({ code: error ? Number(error.code) : 0, out, err });
      });
    });
  onTestFinished(async () => void (await run('stop')));
  return run;
}

function urlIn({ out }: Result): string {
  return /http:\/\/127\.0\.0\.1:\d+/.exec(out)?.[0] ?? '';
}

it('starts, tells its state, shows its log and stops', async () => {
  const upstream = await givenUpstream();
  const run = await givenProgram({ UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl });
  expect(await run('status')).toMatchObject({ code: 3 });

  const started = await run('start');
  expect(started).toMatchObject({ code: 0, err: '' });
  const url = urlIn(started);
  expect(started.out).toContain(`${url}/oauth/login`);
  expect(await run('start')).toMatchObject({ code: 0, out: expect.stringContaining('Already running') });

  expect((await run('status')).out).toContain('State: not logged in');
  await logIn({ loginUrl: `${url}/oauth/login` });
  expect(await outcomeOf({ mcpUrl: `${url}/mcp` })).toBe('ok');
  const status = await run('status');
  expect(status.code).toBe(0);
  expect(status.out).toContain('State: logged in');

  const logs = await run('logs');
  expect(logs.out).toContain('Listening');
  expect(logs.out).toContain('Logged in');
  expect((await run('logs', '--lines', '1')).out.trimEnd().split('\n')).toHaveLength(1);

  expect(await run('stop')).toMatchObject({ code: 0, err: '' });
  await expect(fetch(`${url}/health`)).rejects.toThrow();
  expect(await run('status')).toMatchObject({ code: 3 });
  expect((await run('logs')).out).toContain('Stopped');
  expect(await run('stop')).toMatchObject({ code: 0 });

  const again = await run('start');
  expect(await outcomeOf({ mcpUrl: `${urlIn(again)}/mcp` })).toBe('ok');
});

it('passes a bad setting on, with its exit code, and leaves nothing behind', async () => {
  const run = await givenProgram({ UPSTREAM_MCP_URL: 'http://example.com/mcp' });
  const { code, err } = await run('start');
  expect(code).toBe(2);
  expect(err).toContain('UPSTREAM_MCP_URL');
  expect(err).not.toContain('    at ');
  expect(await run('status')).toMatchObject({ code: 3 });
});

it('does not wait for a store that has put a prompt on the screen', async () => {
  const keychain = await givenHangingKeychain();
  const upstream = await givenUpstream();
  const run = await givenProgram({
    UPSTREAM_MCP_URL: upstream.mcpServer.jsonUrl,
    TOKEN_STORE: 'keychain',
    SECURITY_BIN: keychain.securityBin,
  });
  const started = await run('start');
  expect(started.code).toBe(0);
  expect((await fetch(`${urlIn(started)}/health`)).status).toBe(200);
  expect((await run('status')).code).toBe(0);
  expect(await run('stop')).toMatchObject({ code: 0, err: '' });
});
