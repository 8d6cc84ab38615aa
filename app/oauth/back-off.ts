/** First and longest wait, in milliseconds. */
const FIRST_MS = 1_000;
export const LONGEST_BACK_OFF_MS = 30_000;

/** How long to wait after failures: a second, doubling to half a minute, until something works. */
export class BackOff {
  #delay = 0;
  #until = 0;
  #reason = '';

  /** Whether the wait is not over yet. */
  get isOn(): boolean {
    return Date.now() < this.#until;
  }

  /** What went wrong last, in a sentence for people. */
  get reason(): string {
    return this.#reason;
  }

  /** When another try makes sense, in whole seconds from now. */
  get secondsLeft(): number {
    const seconds = Math.ceil((this.#until - Date.now()) / 1000);
    return Math.min(Math.max(seconds, 1), LONGEST_BACK_OFF_MS / 1000);
  }

  /**
   * Begins the next, longer wait.
   * @returns its length in milliseconds
   */
  failed(reason: string): number {
    this.#delay = Math.min(Math.max(this.#delay * 2, FIRST_MS), LONGEST_BACK_OFF_MS);
    this.#until = Date.now() + this.#delay;
    this.#reason = reason;
    return this.#delay;
  }

  /** Waits until {@link lift} or {@link reset}, because only a person can change the matter. */
  hold(): void {
    this.#until = Number.POSITIVE_INFINITY;
  }

  /** Ends the wait; should the next try fail, the wait is longer all the same. */
  lift(): void {
    this.#until = 0;
  }

  /** It works again. */
  reset(): void {
    this.#delay = 0;
    this.#until = 0;
    this.#reason = '';
  }
}
