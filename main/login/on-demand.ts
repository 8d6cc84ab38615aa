/** A login that was opened by itself and not answered is not opened again for so long, in milliseconds: a login's life. */
const UNANSWERED_MS = 600_000;
/** Nor after the person has closed it, or it has failed. */
const REFUSED_MS = 60_000;

interface OnDemandParts {
  /** Raises a notification; it keeps by itself from raising too many. */
  readonly notify: (serverId: string) => void;
  /** Opens the login in the way the person prefers. */
  readonly open: (serverId: string) => void;
  /** Whether the person wants logins to open by themselves. */
  readonly wanted: () => boolean;
  /** Whether a login of the server is under way, in whatever way it was begun. */
  readonly underWay: (serverId: string) => boolean;
  /** A clock that nobody sets, in milliseconds. */
  readonly now?: () => number;
}

/** Decides what a call that needs a login leads to: a notification and, if the person wants it, the login itself. */
export class LoginOnDemand {
  readonly #parts: OnDemandParts;
  readonly #now: () => number;
  /** Until when a server's login is not opened by itself. */
  readonly #quiet = new Map<string, number>();

  constructor(parts: OnDemandParts) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.now());
  }

  /** A call to this server needs a login. */
  needed(serverId: string): void {
    const { notify, open, wanted, underWay } = this.#parts;
    if (underWay(serverId)) return;
    notify(serverId);
    if (!wanted() || this.#now() < (this.#quiet.get(serverId) ?? 0)) return;
    this.#quiet.set(serverId, this.#now() + UNANSWERED_MS);
    open(serverId);
  }

  /** A login of this server has ended. Whoever has closed it does not want it back with the next call. */
  ended(serverId: string, loggedIn: boolean): void {
    if (loggedIn) this.#quiet.delete(serverId);
    else this.#quiet.set(serverId, this.#now() + REFUSED_MS);
  }
}
