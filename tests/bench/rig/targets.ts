import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { signInByHttp } from '../../../app/cli/demo/upstream.ts';
import { startNginx } from './nginx.ts';
import { output, type Running, start } from './process.ts';
import type { Program } from './programs.ts';

/** Something that MCP calls can be sent to. */
export interface Target extends Running {
  readonly name: TargetName;
  readonly origin: string;
}

export type TargetName = 'direct' | 'nginx' | PeerName | 'broker';
/** Forwarders in Node that are other people's, or what they would write. */
export type PeerName = 'undici' | 'http-proxy-3' | 'reply-from';

/** As long as the access tokens of the demo's authorization server. */
const TOKEN = 'x'.repeat(43);

/** What a caller adds to a call: nothing but where no proxy adds it. */
export function authorizationFor({ name }: Target): { authorization?: string } {
  return name === 'direct' ? { authorization: `Bearer ${TOKEN}` } : {};
}

/** The upstream itself. */
export function direct(origin: string): Target {
  return { name: 'direct', origin, pid: 0, message: undefined, stop: async () => undefined };
}

/** nginx with one worker, which keeps its connections and adds a fixed header: what a proxy in C costs. */
export async function startNginxProxy(nginx: Program, folder: string, upstream: string): Promise<Target> {
  const running = await startNginx(nginx, {
    folder,
    place: 'measured',
    outside: `upstream behind { server ${new URL(upstream).host}; keepalive 2048; keepalive_requests 1000000000; }`,
    server: `
      client_max_body_size 0; proxy_request_buffering off; proxy_buffering off;
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Authorization "Bearer ${TOKEN}";
      location / { proxy_pass http://behind; }`,
  });
  return { ...running, name: 'nginx' };
}

/**
 * Installs the peers by their own lockfile, unless they are there.
 * @returns their folder, and why they are not all there if they are not
 */
export async function installPeers(root: string): Promise<{ folder: string; missing?: string }> {
  const folder = join(root, 'node_modules', '.cache', 'mcp-auth-proxy', 'peers');
  const source = join(root, 'tests', 'bench', 'peers');
  const installed = join(folder, 'installed.json');
  await cp(source, folder, { recursive: true });
  const lock = await readFile(join(source, 'package-lock.json'), 'utf8');
  if ((await readFile(installed, 'utf8').catch(() => '')) === lock) return { folder };
  try {
    await output('load', 'npm', ['ci', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts']);
    await writeFile(installed, lock);
    return { folder };
  } catch (error) {
    const [reason] = String(error).split('\n', 1);
    return { folder, missing: `the peers of tests/bench/peers cannot be installed (${reason})` };
  }
}

/** Starts a forwarder of the peers' folder. */
export async function startPeer(name: PeerName, peers: string, upstream: string): Promise<Target> {
  const running = await start(process.execPath, [...nodeOptions(), join(peers, `${name}.mjs`)], {
    place: 'measured',
    env: { UPSTREAM: upstream, TOKEN },
    sendsMessage: true,
  });
  return { ...running, name, origin: `http://127.0.0.1:${running.message}` };
}

export interface BrokerPlace {
  /** Where the project lies, built. */
  readonly root: string;
  /** A folder of the broker's own. */
  readonly folder: string;
}

/** Starts the built `serve` in front of an upstream, as people run it: guard on, log at `info`. */
export async function startServe({ root, folder }: BrokerPlace, upstream: string): Promise<Target> {
  await mkdir(folder, { recursive: true });
  const running = await start(process.execPath, [...nodeOptions(), join(root, 'dist', 'cli.js'), 'serve'], {
    place: 'measured',
    env: {
      HOME: folder,
      STATE_DIR: folder,
      TOKEN_STORE: 'file',
      PORT: '0',
      UPSTREAM_MCP_URL: `${upstream}/mcp`,
    },
    sendsMessage: true,
  });
  const { url } = running.message as { url: string };
  return { ...running, name: 'broker', origin: url };
}

/** Starts the built `serve` and logs it in. */
export async function startBroker(place: BrokerPlace, upstream: string): Promise<Target> {
  const broker = await startServe(place, upstream);
  const { status, body } = await signInByHttp(`${broker.origin}/oauth/login`, { follow: true });
  if (status !== 200) throw new Error(`the login answered ${status}: ${body}`);
  return broker;
}

/** What `BENCH_NODE_OPTIONS` adds to the broker's command line, such as `--cpu-prof`. */
function nodeOptions(): string[] {
  return (process.env.BENCH_NODE_OPTIONS ?? '').split(' ').filter((option) => option !== '');
}
