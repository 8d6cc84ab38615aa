/** Acts once things have come to rest. */
export interface Quiet {
  /** Something has happened: waits anew. */
  disturb(): void;
  /** Forgets what was waited for. */
  stop(): void;
}

/**
 * Calls `action` once, `delayMs` after the last disturbance. By the wall clock: a timer that is late by as much again has
 * slept with the machine, and waits anew, because nothing is ready in the moment of waking.
 */
export function afterQuiet(delayMs: number, action: () => void): Quiet {
  let timer: NodeJS.Timeout | undefined;

  function wait(): void {
    clearTimeout(timer);
    const due = Date.now() + delayMs;
    timer = setTimeout(() => {
      timer = undefined;
      const lateBy = Math.abs(Date.now() - due);
      if (lateBy > delayMs) wait();
      else action();
    }, delayMs);
    timer.unref();
  }

  return {
    disturb: wait,
    stop: () => {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
