/** Longer than anything a test waits for takes, and shorter than a test may last: in milliseconds. */
const PATIENCE_MS = 20_000;

/** Tells those who wait that something has changed. */
export interface Changes {
  announce(): void;
  /**
   * Reads now, and again after each change, until the value is as wanted. No change is missed between two readings.
   * @param what names the value in the error
   * @throws when that takes too long, with the last value
   */
  until<T, Wanted extends T>(
    what: string,
    read: () => T | Promise<T>,
    wanted: (value: T) => value is Wanted,
  ): Promise<Wanted>;
  until<T>(what: string, read: () => T | Promise<T>, wanted: (value: T) => boolean): Promise<T>;
}

export function observeChanges(): Changes {
  let announce = () => {};
  let next: Promise<void>;
  function arm(): void {
    next = new Promise((resolve) => {
      announce = resolve;
    });
  }
  arm();

  return {
    announce() {
      announce();
      arm();
    },
    async until<T>(what: string, read: () => T | Promise<T>, wanted: (value: T) => boolean): Promise<T> {
      let last: T | undefined;
      let giveUp = () => {};
      const tooLong = new Promise<never>((_, reject) => {
        giveUp = () => reject(new Error(`${what} did not become as wanted; it is ${JSON.stringify(last)}`));
      });
      const timer = setTimeout(() => giveUp(), PATIENCE_MS);
      try {
        for (;;) {
          const change = next;
          last = await Promise.race([read(), tooLong]);
          if (wanted(last)) return last;
          await Promise.race([change, tooLong]);
        }
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
