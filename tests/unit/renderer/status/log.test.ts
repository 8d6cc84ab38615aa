import { expect, it } from 'vitest';
import type { LogLine } from '../../../../main/ipc/contract.ts';
import { describePage } from '../status-page.ts';

const fragment = '#log';

function line(number: number, level: LogLine['level'], event: string): LogLine {
  return { number, level, text: `2025-07-01T10:00:00.000Z ${level.padEnd(5)} ${event}` };
}

const lines = [
  line(1, 'info', 'Listening'),
  line(2, 'warn', 'Slow <b>server</b>'),
  line(3, 'error', 'No keyring'),
  line(4, 'debug', 'Asked'),
];

describePage('the log in the window', (open) => {
  it('shows the last lines, and new ones as they come', async () => {
    const { page, tell } = await open(
      { 'log:recent': () => lines },
      { fragment, timezoneId: 'Europe/Berlin' },
    );
    await page.getByText('Asked').waitFor();
    await tell('log:new', line(5, 'info', 'Logged in'));
    await page.getByText('Logged in').waitFor();
    expect(await page.locator('.log-line').allInnerTexts()).toHaveLength(5);
    expect(await page.locator('.log-line').nth(1).textContent()).toBe('12:00:00warnSlow <b>server</b>');
  });

  it('shows a line of another form as it is', async () => {
    const { page } = await open(
      { 'log:recent': () => [{ number: 1, level: 'info', text: 'plain' }] },
      { fragment },
    );
    await page.getByText('plain', { exact: true }).waitFor();
  });

  it('is filtered by level', async () => {
    const { page } = await open({ 'log:recent': () => lines }, { fragment });
    await page.getByLabel('Show', { exact: true }).selectOption('warn');
    expect(await page.locator('.log-event').allInnerTexts()).toEqual(['Slow <b>server</b>', 'No keyring']);
    await page.getByLabel('Show', { exact: true }).selectOption('error');
    expect(await page.locator('.log-event').allInnerTexts()).toEqual(['No keyring']);
  });

  it('says that there is nothing to show', async () => {
    const { page } = await open({ 'log:recent': () => [line(1, 'info', 'Listening')] }, { fragment });
    await page.getByLabel('Show', { exact: true }).selectOption('error');
    await page.getByText('Nothing to show').waitFor();
    expect(await page.getByRole('button', { name: 'Copy the lines shown' }).isDisabled()).toBe(true);
  });

  it('copies the lines that are shown, without a permission', async () => {
    const { page } = await open({ 'log:recent': () => lines }, { fragment });
    await page.getByLabel('Show', { exact: true }).selectOption('warn');
    await page.getByRole('button', { name: 'Copy the lines shown' }).click();
    await page.getByRole('status').getByText('Copied 2 lines.').waitFor();
    await page.context().grantPermissions(['clipboard-read']);
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(
      `${lines[1]?.text}\n${lines[2]?.text}`,
    );
  });

  it('opens the file', async () => {
    const { page, next } = await open({}, { fragment });
    await page.getByRole('button', { name: 'Open log file' }).click();
    expect(await next('log:open')).toBeUndefined();
  });

  it('stays at the end, unless the person has scrolled away', async () => {
    const many = Array.from({ length: 200 }, (_, number) => line(number, 'info', `Event ${number}.`));
    const { page, tell } = await open({ 'log:recent': () => many }, { fragment });
    const box = page.getByRole('region', { name: 'Log lines' });
    const below = () => box.evaluate((it) => Math.round(it.scrollHeight - it.clientHeight - it.scrollTop));
    await page.getByText('Event 199.').waitFor();
    expect(await below()).toBe(0);
    await tell('log:new', line(200, 'info', 'Event 200.'));
    await page.getByText('Event 200.').waitFor();
    expect(await below()).toBe(0);

    await box.evaluate(
      (it) =>
        new Promise<void>((resolve) => {
          it.addEventListener('scroll', () => resolve(), { once: true });
          it.scrollTop = 0;
        }),
    );
    await tell('log:new', line(201, 'info', 'Event 201.'));
    await page.getByText('Event 201.').waitFor({ state: 'attached' });
    expect(await box.evaluate((it) => it.scrollTop)).toBe(0);
  });

  it('fills the window and no more', async () => {
    const many = Array.from({ length: 200 }, (_, number) => line(number, 'info', `Event ${number}.`));
    const { page } = await open({ 'log:recent': () => many }, { fragment });
    await page.getByText('Event 199.').waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollHeight)).toBe(560);
  });
});
