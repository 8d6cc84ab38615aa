import { type FSWatcher, watch } from 'node:fs';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { afterQuiet } from './quiet.ts';

/** A change of networks writes this file several times, and the routes are there a little later. */
const SETTLE_MS = 2_000;
/**
 * On macOS and on Linux the system writes the addresses of its name servers here, or where this link leads, whenever it
 * joins or leaves a network or a VPN.
 */
const NAME_SERVERS = '/etc/resolv.conf';

/**
 * Calls `onChange` a little after the machine may have changed its network. Electron's main process has no event for
 * that, and polling would cost what this is to save; so this is a hint that may be missed, never the only one.
 * @returns a function that ends the watch
 */
export async function watchNetworkChanges(
  onChange: () => void,
  { file = NAME_SERVERS, settleMs = SETTLE_MS }: { file?: string; settleMs?: number } = {},
): Promise<() => void> {
  const quiet = afterQuiet(settleMs, onChange);
  const target = await realpath(file).catch(() => file);
  // The folders are watched, not the file: it is replaced, not changed.
  const folders = new Set([path.dirname(file), path.dirname(target)]);
  const watchers = [...folders].flatMap((folder) => watchFolder(folder, quiet.disturb) ?? []);
  return () => {
    for (const watcher of watchers) watcher.close();
    quiet.stop();
  };
}

function watchFolder(folder: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, (_, name) => {
      // Beside a stub that stays the same, systemd-resolved keeps the list of real ones.
      if (name?.includes('resolv') ?? true) onChange();
    });
    return watcher.on('error', () => watcher.close());
  } catch {
    return undefined;
  }
}
