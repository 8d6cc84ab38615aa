import { expect, it } from 'vitest';
import { Pulse } from './pulse.ts';

it('a pulse notices that this process was not run for a while, and when', () => {
  let now = 1_000;
  const pulse = new Pulse(() => now);
  pulse.stop();
  now += 300;
  expect(pulse.wasLate(1_000, now)).toBe(false);
  now += 2_000;
  expect(pulse.wasLate(1_200, 1_299)).toBe(false);
  expect(pulse.wasLate(1_200, 1_301)).toBe(true);
  expect(pulse.wasLate(3_300, 3_300)).toBe(true);
  expect(pulse.wasLate(3_301, 3_400)).toBe(false);
  expect(pulse.gaps).toBe(1);
});
