import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { ReadableStream } from 'node:stream/web';
import { describe, expect, it, onTestFinished } from 'vitest';
import { VERSION } from '../../app/version.ts';
import { CLI, givenFolder, givenServedBroker, rpc, type ServedBroker } from '../support/broker.ts';
import { givenScriptedServer, listenUntilTestEnds } from '../support/scripted-server.ts';

const UPSTREAM_MCP_URL = 'http://127.0.0.1:1/mcp';

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the program to its end. */
async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { PATH: process.env.PATH, HOME: await givenFolder(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, out, err };
}

async function givenServe(env: NodeJS.ProcessEnv = {}): Promise<ServedBroker> {
  const HOME = await givenFolder();
  return givenServedBroker({ UPSTREAM_MCP_URL, TOKEN_STORE: 'memory', HOME, ...env });
}

const portOf = ({ url }: ServedBroker) => Number(new URL(url).port);

/** Ends a broker, and waits until all it has written was read. */
async function endWith(signal: NodeJS.Signals, broker: ServedBroker): ReturnType<ServedBroker['end']> {
  const closed = once(broker.child, 'close');
  const result = await broker.end(signal);
  await closed;
  return result;
}

/** Resolves when nobody listens on the port any more. */
async function untilRefused(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const refused = await Promise.race([
      once(socket, 'connect').then(() => false),
      new Promise<boolean>((resolve) => {
        socket.once('error', () => resolve(true));
      }),
    ]);
    socket.destroy();
    if (refused) return;
  }
}

describe('serve with bad settings', () => {
  it('ends with 2 and one line', async () => {
    expect(await run(['serve'])).toEqual({
      code: 2,
      out: '',
      err: 'UPSTREAM_MCP_URL is not set; set it to the URL of the MCP server, e.g. UPSTREAM_MCP_URL=https://mcp.example.com/mcp.\n',
    });
  });

  it('ends with 2 and one line per fault, and no secret', async () => {
    const { code, out, err } = await run(['serve'], {
      UPSTREAM_MCP_URL: 'http://mcp.example.com/mcp?key=hush',
      PORT: 'eighty',
      TOKEN_STORE_KEY: 'hush',
      LOG_LEVEL: 'loud',
      BIND: '0.0.0.0',
    });
    expect([code, out]).toEqual([2, '']);
    expect(err.split('\n')).toEqual([
      'UPSTREAM_MCP_URL "http://mcp.example.com/mcp?…" must use https: (http: is allowed on loopback only).',
      'PORT "eighty" must be a whole number from 0 to 65535.',
      'TOKEN_STORE_KEY must have at least 8 characters.',
      'LOG_LEVEL "loud" must be one of error, warn, info, debug.',
      'BIND is not a loopback address, so anyone on the network could use your login; set PROXY_API_KEY too, or bind to 127.0.0.1.',
      '',
    ]);
  });

  it('ends with 2 when the store does not exist on this system', async () => {
    const { code, out, err } = await run(['serve'], { UPSTREAM_MCP_URL, PORT: '0', TOKEN_STORE: 'keychain' });
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('TOKEN_STORE=keychain works on macOS only');
  });

  it('ends with 2 when the address is not one of this machine', async () => {
    // RFC 5737: an address for documentation, which no machine has.
    const env = {
      UPSTREAM_MCP_URL,
      BIND: '203.0.113.7',
      PORT: '0',
      PROXY_API_KEY: 'a-proxy-key',
      TOKEN_STORE: 'memory',
    };
    const { code, out, err } = await run(['serve'], env);
    expect([code, out]).toEqual([2, '']);
    expect(err).toBe(
      'BIND "203.0.113.7" is not an address of this machine; set it to one that is, or to 127.0.0.1.\n',
    );
  });
});

describe('serve on a taken port', () => {
  it('ends with 3 and one line that names the port and the cure', async () => {
    const port = await listenUntilTestEnds(createServer());
    const env = { UPSTREAM_MCP_URL, PORT: String(port), TOKEN_STORE: 'memory' };
    expect(await run(['serve'], env)).toEqual({
      code: 3,
      out: '',
      err: `Port ${port} on 127.0.0.1 is taken; end the program that listens there, or set PORT to a free one.\n`,
    });
  });

  it('leaves the broker that has it alone', async () => {
    const first = await givenServe();
    const { code } = await run(['serve'], {
      UPSTREAM_MCP_URL,
      PORT: String(portOf(first)),
      TOKEN_STORE: 'memory',
    });
    expect(code).toBe(3);
    expect((await fetch(`${first.url}/health`)).status).toBe(200);
  });
});

describe('serve', () => {
  it('answers /health, and says on standard error where it listens', async () => {
    const broker = await givenServe();
    const response = await fetch(`${broker.url}/health`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'ok', version: VERSION, uptime_s: expect.any(Number) });
    expect(await endWith('SIGTERM', broker)).toEqual({ code: 0, signal: null });
    const lines = broker.output().trimEnd().split('\n');
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z (info |warn |error) \S/);
    expect(lines[0]).toContain(
      `Listening version=${VERSION} url=${broker.url}/mcp upstream=${UPSTREAM_MCP_URL}`,
    );
    expect(broker.output()).toContain(`Not logged in; open ${broker.loginUrl}`);
    expect(lines.slice(-2).map((line) => line.replace(/^\S+ info {2}/, ''))).toEqual([
      'Stopping signal=SIGTERM',
      'Stopped',
    ]);
  });

  it('answers /health as soon as it listens, while the store is still being opened', async () => {
    // A `security` command that does not come back, as when a prompt waits for a person.
    const folder = await givenFolder();
    const securityBin = path.join(folder, 'security');
    await writeFile(securityBin, '#!/bin/sh\nexec sleep 20\n', { mode: 0o755 });
    const broker = await givenServe({ TOKEN_STORE: 'keychain', SECURITY_BIN: securityBin, HOME: folder });
    expect((await fetch(`${broker.url}/health`)).status).toBe(200);
    expect(await endWith('SIGTERM', broker)).toEqual({ code: 0, signal: null });
  });

  it('shows nothing secret of the upstream’s URL', async () => {
    const broker = await givenServe({ UPSTREAM_MCP_URL: 'http://127.0.0.1:1/mcp?key=hush' });
    await endWith('SIGTERM', broker);
    expect(broker.output()).toContain('upstream=http://127.0.0.1:1/mcp?…');
    expect(broker.output()).not.toContain('hush');
  });
});

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  it('ends an idle broker with 0, though clients hold connections', async () => {
    const broker = await givenServe();
    const silent = connect(portOf(broker), '127.0.0.1');
    await once(silent, 'connect');
    const closed = once(silent.resume(), 'close');
    await (await fetch(`${broker.url}/health`)).text();
    expect(await endWith(signal, broker)).toEqual({ code: 0, signal: null });
    await closed;
    expect(broker.output()).not.toMatch(/ (?:error|warn) | at /);
  });

  it('lets a request in flight finish, and takes no new one', async () => {
    const upstream = await givenScriptedServer();
    const arrived = new Promise<ServerResponse>((resolve) => {
      upstream.script['POST /mcp'] = (_, response) => resolve(response);
    });
    const broker = await givenServe({ UPSTREAM_MCP_URL: `${upstream.origin}/mcp` });
    const call = fetch(broker.mcpUrl, rpc('tools/list'));
    const held = await arrived;
    const ended = endWith(signal, broker);
    await untilRefused(portOf(broker));
    held.writeHead(200, { 'content-type': 'application/json' }).end('{"late":true}');
    const response = await call;
    expect([response.status, await response.json()]).toEqual([200, { late: true }]);
    expect(await ended).toEqual({ code: 0, signal: null });
  });
});

describe('the end of a broker', () => {
  it('is not held up by an event stream for longer than the grace', async () => {
    const upstream = await givenScriptedServer();
    const opened = new Promise<Socket>((resolve) => {
      upstream.script['GET /mcp'] = (_, response, { socket }) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n');
        resolve(socket);
      };
    });
    const broker = await givenServe({ UPSTREAM_MCP_URL: `${upstream.origin}/mcp` });
    const response = await fetch(broker.mcpUrl, { headers: { accept: 'text/event-stream' } });
    const upstreamClosed = once(await opened, 'close');
    const stream = text(response.body as ReadableStream).then(
      () => 'ended',
      () => 'cut off',
    );
    expect(await endWith('SIGTERM', broker)).toEqual({ code: 0, signal: null });
    expect(['ended', 'cut off']).toContain(await stream);
    await upstreamClosed;
  });
});

describe('the command line', () => {
  it.each(['--help', '-h'])('%s shows what there is', async (flag) => {
    const { code, out, err } = await run([flag]);
    expect([code, err]).toEqual([0, '']);
    for (const word of ['serve', 'start', 'stop', 'status', 'logs', 'demo', 'UPSTREAM_MCP_URL'])
      expect(out).toContain(word);
  });

  it('--version shows the version', async () => {
    expect(await run(['--version'])).toEqual({ code: 0, out: `${VERSION}\n`, err: '' });
  });

  it('says on standard error what is wrong, with 2', async () => {
    const [unknown, none, more, option] = await Promise.all([
      run(['fly']),
      run([]),
      run(['serve', 'now'], { UPSTREAM_MCP_URL }),
      run(['serve', '--fast'], { UPSTREAM_MCP_URL }),
    ]);
    for (const { code, out, err } of [unknown, none, more, option]) {
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain('run a broker in the foreground');
      expect(err).not.toMatch(/^ +at /m);
    }
    expect(unknown.err).toMatch(/^There is no command "fly"\./);
    expect(option.err).toMatch(/^Unknown option '--fast'/);
  });
});
