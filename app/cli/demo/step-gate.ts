/** A meeting point: each step needs one who passes the gate and one who opens it, whoever comes first. */
export class StepGate {
  readonly #passing: ((done: () => void) => void)[] = [];
  readonly #opening: (() => void)[] = [];

  /**
   * Waits until the gate is opened once.
   * @returns what to call when the step behind the gate was made.
   * @throws the signal's reason when it is aborted before.
   */
  pass(signal: AbortSignal): Promise<() => void> {
    const opener = this.#opening.shift();
    if (opener) return Promise.resolve(opener);
    return new Promise((resolve, reject) => {
      const enter = (done: () => void) => {
        signal.removeEventListener('abort', leave);
        resolve(done);
      };
      const leave = () => {
        this.#passing.splice(this.#passing.indexOf(enter), 1);
        reject(signal.reason);
      };
      this.#passing.push(enter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Lets one pass, now or as soon as one comes; resolves when that one has made its step. */
  open(): Promise<void> {
    return new Promise((done) => {
      const enter = this.#passing.shift();
      if (enter) enter(done);
      else this.#opening.push(done);
    });
  }
}
