import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as v from 'valibot';
import { signInByHttp, startUpstream, type Upstream } from '../../app/cli/demo/upstream.ts';
import { createRandom } from '../support/random.ts';
import { type BrokerProcess, type Probed, startBrokerProcess } from './broker-process.ts';
import { Faults } from './faults.ts';
import { createLoadCounts, runLane } from './lane.ts';
import { Ledger, Outages } from './ledger.ts';
import { Pulse } from './pulse.ts';
import type { Sample, SoakResult } from './report.ts';

export interface SoakOptions {
  /** Where the project lies, built. */
  readonly root: string;
  readonly seconds: number;
  readonly seed: number;
  /** Told now and then how far it is. */
  readonly say: (text: string) => void;
}

const LANES = 6;
const ACCESS_TOKEN_SECONDS = 2;
const UPSTREAM_TIMEOUT_SECONDS = 2;
const SAMPLE_SECONDS = 5;
const SAY_SECONDS = 30;
const TICK_SECONDS = 1;
/** Between two times that all access tokens, or all streams, end at once. */
const REJECT_SECONDS = 7;
/** A server that refuses a token nobody got through with yet refuses the login (README, `login_required`). */
const REJECT_STEP_MS = 20;
const CUT_SECONDS = 11;
/** Idle connections are kept for a few seconds, and a token request that is never answered for ten. */
const QUIET_MS = 30_000;
const QUIET_STEP_MS = 250;

const STATUS = v.object({
  state: v.string(),
  counters: v.object({
    refreshes: v.number(),
    refresh_failures: v.number(),
    replayed: v.number(),
    failed: v.number(),
  }),
});

/**
 * Runs MCP clients against a broker whose upstream and authorization server keep failing, and whose access tokens live
 * for two seconds.
 */
export async function runSoak({ root, seconds, seed, say }: SoakOptions): Promise<SoakResult> {
  const folder = await mkdtemp(join(tmpdir(), 'soak-'));
  const authorization = new Outages();
  const pulse = new Pulse();
  const ledger = new Ledger(authorization, pulse);
  const random = createRandom(seed);
  const faults = new Faults({ random, ledger, authorization });
  const upstream = await startUpstream({
    authorizationServer: {
      accessTokenSeconds: ACCESS_TOKEN_SECONDS,
      rotate: true,
      respond: faults.atAuthorizationServer,
    },
    mcpServer: { respond: faults.atUpstream },
  });
  const broker = await startBrokerProcess({
    root,
    folder,
    environment: {
      UPSTREAM_MCP_URL: upstream.mcpUrl,
      UPSTREAM_TIMEOUT_SECONDS: String(UPSTREAM_TIMEOUT_SECONDS),
      LOG_LEVEL: 'warn',
    },
  });
  try {
    const { status, body } = await signInByHttp(broker.loginUrl, { follow: true });
    if (status !== 200) throw new Error(`the login answered ${status}: ${body}`);
    const counts = createLoadCounts();
    const atLogin = { ...faults.tokens };
    const samples: Sample[] = [];
    const stop = new AbortController();
    const lane = () => runLane({ mcpUrl: broker.mcpUrl, random, ledger, counts }, stop.signal);

    const before = await untilQuiet(broker, faults, () => true);
    faults.isOn = true;
    const started = performance.now();
    const elapsed = () => (performance.now() - started) / 1_000;
    const died = broker.ended.then(() => {
      if (!stop.signal.aborted) throw new Error(`the broker ended by itself:\n${broker.tail()}`);
    });
    const lanes = Promise.all(Array.from({ length: LANES }, lane));
    let tokensRejected = 0;
    let streamsCut = 0;
    const chores = [
      every(TICK_SECONDS, stop.signal, (turn) => sendTick(upstream, turn)),
      every(REJECT_SECONDS, stop.signal, async () => {
        while (!faults.isNewestTokenUsed && !stop.signal.aborted) await delay(REJECT_STEP_MS);
        tokensRejected++;
        upstream.mcpServer.rejectCurrentTokens();
      }),
      every(CUT_SECONDS, stop.signal, () => {
        streamsCut++;
        faults.cutStreams();
      }),
      every(SAMPLE_SECONDS, stop.signal, async () => {
        const { heldBytes } = await broker.probe();
        samples.push({ at: elapsed(), heldBytes });
        upstream.mcpServer.requests.clear();
        upstream.authorizationServer.requests.clear();
      }),
      every(SAY_SECONDS, stop.signal, () => {
        const held = ((samples.at(-1)?.heldBytes ?? 0) / 2 ** 20).toFixed(1);
        say(
          `${Math.round(elapsed())} s: ${counts.calls.total} calls, ${ledger.unexplainedCount} errors without a known cause, ${held} MiB held`,
        );
      }),
    ];
    await Promise.race([delay(seconds * 1_000, undefined, { signal: stop.signal }), died, ...chores]);
    stop.abort();
    const ran = elapsed();
    // What is broken off now would have no cause: the clients end their sessions in peace.
    faults.isOn = false;
    await Promise.race([Promise.all([lanes, ...chores]), died]);
    const after = await untilQuiet(broker, faults, ({ handles }) => isWithin(handles, before.handles));
    const { state, counters } = v.parse(STATUS, await (await fetch(`${broker.url}/oauth/status`)).json());
    return {
      seed,
      seconds: ran,
      calls: counts.calls.counts,
      failedCalls: counts.failed.counts,
      requests: ledger.requests,
      causes: ledger.causes,
      unexplainedCount: ledger.unexplainedCount,
      unexplainedExamples: ledger.unexplainedExamples,
      injected: faults.injected,
      authorizationOutages: authorization.count,
      tokensRejected,
      streamsCut,
      timesTooBusy: pulse.gaps,
      sessions: counts.sessions,
      resumed: counts.resumed,
      notifications: counts.notifications,
      progress: counts.progress,
      broker: {
        state,
        refreshes: counters.refreshes,
        refreshFailures: counters.refresh_failures,
        replayed: counters.replayed,
        failed: counters.failed,
      },
      granted: faults.tokens.granted - atLogin.granted,
      refused: faults.tokens.refused - atLogin.refused,
      samples,
      residentBytes: { before: before.residentBytes, after: after.residentBytes },
      handles: { before: before.handles, after: after.handles },
      openStreamsAfter: faults.openStreams,
    };
  } finally {
    pulse.stop();
    await broker.stop();
    await upstream.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Does something again and again until the signal; what fails ends the soak. */
async function every(
  seconds: number,
  stop: AbortSignal,
  task: (turn: number) => void | Promise<void>,
): Promise<void> {
  for (let turn = 1; ; turn++) {
    try {
      await delay(seconds * 1_000, undefined, { signal: stop });
    } catch {
      return;
    }
    await task(turn);
  }
}

/** A session that ends meanwhile cannot be sent anything. */
async function sendTick(upstream: Upstream, turn: number): Promise<void> {
  await upstream.mcpServer.sendLog(`tick ${turn}`).catch(() => undefined);
}

/** Waits until the broker holds nothing of the clients any more, or for as long as it may at most. */
async function untilQuiet(
  broker: BrokerProcess,
  faults: Faults,
  isQuiet: (probed: Probed) => boolean,
): Promise<Probed> {
  const end = performance.now() + QUIET_MS;
  for (;;) {
    const probed = await broker.probe();
    const done = faults.openStreams === 0 && isQuiet(probed);
    if (done || performance.now() >= end) return probed;
    await delay(QUIET_STEP_MS);
  }
}

function isWithin(handles: Probed['handles'], before: Probed['handles']): boolean {
  return Object.entries(handles).every(([name, count]) => count <= (before[name] ?? 0));
}
