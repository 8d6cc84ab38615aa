import { expect, it } from 'vitest';
import { describePage } from '../status-page.ts';
import { call, server, view } from '../views.ts';

const fragment = '#activity';

describePage('the activity in the window', (open) => {
  it('is empty before there is a call, and shows each as it comes', async () => {
    const { page, tell } = await open({}, { fragment });
    await page.getByText('No calls yet').waitFor();
    await tell('calls:new', call({ rpc: 'initialize', durationMs: 1_240 }));
    const row = page.getByRole('row', { name: /initialize/ });
    await row.waitFor();
    const cells = await row.getByRole('cell').allInnerTexts();
    expect(cells.slice(1).map((text) => text.replaceAll(/\s+/g, ' ').trim())).toEqual([
      'Craft',
      'initialize',
      'Went through: 200',
      '1.24 s',
    ]);
  });

  it('shows the newest call first, and each once', async () => {
    const recent = [call({ number: 1, rpc: 'one' }), call({ number: 2, rpc: 'two' })];
    const { page, tell } = await open({ 'calls:recent': () => recent }, { fragment });
    await page.getByText('two').waitFor();
    await tell('calls:new', call({ number: 2, rpc: 'two' }));
    await tell('calls:new', call({ number: 3, rpc: 'three' }));
    await page.getByText('three').waitFor();
    expect(await page.locator('tbody code').allInnerTexts()).toEqual(['three', 'two', 'one']);
  });

  it('keeps the order when a call is told of before the first answer', async () => {
    let answer = (_calls: ReturnType<typeof call>[]) => {};
    const { page, next, tell } = await open(
      { 'calls:recent': () => new Promise((resolve) => (answer = resolve)) },
      { fragment },
    );
    await next('calls:recent');
    await tell('calls:new', call({ number: 3, rpc: 'three' }));
    await page.getByText('three').waitFor();
    answer([call({ number: 1, rpc: 'one' }), call({ number: 2, rpc: 'two' })]);
    await page.getByText('one').waitFor();
    expect(await page.locator('tbody code').allInnerTexts()).toEqual(['three', 'two', 'one']);
  });

  it.each([
    [{ status: 200, refusal: 'not_authenticated' }, 'Refused: 200 not_authenticated'],
    [{ status: 503, refusal: undefined }, 'Failed: 503'],
    [{ status: undefined, refusal: undefined }, 'Failed: caller left'],
    [{ status: 202, refusal: undefined }, 'Went through: 202'],
  ])('says what became of a call (%j)', async (changes, result) => {
    const { page } = await open({ 'calls:recent': () => [call(changes)] }, { fragment });
    const cell = page.locator('td.result');
    await cell.waitFor();
    expect(await cell.textContent()).toBe(result);
    expect(await cell.locator('svg').count()).toBe(1);
  });

  it('names the HTTP method where there is no other, and servers that have gone', async () => {
    const { page } = await open(
      { 'calls:recent': () => [call({ serverId: 'gone', method: 'GET', rpc: undefined })] },
      { fragment },
    );
    await page.getByRole('cell', { name: 'GET' }).waitFor();
    await page.getByRole('cell', { name: 'removed' }).waitFor();
  });

  it('keeps the last 200 calls', async () => {
    const recent = Array.from({ length: 200 }, (_, number) => call({ number, rpc: `call-${number}` }));
    const { page, tell } = await open({ 'calls:recent': () => recent }, { fragment });
    await page.getByText('call-199').waitFor();
    await tell('calls:new', call({ number: 200, rpc: 'call-200' }));
    await page.getByText('call-200').waitFor();
    const rows = await page.locator('tbody code').allInnerTexts();
    expect([rows.length, rows.at(-1)]).toEqual([200, 'call-1']);
  });

  it.each([480, 760])('fits into a window of %d pixels, whatever the names', async (width) => {
    const long = 'x'.repeat(300);
    const { page } = await open(
      {
        'app:view': () => view({ servers: [server({ name: long })] }),
        'calls:recent': () => [call({ rpc: long, refusal: 'upstream_unreachable', status: 502 })],
      },
      { fragment, viewport: { width, height: 560 } },
    );
    await page.locator('tbody').waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
  });
});
