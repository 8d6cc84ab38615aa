import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agoText, expiryText, nextChange, refreshText } from '../../../main/words.ts';

const NOW = Date.UTC(2026, 0, 31, 12);
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('expiryText', () => {
  it.each([
    [-DAY, 'expired'],
    [0, 'expired'],
    [1, 'expires in less than a minute'],
    [MINUTE - 1, 'expires in less than a minute'],
    [MINUTE, 'expires in 1 min'],
    [42 * MINUTE + 59 * SECOND, 'expires in 42 min'],
    [HOUR, 'expires in 1 hour'],
    [2 * HOUR - 1, 'expires in 1 hour'],
    [23 * HOUR, 'expires in 23 hours'],
    [DAY, 'expires in 1 day'],
    [30 * DAY, 'expires in 30 days'],
  ])('says of an end %i ms away: %s', (left, text) => {
    expect(expiryText(NOW + left, NOW)).toBe(text);
  });
});

describe('agoText', () => {
  it.each([
    [0, 'just now'],
    [MINUTE - 1, 'just now'],
    [3 * MINUTE, '3 min ago'],
    [HOUR, '1 hour ago'],
    [5 * HOUR, '5 hours ago'],
    [DAY, '1 day ago'],
    [9 * DAY, '9 days ago'],
  ])('says of something %i ms ago: %s', (passed, text) => {
    expect(agoText(NOW - passed, NOW)).toBe(text);
  });

  it('says "just now" when the clock was set back', () => {
    expect(agoText(NOW + HOUR, NOW)).toBe('just now');
  });
});

describe('refreshText', () => {
  it('tells success from failure', () => {
    expect(refreshText({ at: NOW - 3 * MINUTE, outcome: 'ok' }, NOW)).toBe('refreshed 3 min ago');
    expect(refreshText({ at: NOW, outcome: 'ok' }, NOW)).toBe('refreshed just now');
    expect(refreshText({ at: NOW - HOUR, outcome: 'failed' }, NOW)).toBe('refresh failed 1 hour ago');
  });
});

describe('nextChange', () => {
  const distance = fc.oneof(
    fc.integer({ min: -3 * DAY, max: 3 * DAY }),
    fc.integer({ min: -200, max: 200 }).map((minutes) => minutes * MINUTE),
    fc.integer({ min: -72, max: 72 }).map((hours) => hours * HOUR),
  );

  it('is the very millisecond at which a countdown says something else', () => {
    fc.assert(
      fc.property(distance, (left) => {
        const at = NOW + left;
        const change = nextChange({ until: [at] }, NOW);
        if (left <= 0) return change === undefined;
        if (change === undefined) return false;
        const text = expiryText(at, NOW);
        return change > NOW && expiryText(at, change - 1) === text && expiryText(at, change) !== text;
      }),
    );
  });

  it('is the very millisecond at which a count-up says something else', () => {
    fc.assert(
      fc.property(distance, (passed) => {
        const at = NOW - passed;
        const change = nextChange({ since: [at] }, NOW);
        if (change === undefined) return false;
        const text = agoText(at, NOW);
        return change > NOW && agoText(at, change - 1) === text && agoText(at, change) !== text;
      }),
    );
  });

  it('is the first of several', () => {
    const moments = { until: [NOW + HOUR + MINUTE, undefined], since: [NOW - 10 * SECOND] };
    expect(nextChange(moments, NOW)).toBe(NOW + 50 * SECOND);
  });

  it('is never where no moment is spoken of', () => {
    expect(nextChange({}, NOW)).toBeUndefined();
    expect(nextChange({ until: [undefined, NOW - 1], since: [undefined] }, NOW)).toBeUndefined();
  });
});
