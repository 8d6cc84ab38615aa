import { expect, it } from 'vitest';
import { Connectivity } from '../../../../main/network/connectivity.ts';

it('is online until the system says otherwise, and tells of each change once', () => {
  let says = true;
  let asked = 0;
  const connectivity = new Connectivity({
    isOnline: () => {
      asked++;
      return says;
    },
  });
  const changes: boolean[] = [];
  connectivity.on('change', (online) => void changes.push(online));
  expect([connectivity.online, asked]).toEqual([true, 0]);
  expect(connectivity.check()).toBe(false);
  says = false;
  expect([connectivity.check(), connectivity.check(), connectivity.online]).toEqual([true, false, false]);
  says = true;
  expect([connectivity.check(), connectivity.check(), connectivity.online]).toEqual([true, false, true]);
  expect(changes).toEqual([false, true]);
});
