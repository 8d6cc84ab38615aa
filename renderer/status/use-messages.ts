import { useMemo, useRef, useState } from 'preact/hooks';
import type { Bridge } from '../../main/ipc/contract.ts';
import type { Message, Said } from './parts/messages.tsx';
import { messageOf, type Ui } from './ui.ts';

/** The {@link Ui}, and what was said through it. */
export function useMessages(bridge: Bridge): { readonly ui: Ui; readonly said: Said } {
  const [outcome, setOutcome] = useState<Message | undefined>(undefined);
  const [failure, setFailure] = useState<Message | undefined>(undefined);
  const count = useRef(0);

  const ui = useMemo((): Ui => {
    const next = (text: string): Message => {
      count.current += 1;
      return { number: count.current, text };
    };
    return {
      bridge,
      announce: (text) => setOutcome(next(text)),
      fail: (text) => setFailure(next(text)),
      async ask(channel, ...request) {
        try {
          const value = await bridge.request(channel, ...request);
          setFailure(undefined);
          return { value };
        } catch (error) {
          setFailure(next(messageOf(error)));
          return undefined;
        }
      },
    };
  }, [bridge]);

  const said = {
    outcome,
    failure,
    forgetOutcome: () => setOutcome(undefined),
    forgetFailure: () => setFailure(undefined),
  };
  return { ui, said };
}
