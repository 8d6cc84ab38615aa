import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { LoginNotifications, type ShowNotification } from '../../../main/notifications.ts';

const CRAFT = { id: 'craft', name: 'mcp.craft.do', state: 'login_required', wantsMoreAccess: false } as const;
const NOTES = { id: 'notes', name: 'Notes', state: 'logged_out', wantsMoreAccess: false } as const;
const MINUTE = 60_000;

/** A desktop that shows notifications. */
function desktop({ hasClock = true } = {}) {
  const open: { title: string; body: string; click: () => void }[] = [];
  let shown = 0;
  const show: ShowNotification = ({ title, body, onClick }) => {
    shown++;
    const notification = { title, body, click: onClick ?? (() => {}) };
    open.push(notification);
    return {
      close() {
        const index = open.indexOf(notification);
        if (index >= 0) open.splice(index, 1);
      },
    };
  };
  const logins: string[] = [];
  const clock = { now: 0 };
  const notifications = new LoginNotifications(
    show,
    (id) => logins.push(id),
    hasClock ? () => clock.now : undefined,
  );
  return {
    notifications,
    clock,
    logins,
    titles: () => open.map(({ title }) => title),
    bodies: () => open.map(({ body }) => body),
    click: (title: string) => open.find((notification) => notification.title === title)?.click(),
    count: () => shown,
  };
}

describe('LoginNotifications', () => {
  it('says once that a login is needed, however many calls need it', () => {
    const { notifications, titles, count } = desktop();
    for (let call = 0; call < 100; call++) notifications.loginNeeded(CRAFT);
    expect(titles()).toEqual(['Log in to mcp.craft.do']);
    expect(count()).toBe(1);
  });

  it('says what it is about when a login does not reach far enough', () => {
    const { notifications, titles, bodies } = desktop();
    notifications.loginNeeded({ ...CRAFT, state: 'authenticated', wantsMoreAccess: true });
    expect(titles()).toEqual(['More access needed: mcp.craft.do']);
    expect(bodies()).toEqual([expect.stringContaining('more access than you have granted')]);
  });

  it('says it for each server', () => {
    const { notifications, titles } = desktop();
    notifications.loginNeeded(CRAFT);
    notifications.loginNeeded(NOTES);
    expect(titles()).toEqual(['Log in to mcp.craft.do', 'Log in to Notes']);
  });

  it('says it again after ten minutes, in place of the first', () => {
    const { notifications, clock, titles, count } = desktop();
    notifications.loginNeeded(CRAFT);
    clock.now += 10 * MINUTE - 1;
    notifications.loginNeeded(CRAFT);
    expect(count()).toBe(1);
    clock.now += 1;
    notifications.loginNeeded(CRAFT);
    expect(count()).toBe(2);
    expect(titles()).toEqual(['Log in to mcp.craft.do']);
  });

  it('says it again after ten minutes when the clock was set back meanwhile', () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const { notifications, count } = desktop({ hasClock: false });
    notifications.loginNeeded(CRAFT);
    vi.setSystemTime(Date.now() - 24 * 60 * MINUTE);
    notifications.loginNeeded(CRAFT);
    expect(count()).toBe(1);
    vi.advanceTimersByTime(10 * MINUTE);
    notifications.loginNeeded(CRAFT);
    expect(count()).toBe(2);
  });

  it('says it again once a login has answered it', () => {
    const { notifications, titles } = desktop();
    notifications.loginNeeded(CRAFT);
    notifications.loggedIn(CRAFT);
    expect(titles()).toEqual(['Logged in to mcp.craft.do']);
    notifications.loginNeeded(CRAFT);
    expect(titles()).toEqual(['Log in to mcp.craft.do']);
  });

  it('keeps silent while a login is under way', () => {
    const { notifications, count } = desktop();
    notifications.loginNeeded({ ...CRAFT, state: 'logging_in' });
    expect(count()).toBe(0);
  });

  it('begins the login when it is clicked', () => {
    const { notifications, logins, click } = desktop();
    notifications.loginNeeded(CRAFT);
    notifications.loginNeeded(NOTES);
    click('Log in to Notes');
    expect(logins).toEqual(['notes']);
  });

  it('takes back what is shown of a server that has gone', () => {
    const { notifications, titles } = desktop();
    notifications.loginNeeded(CRAFT);
    notifications.loginNeeded(NOTES);
    notifications.forget('craft');
    notifications.forget('unknown');
    expect(titles()).toEqual(['Log in to Notes']);
  });
});
