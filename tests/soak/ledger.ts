import { MAX_HELD_BYTES } from '../../app/limits.ts';
import type { Pulse } from './pulse.ts';
import { Tally } from './tally.ts';

/** What may go wrong on purpose with one request at the upstream. */
export type Fault = 'reset' | 'garbage' | 'error 500' | 'silent' | 'cut';

/** One HTTP request of an MCP client to the broker. */
export interface HttpCall {
  readonly number: number;
  readonly method: string;
  readonly bodyBytes: number;
  /** `performance.now()` */
  readonly startedAt: number;
  /** What was done to it at the upstream. */
  fault: Fault | undefined;
  /** The client itself has hung up. */
  abandoned: boolean;
}

/** How a request ended that did not end well. */
export interface Trouble {
  /** HTTP status of the answer; `undefined` when none came. */
  readonly status: number | undefined;
  /** The code of a refusal of the broker. */
  readonly code: string | undefined;
  /** The answer began and broke off. */
  readonly broken: boolean;
  readonly detail: string;
}

const MOST_UNEXPLAINED = 50;

/** Times at which something was out of order, in milliseconds of `performance.now()`. */
export class Outages {
  readonly #spans: { readonly from: number; to: number }[] = [];
  #isOn = false;

  begin(): void {
    if (!this.#isOn) this.#spans.push({ from: performance.now(), to: Number.POSITIVE_INFINITY });
    this.#isOn = true;
  }

  end(): void {
    const last = this.#spans.at(-1);
    if (this.#isOn && last) last.to = performance.now();
    this.#isOn = false;
  }

  get count(): number {
    return this.#spans.length;
  }

  overlap(from: number, to: number): boolean {
    return this.#spans.some((span) => span.from <= to && from <= span.to);
  }
}

/** Everything that happened, and why: what has no known cause is a fault of the broker. */
export class Ledger {
  /** Each request that carries a number of its own can be found again at the upstream. */
  readonly #calls = new Map<number, HttpCall>();
  readonly #authorization: Outages;
  readonly #pulse: Pick<Pulse, 'wasLate'>;
  readonly #explained = new Tally();
  readonly #unexplained: string[] = [];
  #unexplainedCount = 0;
  #requests = 0;

  /** @param authorization when no refresh could succeed */
  constructor(authorization: Outages, pulse: Pick<Pulse, 'wasLate'>) {
    this.#authorization = authorization;
    this.#pulse = pulse;
  }

  begin(method: string, bodyBytes: number): HttpCall {
    this.#requests++;
    const call: HttpCall = {
      number: this.#requests,
      method,
      bodyBytes,
      startedAt: performance.now(),
      fault: undefined,
      abandoned: false,
    };
    this.#calls.set(call.number, call);
    return call;
  }

  /** A request that is under way, by its number. */
  find(number: number): HttpCall | undefined {
    return this.#calls.get(number);
  }

  /** A request is over, and nobody asks for it again. */
  end(call: HttpCall): void {
    this.#calls.delete(call.number);
  }

  /** Writes down a request that did not end well. */
  trouble(call: HttpCall, trouble: Trouble): void {
    const cause = this.#causeOf(call, trouble);
    if (cause !== undefined) this.#explained.add(cause);
    else {
      const fault = call.fault === undefined ? '' : ` after a fault (${call.fault})`;
      this.unexplained(
        `${call.method}${fault}: ${trouble.status ?? 'no answer'} ${trouble.code ?? ''} ${trouble.detail}`,
      );
    }
  }

  /** Writes down what nothing explains. */
  unexplained(what: string): void {
    this.#unexplainedCount++;
    if (this.#unexplained.length < MOST_UNEXPLAINED) this.#unexplained.push(what);
  }

  get requests(): number {
    return this.#requests;
  }

  /** How often what was seen, and by which cause. */
  get causes(): ReadonlyMap<string, number> {
    return this.#explained.counts;
  }

  get unexplainedCount(): number {
    return this.#unexplainedCount;
  }

  /** The first of those that nothing explains. */
  get unexplainedExamples(): readonly string[] {
    return this.#unexplained;
  }

  #causeOf(call: HttpCall, { status, code, broken, detail }: Trouble): string | undefined {
    const { method, fault, abandoned, bodyBytes, startedAt } = call;
    if (abandoned) return 'the client hung up on purpose';
    if (broken) return fault === 'cut' ? 'answer broken off | connection cut in the middle' : undefined;
    switch (code) {
      case 'upstream_unreachable':
        return fault === 'reset' || fault === 'garbage' ? `502 ${code} | ${fault}` : undefined;
      case 'upstream_timeout':
        return fault === 'silent' ? `504 ${code} | ${fault}` : this.#byTheMachine(call, `504 ${code}`);
      case 'refresh_unavailable':
        return this.#authorization.overlap(startedAt, performance.now())
          ? `503 ${code} | authorization server out of order`
          : undefined;
      case 'not_authenticated':
        // Tokens of two seconds have ended on their way, one after the other.
        return this.#byTheMachine(call, code);
      case 'token_renewed':
        return bodyBytes > MAX_HELD_BYTES ? `503 ${code} | body beyond 4 MiB met an ended token` : undefined;
      case undefined:
        // The SDK's server keeps the place of a stream that was resumed and broke again.
        if (method === 'GET' && status === 409 && detail.includes('Conflict: '))
          return '409 passed on | stream that broke twice (MCP server of the SDK)';
        return status === 500 && fault === 'error 500' ? '500 passed on | error 500' : undefined;
      default:
        return undefined;
    }
  }

  #byTheMachine({ startedAt }: HttpCall, what: string): string | undefined {
    return this.#pulse.wasLate(startedAt, performance.now()) ? `${what} | machine too busy` : undefined;
  }
}
