import { expect, it } from 'vitest';
import { describePage } from '../status-page.ts';
import { server, view } from '../views.ts';

const fragment = '#settings';

describePage('the settings in the window', (open) => {
  it('are applied at once, each by itself', async () => {
    const { page, next } = await open({}, { fragment });
    await page.getByRole('radio', { name: 'In your browser' }).check();
    expect(await next('app:change-settings')).toEqual({ loginWay: 'browser' });
    await page.getByRole('switch', { name: 'Open the login when a call needs one' }).check();
    expect(await next('app:change-settings')).toEqual({ loginOnDemand: true });
    await page.getByLabel('Log level').selectOption('debug');
    expect(await next('app:change-settings')).toEqual({ logLevel: 'debug' });
    await page.getByLabel('Calls wait for a login').fill('45');
    await page.keyboard.press('Enter');
    expect(await next('app:change-settings')).toEqual({ loginWaitSeconds: 45 });
    await page.getByRole('switch', { name: 'Start at login' }).check();
    expect(await next('app:start-at-login')).toBe(true);
    await page.getByRole('switch', { name: 'Look for new versions' }).uncheck();
    expect(await next('app:change-settings')).toEqual({ lookForNewVersions: false });
  });

  it('follow what holds, whoever changed it', async () => {
    const { page, tell } = await open({}, { fragment });
    await page.getByRole('switch', { name: 'Start at login' }).waitFor();
    await tell(
      'app:changed',
      view({
        startAtLogin: true,
        settings: {
          loginWay: 'browser',
          loginWaitSeconds: 7,
          loginOnDemand: true,
          lookForNewVersions: false,
          logLevel: 'error',
        },
      }),
    );
    await page.getByRole('switch', { name: 'Start at login', checked: true }).waitFor();
    expect(await page.getByRole('radio', { name: 'In your browser' }).isChecked()).toBe(true);
    expect(await page.getByRole('switch', { name: /^Open the login/ }).isChecked()).toBe(true);
    expect(await page.getByRole('switch', { name: 'Look for new versions' }).isChecked()).toBe(false);
    expect(await page.getByLabel('Calls wait for a login').inputValue()).toBe('7');
    expect(await page.getByLabel('Log level').inputValue()).toBe('error');
  });

  it('go back to what holds when a change is refused, and say why at the field', async () => {
    const { page } = await open(
      {
        'app:change-settings': () => ({
          ok: false,
          faults: { '': 'The settings file is newer than this app.' },
        }),
      },
      { fragment },
    );
    const onDemand = page.getByRole('switch', { name: /^Open the login/ });
    await onDemand.click();
    await page.getByText('The settings file is newer than this app.').waitFor();
    expect(await onDemand.isChecked()).toBe(false);
    const described = (await onDemand.getAttribute('aria-describedby'))?.split(' ') ?? [];
    expect(await page.locator(`[id="${described.at(-1)}"]`).textContent()).toContain('newer than this app');
  });

  it('go back when there is no answer', async () => {
    const { page } = await open(
      {
        'app:start-at-login': () => {
          throw new Error('');
        },
      },
      { fragment },
    );
    const startAtLogin = page.getByRole('switch', { name: 'Start at login' });
    await startAtLogin.click();
    await page.getByRole('alert').getByText('MCP Auth Proxy did not answer.').waitFor();
    expect(await startAtLogin.isChecked()).toBe(false);
  });

  it('take no wait that is none', async () => {
    const { page, asked } = await open({}, { fragment });
    const wait = page.getByLabel('Calls wait for a login');
    for (const typed of ['601', '-1', '1.5', 'soon', '']) {
      await wait.fill('20');
      await wait.blur();
      await page.locator('.fault').waitFor({ state: 'detached' });
      await wait.fill(typed);
      await wait.blur();
      await page.getByText('Enter a whole number from 0 to 600.').waitFor();
      expect(await wait.getAttribute('aria-invalid')).toBe('true');
    }
    expect(asked.some(({ channel }) => channel === 'app:change-settings')).toBe(false);
  });

  it('say where the app cannot start at login', async () => {
    const { page } = await open({ 'app:view': () => view({ startAtLogin: undefined }) }, { fragment });
    await page.getByText('This build of the app cannot start at login.').waitFor();
    expect(await page.getByRole('switch', { name: 'Start at login' }).isDisabled()).toBe(true);
  });

  it('reset everything after a question that says what goes, and whose first answer is no', async () => {
    const servers = [server(), server({ id: 'b', name: 'Notes' })];
    const { page, asked, next } = await open({ 'app:view': () => view({ servers }) }, { fragment });
    const button = page.getByRole('button', { name: 'Reset everything…' });
    await button.focus();
    await page.keyboard.press('Enter');
    const question = page.getByRole('alertdialog', { name: 'Reset everything?' });
    const cancel = question.getByRole('button', { name: 'Cancel' });
    await cancel.and(page.locator(':focus')).waitFor();
    await question.getByText('You are logged out of Craft, Notes.').waitFor();
    await page.keyboard.press('Enter');
    await question.waitFor({ state: 'detached' });
    await button.and(page.locator(':focus')).waitFor();
    await page.keyboard.press('Enter');
    await cancel.and(page.locator(':focus')).waitFor();
    await page.keyboard.press('Escape');
    await question.waitFor({ state: 'detached' });
    expect(asked.some(({ channel }) => channel === 'app:reset')).toBe(false);

    await page.keyboard.press('Enter');
    await cancel.and(page.locator(':focus')).waitFor();
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    expect(await next('app:reset')).toBeUndefined();
    const waiting = page.getByRole('alertdialog', { name: 'Resetting everything …' });
    await waiting.getByText('Then the app starts anew.').and(page.locator(':focus')).waitFor();
    await page.keyboard.press('Escape');
    await waiting.waitFor();
    expect(await waiting.getByRole('button').count()).toBe(0);
  });

  it('ask again when nothing could be reset, and say that', async () => {
    const { page } = await open(
      {
        'app:reset': () => {
          throw new Error('Something went wrong; look at the log.');
        },
      },
      { fragment },
    );
    await page.getByRole('button', { name: 'Reset everything…' }).click();
    const question = page.getByRole('alertdialog', { name: 'Reset everything?' });
    await question.getByRole('button', { name: 'Reset everything' }).click();
    await question.getByRole('alert').getByText('Something went wrong; look at the log.').waitFor();
    await question.getByRole('button', { name: 'Cancel' }).and(page.locator(':focus')).waitFor();
  });

  it('say where the app does not know of new versions', async () => {
    const updates = { canLook: false, available: undefined };
    const { page } = await open({ 'app:view': () => view({ updates }) }, { fragment });
    await page.getByText('This build of the app does not know where new versions are published.').waitFor();
    const look = page.getByRole('switch', { name: 'Look for new versions' });
    expect([await look.isDisabled(), await look.isChecked()]).toEqual([true, false]);
  });
});
