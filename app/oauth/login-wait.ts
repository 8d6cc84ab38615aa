/** After a shared deadline has passed in vain, calls are refused at once for so long, in milliseconds. */
const REFUSE_FOR_MS = 60_000;

interface Waiting {
  readonly done: Promise<boolean>;
  readonly end: (loggedIn: boolean) => void;
}

/**
 * Lets calls that need a login wait for one. All of them share one deadline, so that ten calls do not hold a person up
 * ten times; once it has passed, or the person has given up, calls are refused at once until a new login is
 * under way or a minute has gone by.
 */
export class LoginWait {
  #waitMs = 0;
  #deadline = 0;
  #loginStarted = false;
  #waiting: Waiting | undefined;
  #over = false;

  /** @param seconds how long calls wait; 0: not at all */
  constructor(seconds: number) {
    this.setPatience(seconds);
  }

  /** Lets calls wait longer or shorter from the next deadline on. */
  setPatience(seconds: number): void {
    this.#waitMs = seconds * 1000;
  }

  /**
   * Waits for a login.
   * @returns whether one was completed
   */
  async wait(): Promise<boolean> {
    if (this.#waitMs === 0 || this.#over) return false;
    this.#waiting ??= this.#open();
    return this.#waiting === undefined ? false : this.#waiting.done;
  }

  /** A person has begun to log in: calls may wait again. */
  started(): void {
    this.#loginStarted = true;
  }

  /** The person has given up: as after a deadline that has passed. */
  cancelled(): void {
    this.#loginStarted = false;
    this.#deadline = Date.now();
    this.#waiting?.end(false);
  }

  /** A login was completed (`true`), or there will be none any more (`false`): nobody waits on, nor ever again. */
  ended(loggedIn: boolean): void {
    this.#over ||= !loggedIn;
    this.#deadline = 0;
    this.#waiting?.end(loggedIn);
  }

  #open(): Waiting | undefined {
    const now = Date.now();
    if (this.#deadline !== 0 && !this.#loginStarted && now < this.#deadline + REFUSE_FOR_MS) return undefined;
    this.#loginStarted = false;
    this.#deadline = now + this.#waitMs;
    let end: (loggedIn: boolean) => void = () => undefined;
    const done = new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => end(false), this.#waitMs);
      end = (loggedIn) => {
        clearTimeout(timer);
        this.#waiting = undefined;
        resolve(loggedIn);
      };
    });
    return { done, end };
  }
}
