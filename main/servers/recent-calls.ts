import type { BrokerCall } from '../../app/broker.ts';
import type { CallView } from '../view.ts';

/** So many calls are kept. */
const MOST_CALLS = 200;

/** The last calls of all servers, oldest first. */
export class RecentCalls {
  #calls: readonly CallView[] = [];
  #count = 0;

  get list(): readonly CallView[] {
    return this.#calls;
  }

  /** Keeps a call and gives it its number. */
  add(serverId: string, { at, method, rpc, status, refusal, durationMs }: BrokerCall): CallView {
    const call = { number: ++this.#count, serverId, at, method, rpc, status, refusal, durationMs };
    this.#calls = [...this.#calls.slice(1 - MOST_CALLS), call];
    return call;
  }
}
