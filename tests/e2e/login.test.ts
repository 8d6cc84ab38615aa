import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import { callTool, givenBroker, givenClient, givenUpstream } from '../support/broker.ts';
import { givenPage, launchBrowser, missingBrowser } from '../support/browser.ts';
import { answering, givenBreakableStore, LOCKED, onPath } from '../support/login.ts';
import { givenScriptedServer } from '../support/scripted-server.ts';

const missing = missingBrowser();
if (missing !== undefined) process.stderr.write(`The login in a browser is not tested. ${missing}\n`);

/** Where pictures of the pages go, for people who want to look at them. */
const PICTURES = process.env.SCREENSHOTS;

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return;
  await mkdir(PICTURES, { recursive: true });
  await page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
}

/** Logs in from wherever the page is, as a person does. */
async function logInWith(page: Page): Promise<void> {
  await page.getByRole('link', { name: /log in/i }).click();
  await page.getByRole('button', { name: 'Allow' }).click();
}

async function openLanding(page: Page, broker: Broker): Promise<void> {
  await page.goto(`${broker.localUrl}/`);
}

describe.runIf(missing === undefined)('the login in a real browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  it('by a link on another site begins with a question', async () => {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl);
    const link = `<a href="${broker.loginUrl}">Your account</a>`;
    const html = { 'content-type': 'text/html' };
    const { origin } = await givenScriptedServer({ '/': { text: link, headers: html } });
    const { page } = await givenPage(browser);

    await page.goto(origin);
    await page.getByRole('link', { name: 'Your account' }).click();
    expect(await page.textContent('h1')).toBe('Do you want to log in?');
    expect(broker.state).toBe('logged_out');
    await picture(page, 'confirm-login');
    await logInWith(page);
    await page.getByRole('heading', { name: /logged in/i }).waitFor();
    expect(broker.state).toBe('authenticated');
  });

  it.each(['light', 'dark'] as const)(
    'from the landing page and back, and out again (%s)',
    async (colorScheme) => {
      const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 300 } });
      const { broker } = await givenBroker(upstream.mcpUrl);
      const { page, faults } = await givenPage(browser, { colorScheme });

      await openLanding(page, broker);
      await picture(page, `${colorScheme}-1-landing`);
      await page.getByRole('link', { name: /log in/i }).click();
      expect(new URL(page.url()).origin).toBe(upstream.issuer);
      await picture(page, `${colorScheme}-2-consent`);
      await page.getByRole('button', { name: 'Allow' }).click();
      expect(page.url()).toContain(`${broker.redirectUri}?code=`);
      await page.getByRole('heading', { level: 1 }).waitFor();
      expect(await page.textContent('h1')).toMatch(/logged in/i);
      await picture(page, `${colorScheme}-3-done`);

      const client = await givenClient(broker.mcpUrl);
      expect(await callTool(client, 'add', { a: 2, b: 3 })).toBe('5');

      await openLanding(page, broker);
      await picture(page, `${colorScheme}-4-logged-in`);
      upstream.authorizationServer.requests.clear();
      await page.getByRole('button', { name: /log out/i }).click();
      await page.getByText('The server has revoked the tokens').waitFor();
      await picture(page, `${colorScheme}-5-logged-out`);
      expect(upstream.authorizationServer.requests.entries.map((entry) => entry.path)).toEqual([
        '/revoke',
        '/revoke',
      ]);
      expect((await broker.status()).state).toBe('logged_out');
      await page.getByRole('link', { name: /log in/i }).click();
      expect(new URL(page.url()).origin).toBe(upstream.issuer);
      expect(faults).toEqual([]);
    },
  );

  it('shows a hostile description of an error as text, and offers another try that works', async () => {
    const upstream = await givenUpstream();
    const { broker } = await givenBroker(upstream.mcpUrl);
    const { page, faults } = await givenPage(browser);
    const state = (await broker.login()).searchParams.get('state') ?? '';
    const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>"'&`;
    const query = new URLSearchParams({
      error: 'access_denied',
      error_description: hostile,
      state,
      iss: upstream.issuer,
    });
    const response = await page.goto(`${broker.redirectUri}?${query}`);
    expect(response?.status()).toBe(400);
    expect(await page.textContent('main')).toContain(hostile);
    expect(await page.locator('main img, main script').count()).toBe(0);
    expect(await page.title()).not.toBe('owned');
    await picture(page, 'light-6-denied');
    // The browser itself reports the status.
    expect(faults.filter((fault) => !fault.includes('400 (Bad Request)'))).toEqual([]);

    await page.getByRole('link', { name: 'Try again' }).click();
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByRole('heading', { name: /logged in/i }).waitFor();
    expect((await broker.status()).state).toBe('authenticated');
  });

  it('shows what is wrong: a denial, a server that is down, a store that is locked', async () => {
    const upstream = await givenUpstream();
    const store = givenBreakableStore();
    const { broker } = await givenBroker(upstream.mcpUrl, {}, store);
    const { page } = await givenPage(browser);
    await openLanding(page, broker);
    await page.getByRole('link', { name: /log in/i }).click();
    await page.getByRole('button', { name: 'Deny' }).click();
    await page.getByText('did not grant the login').waitFor();
    await openLanding(page, broker);
    await picture(page, 'light-7-last-error');

    await upstream.authorizationServer.close();
    expect((await page.goto(broker.loginUrl))?.status()).toBe(502);
    await picture(page, 'light-8-outage');
    await upstream.restartAuthorizationServer();

    store.broken = { set: LOCKED };
    await openLanding(page, broker);
    await logInWith(page);
    await page.getByText('could not be stored').waitFor();
    await picture(page, 'light-9-not-stored');
  });

  it('says so where no login is needed', async () => {
    const upstream = await givenUpstream({
      mcpServer: {
        requireAuth: false,
        respond: onPath('/mcp', answering(200, '{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}')),
      },
    });
    const { broker } = await givenBroker(upstream.mcpUrl);
    const { page, faults } = await givenPage(browser);
    expect((await page.goto(broker.loginUrl))?.status()).toBe(200);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await picture(page, 'light-10-not-required');
    expect(faults).toEqual([]);
  });
});
