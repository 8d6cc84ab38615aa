import { expect, it, onTestFinished, vi } from 'vitest';
import { LoginOnDemand } from '../../../../main/login/on-demand.ts';

const MINUTE = 60_000;

function given({ wanted = true, hasClock = true } = {}) {
  const given = {
    now: 1_000_000,
    wanted,
    underWay: false,
    did: [] as string[],
  };
  const onDemand = new LoginOnDemand({
    notify: (id) => void given.did.push(`notify ${id}`),
    open: (id) => void given.did.push(`open ${id}`),
    wanted: () => given.wanted,
    underWay: () => given.underWay,
    ...(hasClock && { now: () => given.now }),
  });
  /** What the next call leads to. */
  const call = (id = 'a') => {
    given.did = [];
    onDemand.needed(id);
    return given.did;
  };
  return { given, onDemand, call };
}

it('a call that needs a login raises a notification, and opens the login where that is wanted', () => {
  expect(given().call()).toEqual(['notify a', 'open a']);
  expect(given({ wanted: false }).call()).toEqual(['notify a']);
});

it('opens a login once, until it was answered or has ended by its age', () => {
  const { given: world, call } = given();
  call();
  world.now += 9 * MINUTE;
  expect(call()).toEqual(['notify a']);
  world.now += MINUTE;
  expect(call()).toEqual(['notify a', 'open a']);
});

it('does not ask whoever has closed the login for a minute', () => {
  const { given: world, onDemand, call } = given();
  call();
  onDemand.ended('a', false);
  expect(call()).toEqual(['notify a']);
  world.now += MINUTE;
  expect(call()).toEqual(['notify a', 'open a']);
});

it('does not ask for a minute, and no longer, when the clock is set back meanwhile', () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const { onDemand, call } = given({ hasClock: false });
  call();
  onDemand.ended('a', false);
  vi.setSystemTime(Date.now() - 24 * 60 * MINUTE);
  expect(call()).toEqual(['notify a']);
  vi.advanceTimersByTime(MINUTE);
  expect(call()).toEqual(['notify a', 'open a']);
});

it('asks again as soon as a login that worked is needed anew', () => {
  const { onDemand, call } = given();
  call();
  onDemand.ended('a', true);
  expect(call()).toEqual(['notify a', 'open a']);
});

it('does nothing while a login is under way', () => {
  const { given: world, call } = given();
  world.underWay = true;
  expect(call()).toEqual([]);
});

it('tells servers apart', () => {
  const { onDemand, call } = given();
  call('a');
  onDemand.ended('a', false);
  expect(call('b')).toEqual(['notify b', 'open b']);
});
