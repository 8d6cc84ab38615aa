import { useEffect, useState } from 'preact/hooks';

export const VIEWS = ['servers', 'activity', 'settings', 'log'] as const;
export type ViewName = (typeof VIEWS)[number];

/** The view that is shown. One named in the address's fragment is shown first; the address is never written. */
export function useShownTab(): [ViewName, (view: ViewName) => void] {
  const [shown, show] = useState<ViewName>(() => named() ?? 'servers');
  useEffect(() => {
    const follow = () => show((before) => named() ?? before);
    window.addEventListener('hashchange', follow);
    return () => window.removeEventListener('hashchange', follow);
  }, []);
  return [shown, show];
}

function named(): ViewName | undefined {
  return VIEWS.find((view) => `#${view}` === window.location.hash);
}
