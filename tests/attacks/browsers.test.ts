import type { Browser } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import { givenBroker } from '../support/broker.ts';
import { givenPage, launchBrowser, missingBrowser } from '../support/browser.ts';
import { givenScriptedServer } from '../support/scripted-server.ts';
import {
  givenScriptedUpstream,
  portOf,
  requestText,
  type ScriptedUpstream,
  sendRaw,
} from '../support/wire.ts';

const missing = missingBrowser();
if (missing !== undefined)
  process.stderr.write(`Attacks by web pages are not tried in a browser. ${missing}\n`);

/** A page of the upstream, or of whoever can put one there, that does what it likes where its scripts run. */
const HOSTILE_PAGE = `<!doctype html><title>Before</title><h1>Hello</h1>
<meta http-equiv="refresh" content="0; url=/oauth/logout">
<form id="form" method="post" action="/oauth/logout"></form>
<script>
  document.title = 'It ran';
  fetch('/oauth/logout', { method: 'POST' });
  navigator.serviceWorker?.register('/mcp/worker.js', { scope: '/' });
  document.getElementById('form').submit();
</script><img src="x" onerror="document.title = 'It ran'">`;

async function givenHostileUpstream(): Promise<{ upstream: ScriptedUpstream; broker: Broker }> {
  const upstream = await givenScriptedUpstream((_request, response) => {
    response.writeHead(200, {
      'content-type': 'text/html',
      'service-worker-allowed': '/',
      'content-security-policy': "default-src * 'unsafe-inline'",
      'access-control-allow-origin': '*',
    });
    response.end(HOSTILE_PAGE);
  });
  const { broker } = await givenBroker(`${upstream.origin}/mcp`);
  return { upstream, broker };
}

/** Tries every way a web page has to make a request elsewhere, and says so in the title when all have ended. */
const hostileSite = (target: string) => `<!doctype html><body><script>
  const target = ${JSON.stringify(target)};
  const element = (name, attributes) => new Promise((resolve) => {
    const made = Object.assign(document.createElement(name), { onload: resolve, onerror: resolve }, attributes);
    document.body.append(made);
  });
  const posted = async () => {
    const loaded = element('iframe', { name: 'posted' });
    await loaded;
    const again = new Promise((resolve) => { document.querySelector('iframe[name=posted]').onload = resolve; });
    const form = Object.assign(document.createElement('form'), { method: 'post', action: target + '/form', target: 'posted', enctype: 'text/plain' });
    document.body.append(form);
    form.submit();
    await again;
  };
  const socket = () => new Promise((resolve) => {
    new WebSocket(target.replace('http', 'ws') + '/socket').onclose = resolve;
  });
  const events = () => new Promise((resolve) => { new EventSource(target + '/events').onerror = resolve; });
  const ask = (path, options) => fetch(target + path, options).catch(() => undefined);
  Promise.all([
    element('img', { src: target + '/image' }),
    element('script', { src: target + '/script' }),
    element('iframe', { src: target + '/frame' }),
    element('link', { rel: 'stylesheet', href: target + '/style' }),
    element('link', { rel: 'preload', as: 'fetch', href: target + '/preload' }),
    element('video', { src: target + '/video' }),
    element('object', { data: target + '/object' }),
    ask('/no-cors', { mode: 'no-cors' }),
    ask('/no-referrer', { mode: 'no-cors', referrerPolicy: 'no-referrer' }),
    ask('/post', { mode: 'no-cors', method: 'POST', body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' }),
    ask('/cors', { headers: { 'mcp-session-id': '1' } }),
    posted(),
    socket(),
    events(),
  ]).then(() => { document.title = 'tried'; });
</script>`;

describe.runIf(missing === undefined)('in a real browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  it.each([
    ['another site', 'localhost'],
    ['another port of this machine', '127.0.0.1'],
  ])('%s cannot have anything asked of the upstream', async (_, hostname) => {
    const { upstream, broker } = await givenHostileUpstream();
    const html = { 'content-type': 'text/html' };
    const site = await givenScriptedServer({ '/': { text: hostileSite(broker.mcpUrl), headers: html } });
    const { page } = await givenPage(browser);
    await page.goto(`http://${hostname}:${site.port}/`);
    await page.waitForFunction(`document.title === 'tried'`);
    expect(upstream.requests.entries).toEqual([]);
  });

  it('a link of another site does not open what the upstream has at an address', async () => {
    const { upstream, broker } = await givenHostileUpstream();
    const html = { 'content-type': 'text/html' };
    const link = `<a href="${broker.mcpUrl}/page">See</a>`;
    const site = await givenScriptedServer({ '/': { text: link, headers: html } });
    const { page } = await givenPage(browser);
    await page.goto(`http://localhost:${site.port}/`);
    const [answer] = await Promise.all([page.waitForResponse(`${broker.mcpUrl}/page`), page.click('a')]);
    expect([answer.status(), (await answer.json()).error]).toEqual([403, 'cross_site']);
    expect(upstream.requests.entries.map(({ url }) => url)).not.toContain('/mcp/page');
  });

  it('a page of the upstream is shown, and nothing in it runs', async () => {
    const { upstream, broker } = await givenHostileUpstream();
    const { page } = await givenPage(browser);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await page.goto(`${broker.mcpUrl}/page`, { waitUntil: 'load' });
    expect(await page.textContent('h1')).toBe('Hello');
    expect(await page.title()).toBe('Before');
    expect(asked.filter((path) => !/^\/mcp\/(?:page|x)$/.test(path) && path !== '/favicon.ico')).toEqual([]);
    expect(upstream.requests.entries.map(({ url }) => url)).not.toContain('/mcp/worker.js');
  });
});

describe('what a browser asks for', () => {
  const ask = async (...lines: string[]) => {
    const { upstream, broker } = await givenHostileUpstream();
    const answer = await sendRaw(portOf(broker.localUrl), requestText(broker, ...lines, 'Connection: close'));
    return { ...answer, calls: upstream.requests.entries.length };
  };

  it.each([
    ['to show it', ['Sec-Fetch-Site: none', 'Sec-Fetch-Dest: document']],
    ['for a frame', ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Dest: iframe']],
    ['as a worker', ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Dest: serviceworker']],
    ['to show it, by an older browser', ['Accept: text/html,application/xhtml+xml,*/*;q=0.8']],
  ])('comes in a sandbox beside the policy of the upstream: %s', async (_, lines) => {
    const answer = await ask('GET /mcp HTTP/1.1', ...lines);
    expect(answer.values('content-security-policy')).toEqual(["default-src * 'unsafe-inline'", 'sandbox']);
  });

  it.each([
    ['by a script', ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Dest: empty', 'Accept: */*']],
    ['by an MCP client', ['Accept: application/json, text/event-stream']],
  ])('comes as it is: %s', async (_, lines) => {
    const answer = await ask('GET /mcp HTTP/1.1', ...lines);
    expect(answer.values('content-security-policy')).toEqual(["default-src * 'unsafe-inline'"]);
  });

  it.each(['cross-site', 'same-site', 'none-such'])(
    'is refused for another site without an origin: %s',
    async (site) => {
      const answer = await ask('GET /mcp HTTP/1.1', `Sec-Fetch-Site: ${site}`);
      expect([answer.status, JSON.parse(answer.rest).error, answer.calls]).toEqual([403, 'cross_site', 0]);
    },
  );

  it('passes for another site whose origin is allowed', async () => {
    const { upstream, broker } = await givenHostileUpstream();
    const { broker: open } = await givenBroker(`${upstream.origin}/mcp`, {
      ALLOWED_ORIGINS: 'https://app.example',
    });
    const lines = ['Sec-Fetch-Site: cross-site', 'Origin: https://app.example', 'Connection: close'];
    const send = (to: Broker) =>
      sendRaw(portOf(to.localUrl), requestText(to, 'POST /mcp HTTP/1.1', 'Content-Length: 0', ...lines));
    expect((await send(open)).status).toBe(200);
    expect((await send(broker)).status).toBe(403);
  });
});
