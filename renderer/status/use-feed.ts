import { useEffect, useState } from 'preact/hooks';

interface Numbered {
  readonly number: number;
}

/** What has come so far, oldest first; `undefined` until the first answer. */
export type Feed<T> = readonly T[] | undefined;

/**
 * What there was, and what comes as it comes.
 * @param recent asks for what there was
 * @param subscribe tells of what comes; returns the end of it
 * @param limit so many are kept
 */
export function useFeed<T extends Numbered>(
  recent: () => Promise<readonly T[] | undefined>,
  subscribe: (listener: (item: T) => void) => () => void,
  limit: number,
): Feed<T> {
  const [feed, setFeed] = useState<Feed<T>>(undefined);
  // Subscribed once, for as long as the view is shown.
  useEffect(() => {
    let current = true;
    const add = (items: readonly T[]) => {
      if (current) setFeed((before) => merged(before ?? [], items).slice(-limit));
    };
    const unsubscribe = subscribe((item) => add([item]));
    void recent().then((items) => add(items ?? []));
    return () => {
      current = false;
      unsubscribe();
    };
  }, []);
  return feed;
}

/** The two lists by their numbers; what is in both, once. */
function merged<T extends Numbered>(one: readonly T[], other: readonly T[]): readonly T[] {
  const last = one.at(-1);
  const first = other[0];
  if (last === undefined) return other;
  if (first === undefined) return one;
  if (last.number < first.number) return [...one, ...other];
  const byNumber = new Map([...one, ...other].map((item) => [item.number, item]));
  return [...byNumber.values()].sort((a, b) => a.number - b.number);
}
