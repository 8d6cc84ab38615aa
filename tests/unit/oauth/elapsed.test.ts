import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { isWithin } from '../../../app/oauth/elapsed.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

it.each([
  ['at once', 0, true],
  ['just before the end', 999, true],
  ['at the end', 1_000, false],
  ['when the clock was set back', -1, false],
])('is within a second %s: after %d ms', (_, passed, expected) => {
  const since = Date.now();
  vi.setSystemTime(since + passed);
  expect(isWithin(1_000, since)).toBe(expected);
});

it('is within a time without an end whatever passes', () => {
  expect(isWithin(Number.POSITIVE_INFINITY, 0)).toBe(true);
});
