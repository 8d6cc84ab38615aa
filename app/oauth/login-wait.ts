import { LOGIN_REFUSAL_MS, MAX_WAITING_CALLS } from '../limits.ts';
import { isWithin } from './elapsed.ts';

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
  /** When calls have waited in vain, in milliseconds since the epoch. */
  #inVainAt: number | undefined;
  #loginStarted = false;
  #waiting: Waiting | undefined;
  #over = false;
  #calls = 0;

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
    if (this.#waitMs === 0 || this.#over || this.#calls >= MAX_WAITING_CALLS) return false;
    this.#waiting ??= this.#open();
    if (this.#waiting === undefined) return false;
    this.#calls++;
    try {
      return await this.#waiting.done;
    } finally {
      this.#calls--;
    }
  }

  /** A person has begun to log in: calls may wait again. */
  started(): void {
    this.#loginStarted = true;
  }

  /** The person has given up: as after a deadline that has passed. */
  cancelled(): void {
    this.#loginStarted = false;
    this.#inVainAt = Date.now();
    this.#waiting?.end(false);
  }

  /** A login was completed (`true`), or there will be none any more (`false`): nobody waits on, nor ever again. */
  ended(loggedIn: boolean): void {
    this.#over ||= !loggedIn;
    this.#inVainAt = undefined;
    this.#waiting?.end(loggedIn);
  }

  #open(): Waiting | undefined {
    const isRefused = this.#inVainAt !== undefined && isWithin(LOGIN_REFUSAL_MS, this.#inVainAt);
    if (isRefused && !this.#loginStarted) return undefined;
    this.#loginStarted = false;
    this.#inVainAt = undefined;
    let end: (loggedIn: boolean) => void = () => undefined;
    const done = new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => {
        this.#inVainAt = Date.now();
        end(false);
      }, this.#waitMs);
      end = (loggedIn) => {
        clearTimeout(timer);
        this.#waiting = undefined;
        resolve(loggedIn);
      };
    });
    return { done, end };
  }
}
