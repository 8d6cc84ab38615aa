import { expect, it } from 'vitest';
import { durationText } from '../../../../../renderer/status/activity/duration.ts';

it.each([
  [0, '0 ms'],
  [0.4, '0 ms'],
  [41.6, '42 ms'],
  [999.4, '999 ms'],
  [999.5, '1.00 s'],
  [1_240, '1.24 s'],
  [9_994, '9.99 s'],
  [9_995, '10.0 s'],
  [59_400, '59.4 s'],
  [59_499, '59.5 s'],
  [59_500, '1 min 0 s'],
  [185_000, '3 min 5 s'],
  [5_400_000, '90 min 0 s'],
])('%d ms is %j', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});
