import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_WAITING_CALLS } from '../../../app/limits.ts';
import { LoginWait } from '../../../app/oauth/login-wait.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets time pass, and everything that comes of it happen. */
const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

describe('LoginWait', () => {
  it('does not wait when it has no time to', async () => {
    const wait = new LoginWait(0);
    wait.started();
    expect(await wait.wait()).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('lets all who wait go on when the login is completed', async () => {
    const wait = new LoginWait(20);
    const waiting = Promise.all([wait.wait(), wait.wait(), wait.wait()]);
    wait.ended(true);
    expect(await waiting).toEqual([true, true, true]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('has so many calls wait at most: a further one is refused at once, and there is room again after them', async () => {
    const wait = new LoginWait(20);
    const waiting = Array.from({ length: MAX_WAITING_CALLS }, () => wait.wait());
    expect(await wait.wait()).toBe(false);
    wait.ended(true);
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([true]));
    const later = wait.wait();
    wait.ended(true);
    expect(await later).toBe(true);
  });

  it('shares one deadline', async () => {
    const wait = new LoginWait(20);
    const first = wait.wait();
    await pass(15);
    const second = wait.wait();
    await pass(5);
    expect(await Promise.all([first, second])).toEqual([false, false]);
  });

  it('refuses at once after the deadline, for a minute', async () => {
    const wait = new LoginWait(20);
    const first = wait.wait();
    await pass(20);
    expect(await first).toBe(false);
    await pass(59);
    expect(await wait.wait()).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
    await pass(1);
    const later = wait.wait();
    wait.ended(true);
    expect(await later).toBe(true);
  });

  it('waits again, once, when a login was started after the deadline', async () => {
    const wait = new LoginWait(20);
    const first = wait.wait();
    await pass(20);
    expect(await first).toBe(false);
    wait.started();
    const second = wait.wait();
    await pass(20);
    expect(await second).toBe(false);
    expect(await wait.wait()).toBe(false);
  });

  it('waits again after a login that was completed', async () => {
    const wait = new LoginWait(20);
    const first = wait.wait();
    await pass(20);
    expect(await first).toBe(false);
    wait.ended(true);
    const second = wait.wait();
    expect(vi.getTimerCount()).toBe(1);
    wait.ended(true);
    expect(await second).toBe(true);
  });

  it('refuses who waits when the person has given up, and later ones for a minute', async () => {
    const wait = new LoginWait(20);
    wait.started();
    const waiting = Promise.all([wait.wait(), wait.wait()]);
    wait.cancelled();
    expect(await waiting).toEqual([false, false]);
    await pass(59);
    expect(await wait.wait()).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
    await pass(1);
    const later = wait.wait();
    wait.ended(true);
    expect(await later).toBe(true);
  });

  it('waits again when a login was started after the person had given up', async () => {
    const wait = new LoginWait(20);
    wait.started();
    wait.cancelled();
    expect(await wait.wait()).toBe(false);
    wait.started();
    const waiting = wait.wait();
    wait.ended(true);
    expect(await waiting).toBe(true);
  });

  it('ends for good: nobody waits on, nobody waits anew, no timer is left', async () => {
    const wait = new LoginWait(20);
    const waiting = wait.wait();
    wait.ended(false);
    expect(await waiting).toBe(false);
    wait.started();
    expect(await wait.wait()).toBe(false);
    wait.ended(true);
    expect(await wait.wait()).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });
});
