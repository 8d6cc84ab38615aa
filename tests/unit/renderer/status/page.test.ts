import axe from 'axe-core';
import type { Page } from 'playwright';
import { expect, it } from 'vitest';
import { describePage } from '../status-page.ts';
import { call, form, loggedOut, server, view } from '../views.ts';

/** What the accessibility checker finds wrong: the rule and the elements. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
}

const everything = view({
  online: false,
  notices: [{ id: 'n1', message: 'The settings file was set aside.', cure: 'Add your servers again.' }],
  servers: [
    server({ warnings: ['A warning.'] }),
    loggedOut({
      id: 'b',
      name: 'Second',
      state: 'login_required',
      reason: 'The login has ended.',
      lastError: { message: 'It was refused.', cure: 'Log in again.' },
      store: { kind: 'memory', description: 'memory' },
    }),
    loggedOut({
      id: 'c',
      name: 'Third',
      state: 'failed',
      fault: { kind: 'port_taken', message: 'Port 5179 is taken.', freePort: 5180 },
    }),
    loggedOut({ id: 'd', name: 'Fourth', state: 'logging_in', source: 'environment' }),
    loggedOut({ id: 'e', name: 'Fifth', state: 'not_required' }),
  ],
});

describePage('the window', (open) => {
  it.each(['light', 'dark'] as const)('is accessible in all its views (%s)', async (colorScheme) => {
    const { page } = await open(
      {
        'app:view': () => everything,
        'calls:recent': () => [
          call(),
          call({ number: 2, refusal: 'not_authenticated' }),
          call({ number: 3, status: 500 }),
          call({ number: 4, status: undefined }),
        ],
        'log:recent': () => [
          { number: 1, level: 'error', text: '2025-07-01T10:00:00.000Z error No keyring' },
          { number: 2, level: 'warn', text: '2025-07-01T10:00:00.000Z warn  Slow' },
          { number: 3, level: 'info', text: '2025-07-01T10:00:00.000Z info  Listening' },
        ],
        'server:form': () => form,
        'server:change': () => ({ ok: false, faults: { port: 'Port 80 is taken.', '': 'Not saved.' } }),
      },
      { colorScheme, reducedMotion: 'reduce' },
    );
    await page.getByRole('article', { name: 'Third' }).waitFor();
    for (const summary of await page.getByText('Details').all()) await summary.click();
    expect(await violations(page)).toEqual([]);

    await page.getByRole('button', { name: 'Add to client: Craft' }).click();
    await page.getByRole('menu').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole('menuitem', { name: 'Codex' }).click();
    await page.getByRole('status').getByText('Copied').waitFor();
    expect(await violations(page)).toEqual([]);

    await page.getByRole('button', { name: 'Remove: Craft' }).click();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');

    await page.getByRole('button', { name: 'Edit: Craft' }).click();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Port 80 is taken.').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');

    for (const view of ['Activity', 'Settings', 'Log']) {
      await page.getByRole('tab', { name: view }).click();
      await page.getByRole('heading', { name: view, level: 2 }).waitFor();
      expect(await violations(page)).toEqual([]);
    }
  });

  it.each(['light', 'dark'] as const)(
    'is accessible on the first run and in trouble (%s)',
    async (colorScheme) => {
      const { page } = await open({ 'app:view': () => view({ servers: [] }) }, { colorScheme });
      await page.getByText('More options').click();
      await page.getByLabel('URL of the MCP server').fill('https://mcp.example.com');
      await page.getByText('is there').waitFor();
      expect(await violations(page)).toEqual([]);

      const trouble = await open(
        {
          'app:view': () => {
            throw new Error('');
          },
        },
        { colorScheme },
      );
      await trouble.page.getByRole('alert').waitFor();
      expect(await violations(trouble.page)).toEqual([]);
    },
  );

  it.each([480, 760, 1400])('needs no sideways scrolling at %d pixels', async (width) => {
    const { page } = await open(
      {
        'app:view': () => ({
          ...everything,
          servers: [
            ...everything.servers,
            server({ id: 'x', name: 'x'.repeat(200), upstream: `https://${'y'.repeat(200)}.example` }),
          ],
        }),
      },
      { viewport: { width, height: 560 } },
    );
    await page.getByRole('article', { name: 'Third' }).waitFor();
    for (const view of ['Activity', 'Settings', 'Log', 'Servers']) {
      await page.getByRole('tab', { name: view }).click();
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    }
  });

  it('is one stop for the Tab key in its tabs, with arrow keys inside', async () => {
    const { page } = await open();
    await page.getByRole('tab', { name: 'Servers' }).waitFor();
    const focused = () => page.evaluate(() => document.activeElement?.textContent);
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Servers');
    await page.keyboard.press('ArrowRight');
    expect(await focused()).toBe('Activity');
    await page.getByRole('tabpanel', { name: 'Activity' }).waitFor();
    await page.keyboard.press('End');
    expect(await focused()).toBe('Log');
    await page.keyboard.press('ArrowRight');
    expect(await focused()).toBe('Servers');
    await page.keyboard.press('ArrowLeft');
    expect(await focused()).toBe('Log');
    await page.keyboard.press('Home');
    expect(await focused()).toBe('Servers');
    expect(await page.getByRole('tab', { selected: true }).allInnerTexts()).toEqual(['Servers']);
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Add server');
  });

  it('has menus that are worked by keyboard', async () => {
    const { page, next } = await open();
    const button = page.getByRole('button', { name: 'Add to client: Craft' });
    const focused = () => page.evaluate(() => document.activeElement?.textContent);
    await button.focus();
    await page.keyboard.press('ArrowDown');
    expect(await focused()).toBe('kimi-cli');
    await page.keyboard.press('ArrowUp');
    expect(await focused()).toBe('VS Code');
    await page.keyboard.press('ArrowDown');
    expect(await focused()).toBe('kimi-cli');
    await page.keyboard.press('c');
    expect(await focused()).toBe('Claude Code');
    await page.keyboard.press('c');
    expect(await focused()).toBe('Codex');
    await page.keyboard.press('End');
    expect(await focused()).toBe('VS Code');
    await page.keyboard.press('Home');
    expect(await focused()).toBe('kimi-cli');
    await page.keyboard.press('Escape');
    expect(await page.getByRole('menu').count()).toBe(0);
    expect(await button.evaluate((it) => it.matches(':focus'))).toBe(true);
    await page.keyboard.press('ArrowUp');
    expect(await focused()).toBe('VS Code');
    await page.keyboard.press('Tab');
    await page.getByRole('menu').waitFor({ state: 'detached' });
    await button.focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('g');
    await page.keyboard.press('Enter');
    expect(await next('server:copy-for-client')).toEqual({ id: 'craft', client: 'gemini-cli' });
    expect(await button.evaluate((it) => it.matches(':focus'))).toBe(true);
  });

  it('adds a server by keyboard alone', async () => {
    const { page, next } = await open();
    await page.getByRole('tab', { name: 'Servers' }).waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.type('https://mcp.example.com');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('By hand');
    await page.keyboard.press('Enter');
    expect(await next('server:add')).toMatchObject({
      upstreamMcpUrl: 'https://mcp.example.com',
      name: 'By hand',
    });
  });

  it('opens at the view that its address names, and follows it', async () => {
    const { page } = await open({}, { fragment: '#log' });
    await page.getByRole('tabpanel', { name: 'Log' }).waitFor();
    await page.evaluate(() => {
      window.location.hash = 'settings';
    });
    await page.getByRole('tabpanel', { name: 'Settings' }).waitFor();
    await page.getByRole('tab', { name: 'Activity' }).click();
    expect(new URL(page.url()).hash).toBe('#settings');
  });

  it('says that there is no network, and shows logins as they are', async () => {
    const { page, tell } = await open({ 'app:view': () => view({ online: false }) });
    await page.getByText('You are offline').waitFor();
    await page.getByText('Logged in', { exact: true }).waitFor();
    await tell('app:changed', view());
    await page.getByText('You are offline').waitFor({ state: 'detached' });
  });

  it('shows notices until they are dismissed', async () => {
    const { page, next, tell } = await open({ 'app:view': () => everything });
    await page.getByText('Add your servers again.').waitFor();
    await page.getByRole('button', { name: 'Dismiss: The settings file was set aside.' }).click();
    expect(await next('app:dismiss-notice')).toEqual({ id: 'n1' });
    await tell('app:changed', { ...everything, notices: [] });
    await page.getByText('Add your servers again.').waitFor({ state: 'detached' });
  });

  it('tells of a new version, opens its page, and lets it be dismissed', async () => {
    const message = 'Version 2.0.0 is available.';
    const notices = [
      { id: 'new-version', message, cure: 'You have version 0.1.0.', opens: 'new-version' },
    ] as const;
    const { page, next } = await open({ 'app:view': () => view({ notices }) });
    const notice = page.getByRole('region', { name: 'Notices' });
    await notice.getByText('You have version 0.1.0.').waitFor();
    await notice.getByRole('button', { name: 'Open its page' }).click();
    expect(await next('app:open-new-version')).toBeUndefined();
    await notice.getByRole('button', { name: `Dismiss: ${message}` }).click();
    expect(await next('app:dismiss-notice')).toEqual({ id: 'new-version' });
  });

  it('says that the app does not answer, and asks again', async () => {
    let answers = 0;
    const { page } = await open({
      'app:view': () => {
        answers += 1;
        if (answers === 1) throw new Error('Something went wrong; look at the log.');
        return view();
      },
    });
    await page.getByRole('alert').getByText('Something went wrong; look at the log.').waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('article', { name: 'Craft' }).waitFor();
  });

  it('says what did not work, until it is dismissed', async () => {
    const { page } = await open({
      'server:log-out': () => {
        throw new Error('The keychain is locked. Unlock it and try again.');
      },
    });
    await page.getByRole('button', { name: 'Log out: Craft' }).click();
    const alert = page.getByRole('alert');
    await alert.getByText('The keychain is locked. Unlock it and try again.').waitFor();
    await alert.getByRole('button', { name: 'Dismiss' }).click();
    await alert.getByText('The keychain is locked.').waitFor({ state: 'detached' });
  });

  it('takes what it is told while the first answer is on its way', async () => {
    let answer = () => {};
    const { page, next, tell } = await open({
      'app:view': () => new Promise((resolve) => (answer = () => resolve(view()))),
    });
    await next('app:view');
    await tell('app:changed', view({ servers: [server({ name: 'Newer' })] }));
    await page.getByRole('article', { name: 'Newer' }).waitFor();
    answer();
    await page.getByRole('tab', { name: 'Settings' }).click();
    await page.getByRole('tab', { name: 'Servers' }).click();
    await page.getByRole('article', { name: 'Newer' }).waitFor();
  });

  it('says so when it cannot be drawn', async () => {
    const { page } = await open({ 'app:view': () => ({ ...view(), servers: undefined as never }) });
    await page.getByRole('alert').getByText('This window cannot be shown.').waitFor();
  });
});
