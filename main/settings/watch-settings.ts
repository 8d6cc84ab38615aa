import { type FSWatcher, watch } from 'node:fs';
import path from 'node:path';
import { afterQuiet } from '../network/quiet.ts';

/** An editor writes a file in several steps, in milliseconds. */
const SETTLE_MS = 300;

/**
 * Calls `onChange` a little after somebody has written a file. A hint only: where the system cannot watch, nothing is
 * called.
 * @returns a function that ends the watch
 */
export function watchSettings(file: string, onChange: () => void): () => void {
  const quiet = afterQuiet(SETTLE_MS, onChange);
  let watcher: FSWatcher | undefined;
  try {
    // The folder is watched, not the file: it is replaced, not changed.
    watcher = watch(path.dirname(file), { persistent: false }, (_, name) => {
      if (name === null || name === path.basename(file)) quiet.disturb();
    });
    watcher.on('error', () => watcher?.close());
  } catch {
    // No watch then; the file is read again whenever a window is looked at.
  }
  return () => {
    watcher?.close();
    quiet.stop();
  };
}
