import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openHttpCaller, startMcpRemote } from './measures/calls.ts';
import { EXPIRY_TOKEN_SECONDS } from './measures/expiry.ts';
import { FULL, type Plan, QUICK } from './plan.ts';
import { type Row, tableOf } from './report.ts';
import { pinThisProcess } from './rig/process.ts';
import { findProgram, type Program } from './rig/programs.ts';
import { direct, installPeers, startBroker, startNginxProxy, startPeer } from './rig/targets.ts';
import { startBenchAuthorizationServer, startFastUpstream, startStreamUpstream } from './rig/upstreams.ts';
import {
  bodyRows,
  callRows,
  expiryRows,
  firstEventRows,
  idleRows,
  latencyRows,
  loadInTurn,
  startRows,
  streamRows,
  throughputRows,
} from './rows.ts';

/** Longer than any bench: one login is enough. */
const TOKEN_SECONDS = 3_600;

/**
 * Measures the built broker beside its peers and prints a table.
 * @returns the exit code: 0 whatever the table says, 2 for a wrong argument
 */
export async function main(root: string, args: readonly string[]): Promise<number> {
  const [option, ...more] = args;
  if (more.length > 0 || (option !== undefined && option !== '--quick')) {
    console.error('The only argument there is: npm run bench -- --quick');
    return 2;
  }
  if (process.platform !== 'linux') {
    console.error('The bench reads /proc and pins processes: it runs on Linux only.');
    return 2;
  }
  pinThisProcess();
  const folder = await mkdtemp(join(tmpdir(), 'bench-'));
  const load = loadavg()[0]?.toFixed(1);
  console.log(
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux, Node ${process.versions.node}; load before the bench ${load}`,
  );
  const bench = new Bench(root, folder, option === '--quick' ? QUICK : FULL);
  try {
    await bench.run();
    console.log(`\n${tableOf(bench.rows)}`);
  } finally {
    await bench.stop();
    await rm(folder, { recursive: true, force: true });
  }
  return 0;
}

/** One run; what it starts, it stops. */
class Bench {
  readonly rows: Row[] = [];
  readonly #root: string;
  readonly #folder: string;
  readonly #plan: Plan;
  readonly #running: { stop(): Promise<void> }[] = [];

  constructor(root: string, folder: string, plan: Plan) {
    this.#root = root;
    this.#folder = folder;
    this.#plan = plan;
  }

  async run(): Promise<void> {
    const cache = join(this.#root, 'node_modules', '.cache', 'mcp-auth-proxy');
    const [wrk, nginx] = await Promise.all([findProgram('wrk', cache), findProgram('nginx', cache)]);
    const peers = await installPeers(this.#root);
    for (const { missing } of [wrk, nginx, peers] as { missing?: string }[]) {
      if (missing !== undefined) console.log(`Left out: ${missing}.`);
    }
    this.rows.push(...(await startRows({ root: this.#root, folder: this.#place('start') }, this.#plan)));
    if (!('missing' in nginx)) {
      await this.#measureExpiryAndIdle(nginx);
      await this.#measureLoad(nginx, 'missing' in wrk ? undefined : wrk, peers);
    }
    await this.#measureStreams('missing' in nginx ? undefined : nginx, peers);
  }

  async stop(): Promise<void> {
    for (const part of this.#running.splice(0).reverse()) await part.stop();
  }

  /** At the same time, since what is idle disturbs nobody. */
  async #measureExpiryAndIdle(nginx: Program): Promise<void> {
    this.#say('calls at expiry, and idle');
    const { issuer } = await this.#authorizationServer(TOKEN_SECONDS);
    const idleUpstream = this.#keep(await startFastUpstream(nginx, this.#place('idle-upstream'), issuer));
    const idle = idleRows(await this.#broker('idle-broker', idleUpstream.origin), this.#plan);
    const authorizationServer = await this.#authorizationServer(EXPIRY_TOKEN_SECONDS);
    const upstream = this.#keep(
      await startFastUpstream(nginx, this.#place('expiry-upstream'), authorizationServer.issuer),
    );
    const broker = await this.#broker('expiry-broker', upstream.origin);
    this.rows.push(...(await expiryRows(broker, authorizationServer, this.#plan)), ...(await idle));
    await this.stop();
  }

  async #measureLoad(
    nginx: Program,
    wrk: Program | undefined,
    peers: { folder: string; missing?: string },
  ): Promise<void> {
    const { issuer } = await this.#authorizationServer(TOKEN_SECONDS);
    const { origin } = this.#keep(await startFastUpstream(nginx, this.#place('upstream'), issuer));
    const broker = await this.#broker('broker', origin);
    if (wrk !== undefined) {
      const undici = this.#keep(await startPeer('undici', peers.folder, origin));
      const proxy = this.#keep(await startNginxProxy(nginx, this.#place('nginx'), origin));
      const others =
        peers.missing === undefined
          ? [
              this.#keep(await startPeer('http-proxy-3', peers.folder, origin)),
              this.#keep(await startPeer('reply-from', peers.folder, origin)),
            ]
          : [];
      const few = [direct(origin), proxy, undici, broker];
      const { rounds, warmUpSeconds, loadSeconds, latencySeconds } = this.#plan;
      this.#say('load on 32 connections');
      const many = { connections: 32, rounds, seconds: loadSeconds, warmUpSeconds };
      this.rows.push(...throughputRows(await loadInTurn(wrk, this.#root, [...few, ...others], many)));
      this.#say('load on one connection');
      const one = { connections: 1, rounds, seconds: latencySeconds, warmUpSeconds: 0 };
      this.rows.push(...latencyRows(await loadInTurn(wrk, this.#root, few, one)));
    }
    await this.stop();
  }

  async #measureStreams(
    nginx: Program | undefined,
    peers: { folder: string; missing?: string },
  ): Promise<void> {
    const { issuer } = await this.#authorizationServer(TOKEN_SECONDS);
    const { origin } = this.#keep(await startStreamUpstream(issuer));
    const broker = await this.#broker('stream-broker', origin);
    const undici = this.#keep(await startPeer('undici', peers.folder, origin));
    this.#say('open streams');
    this.rows.push(...(await streamRows(broker, undici, this.#plan)));
    this.#say('first events');
    const proxy = nginx && this.#keep(await startNginxProxy(nginx, this.#place('stream-nginx'), origin));
    const targets = [direct(origin), ...(proxy ? [proxy] : []), undici, broker];
    this.rows.push(...(await firstEventRows(targets, this.#plan)));
    this.#say('large bodies');
    this.rows.push(...(await bodyRows(broker, undici, this.#plan)));
    if (peers.missing === undefined) {
      this.#say('calls by stdio');
      const mcpRemote = this.#keep(
        await startMcpRemote(peers.folder, this.#place('mcp-remote'), `${origin}/open/mcp`),
      );
      this.rows.push(...(await callRows(this.#keep(await openHttpCaller(broker)), mcpRemote, this.#plan)));
    }
    await this.stop();
  }

  async #authorizationServer(accessTokenSeconds: number) {
    const server = await startBenchAuthorizationServer(accessTokenSeconds);
    this.#keep({ stop: () => server.close() });
    return server;
  }

  async #broker(name: string, upstream: string) {
    return this.#keep(await startBroker({ root: this.#root, folder: this.#place(name) }, upstream));
  }

  #keep<Part extends { stop(): Promise<void> }>(part: Part): Part {
    this.#running.push(part);
    return part;
  }

  #place(name: string): string {
    return join(this.#folder, name);
  }

  #say(what: string): void {
    console.log(`${Math.round(process.uptime())} s: ${what}`);
  }
}
