/** The memory and handles of the broker at one moment. */
export interface Sample {
  /** Seconds since the load began. */
  readonly at: number;
  readonly heldBytes: number;
}

/** What a soak has found. */
export interface SoakResult {
  readonly seed: number;
  readonly seconds: number;
  readonly calls: ReadonlyMap<string, number>;
  readonly failedCalls: ReadonlyMap<string, number>;
  readonly requests: number;
  readonly causes: ReadonlyMap<string, number>;
  readonly unexplainedCount: number;
  readonly unexplainedExamples: readonly string[];
  readonly injected: ReadonlyMap<string, number>;
  readonly authorizationOutages: number;
  readonly tokensRejected: number;
  readonly streamsCut: number;
  /** How often the machine was too busy to run the soak in time. */
  readonly timesTooBusy: number;
  readonly sessions: number;
  readonly resumed: number;
  readonly notifications: number;
  readonly progress: number;
  /** The broker's own counts. */
  readonly broker: {
    readonly state: string;
    readonly refreshes: number;
    readonly refreshFailures: number;
    readonly replayed: number;
    readonly failed: number;
  };
  /** Refreshes that the authorization server has granted, and those it has refused, as it does with a used-up token. */
  readonly granted: number;
  readonly refused: number;
  readonly samples: readonly Sample[];
  readonly residentBytes: { readonly before: number; readonly after: number };
  readonly handles: {
    readonly before: Readonly<Record<string, number>>;
    readonly after: Readonly<Record<string, number>>;
  };
  readonly openStreamsAfter: number;
}

/** Growth that is none, in bytes per minute; what a call leaked would show as much more, at thousands per minute. */
const FLAT_BYTES_PER_MINUTE = 128 * 1024;
/** What is loaded, compiled and cached at the beginning is no leak: the first share of the samples does not count. */
const WARM_UP_SHARE = 0.3;
/** Fewer samples have no slope. */
const FEWEST_SAMPLES = 12;

/**
 * The growth of memory: the median of the slopes between all pairs of samples (Theil-Sen), on which single peaks have
 * no influence.
 * @returns bytes per minute; `undefined` for a run too short to tell
 */
export function memorySlope(samples: readonly Sample[]): number | undefined {
  const warm = samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
  if (warm.length < FEWEST_SAMPLES) return undefined;
  const slopes = warm.flatMap((one, index) =>
    warm.slice(index + 1).map((other) => (other.heldBytes - one.heldBytes) / (other.at - one.at)),
  );
  slopes.sort((a, b) => a - b);
  return (slopes[Math.floor(slopes.length / 2)] ?? 0) * 60;
}

/** Why a soak has failed, one sentence each; none when it has not. */
export function faultsOf(result: SoakResult): string[] {
  const slope = memorySlope(result.samples);
  const grown = Object.entries(result.handles.after).filter(
    ([name, count]) => count > (result.handles.before[name] ?? 0),
  );
  return [
    ...(result.unexplainedCount > 0 ? [`${result.unexplainedCount} errors have no known cause.`] : []),
    ...(result.broker.state === 'authenticated' ? [] : [`The login was lost: ${result.broker.state}.`]),
    ...(result.granted === result.broker.refreshes
      ? []
      : [`The server gave out ${result.granted} tokens; ${result.broker.refreshes} arrived.`]),
    ...(result.refused > 0 ? [`${result.refused} refreshes used a refresh token that was used up.`] : []),
    ...(slope !== undefined && slope > FLAT_BYTES_PER_MINUTE
      ? [`Memory grows by ${kib(slope)} a minute; ${kib(FLAT_BYTES_PER_MINUTE)} are allowed.`]
      : []),
    ...grown.map(([name, count]) => `${count} handles are open as ${name}.`),
    ...(result.openStreamsAfter > 0
      ? [`${result.openStreamsAfter} answers of the upstream are still open.`]
      : []),
    ...(sum(result.calls) === 0 || result.broker.refreshes === 0 ? ['There was no load.'] : []),
  ];
}

/** The result as a Markdown table, the reasons of a failure below it. */
export function reportOf(result: SoakResult): string {
  const { broker, samples } = result;
  const slope = memorySlope(samples);
  const failed = sum(result.failedCalls);
  const rows: (readonly [string, string])[] = [
    ['length', `${(result.seconds / 60).toFixed(1)} min, seed ${result.seed}`],
    ['calls', `${count(sum(result.calls))}, of them ${count(failed)} failed`],
    ...namedRows('– ', result.calls, (name, number) => {
      const bad = result.failedCalls.get(name) ?? 0;
      return bad === 0 ? count(number) : `${count(number)}, ${count(bad)} failed`;
    }),
    ['HTTP requests to the broker', count(result.requests)],
    ['errors by what was seen and its cause', count(sum(result.causes))],
    ...namedRows('– ', result.causes, (_, number) => count(number)),
    ['errors without a known cause', count(result.unexplainedCount)],
    ['faults injected', count(sum(result.injected))],
    ...namedRows('– ', result.injected, (_, number) => count(number)),
    ['all access tokens refused at once', count(result.tokensRejected)],
    ['all streams cut at once', count(result.streamsCut)],
    ['times the machine was too busy', count(result.timesTooBusy)],
    [
      'refreshes',
      `${count(broker.refreshes)} done, ${count(broker.refreshFailures)} failed in ${count(result.authorizationOutages)} outages; rotated ${count(result.granted)} times, reuse found ${result.refused} times`,
    ],
    ['calls sent again with a new token', count(broker.replayed)],
    ['sessions, streams opened again', `${count(result.sessions)}, ${count(result.resumed)}`],
    ['notifications and progress received', `${count(result.notifications)} and ${count(result.progress)}`],
    [
      'memory held, after collection, without compiled code',
      samples.length === 0
        ? 'not measured'
        : `${mib(samples[0]?.heldBytes ?? 0)} first, ${mib(samples.at(-1)?.heldBytes ?? 0)} last`,
    ],
    ['memory slope', slope === undefined ? 'too short to tell' : `${kib(slope)} a minute`],
    ['resident', `${mib(result.residentBytes.before)} before, ${mib(result.residentBytes.after)} after`],
    [
      'open handles',
      `${handlesText(result.handles.before)} before, ${handlesText(result.handles.after)} after`,
    ],
    ['state at the end', broker.state],
  ];
  const table = [
    '| soak | |',
    '|---|---|',
    ...rows.map(([name, value]) => `| ${cell(name)} | ${cell(value)} |`),
  ];
  const faults = faultsOf(result);
  const verdict = faults.length === 0 ? ['Passed.'] : ['Failed:', ...faults, ...result.unexplainedExamples];
  return [...table, '', ...verdict].join('\n');
}

function namedRows(
  mark: string,
  counts: ReadonlyMap<string, number>,
  value: (name: string, number: number) => string,
): (readonly [string, string])[] {
  const sorted = [...counts].sort(([, one], [, other]) => other - one);
  return sorted.map(([name, number]) => [mark + name, value(name, number)]);
}

function handlesText(handles: Readonly<Record<string, number>>): string {
  const entries = Object.entries(handles);
  return entries.length === 0 ? 'none' : entries.map(([name, number]) => `${name} ${number}`).join(', ');
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((all, one) => all + one, 0);
}

function cell(text: string): string {
  return text.replaceAll(' | ', ': ').replaceAll('|', '\\|');
}

function count(number: number): string {
  return number.toLocaleString('en');
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function kib(bytes: number): string {
  return `${(bytes / 2 ** 10).toFixed(1)} KiB`;
}
