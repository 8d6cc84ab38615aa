import { texts } from '../../texts.ts';

/**
 * How long a call took, short enough for a column: "12 ms", "1.24 s", "3 min 5 s".
 * @param ms milliseconds
 */
export function durationText(ms: number): string {
  const rounded = Math.round(ms);
  if (rounded < 1_000) return texts.activity.milliseconds(String(rounded));
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return texts.activity.seconds((ms / 1_000).toFixed(ms < 9_995 ? 2 : 1));
  return texts.activity.minutes(String(Math.floor(seconds / 60)), String(seconds % 60));
}
