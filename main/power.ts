import type { PowerMonitor } from 'electron';
import { afterQuiet } from './network/quiet.ts';

/** The network and the Keychain need so long after the machine has come back, in milliseconds. */
const SETTLE_MS = 3_000;

/**
 * Calls `onWake` once when the machine has come back from sleep or was unlocked, after the last such event and a short
 * wait. Nothing is done on `suspend`: a refresh that is under way is worth more finished than aborted.
 * @returns a function that ends the watch
 */
export function watchPower(powerMonitor: Pick<PowerMonitor, 'on' | 'off'>, onWake: () => void): () => void {
  const quiet = afterQuiet(SETTLE_MS, onWake);
  powerMonitor.on('resume', quiet.disturb).on('unlock-screen', quiet.disturb);
  return () => {
    powerMonitor.off('resume', quiet.disturb).off('unlock-screen', quiet.disturb);
    quiet.stop();
  };
}
