import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * A hook that is called first for every request. It may answer the request itself, or keep it waiting for ever, and
 * then returns `true`: nobody else touches the request any more. `false` lets the server go on as usual; a promise of
 * `false` holds the request back until then.
 */
export type RespondHook = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

/** What a server has been asked, oldest first, and a way to await what it is asked next. */
export class Recorder<Entry> {
  readonly entries: Entry[] = [];
  readonly #waiting = new Set<(entry: Entry) => void>();

  /** Adds one entry and wakes those who wait for it. */
  record(entry: Entry): void {
    this.entries.push(entry);
    for (const wake of this.#waiting) wake(entry);
  }

  /** Resolves with the first entry after this call that `matches`. */
  next(matches: (entry: Entry) => boolean = () => true): Promise<Entry> {
    return new Promise((resolve) => {
      const wake = (entry: Entry) => {
        if (!matches(entry)) return;
        this.#waiting.delete(wake);
        resolve(entry);
      };
      this.#waiting.add(wake);
    });
  }

  /** Forgets the entries, not those who wait. */
  clear(): void {
    this.entries.length = 0;
  }
}
