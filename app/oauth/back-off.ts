import { LONGEST_BACK_OFF_MS } from '../limits.ts';
import { isWithin } from './elapsed.ts';

/** First wait, in milliseconds. */
const FIRST_MS = 1_000;

/** How long to wait after failures: a second, doubling to half a minute, until something works. */
export class BackOff {
  #delay = 0;
  /** When the wait began, in milliseconds since the epoch; `undefined` when there is none. */
  #since: number | undefined;
  #held = false;
  #reason = '';

  /** Whether the wait is not over yet. */
  get isOn(): boolean {
    return this.#held || (this.#since !== undefined && isWithin(this.#delay, this.#since));
  }

  /** What went wrong last, in a sentence for people. */
  get reason(): string {
    return this.#reason;
  }

  /** When another try makes sense, in whole seconds from now. */
  get secondsLeft(): number {
    const end = this.#held ? Number.POSITIVE_INFINITY : (this.#since ?? 0) + this.#delay;
    const seconds = Math.ceil((end - Date.now()) / 1000);
    return Math.min(Math.max(seconds, 1), LONGEST_BACK_OFF_MS / 1000);
  }

  /**
   * Begins the next, longer wait.
   * @returns its length in milliseconds
   */
  failed(reason: string): number {
    this.#delay = Math.min(Math.max(this.#delay * 2, FIRST_MS), LONGEST_BACK_OFF_MS);
    this.#since = Date.now();
    this.#held = false;
    this.#reason = reason;
    return this.#delay;
  }

  /** Waits until {@link lift} or {@link reset}, because only a person can change the matter. */
  hold(): void {
    this.#held = true;
  }

  /** Ends the wait; should the next try fail, the wait is longer all the same. */
  lift(): void {
    this.#since = undefined;
    this.#held = false;
  }

  /** It works again. */
  reset(): void {
    this.lift();
    this.#delay = 0;
    this.#reason = '';
  }
}
