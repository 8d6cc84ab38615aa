import { useEffect, useState } from 'preact/hooks';
import type { Bridge, LoginBarView } from '../../main/ipc/contract.ts';

/** What the main process says of the login, kept up to date; `failed` once it does not answer. */
export function useBarView(bridge: Bridge | undefined): LoginBarView | 'waiting' | 'failed' {
  const [view, setView] = useState<LoginBarView | 'waiting' | 'failed'>('waiting');
  useEffect(() => {
    if (bridge === undefined) {
      setView('failed');
      return undefined;
    }
    let told = false;
    const end = bridge.subscribe('login:changed', (news) => {
      told = true;
      setView(news);
    });
    // News that come while the question is on its way are newer than its answer.
    bridge.request('login:view').then(
      (answer) => told || setView(answer),
      () => told || setView('failed'),
    );
    return end;
  }, [bridge]);
  return view;
}
