import type { AuthorizationServer } from '../../app/cli/demo/upstream.ts';
import { type Direction, passBody } from './measures/bodies.ts';
import { type Caller, measureCalls } from './measures/calls.ts';
import { measureExpiry } from './measures/expiry.ts';
import { measureFirstEvents } from './measures/first-event.ts';
import { applyLoad, type Load } from './measures/load.ts';
import { measureBareNode, measureIdle, measureStart } from './measures/process.ts';
import { measureStreams } from './measures/streams.ts';
import type { Plan } from './plan.ts';
import { atLeast, atMost, beside, type Row } from './report.ts';
import type { Program } from './rig/programs.ts';
import { median } from './rig/statistics.ts';
import type { BrokerPlace, Target, TargetName } from './rig/targets.ts';

const KIB = 1024;
const MIB = 2 ** 20;
/** That share of a core is what garbage collection takes now and then. */
const NO_CPU = 0.001;
const HEALTH_CALLS = 50;
const WARM_UP_BYTES = 128 * MIB;

interface LoadPlan {
  readonly rounds: number;
  readonly connections: number;
  /** Length of a round. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

type Loads = ReadonlyMap<TargetName, readonly Load[]>;

/** Loads all targets in turn, again and again, so that what happens on the machine happens to all of them. */
export async function loadInTurn(
  wrk: Program,
  root: string,
  targets: readonly Target[],
  { rounds, warmUpSeconds, ...load }: LoadPlan,
): Promise<Loads> {
  const loads = new Map(targets.map(({ name }): [TargetName, Load[]] => [name, []]));
  // What is measured is compiled code.
  for (const target of warmUpSeconds > 0 ? targets : [])
    await applyLoad(wrk, root, target, { ...load, seconds: warmUpSeconds });
  for (let round = 0; round < rounds; round++) {
    for (const target of targets) loads.get(target.name)?.push(await applyLoad(wrk, root, target, load));
  }
  return loads;
}

/** The middle of what a figure of the broker is, round by round, to that of another. */
function ratioTo(loads: Loads, name: TargetName, of: (load: Load) => number): number {
  const others = loads.get(name) ?? [];
  return median((loads.get('broker') ?? []).map((load, at) => of(load) / of(others[at] ?? load)));
}

function medianOf(loads: Loads, name: TargetName, of: (load: Load) => number): number {
  return median((loads.get(name) ?? []).map(of));
}

const perSecond = (load: Load) => load.perSecond;
const perCpuSecond = (load: Load) => load.perCpuSecond;

export function throughputRows(loads: Loads): Row[] {
  const row = (name: TargetName, target?: number): Row[] => {
    if (!loads.has(name)) return [];
    const what = `calls/s, 32 connections, to ${name}`;
    const figures = [name, 'broker' as const].map((one) => {
      const cpu = one === 'direct' ? '' : ` (${count(medianOf(loads, one, perCpuSecond))} per s of its CPU)`;
      return `${one} ${count(medianOf(loads, one, perSecond))}/s${cpu}`;
    });
    const ratio = ratioTo(loads, name, perSecond);
    return [
      target === undefined
        ? beside(what, ratio, figures.join(', '))
        : atLeast(what, ratio, target, figures.join(', ')),
    ];
  };
  return [
    ...row('undici', 1),
    ...row('nginx', 0.4),
    ...row('http-proxy-3', 2),
    ...row('reply-from'),
    ...row('direct'),
  ];
}

export function latencyRows(loads: Loads): Row[] {
  const milliseconds = (name: TargetName) => medianOf(loads, name, ({ medianMs }) => medianMs);
  const [direct, nginx, undici, broker] = (['direct', 'nginx', 'undici', 'broker'] as const).map(
    milliseconds,
  );
  if (direct === undefined || nginx === undefined || broker === undefined) return [];
  const figures = `direct ${ms(direct)}, nginx ${ms(nginx)}, undici ${ms(undici)}, broker ${ms(broker)}`;
  const limit = 1.2 * (nginx - direct) + 0.1;
  return [atMost('added latency, 1 connection', { value: broker - direct, limit, unit: 'ms' }, figures, 3)];
}

export async function firstEventRows(targets: readonly Target[], { events }: Plan): Promise<Row[]> {
  const medians = await measureFirstEvents(targets, events);
  const of = (name: TargetName) => medians[targets.findIndex((target) => target.name === name)] ?? Number.NaN;
  const figures = targets.map(({ name }) => `${name} ${ms(of(name))}`).join(', ');
  const value = of('broker') - of('direct');
  return [atMost('first event, added', { value, limit: 1, unit: 'ms' }, figures, 3)];
}

export async function streamRows(broker: Target, undici: Target, { streams }: Plan): Promise<Row[]> {
  const own = await measureStreams(broker, { count: streams, healthCalls: HEALTH_CALLS });
  const bare = await measureStreams(undici, { count: streams, healthCalls: 0 });
  const shown = count(streams);
  return [
    atMost(
      `${shown} open streams, memory each`,
      { value: own.bytesEach / KIB, limit: 40, unit: 'KiB' },
      `undici ${(bare.bytesEach / KIB).toFixed(1)} KiB`,
    ),
    atMost(
      `${shown} open streams, /health`,
      { value: own.slowestHealthMs, limit: 50, unit: 'ms' },
      `slowest of ${HEALTH_CALLS}; median ${ms(own.healthMs)}`,
    ),
  ];
}

export async function bodyRows(broker: Target, undici: Target, plan: Plan): Promise<Row[]> {
  const { bodyBytes: bytes, slowRate: rate } = plan;
  const rows: Row[] = [];
  for (const direction of ['down', 'up'] as const) {
    // What is collected as garbage now and then is there before, as it is in a broker at work.
    const first = await passBody(broker, direction, { bytes: WARM_UP_BYTES, rate });
    const { grown } = await passBody(broker, direction, { bytes, rate });
    const what = `${bytes / MIB} MiB ${direction}, slow peer, memory growth`;
    const figures = `the peer reads ${rate / MIB} MiB/s; ${WARM_UP_BYTES / MIB} MiB before it: ${(first.grown / MIB).toFixed(1)} MiB`;
    rows.push(atMost(what, { value: grown / MIB, limit: 32, unit: 'MiB' }, figures));
  }
  for (const direction of ['down', 'up'] as const)
    rows.push(await throughputRow(broker, undici, direction, plan));
  return rows;
}

async function throughputRow(
  broker: Target,
  undici: Target,
  direction: Direction,
  { bodyBytes: bytes, bodyRounds }: Plan,
): Promise<Row> {
  const own: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < bodyRounds; round++) {
    bare.push((await passBody(undici, direction, { bytes })).bytesPerSecond);
    own.push((await passBody(broker, direction, { bytes })).bytesPerSecond);
  }
  const ratio = median(own.map((speed, at) => speed / (bare[at] ?? speed)));
  const figures = `undici ${speed(median(bare))}, broker ${speed(median(own))}`;
  return atLeast(`${bytes / MIB} MiB ${direction}, throughput to undici`, ratio, 0.8, figures);
}

export async function expiryRows(
  broker: Target,
  authorizationServer: AuthorizationServer,
  { expiryCalls, expiryRounds }: Plan,
): Promise<Row[]> {
  const rounds = await measureExpiry(broker, authorizationServer, {
    calls: expiryCalls,
    rounds: expiryRounds,
  });
  const refreshes = Math.max(...rounds.map((round) => round.refreshes));
  const over = median(rounds.map(({ slowestMs, aloneMs }) => slowestMs - aloneMs));
  const what = `${count(expiryCalls)} calls at expiry`;
  const slowest = `slowest call ${ms(median(rounds.map(({ slowestMs }) => slowestMs)))}`;
  const alone = `a call alone ${ms(median(rounds.map(({ aloneMs }) => aloneMs)))}`;
  return [
    {
      what: `${what}, refreshes`,
      measured: String(refreshes),
      target: '1',
      met: refreshes === 1,
      figures: `the most of ${expiryRounds} rounds`,
    },
    atMost(
      `${what}, slowest beyond the refresh`,
      { value: over, limit: 100, unit: 'ms' },
      `${slowest}, ${alone}`,
      0,
    ),
  ];
}

export async function startRows(place: BrokerPlace, { starts }: Plan): Promise<Row[]> {
  const serve: number[] = [];
  const node: number[] = [];
  while (serve.length < starts) {
    node.push(await measureBareNode());
    serve.push(await measureStart(place));
  }
  const bare = median(node);
  const limit = 1.5 * bare + 100;
  return [
    atMost('start to /health', { value: median(serve), limit, unit: 'ms' }, `node -e 0: ${ms(bare)}`, 0),
  ];
}

export async function idleRows(broker: Target, { idleSeconds }: Plan): Promise<Row[]> {
  const { residentBytes, cpuShare } = await measureIdle(broker, idleSeconds);
  return [
    atMost('idle, logged in, resident', { value: residentBytes / MIB, limit: 60, unit: 'MiB' }, ''),
    {
      what: 'idle, logged in, CPU',
      measured: `${(cpuShare * 100).toFixed(2)} %`,
      target: '0 %',
      met: cpuShare < NO_CPU,
      figures: `over ${idleSeconds} s`,
    },
  ];
}

export async function callRows(broker: Caller, mcpRemote: Caller, { calls }: Plan): Promise<Row[]> {
  const [own = Number.NaN, remote = Number.NaN] = await measureCalls([broker, mcpRemote], calls);
  const figures = `mcp-remote ${ms(remote)}, broker ${ms(own)} a call`;
  return [atLeast('a call, mcp-remote by stdio to the broker', remote / own, 3, figures)];
}

function count(figure: number): string {
  return Math.round(figure).toLocaleString('en');
}

function ms(figure = Number.NaN): string {
  return figure < 10 ? `${figure.toFixed(3)} ms` : `${figure.toFixed(0)} ms`;
}

function speed(bytesPerSecond: number): string {
  return `${count(bytesPerSecond / MIB)} MiB/s`;
}
