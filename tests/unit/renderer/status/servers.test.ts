import { expect, it } from 'vitest';
import type { ServerState } from '../../../../main/view.ts';
import { describePage } from '../status-page.ts';
import { loggedOut, server, view } from '../views.ts';

describePage('the servers in the window', (open) => {
  it('are shown with all that is known of them', async () => {
    const { page } = await open();
    const card = page.getByRole('article', { name: 'Craft' });
    await card.waitFor();
    const text = await card.textContent();
    expect(text).toContain('https://mcp.craft.do/my/mcp');
    expect(text).toContain('Logged in');
    expect(text).toContain('expires in 42 min');
    expect(text).toContain('refreshed 3 min ago');
    expect(text).toContain('http://127.0.0.1:5177/mcp');
    expect(text).toContain('mcp:tools mcp:resources offline_access');
    expect(text).toContain('https://auth.craft.do');
    expect(text).toContain('the macOS Keychain');
  });

  it('say their state in a shape and words, and offer what makes sense in it', async () => {
    const states: Readonly<Record<ServerState, readonly [string, ...string[]]>> = {
      starting: ['Starting'],
      failed: ['Not running', 'Try again'],
      logged_out: ['Logged out', 'Log in', 'Log in with browser'],
      logging_in: ['Logging in', 'Show the login', 'Log in with browser', 'Cancel login'],
      authenticated: ['Logged in', 'Log out'],
      login_required: ['Login needed', 'Log in', 'Log in with browser'],
      not_required: ['No login needed'],
      error: ['Error', 'Try again', 'Log in again', 'Log in with browser', 'Log out'],
    };
    const { page, tell } = await open();
    for (const [state, [word, ...buttons]] of Object.entries(states)) {
      await tell('app:changed', view({ servers: [server({ state: state as ServerState })] }));
      const badge = page.locator('.badge', { hasText: new RegExp(`^${word}$`) });
      await badge.waitFor();
      expect(await badge.locator('svg').count()).toBe(1);
      const titles = await page.locator('article > .actions button').allInnerTexts();
      expect(titles).toEqual([...buttons, 'Edit', 'Remove']);
    }
  });

  it('say their times in words that renew themselves when they change', async () => {
    const now = Date.parse('2025-07-01T10:00:00Z');
    const one = server({
      accessTokenExpiresAt: now + 150_000,
      lastRefresh: { at: now - 1_000, outcome: 'ok' },
    });
    const { page } = await open({ 'app:view': () => view({ servers: [one] }) }, { now });
    const times = page.locator('.times');
    await times.waitFor();
    const said = async () => (await times.locator('span').allInnerTexts()).join(', ');
    await page.clock.pauseAt(now + 20_000);
    expect(await said()).toBe('Access token expires in 2 min, refreshed just now');
    await page.clock.runFor(60_000);
    expect(await said()).toBe('Access token expires in 1 min, refreshed 1 min ago');
    await page.clock.runFor(30_000);
    expect(await said()).toBe('Access token expires in less than a minute, refreshed 1 min ago');
    await page.clock.runFor(60_000);
    expect(await said()).toBe('refreshed 2 min ago');
  });

  it('change as the app tells', async () => {
    const { page, tell } = await open();
    await page.getByText('Logged in', { exact: true }).waitFor();
    await tell('app:changed', view({ servers: [loggedOut({ state: 'login_required' })] }));
    await page.getByText('Login needed').waitFor();
    expect(await page.getByText('Logged in', { exact: true }).count()).toBe(0);
  });

  it('are logged in to and out of by their buttons', async () => {
    const { page, next, tell } = await open({ 'app:view': () => view({ servers: [loggedOut()] }) });
    await page.getByRole('button', { name: 'Log in: Craft' }).click();
    expect(await next('server:log-in')).toEqual({ id: 'craft', way: 'preferred' });
    await page.getByRole('button', { name: 'Log in with browser: Craft' }).click();
    expect(await next('server:log-in')).toEqual({ id: 'craft', way: 'browser' });
    await tell('app:changed', view());
    await page.getByRole('button', { name: 'Log out: Craft' }).click();
    expect(await next('server:log-out')).toEqual({ id: 'craft' });
  });

  it('can be logged in to in a window where the browser is preferred', async () => {
    const settings = { ...view().settings, loginWay: 'browser' as const };
    const { page, next } = await open({ 'app:view': () => view({ servers: [loggedOut()], settings }) });
    await page.getByRole('button', { name: 'Log in in this app: Craft' }).click();
    expect(await next('server:log-in')).toEqual({ id: 'craft', way: 'popup' });
  });

  it('are logged in to again when the login is not enough', async () => {
    const refused = server({ wantsMoreAccess: true, reason: 'The server wants more access (mcp:admin).' });
    const { page } = await open({ 'app:view': () => view({ servers: [refused] }) });
    await page.getByText('More access needed').waitFor();
    await page.getByText('(mcp:admin)').waitFor();
    await page.getByRole('button', { name: 'Log in again: Craft' }).waitFor();
  });

  it('whose login failed say why, and what to do', async () => {
    const lastError = { message: 'The login was refused.', cure: 'Ask for access.' };
    const { page } = await open({
      'app:view': () => view({ servers: [loggedOut({ reason: lastError.message, lastError })] }),
    });
    await page.getByText('Ask for access.').waitFor();
    expect(await page.getByText(lastError.message).count()).toBe(1);
  });

  it('whose port is taken move to a free one by a button', async () => {
    const fault = { kind: 'port_taken', message: 'Port 5177 is taken.', freePort: 5179 } as const;
    const { page, next } = await open({
      'app:view': () => view({ servers: [loggedOut({ state: 'failed', fault })] }),
      'server:move-port': () => ({ ok: false, faults: { port: 'Port 5179 is taken too.' } }),
    });
    await page.getByText('Port 5177 is taken.').waitFor();
    await page.getByRole('button', { name: 'Try again: Craft' }).click();
    expect(await next('server:restart')).toEqual({ id: 'craft' });
    await page.getByRole('button', { name: 'Use port 5179: Craft' }).click();
    expect(await next('server:move-port')).toEqual({ id: 'craft', port: 5179 });
    await page.getByRole('alert').getByText('Port 5179 is taken too.').waitFor();
  });

  it('show warnings, and that logins are kept in memory only', async () => {
    const servers = [
      server({ warnings: ['The client metadata document cannot be read.'] }),
      server({
        id: 'b',
        name: 'Other',
        store: { kind: 'memory', description: 'memory, as there is no keyring' },
      }),
    ];
    const { page } = await open({ 'app:view': () => view({ servers }) });
    await page.getByText('The client metadata document cannot be read.').waitFor();
    await page.getByText('Logins are kept in memory only, and end when the app quits').waitFor();
    await page.getByText('Memory, as there is no keyring', { exact: true }).waitFor();
  });

  it('from the environment can be neither edited nor removed', async () => {
    const { page } = await open({ 'app:view': () => view({ servers: [server({ source: 'environment' })] }) });
    await page.getByText('From the environment, for this run only.').waitFor();
    expect(await page.getByRole('button', { name: /^(Edit|Remove)/ }).count()).toBe(0);
  });

  it('show what servers say as text only', async () => {
    const name = '<img src=x onerror=alert(1)>';
    const { page } = await open({
      'app:view': () => view({ servers: [server({ name, reason: '<b>bold</b>', scopes: ['<script>'] })] }),
    });
    await page.getByRole('heading', { name }).waitFor();
    expect(await page.locator('article img, article b, article script').count()).toBe(0);
  });

  it('give their URL to be copied, and say that it was', async () => {
    const { page, next } = await open();
    await page.getByRole('button', { name: 'Copy: local MCP URL of Craft' }).click();
    expect(await next('server:copy-url')).toEqual({ id: 'craft' });
    await page.getByRole('status').getByText('Copied the local MCP URL.').waitFor();
  });

  it('are added to a client by a menu that says what was copied', async () => {
    const { page, next } = await open({
      'server:copy-for-client': () => ({ kind: 'snippet', hint: 'Put it into ~/.cursor/mcp.json.' }),
    });
    await page.getByRole('button', { name: 'Add to client: Craft' }).click();
    const entries = await page.getByRole('menuitem').allInnerTexts();
    expect(entries).toEqual(['kimi-cli', 'Claude Code', 'Codex', 'Gemini CLI', 'Cursor', 'VS Code']);
    await page.getByRole('menuitem', { name: 'Cursor' }).click();
    expect(await next('server:copy-for-client')).toEqual({ id: 'craft', client: 'cursor' });
    await page
      .getByRole('status')
      .getByText('Copied the snippet for Cursor. Put it into ~/.cursor/mcp.json.')
      .waitFor();
    expect(await page.getByRole('menu').count()).toBe(0);
  });

  it('are removed after a question, and the focus stays in the page', async () => {
    const servers = [server(), server({ id: 'b', name: 'Other' })];
    const { page, asked, next, tell } = await open({ 'app:view': () => view({ servers }) });
    await page.getByRole('button', { name: 'Remove: Craft' }).click();
    const dialog = page.getByRole('alertdialog', { name: 'Remove Craft?' });
    expect(await dialog.getByRole('button', { name: 'Cancel' }).evaluate((it) => it.matches(':focus'))).toBe(
      true,
    );
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'detached' });
    expect(asked.some(({ channel }) => channel === 'server:remove')).toBe(false);
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Remove');

    await page.keyboard.press('Enter');
    await dialog.getByRole('button', { name: 'Remove' }).click();
    expect(await next('server:remove')).toEqual({ id: 'craft' });
    await tell('app:changed', view({ servers: servers.slice(1) }));
    await page.getByRole('article', { name: 'Craft' }).waitFor({ state: 'detached' });
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Servers');
  });
});
