import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Bridge, RequestChannel, Requests } from '../../main/ipc/contract.ts';
import { texts } from '../texts.ts';

/** What every part of the page can reach. */
export interface Ui {
  readonly bridge: Bridge;
  /** Says the outcome of what the person did, to eyes and screen readers. */
  announce(text: string): void;
  /** Says what did not work, until it is dismissed or something else works. */
  fail(text: string): void;
  /**
   * Asks the main process, and says it when that fails.
   * @returns the answer in `value`; `undefined` when there was none
   */
  ask<C extends RequestChannel>(
    channel: C,
    ...request: Requests[C]['request'] extends undefined ? [] : [Requests[C]['request']]
  ): Promise<{ readonly value: Requests[C]['response'] } | undefined>;
}

export const UiContext = createContext<Ui | undefined>(undefined);

export function useUi(): Ui {
  const ui = useContext(UiContext);
  if (ui === undefined) throw new Error('There is no UiContext above this part.');
  return ui;
}

/** What a rejected request says. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message.trim() : '';
  return message === '' ? texts.trouble.noAnswer : message;
}
