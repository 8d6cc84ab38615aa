import { describe, expect, it } from 'vitest';
import {
  MAX_AUTHORIZATION_ANSWER_BYTES,
  MAX_AUTHORIZATION_URL_LENGTH,
  MAX_SERVERS,
} from '../../app/limits.ts';
import { givenBroker } from '../support/broker.ts';
import {
  comeBack,
  givenScriptedAuthorizationServer,
  givenScriptedMcpServer,
  leaveForLogin,
  openPage,
} from '../support/scripted-authorization.ts';
import type { ScriptedAnswer } from '../support/scripted-server.ts';

const HTML = `"'><script>alert(1)</script>`;
const JSON_TYPE = { 'content-type': 'application/json' };
const text = (body: string): ScriptedAnswer => ({ text: body, headers: JSON_TYPE });
const json = (document: unknown): ScriptedAnswer => text(JSON.stringify(document));

async function givenAll() {
  const as = await givenScriptedAuthorizationServer();
  const mcp = await givenScriptedMcpServer(as.issuer);
  return { as, mcp, ...(await givenBroker(mcp.mcpUrl)) };
}

/** Documents that are not what they should be, whatever they are to describe. */
const DAMAGED: ReadonlyArray<readonly [string, ScriptedAnswer]> = [
  ['nothing', text('')],
  ['null', text('null')],
  ['a list', text('[]')],
  ['a text', text(JSON.stringify(HTML))],
  ['half a document', text('{"issuer":"https://as.example","resource":')],
  ['lists in lists, 100,000 deep', text(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
  ['a page', { text: `<!doctype html>${HTML}`, headers: { 'content-type': 'text/html' } }],
  ['bytes that are no UTF-8', text('{"resource":"\ufffd\ufffd"}')],
  ['a document beyond the limit', text(`{"x":"${'x'.repeat(MAX_AUTHORIZATION_ANSWER_BYTES)}"}`)],
  [
    'members of every object',
    text(`{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}`),
  ],
  ['numbers for texts', json({ resource: 1, issuer: 2, authorization_servers: [3], token_endpoint: {} })],
];

describe('a hostile document', () => {
  it.each([
    ['protected resource metadata', '/.well-known/oauth-protected-resource/mcp'],
    ['authorization server metadata', '/.well-known/oauth-authorization-server'],
    ['a registration', 'POST /register'],
  ])('for %s ends the login with a page that says why, and nothing of it takes effect', async (_, path) => {
    for (const [, answer] of DAMAGED) {
      const { as, mcp, broker, log } = await givenAll();
      (path.includes('protected') ? mcp : as).script[path] = answer;
      const { status, location, page } = await openPage(broker.loginUrl);
      expect([status, location]).toEqual([502, null]);
      expect(page).not.toContain('<script');
      expect(page.length).toBeLessThan(50_000);
      expect(log.text.length).toBeLessThan(20_000);
      expect(as.tokenRequests()).toEqual([]);
      expect({}).not.toHaveProperty('polluted');
      expect((await broker.status()).last_error?.message.length).toBeLessThan(1_000);
    }
  });

  it('for tokens ends the login with a page that says why, and the next one works', async () => {
    for (const [, answer] of DAMAGED) {
      const { as, broker } = await givenAll();
      const proper = as.script['POST /token'];
      as.script['POST /token'] = answer;
      const { status, page } = await comeBack(await leaveForLogin(broker), { code: 'the-code' });
      expect(status).toBeGreaterThanOrEqual(400);
      expect(page).not.toMatch(/<script|the-code/);
      as.script['POST /token'] = proper ?? 500;
      expect((await comeBack(await leaveForLogin(broker), { code: 'the-code' })).status).toBe(200);
    }
  });
});

describe('protected resource metadata', () => {
  it.each([
    ['texts with HTML', [HTML, `https://${HTML}/`]],
    [
      'other schemes',
      ['javascript:alert(1)', 'file:///etc/passwd', 'data:application/json,{}', 'ftp://as.example/'],
    ],
    ['addresses with credentials', ['https://user:word@as.example/']],
    ['addresses with a query or fragment', ['https://127.0.0.1:9/?a=b', 'https://127.0.0.1:9/#x']],
    ['10,000 servers', Array.from({ length: 10_000 }, (_, n) => `http://127.0.0.1:9/${n}`)],
  ])('that names %s asks nobody else, and few of them', async (_, servers) => {
    const { mcp, as, broker } = await givenAll();
    mcp.metadata.authorization_servers = servers;
    const { status, location, page } = await openPage(broker.loginUrl);
    expect([status, location]).toEqual([502, null]);
    expect(page).not.toContain('<script');
    expect(as.asked).toEqual([]);
    const asked = (await broker.status()).discovery.requests.filter(({ url }) => url.includes(':9/'));
    expect(asked.length).toBeLessThanOrEqual(3 * MAX_SERVERS);
  });
});

describe('authorization server metadata', () => {
  it('cannot have our parameters replaced by those of its endpoint', async () => {
    const { as, broker } = await givenAll();
    const theirs = new URLSearchParams({
      redirect_uri: 'https://evil.example/',
      state: 'evil',
      code_challenge: 'evil',
      code_challenge_method: 'plain',
      response_type: 'token',
      resource: 'https://evil.example/',
      client_id: 'evil',
      theirs: 'stays',
    });
    theirs.append('state', 'evil again');
    as.metadata.authorization_endpoint = `${as.origin}/authorize?${theirs}`;
    const { searchParams } = await leaveForLogin(broker);
    expect([...searchParams.values()].filter((value) => value.includes('evil'))).toEqual([]);
    for (const name of theirs.keys()) expect(searchParams.getAll(name)).toHaveLength(1);
    expect(searchParams.get('code_challenge_method')).toBe('S256');
    expect(searchParams.get('theirs')).toBe('stays');
  });

  it.each([
    ['line ends and HTML', [`a\r\nSet-Cookie: a=b`, HTML, 'tools']],
    ['10,000 scopes', Array.from({ length: 10_000 }, (_, n) => `scope-${n}`)],
  ])('with %s for scopes begins no header and no markup of its own', async (_, scopes) => {
    const { as, mcp, broker } = await givenAll();
    mcp.metadata.scopes_supported = scopes;
    as.metadata.scopes_supported = scopes;
    const response = await fetch(broker.loginUrl, { redirect: 'manual', headers: { accept: 'text/html' } });
    expect(response.status).toBe(scopes.length > 1_000 ? 502 : 302);
    expect(response.headers.get('set-cookie')).toBeNull();
    expect(await response.text()).not.toContain('<script');
  });

  it.each([
    ['a line end', `client\r\nSet-Cookie: a=b`],
    ['HTML', HTML],
    ['a letter that turns the direction', '\u202eevil'],
    ['the length of a book', 'c'.repeat(100_000)],
  ])(
    'whose registration gives out a client ID with %s has it sent as one parameter, or not at all',
    async (_, id) => {
      const { as, broker } = await givenAll();
      as.script['POST /register'] = { json: { client_id: id }, status: 201 };
      const { status, location, page } = await openPage(broker.loginUrl);
      expect(page).not.toContain('<script');
      expect([location && new URL(location).searchParams.get('client_id'), status]).toEqual(
        id.length > MAX_AUTHORIZATION_URL_LENGTH ? [null, 502] : [id, 302],
      );
    },
  );
});

describe('a challenge', () => {
  it.each([
    [
      'another origin’s metadata with a private address',
      'Bearer resource_metadata="https://169.254.169.254/latest"',
    ],
    ['metadata by another scheme', 'Bearer resource_metadata="file:///etc/passwd"'],
    ['thousands of parameters', `Bearer ${'a=b, '.repeat(2_500)}scope="x"`],
    ['HTML for a scope', `Bearer scope="${'<script>'.repeat(100)}", error="insufficient_scope"`],
  ])('that names %s shows nothing of it to the caller', async (_, challenge) => {
    const { mcp, broker } = await givenAll();
    mcp.script['/mcp'] = (_request, response) =>
      void response.writeHead(403, { 'www-authenticate': challenge }).end();
    const response = await fetch(broker.mcpUrl, {
      method: 'POST',
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
    });
    const body = await response.text();
    expect(body.length).toBeLessThan(2_000);
    expect(body).not.toMatch(/169\.254|passwd|<script>.*<script>.*<script>.*<script>/);
  });
});
