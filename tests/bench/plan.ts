/** How much of everything a bench measures. */
export interface Plan {
  /** Seconds of load in each round, on many connections and on one. */
  readonly loadSeconds: number;
  readonly latencySeconds: number;
  readonly rounds: number;
  readonly events: number;
  readonly streams: number;
  readonly bodyBytes: number;
  readonly bodyRounds: number;
  /** What a slow peer reads in a second, in bytes. */
  readonly slowRate: number;
  readonly expiryCalls: number;
  readonly expiryRounds: number;
  readonly starts: number;
  readonly idleSeconds: number;
  readonly calls: number;
}

const MIB = 2 ** 20;

export const FULL: Plan = {
  loadSeconds: 4,
  latencySeconds: 2,
  rounds: 5,
  events: 200,
  streams: 1_000,
  bodyBytes: 1024 * MIB,
  bodyRounds: 3,
  slowRate: 256 * MIB,
  expiryCalls: 1_000,
  expiryRounds: 3,
  starts: 9,
  idleSeconds: 30,
  calls: 500,
};

/** A first look, within a minute. */
export const QUICK: Plan = {
  ...FULL,
  loadSeconds: 1,
  latencySeconds: 1,
  rounds: 2,
  events: 50,
  bodyBytes: 256 * MIB,
  bodyRounds: 1,
  expiryRounds: 1,
  starts: 3,
  idleSeconds: 3,
  calls: 100,
};
