const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Moments that a text speaks of, in milliseconds since the epoch; `undefined` ones are not spoken of. */
export interface Moments {
  /** Those a text counts down to; see {@link expiryText}. */
  readonly until?: readonly (number | undefined)[];
  /** Those a text counts up from; see {@link agoText}. */
  readonly since?: readonly (number | undefined)[];
}

/**
 * When something ends: "expires in 42 min", "expires in less than a minute", "expired". Rounded down, so that it
 * never promises too much.
 * @param at when it ends, in milliseconds since the epoch
 * @param now milliseconds since the epoch
 */
export function expiryText(at: number, now: number): string {
  if (at <= now) return 'expired';
  return `expires in ${durationText(at - now) ?? 'less than a minute'}`;
}

/**
 * How long ago something was: "just now", "3 min ago", "2 hours ago". A moment that is still to come, as it may be
 * after the clock was set back, is "just now".
 * @param at when it was, in milliseconds since the epoch
 * @param now milliseconds since the epoch
 */
export function agoText(at: number, now: number): string {
  const duration = durationText(now - at);
  return duration === undefined ? 'just now' : `${duration} ago`;
}

/**
 * What became of the last refresh: "refreshed 3 min ago", "refresh failed just now".
 * @param now milliseconds since the epoch
 */
export function refreshText(
  refresh: { readonly at: number; readonly outcome: 'ok' | 'failed' },
  now: number,
): string {
  return `${refresh.outcome === 'ok' ? 'refreshed' : 'refresh failed'} ${agoText(refresh.at, now)}`;
}

/**
 * When one of the texts about these moments says something else for the first time.
 * @param now milliseconds since the epoch
 * @returns milliseconds since the epoch, at most a day after `now` unless a clock is wrong; `undefined`: never
 */
export function nextChange({ until = [], since = [] }: Moments, now: number): number | undefined {
  const changes: number[] = [];
  for (const at of until) if (at !== undefined && at > now) changes.push(countdownChange(at, now));
  for (const at of since) if (at !== undefined) changes.push(countUpChange(at, now));
  return changes.length === 0 ? undefined : Math.min(...changes);
}

/** `undefined` for less than a minute. */
function durationText(ms: number): string | undefined {
  if (ms < MINUTE_MS) return undefined;
  const unit = unitOf(ms);
  const count = Math.floor(ms / unit);
  if (unit === MINUTE_MS) return `${count} min`;
  return `${count} ${unit === HOUR_MS ? 'hour' : 'day'}${count === 1 ? '' : 's'}`;
}

function unitOf(ms: number): number {
  if (ms < HOUR_MS) return MINUTE_MS;
  return ms < DAY_MS ? HOUR_MS : DAY_MS;
}

function countdownChange(at: number, now: number): number {
  const left = at - now;
  if (left < MINUTE_MS) return at;
  const unit = unitOf(left);
  // "2 min" is said of exactly two minutes too; the millisecond after that it is "1 min".
  return at - Math.floor(left / unit) * unit + 1;
}

function countUpChange(at: number, now: number): number {
  const passed = now - at;
  if (passed < MINUTE_MS) return at + MINUTE_MS;
  const unit = unitOf(passed);
  return at + (Math.floor(passed / unit) + 1) * unit;
}
