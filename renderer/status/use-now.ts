import { useEffect, useState } from 'preact/hooks';

/** The longest delay a timer can have, in milliseconds. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

/**
 * The time now, renewed when the words made from it change, and when the window is seen again after a sleep.
 * @param changesAt when the words differ next, for a time; both in milliseconds since the epoch
 */
export function useNow(changesAt: (now: number) => number | undefined): number {
  const [now, setNow] = useState(Date.now);
  const next = changesAt(now);
  useEffect(() => {
    const renew = () => setNow(Date.now());
    document.addEventListener('visibilitychange', renew);
    const timer =
      next === undefined
        ? undefined
        : setTimeout(renew, Math.min(Math.max(next - Date.now(), 0) + 1, LONGEST_DELAY_MS));
    return () => {
      document.removeEventListener('visibilitychange', renew);
      clearTimeout(timer);
    };
  }, [next, now]);
  return now;
}
