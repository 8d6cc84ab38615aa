import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import path from 'node:path';
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Broker } from '../../app/broker.ts';
import { givenBroker, givenFolder } from '../support/broker.ts';
import { givenPage, launchBrowser, missingBrowser } from '../support/browser.ts';
import { makeAuthority } from '../support/certificates.ts';
import { givenClock } from '../support/login.ts';
import {
  givenScriptedAuthorizationServer,
  givenScriptedMcpServer,
  type ScriptedAuthorizationServer,
} from '../support/scripted-authorization.ts';
import {
  givenScriptedServer,
  listenUntilTestEnds,
  type ScriptedAnswer,
  scriptedListener,
} from '../support/scripted-server.ts';

const missing = missingBrowser();
if (missing !== undefined)
  process.stderr.write(`Failures of a login are not tested in a browser. ${missing}\n`);

/** Where pictures of the pages go, for people who want to look at them. */
const PICTURES = process.env.SCREENSHOTS;
const REGISTRATION_SECRET = 'cs-4Tq9Zm2Xb7';
const CODE = 'co-6Jf1XrD0vGq7';
/** A key that the operator gave the person, in the upstream's URL. */
const URL_KEY = 'uk5Vb2Qz8Ld1';

/** A failure that people will meet: what is wrong, and what the page says. */
interface Failure {
  /** Starts what is wrong and returns the upstream's URL. */
  readonly given: () => Promise<string>;
  readonly environment?: NodeJS.ProcessEnv;
  readonly status: number;
  readonly code: string;
  readonly cause: RegExp;
  readonly cure: RegExp;
}

/** An upstream that answers by a script, and 404 to everything else. */
const upstream = (script: Record<string, ScriptedAnswer>) => async () =>
  `${(await givenScriptedServer(script)).origin}/mcp?key=${URL_KEY}`;

/** A sound upstream, but for what is changed at its authorization server. */
const behind = (change: (server: ScriptedAuthorizationServer) => void) => async () => {
  const server = await givenScriptedAuthorizationServer();
  server.script['/authorize'] = goingBack({ code: CODE });
  change(server);
  return (await givenScriptedMcpServer(server.issuer)).mcpUrl;
};

/** An authorization endpoint that sends the browser straight back with an answer. */
function goingBack(
  answer: Readonly<Record<string, string>>,
  first = () => undefined as unknown,
): ScriptedAnswer {
  return ({ url }, response) => {
    first();
    const { searchParams } = new URL(url, 'http://127.0.0.1');
    const callback = new URL(searchParams.get('redirect_uri') ?? '');
    callback.search = new URLSearchParams({ state: searchParams.get('state') ?? '', ...answer }).toString();
    response.writeHead(302, { location: callback.href }).end();
  };
}

async function closedPort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const FAILURES: Readonly<Record<string, Failure>> = {
  'a URL that is not there': {
    given: upstream({}),
    status: 502,
    code: 'discovery_failed',
    cause: /answered HTTP 404/,
    cure: /UPSTREAM_MCP_URL/,
  },
  'a host that refuses connections': {
    given: async () => `http://127.0.0.1:${await closedPort()}/mcp`,
    status: 502,
    code: 'upstream_unreachable',
    cause: /cannot be reached/,
    cure: /UPSTREAM_MCP_URL/,
  },
  'no metadata and a refusal without a challenge': {
    given: upstream({ '/mcp': 403 }),
    status: 502,
    code: 'discovery_failed',
    cause: /answered HTTP 403/,
    cure: /PROBE_PATH/,
  },
  'a 401 without metadata, and endpoints that do not exist': {
    given: upstream({ '/mcp': { status: 401, text: '', headers: { 'www-authenticate': 'Bearer' } } }),
    status: 502,
    code: 'registration_failed',
    cause: /404/,
    cure: /AUTHORIZATION_ENDPOINT/,
  },
  'metadata that is a web page': {
    given: upstream({
      '/mcp': 401,
      '/.well-known/oauth-protected-resource/mcp': { text: '<!doctype html><title>App</title>' },
    }),
    status: 502,
    code: 'discovery_failed',
    cause: /not a JSON document/,
    cure: /AUTHORIZATION_ENDPOINT/,
  },
  'a closed registration': {
    given: behind(({ metadata }) => delete metadata.registration_endpoint),
    status: 502,
    code: 'registration_failed',
    cause: /does not let clients register themselves/,
    cure: /CLIENT_ID/,
  },
  'a registration refused for the redirect URI': {
    given: behind(({ script }) => {
      const json = { error: 'invalid_redirect_uri', error_description: 'loopback is not allowed' };
      script['POST /register'] = { status: 400, json };
    }),
    status: 502,
    code: 'registration_failed',
    cause:
      /does not accept the redirect URI http:\/\/127\.0\.0\.1:\d+\/oauth\/callback.*loopback is not allowed/,
    cure: /PUBLIC_BASE_URL/,
  },
  'PKCE that is not advertised': {
    given: behind(({ metadata }) => delete metadata.code_challenge_methods_supported),
    status: 502,
    code: 'pkce_unsupported',
    cause: /PKCE/,
    cure: /REQUIRE_PKCE_METADATA=false/,
  },
  'a person who says no': {
    given: behind(({ script }) => {
      script['/authorize'] = goingBack({
        error: 'access_denied',
        error_description: `no (${CODE})`,
        code: CODE,
      });
    }),
    status: 400,
    code: 'authorization_refused',
    cause: /denied/,
    cure: /start the login again/,
  },
  'an identity provider in trouble': {
    given: behind(({ script }) => {
      script['/authorize'] = goingBack({ error: 'server_error', error_description: 'try later' });
    }),
    status: 502,
    code: 'authorization_refused',
    cause: /server_error.*try later/,
    cure: /again in a moment/,
  },
  'an answer of another issuer': {
    given: behind(({ script }) => {
      script['/authorize'] = goingBack({ code: CODE, iss: 'https://other.example' });
    }),
    status: 400,
    code: 'invalid_callback',
    cause: /another issuer \(https:\/\/other\.example\)/,
    cure: /tell the operator/,
  },
  'a token endpoint that fails': {
    given: behind(({ script }) => {
      script['POST /token'] = {
        status: 500,
        json: { error: 'server_error', access_token: 'at-7Qm2ZkV9pLx4' },
      };
    }),
    status: 502,
    code: 'token_request_failed',
    cause: /HTTP 500/,
    cure: /again in a moment/,
  },
  'a token endpoint that repeats what it was sent': {
    given: behind(({ script }) => {
      script['POST /token'] = ({ body }, response) => {
        const said = { error: 'invalid_grant', error_description: decodeURIComponent(body) };
        response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(said));
      };
    }),
    environment: { CLIENT_ID: 'client-1', CLIENT_SECRET: REGISTRATION_SECRET },
    status: 400,
    code: 'token_request_failed',
    cause: /invalid_grant/,
    cure: /Start the login again/,
  },
};

/** Asserts on all places where a failure is told; returns what they hold in common. */
async function expectTold(
  { broker, log }: Awaited<ReturnType<typeof givenBroker>>,
  page: Page,
  { code, cause, cure }: Pick<Failure, 'code' | 'cause' | 'cure'>,
): Promise<void> {
  const text = (await page.textContent('main')) ?? '';
  expect(text).toMatch(cause);
  expect(text).toMatch(cure);
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('The login did not work');
  const again = await page.getByRole('link', { name: 'Try again' }).getAttribute('href');
  expect(new URL(again ?? '', broker.localUrl).href).toBe(broker.loginUrl);

  const status = await (await fetch(`${broker.localUrl}/oauth/status`)).text();
  const { last_error: told } = JSON.parse(status) as { last_error: Record<string, string> };
  expect(told.code).toBe(code);
  expect(told.message).toMatch(cause);
  expect(told.cure).toMatch(cure);
  expect(text).toContain(told.message);
  expect(text).toContain(told.cure);

  const warnings = log.entries.filter(({ level }) => level === 'warn' || level === 'error');
  expect(warnings).toEqual([
    { level: 'warn', event: 'Login failed', details: { code, reason: told.message, cure: told.cure } },
  ]);
  const secrets = [CODE, REGISTRATION_SECRET, URL_KEY, 'at-7Qm2ZkV9pLx4', 'as-secret-'];
  const all = [text, status, log.text].join('\n');
  expect(secrets.filter((secret) => all.includes(secret))).toEqual([]);
  expect(all).not.toMatch(/\n\s+at |node:internal|code_verifier=[\w-]{20}/);
}

describe.runIf(missing === undefined)('a login that fails, in a real browser', () => {
  let browser: Browser;
  let pictures = 0;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  async function picture(page: Page, name: string): Promise<void> {
    if (PICTURES === undefined) return;
    await mkdir(PICTURES, { recursive: true });
    const file = `failure-${String(++pictures).padStart(2, '0')}-${name.replace(/\W+/g, '-')}.png`;
    await page.screenshot({ path: path.join(PICTURES, file), fullPage: true });
  }

  /** Opens the login page, goes where it leads, and returns what the last answer was. */
  async function open(broker: Broker, name: string) {
    const { page, faults } = await givenPage(browser, { viewport: { width: 900, height: 600 } });
    const response = await page.goto(broker.loginUrl);
    await picture(page, name);
    // The browser itself reports the status.
    const own = faults.filter((fault) => !fault.startsWith('Failed to load resource'));
    expect(own).toEqual([]);
    return { page, status: response?.status() };
  }

  it.each(Object.entries(FAILURES))('says what is wrong and what to do: %s', async (name, failure) => {
    const running = await givenBroker(await failure.given(), failure.environment);
    const { page, status } = await open(running.broker, name);
    expect(status).toBe(failure.status);
    await expectTold(running, page, failure);
  });

  it('names EXTRA_CA_CERTS for a certificate that is not trusted, and works with it', async () => {
    const { caFile, server } = await makeAuthority(await givenFolder());
    const script: Record<string, ScriptedAnswer> = { '/mcp': 401 };
    const port = await listenUntilTestEnds(createServer(server, scriptedListener(script)));
    const origin = `https://127.0.0.1:${port}`;
    script['/.well-known/oauth-authorization-server'] = {
      json: {
        issuer: origin,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        registration_endpoint: `${origin}/register`,
      },
    };
    script['POST /register'] = { status: 201, json: { client_id: 'client-1' } };

    const running = await givenBroker(`${origin}/mcp`);
    const { page, status } = await open(running.broker, 'certificate');
    expect(status).toBe(502);
    const cause = /certificate of 127\.0\.0\.1:\d+ is not trusted/;
    await expectTold(running, page, { code: 'upstream_unreachable', cause, cure: /EXTRA_CA_CERTS/ });

    const { broker } = await givenBroker(`${origin}/mcp`, { EXTRA_CA_CERTS: caFile });
    expect((await broker.login()).origin).toBe(origin);
  });

  it('says that a login took too long, on the page alone: anybody can open such a URL', async () => {
    const clock = givenClock();
    const late = goingBack({ code: CODE }, () => clock.advance(601));
    const { broker, log } = await givenBroker(
      await behind(({ script }) => {
        script['/authorize'] = late;
      })(),
    );
    const { page, status } = await open(broker, 'late');
    expect(status).toBe(400);
    const text = await page.textContent('main');
    expect(text).toContain('older than 10 minutes');
    expect(text).toContain('Start the login again.');
    expect((await broker.status()).last_error).toBeUndefined();
    expect(log.entries.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
    expect(log.text).not.toContain(CODE);
  });

  it('says that no login is needed where the server is open', async () => {
    const { broker, log } = await givenBroker(await upstream({ '/mcp': { json: {} } })());
    const { page, status } = await open(broker, 'open server');
    expect(status).toBe(200);
    expect(await page.textContent('main')).toMatch(/no login/i);
    expect(log.text).not.toContain(URL_KEY);
  });
});
