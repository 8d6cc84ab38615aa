import { EventEmitter } from 'node:events';
import type { PowerMonitor } from 'electron';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { watchPower } from '../../../main/power.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function given() {
  const monitor = new EventEmitter();
  const onWake = vi.fn<() => void>();
  const stop = watchPower(monitor as unknown as Pick<PowerMonitor, 'on' | 'off'>, onWake);
  return { monitor, onWake, stop };
}

describe('the watch over power', () => {
  it.each(['resume', 'unlock-screen'])('calls 3 s after %s, once', (event) => {
    const { monitor, onWake } = given();
    monitor.emit(event);
    vi.advanceTimersByTime(2_999);
    expect(onWake).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onWake).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(60_000);
    expect(onWake).toHaveBeenCalledTimes(1);
    monitor.emit(event);
    vi.advanceTimersByTime(3_000);
    expect(onWake).toHaveBeenCalledTimes(2);
  });

  it('counts from the last of several events, with one timer', () => {
    const { monitor, onWake } = given();
    monitor.emit('resume');
    vi.advanceTimersByTime(2_000);
    monitor.emit('unlock-screen');
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(2_999);
    expect(onWake).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onWake).toHaveBeenCalledTimes(1);
  });

  it('waits anew when the machine has slept during the wait', () => {
    const { monitor, onWake } = given();
    monitor.emit('resume');
    vi.advanceTimersByTime(1_000);
    // An hour of sleep, for which timers stand still.
    vi.setSystemTime(Date.now() + 3_600_000);
    vi.advanceTimersByTime(2_000);
    expect(onWake).not.toHaveBeenCalled();
    vi.advanceTimersByTime(3_000);
    expect(onWake).toHaveBeenCalledTimes(1);
  });

  it('does nothing on other events, nor after it was stopped', () => {
    const { monitor, onWake, stop } = given();
    for (const event of ['suspend', 'lock-screen', 'shutdown']) monitor.emit(event);
    expect(vi.getTimerCount()).toBe(0);
    monitor.emit('resume');
    stop();
    monitor.emit('resume');
    vi.advanceTimersByTime(60_000);
    expect(onWake).not.toHaveBeenCalled();
    expect([vi.getTimerCount(), monitor.eventNames()]).toEqual([0, []]);
  });
});
