/** How much of everything a bench measures. */
export interface Plan {
  /** Seconds of load in each round, on many connections and on one. */
  readonly loadSeconds: number;
  readonly latencySeconds: number;
  readonly warmUpSeconds: number;
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
  warmUpSeconds: 3,
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
  calls: 2_000,
};

/** A first look, within a minute. */
export const QUICK: Plan = {
  ...FULL,
  warmUpSeconds: 1,
  loadSeconds: 2,
  latencySeconds: 1,
  rounds: 1,
  events: 50,
  bodyBytes: 256 * MIB,
  bodyRounds: 1,
  expiryRounds: 1,
  starts: 3,
  idleSeconds: 2,
  calls: 500,
};
