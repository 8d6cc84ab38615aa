const BEAT_MS = 100;
/** So late, the machine is too busy for limits and lifetimes of two seconds to mean anything. */
const LATE_MS = 500;

/** Notices when the machine is too busy with other things to run this process in time. */
export class Pulse {
  readonly #gaps: { readonly from: number; readonly to: number }[] = [];
  readonly #now: () => number;
  #last: number;
  readonly #timer = setInterval(() => this.#beat(), BEAT_MS).unref();

  /** @param now milliseconds, as of `performance.now()` */
  constructor(now = () => performance.now()) {
    this.#now = now;
    this.#last = now();
  }

  /** How often the machine was too busy. */
  get gaps(): number {
    return this.#gaps.length;
  }

  /** Whether it was, at some time between these. */
  wasLate(from: number, to: number): boolean {
    // What is judged now may come ahead of the beat that is late.
    this.#beat();
    return this.#gaps.some((gap) => gap.from <= to && from <= gap.to);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    const now = this.#now();
    if (now - this.#last > BEAT_MS + LATE_MS) this.#gaps.push({ from: this.#last, to: now });
    this.#last = now;
  }
}
