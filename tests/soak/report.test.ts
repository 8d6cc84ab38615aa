import { describe, expect, it } from 'vitest';
import { faultsOf, memorySlope, reportOf, type SoakResult } from './report.ts';

const MIB = 2 ** 20;
/** A sample each five seconds of ten minutes. */
const samples = (heldBytes: (minute: number) => number) =>
  Array.from({ length: 120 }, (_, index) => ({
    at: (index + 1) * 5,
    heldBytes: heldBytes((index + 1) / 12),
  }));

const GOOD: SoakResult = {
  seed: 1,
  seconds: 600,
  calls: new Map([['echo', 1_000]]),
  failedCalls: new Map([['echo', 3]]),
  requests: 1_100,
  causes: new Map([['502 upstream_unreachable | reset', 3]]),
  unexplainedCount: 0,
  unexplainedExamples: [],
  injected: new Map([['upstream: reset', 5]]),
  authorizationOutages: 1,
  tokensRejected: 2,
  timesTooBusy: 0,
  streamsCut: 1,
  sessions: 10,
  resumed: 4,
  notifications: 20,
  progress: 30,
  broker: { state: 'authenticated', refreshes: 300, refreshFailures: 1, replayed: 2, failed: 5 },
  granted: 300,
  refused: 0,
  samples: samples(() => 14 * MIB),
  residentBytes: { before: 80 * MIB, after: 100 * MIB },
  handles: { before: { PipeWrap: 1 }, after: { PipeWrap: 1 } },
  openStreamsAfter: 0,
};

describe('the slope of memory', () => {
  it('is what a leak adds each minute, whatever peaks there are and however much is loaded at first', () => {
    const peaks = (minute: number) => (Math.round(minute * 12) % 7 === 0 ? 3 * MIB : 0);
    const warmUp = (minute: number) => (minute < 2 ? minute * MIB : 2 * MIB);
    const flat = samples((minute) => 14 * MIB + peaks(minute) + warmUp(minute));
    expect(memorySlope(flat)).toBe(0);
    const leaking = samples((minute) => 14 * MIB + peaks(minute) + warmUp(minute) + minute * 300_000);
    expect(memorySlope(leaking)).toBeCloseTo(300_000, 0);
  });

  it('is unknown after a short run', () => {
    expect(memorySlope(GOOD.samples.slice(0, 10))).toBeUndefined();
  });
});

describe('a soak', () => {
  it('that went well has no fault, and a table', () => {
    expect(faultsOf(GOOD)).toEqual([]);
    const report = reportOf(GOOD);
    expect(report).toContain('| calls | 1,000, of them 3 failed |');
    expect(report).toContain('| – 502 upstream_unreachable: reset | 3 |');
    expect(report).toMatch(/\nPassed\.$/);
  });

  it.each<[string, Partial<SoakResult>]>([
    ['an error without a known cause', { unexplainedCount: 1, unexplainedExamples: ['GET: 418'] }],
    ['a lost login', { broker: { ...GOOD.broker, state: 'login_required' } }],
    ['a used-up refresh token', { refused: 1 }],
    ['a token that did not arrive', { granted: 301 }],
    ['a leak', { samples: samples((minute) => 14 * MIB + minute * 300_000) }],
    ['an open handle', { handles: { ...GOOD.handles, after: { PipeWrap: 1, TCPSocketWrap: 1 } } }],
    ['an open stream', { openStreamsAfter: 1 }],
    ['no load', { calls: new Map() }],
  ])('with %s has failed', (_, change) => {
    const result = { ...GOOD, ...change };
    const [fault = '', ...others] = faultsOf(result);
    expect(others).toEqual([]);
    expect(reportOf(result)).toContain(`\nFailed:\n${fault}`);
  });
});
