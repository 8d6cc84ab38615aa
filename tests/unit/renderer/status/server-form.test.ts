import { expect, it } from 'vitest';
import type { Requests } from '../../../../main/ipc/contract.ts';
import { describePage } from '../status-page.ts';
import { form, loggedOut, server, view } from '../views.ts';

type Report = Requests['server:check']['response'];

const none = view({ servers: [] });
const URL_FIELD = 'URL of the MCP server';

describePage('the first run', (open) => {
  it('asks for one thing, and has the focus there', async () => {
    const { page } = await open({ 'app:view': () => none });
    await page.getByRole('heading', { name: 'Log in once, for every MCP client' }).waitFor();
    expect(await page.getByRole('textbox').count()).toBe(1);
    await page.locator('input:focus').waitFor();
    expect(await page.getByLabel(URL_FIELD).evaluate((it) => it.matches(':focus'))).toBe(true);
  });

  it('looks at the URL while it is typed, adds the server on Enter, and logs in', async () => {
    const { page, next, tell } = await open({ 'app:view': () => none });
    await page.getByLabel(URL_FIELD).fill('mcp.craft.do/my/mcp');
    expect(await next('server:check')).toEqual({ url: 'https://mcp.craft.do/my/mcp' });
    const said = page.getByText('mcp.craft.do is there');
    await said.waitFor();
    expect(await page.locator('.report').textContent()).toBe(
      'mcp.craft.do is there It wants a login, at auth.example.com. It speaks MCP 2025-06-18 or later.',
    );
    await page.keyboard.press('Enter');
    expect(await next('server:add')).toEqual({
      name: '',
      upstreamMcpUrl: 'https://mcp.craft.do/my/mcp',
      port: '',
      scopes: '',
      profile: '',
      clientId: '',
      clientSecret: { value: '' },
      authorizationEndpoint: '',
      tokenEndpoint: '',
      issuer: '',
      probePath: '',
    });
    await tell('app:changed', view({ servers: [loggedOut({ state: 'starting' })] }));
    await page.getByText('Starting').waitFor();
    await tell('app:changed', view({ servers: [loggedOut()] }));
    expect(await next('server:log-in')).toEqual({ id: 'craft', way: 'preferred' });
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Servers');
  });

  it('logs in once only, and not to a server that is logged in already', async () => {
    const { page, asked, next, tell } = await open({ 'app:view': () => none });
    await page.getByLabel(URL_FIELD).fill('https://mcp.craft.do/my/mcp');
    await page.getByRole('button', { name: 'Add and log in' }).click();
    await next('server:add');
    await tell('app:changed', view());
    await tell('app:changed', view({ servers: [loggedOut()] }));
    await page.getByText('Logged out').waitFor();
    expect(asked.some(({ channel }) => channel === 'server:log-in')).toBe(false);
  });

  it('logs in when the new server was told of before the answer came', async () => {
    const page = await open({
      'app:view': () => none,
      'server:add': async () => {
        await page.tell('app:changed', view({ servers: [loggedOut()] }));
        return { ok: true };
      },
    });
    await page.page.getByLabel(URL_FIELD).fill('https://mcp.craft.do/my/mcp');
    await page.page.keyboard.press('Enter');
    expect(await page.next('server:log-in')).toEqual({ id: 'craft', way: 'preferred' });
  });

  it('does not log in where no login is needed', async () => {
    const { page, asked, next, tell } = await open({
      'app:view': () => none,
      'server:check': () => ({
        kind: 'reachable',
        host: 'mcp.free.example',
        login: 'not_required',
        revision: undefined,
        issuer: undefined,
        obstacle: undefined,
      }),
    });
    await page.getByLabel(URL_FIELD).fill('https://mcp.free.example/mcp');
    await page.getByText('It needs no login.').waitFor();
    await page.getByRole('button', { name: 'Add server' }).click();
    await next('server:add');
    await tell('app:changed', view({ servers: [loggedOut()] }));
    await page.getByText('Logged out').waitFor();
    expect(asked.some(({ channel }) => channel === 'server:log-in')).toBe(false);
  });

  it.each<[Report, string]>([
    [{ kind: 'unreachable', message: 'The name is not known.' }, 'Not reachable'],
    [{ kind: 'not_mcp', message: 'It answers with a web page.' }, 'Not an MCP server'],
  ])('adds what is doubtful only when asked twice (%#)', async (report, title) => {
    const { page, asked, next } = await open({ 'app:view': () => none, 'server:check': () => report });
    await page.getByLabel(URL_FIELD).fill('https://intranet/mcp');
    await page.keyboard.press('Enter');
    await next('server:check');
    await page.getByText(title).waitFor();
    expect(asked.some(({ channel }) => channel === 'server:add')).toBe(false);
    await page.getByRole('button', { name: 'Add anyway' }).click();
    expect(await next('server:add')).toMatchObject({ upstreamMcpUrl: 'https://intranet/mcp' });
  });

  it('says what stands in the way of a login, and still lets it be tried', async () => {
    const { page } = await open({
      'app:view': () => none,
      'server:check': () => ({
        kind: 'reachable',
        host: 'mcp.craft.do',
        login: 'required',
        revision: { date: '2025-11-25', orLater: false },
        issuer: undefined,
        obstacle: 'Its metadata names another issuer.',
      }),
    });
    await page.getByLabel(URL_FIELD).fill('https://mcp.craft.do');
    await page.getByText('Its metadata names another issuer.').waitFor();
    await page.getByText('It speaks MCP 2025-11-25.').waitFor();
    await page.getByRole('button', { name: 'Add and log in' }).waitFor();
  });

  it('drops answers to what was typed before', async () => {
    const answers = new Map<string, (report: Report) => void>();
    const { page, next } = await open({
      'app:view': () => none,
      'server:check': ({ url }) => new Promise((resolve) => answers.set(url, resolve)),
    });
    await page.getByLabel(URL_FIELD).fill('https://first.example');
    await next('server:check');
    await page.getByText('Looking at it').waitFor();
    await page.getByLabel(URL_FIELD).fill('https://second.example');
    await next('server:check');
    answers.get('https://second.example')?.({ kind: 'not_mcp', message: 'Second.' });
    await page.getByText('Second.').waitFor();
    answers.get('https://first.example')?.({ kind: 'not_mcp', message: 'First.' });
    await page.getByLabel(URL_FIELD).fill('https://third.example');
    await next('server:check');
    await page.getByText('Looking at it').waitFor();
    expect(await page.getByText('First.').count()).toBe(0);
  });

  it('asks about nothing that is not a whole address yet', async () => {
    const { page, asked, next } = await open({ 'app:view': () => none });
    await page.getByLabel(URL_FIELD).pressSequentially('https://mcp', { delay: 0 });
    await page.getByLabel(URL_FIELD).fill('https://mcp.craft.do');
    expect(await next('server:check')).toEqual({ url: 'https://mcp.craft.do' });
    expect(asked.filter(({ channel }) => channel === 'server:check')).toHaveLength(1);
  });

  it('wants a URL, and says what is wrong with one at the field', async () => {
    const message = 'It must use https.';
    const { page } = await open({
      'app:view': () => none,
      'server:check': () => ({ kind: 'bad_url', message }),
    });
    const field = page.getByLabel(URL_FIELD);
    await page.getByRole('button', { name: 'Add and log in' }).click();
    await page.getByText('Enter the URL of your MCP server.', { exact: true }).waitFor();
    expect(await field.getAttribute('aria-invalid')).toBe('true');
    expect(await field.evaluate((it) => it.matches(':focus'))).toBe(true);
    await field.fill('ftp://mcp.craft.do');
    expect(await field.getAttribute('aria-invalid')).toBe(null);
    await page.getByRole('button', { name: 'Add and log in' }).click();
    await page.locator('.fault', { hasText: message }).waitFor();
    const described = await field.getAttribute('aria-describedby');
    expect(await page.locator(`[id="${described}"]`).textContent()).toBe(message);
  });

  it('adds without a look when there is no answer to one', async () => {
    const { page, next } = await open({
      'app:view': () => none,
      'server:check': () => {
        throw new Error('closed');
      },
    });
    await page.getByLabel(URL_FIELD).fill('https://mcp.craft.do');
    await page.getByText('This URL could not be looked at.').waitFor();
    await page.keyboard.press('Enter');
    await next('server:add');
  });
});

describePage('the form of a server', (open) => {
  it('adds one more, with more options', async () => {
    const { page, next } = await open();
    await page.getByRole('button', { name: 'Add server' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add a server' });
    await dialog.getByLabel(URL_FIELD).fill('https://mcp.example.com');
    await dialog.getByText('More options').click();
    await dialog.getByLabel('Name').fill('Mine');
    await dialog.getByLabel('Local port').fill('6000');
    await dialog.getByLabel('Client ID').fill('me');
    await dialog.getByLabel('Client secret').fill('hush');
    expect(await dialog.getByLabel('Client secret').getAttribute('type')).toBe('password');
    await dialog.getByLabel('Probe path').fill('/probe');
    await dialog.getByRole('button', { name: 'Add and log in' }).click();
    expect(await next('server:add')).toMatchObject({
      name: 'Mine',
      upstreamMcpUrl: 'https://mcp.example.com',
      port: '6000',
      clientId: 'me',
      clientSecret: { value: 'hush' },
      probePath: '/probe',
    });
    await dialog.waitFor({ state: 'detached' });
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Add server');
  });

  it('shows faults at their fields, opens what hides them, and goes to the first', async () => {
    const { page, next } = await open({
      'server:add': () => ({
        ok: false,
        faults: {
          issuer: 'The issuer must use https.',
          port: 'Port 80 is taken.',
          '': 'It is there already.',
        },
      }),
    });
    await page.getByRole('button', { name: 'Add server' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel(URL_FIELD).fill('https://mcp.example.com');
    await page.keyboard.press('Enter');
    await next('server:add');
    const port = dialog.getByLabel('Local port');
    await dialog.getByText('Port 80 is taken.').waitFor();
    expect(await port.evaluate((it) => it.matches(':focus'))).toBe(true);
    const described = (await port.getAttribute('aria-describedby'))?.split(' ') ?? [];
    const said = await Promise.all(described.map((id) => page.locator(`[id="${id}"]`).textContent()));
    expect(said).toContain('Port 80 is taken.');
    expect(await dialog.getByLabel('Issuer').getAttribute('aria-invalid')).toBe('true');
    await dialog.getByRole('alert').getByText('It is there already.').waitFor();

    await page.keyboard.type('8');
    await dialog.getByText('Port 80 is taken.').waitFor({ state: 'detached' });
    expect(await port.evaluate((it) => it.matches(':focus'))).toBe(true);
    await dialog.getByText('The issuer must use https.').waitFor();
  });

  it('edits a server, and never shows its client secret', async () => {
    const { page, next, asked } = await open({ 'server:form': () => form });
    await page.getByRole('button', { name: 'Edit: Craft' }).click();
    expect(await next('server:form')).toEqual({ id: 'craft' });
    const dialog = page.getByRole('dialog', { name: 'Edit Craft' });
    await dialog.getByText('Stored, and never shown.').waitFor();
    expect(await dialog.getByLabel('Client secret', { exact: true }).inputValue()).toBe('');
    expect(await dialog.getByLabel('Local port').inputValue()).toBe('5177');
    await dialog.getByLabel('Name').fill('Craft at work');
    await dialog.getByRole('button', { name: 'Save' }).click();
    const { id, input } = await next('server:change');
    expect(id).toBe('craft');
    expect(input).toMatchObject({ name: 'Craft at work', clientId: 'my-client', clientSecret: 'keep' });
    await dialog.waitFor({ state: 'detached' });
    expect(asked.some(({ channel }) => channel === 'server:check')).toBe(false);
  });

  it('removes a stored client secret when asked to', async () => {
    const { page, next } = await open({ 'server:form': () => form });
    await page.getByRole('button', { name: 'Edit: Craft' }).click();
    await page.getByLabel('Remove the stored client secret').check();
    expect(await page.getByLabel('Client secret', { exact: true }).isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Save' }).click();
    expect((await next('server:change')).input.clientSecret).toEqual({ value: '' });
  });

  it('is left by Escape, and the focus goes back', async () => {
    const { page, asked } = await open({ 'server:form': () => form });
    await page.getByRole('button', { name: 'Edit: Craft' }).click();
    await page.getByRole('button', { name: 'Save' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Edit');
    expect(asked.some(({ channel }) => channel === 'server:change')).toBe(false);
  });

  it('says that the server has gone', async () => {
    const { page } = await open();
    await page.getByRole('button', { name: 'Edit: Craft' }).click();
    await page.getByRole('dialog').getByText('This server is not there any more.').waitFor();
  });

  it('keeps what was typed when there is no answer, and says so in the dialog', async () => {
    const { page } = await open({
      'app:view': () => view({ servers: [server()] }),
      'server:form': () => form,
      'server:change': () => {
        throw new Error('Something went wrong; look at the log.');
      },
    });
    await page.getByRole('button', { name: 'Edit: Craft' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Mine');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('alert').getByText('Something went wrong; look at the log.').waitFor();
    expect(await dialog.getByLabel('Name').inputValue()).toBe('Mine');
    expect(await dialog.getByRole('button', { name: 'Save' }).getAttribute('aria-disabled')).toBe('false');
  });
});
