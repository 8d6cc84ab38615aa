import { useEffect, useState } from 'preact/hooks';
import type { Bridge } from '../../main/ipc/contract.ts';
import type { AppView } from '../../main/view.ts';
import { messageOf } from './ui.ts';

export type AppViewState =
  | { readonly kind: 'loading' }
  | { readonly kind: 'ready'; readonly view: AppView }
  | { readonly kind: 'failed'; readonly message: string; retry(): void };

/** The app's state, as the main process tells it. */
export function useAppView(bridge: Bridge): AppViewState {
  const [state, setState] = useState<AppViewState>({ kind: 'loading' });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    // What the main process tells by itself is newer than its answer, whichever comes first.
    let told = false;
    let current = true;
    const unsubscribe = bridge.subscribe('app:changed', (view) => {
      told = true;
      setState({ kind: 'ready', view });
    });
    const retry = () => {
      setState({ kind: 'loading' });
      setAttempt(attempt + 1);
    };
    bridge.request('app:view').then(
      (view) => {
        if (current && !told) setState({ kind: 'ready', view });
      },
      (error: unknown) => {
        if (current && !told) setState({ kind: 'failed', message: messageOf(error), retry });
      },
    );
    return () => {
      current = false;
      unsubscribe();
    };
  }, [bridge, attempt]);
  return state;
}
