import { EventEmitter } from 'node:events';
import type { Net } from 'electron';

/**
 * Whether there is a network at all. Emits `change` with what is true now.
 *
 * Chromium's word is taken for `offline` only: that it sees a network says nothing of what can be reached. Electron's
 * main process tells of no change by itself, in no version so far, and this does not poll: {@link Connectivity.check} is
 * to be called when there is reason to, that is after {@link watchPower} and {@link watchNetworkChanges} have called,
 * when a broker's state or a call's failure has been seen, and when a person opens the menu or the window.
 */
export class Connectivity extends EventEmitter<{ change: [online: boolean] }> {
  readonly #net: Pick<Net, 'isOnline'>;
  #online = true;

  /** @param net Electron's `net`; asked at the first {@link check}, which has to come after the app is ready */
  constructor(net: Pick<Net, 'isOnline'>) {
    super();
    this.#net = net;
  }

  /** `false` only when the system has said that there is no network at all. */
  get online(): boolean {
    return this.#online;
  }

  /** Asks the system, which costs next to nothing. @returns whether that is another answer than before */
  check(): boolean {
    const online = this.#net.isOnline() !== false;
    if (online === this.#online) return false;
    this.#online = online;
    this.emit('change', online);
    return true;
  }
}
