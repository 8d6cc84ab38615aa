import { describe, expect, it } from 'vitest';
import type { BearerChallenge } from '../../../app/oauth/challenge.ts';
import {
  canonicalResource,
  type Discovery,
  type DiscoveryInput,
  type DiscoveryStep,
  discover,
  discoverServer,
} from '../../../app/oauth/discovery.ts';
import { LoginFailure } from '../../../app/oauth/errors.ts';
import { givenHttpClient } from '../../support/http-client.ts';
import { givenScriptedServer, type ScriptedServer } from '../../support/scripted-server.ts';

const PRM = '/.well-known/oauth-protected-resource';
const ASM = '/.well-known/oauth-authorization-server';
const OIDC = '/.well-known/openid-configuration';
const PROBES = ['POST /mcp', 'GET /mcp'];

interface Run {
  readonly result: Discovery | undefined;
  readonly failure: LoginFailure | undefined;
  readonly steps: readonly DiscoveryStep[];
}

/** Runs a discovery over real sockets. */
async function run(
  upstreamMcpUrl: string,
  input: Partial<DiscoveryInput> = {},
  limits: { answerTimeoutMs?: number } = {},
): Promise<Run> {
  const http = givenHttpClient({ upstreamMcpUrl }, limits);
  const steps: DiscoveryStep[] = [];
  const onStep = (step: DiscoveryStep) => {
    steps.push(step);
  };
  const all = {
    upstreamMcpUrl,
    requirePkceMetadata: true,
    challenge: undefined,
    request: http.request,
    onStep,
    ...input,
  };
  return discover(all).then(
    (result) => ({ result, failure: undefined, steps }),
    (failure: unknown) => {
      if (!(failure instanceof LoginFailure)) throw failure;
      return { result: undefined, failure, steps };
    },
  );
}

const challenge = (value: string) => (_: unknown, response: import('node:http').ServerResponse) =>
  void response.writeHead(401, { 'www-authenticate': value }).end('{}');

/** Metadata of an authorization server at an issuer. */
const serverAt = (issuer: string, more: object = {}) => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  code_challenge_methods_supported: ['S256'],
  ...more,
});

/** An upstream at `/mcp` with metadata at the path, whose authorization server is at the same origin. */
async function givenWholeServer(): Promise<ScriptedServer> {
  const server = await givenScriptedServer({ '/mcp': 401 });
  server.script[`${PRM}/mcp`] = {
    json: {
      resource: `${server.origin}/mcp`,
      authorization_servers: [server.origin],
      scopes_supported: ['a', 'b'],
    },
  };
  server.script[ASM] = { json: serverAt(server.origin) };
  return server;
}

/** Asserts that a failed discovery made these requests and no more. */
async function expectFailure(
  server: ScriptedServer,
  input: Partial<DiscoveryInput>,
  expected: { code: LoginFailure['code']; message: RegExp; asked: string[] },
): Promise<LoginFailure> {
  const { failure } = await run(`${server.origin}/mcp`, input);
  expect(failure?.message).toMatch(expected.message);
  expect(failure?.code).toBe(expected.code);
  expect(failure?.cure).not.toBe('');
  expect(server.asked).toEqual(expected.asked);
  return failure as LoginFailure;
}

describe('protected resource metadata', () => {
  it('named by the challenge is used, and no well-known URL is probed', async () => {
    const server = await givenWholeServer();
    const prm = `${server.origin}/elsewhere/prm`;
    server.script['/mcp'] = challenge(`Basic realm="x", Bearer resource_metadata="${prm}", scope="c"`);
    server.script['/elsewhere/prm'] = server.script[`${PRM}/mcp`] ?? 404;
    const { result, steps } = await run(`${server.origin}/mcp`);
    expect(result).toEqual({
      mode: 'metadata',
      server: serverAt(server.origin),
      resource: `${server.origin}/mcp`,
      resourceScopes: ['a', 'b'],
      challenge: { resourceMetadata: prm, scope: 'c' },
    });
    expect(server.asked).toEqual(['POST /mcp', 'GET /elsewhere/prm', `GET ${ASM}`]);
    expect(steps.map(({ method, url, outcome }) => `${method} ${url} ${outcome}`)).toEqual([
      `POST ${server.origin}/mcp 401`,
      `GET ${prm} 200`,
      `GET ${server.origin}${ASM} 200`,
    ]);
  });

  it('named by a challenge that a call has met is used without a probe', async () => {
    const server = await givenWholeServer();
    const met: BearerChallenge = { resourceMetadata: `${server.origin}${PRM}/mcp`, scope: 'x' };
    const { result } = await run(`${server.origin}/mcp`, { challenge: met });
    expect(result?.challenge).toBe(met);
    expect(server.asked).toEqual([`GET ${PRM}/mcp`, `GET ${ASM}`]);
  });

  it('is looked for at the path before the root, and the root is left alone once the path answers', async () => {
    const server = await givenWholeServer();
    server.script[PRM] = {
      json: { resource: `${server.origin}/`, authorization_servers: ['https://other.example'] },
    };
    expect((await run(`${server.origin}/mcp`)).result?.resource).toBe(`${server.origin}/mcp`);
    expect(server.asked).toEqual(['POST /mcp', `GET ${PRM}/mcp`, `GET ${ASM}`]);
  });

  it.each([404, 410, 401, 403, 405, 502])(
    'is looked for at the root after a %i at the path',
    async (status) => {
      const server = await givenWholeServer();
      server.script[PRM] = server.script[`${PRM}/mcp`] ?? 404;
      server.script[`${PRM}/mcp`] = status;
      expect((await run(`${server.origin}/mcp`)).result?.mode).toBe('metadata');
      expect(server.asked).toEqual(['POST /mcp', `GET ${PRM}/mcp`, `GET ${PRM}`, `GET ${ASM}`]);
    },
  );

  it('is asked for once where the upstream has no path', async () => {
    const server = await givenScriptedServer({ '/': 401 });
    server.script[PRM] = { json: { resource: server.origin, authorization_servers: [server.origin] } };
    server.script[ASM] = { json: serverAt(server.origin) };
    expect((await run(server.origin)).result?.resource).toBe(server.origin);
    expect(server.asked).toEqual(['POST /', `GET ${PRM}`, `GET ${ASM}`]);
  });

  it('named by the challenge and absent there: the well-known URLs are probed, but not the same one again', async () => {
    const server = await givenWholeServer();
    server.script[PRM] = server.script[`${PRM}/mcp`] ?? 404;
    server.script[`${PRM}/mcp`] = 404;
    const { result } = await run(`${server.origin}/mcp`, {
      challenge: { resourceMetadata: `${server.origin}${PRM}/mcp` },
    });
    expect(result?.mode).toBe('metadata');
    expect(server.asked).toEqual([`GET ${PRM}/mcp`, `GET ${PRM}`, `GET ${ASM}`]);
  });

  it.each<[string, (origin: string) => string]>([
    ['the upstream itself', (origin) => `${origin}/a/mcp`],
    ['with a slash', (origin) => `${origin}/a/mcp/`],
    ['a prefix of its path', (origin) => `${origin}/a`],
    ['the origin', (origin) => origin],
    ['the origin with a slash', (origin) => `${origin}/`],
  ])('for %s is accepted, and its resource is kept verbatim', async (_, resourceAt) => {
    const server = await givenScriptedServer({ '/a/mcp': 401 });
    const resource = resourceAt(server.origin);
    server.script[`${PRM}/a/mcp`] = { json: { resource, authorization_servers: [server.origin] } };
    server.script[ASM] = { json: serverAt(server.origin) };
    expect((await run(`${server.origin}/a/mcp`)).result?.resource).toBe(resource);
  });

  it.each<[string, (origin: string) => string]>([
    ['another host', () => 'https://evil.example/mcp'],
    ['another port', () => 'http://127.0.0.1:1/mcp'],
    ['another scheme', (origin) => `${origin.replace('http:', 'https:')}/mcp`],
    ['another path', (origin) => `${origin}/other`],
    ['a longer path', (origin) => `${origin}/mcp/deeper`],
    ['half a segment', (origin) => `${origin}/mc`],
    ['another query', (origin) => `${origin}/mcp?tenant=2`],
    ['a fragment', (origin) => `${origin}/mcp#x`],
    ['no URL at all', () => 'mcp'],
  ])('for %s is refused, and no authorization server is asked', async (_, resourceAt) => {
    const server = await givenWholeServer();
    const resource = resourceAt(server.origin);
    server.script[`${PRM}/mcp`] = { json: { resource, authorization_servers: [server.origin] } };
    await expectFailure(
      server,
      {},
      {
        code: 'discovery_failed',
        message: /is for another resource \(.+\), so it was not used\.$/,
        asked: ['POST /mcp', `GET ${PRM}/mcp`],
      },
    );
  });

  it.each<[string, number | { text: string } | { json: unknown }, RegExp]>([
    ['answers 500', 500, /cannot be used: HTTP 500/],
    ['answers 503', 503, /cannot be used: HTTP 503/],
    ['is HTML', { text: '<!doctype html>' }, /it is not a JSON document/],
    ['is JSON that was cut', { text: '{"resource":' }, /it is not a JSON document/],
    ['is null', { json: null }, /it is not a JSON document/],
    [
      'has no resource',
      { json: { authorization_servers: [] } },
      /"resource" is missing or of the wrong type/,
    ],
    [
      'has servers of the wrong type',
      { json: { resource: 'x', authorization_servers: 'y' } },
      /"authorization_servers" is/,
    ],
  ])('that %s ends discovery without the rules of 2025-03-26', async (_, answer, message) => {
    const server = await givenWholeServer();
    server.script[`${PRM}/mcp`] = answer;
    await expectFailure(
      server,
      {},
      { code: 'discovery_failed', message, asked: ['POST /mcp', `GET ${PRM}/mcp`] },
    );
  });

  it('that does not come in time ends discovery without the rules of 2025-03-26', async () => {
    const server = await givenWholeServer();
    server.script[`${PRM}/mcp`] = () => undefined;
    const { failure, steps } = await run(`${server.origin}/mcp`, {}, { answerTimeoutMs: 1_000 });
    expect(failure).toMatchObject({
      code: 'discovery_failed',
      origin: 'timeout',
      cure: 'Try again in a moment.',
    });
    expect(server.asked).toEqual(['POST /mcp', `GET ${PRM}/mcp`]);
    expect(steps.at(-1)?.outcome).toBe('timeout');
  });

  it('that is too large ends discovery', async () => {
    const server = await givenWholeServer();
    server.script[`${PRM}/mcp`] = { text: ' '.repeat(300_000) };
    const failure = await expectFailure(
      server,
      {},
      {
        code: 'discovery_failed',
        message: /more than 256 KiB/,
        asked: ['POST /mcp', `GET ${PRM}/mcp`],
      },
    );
    expect(failure.cure).toContain('AUTHORIZATION_ENDPOINT');
  });

  it('that may not be read anywhere ends discovery, as it is not absent', async () => {
    const server = await givenWholeServer();
    server.script[`${PRM}/mcp`] = 403;
    await expectFailure(
      server,
      {},
      {
        code: 'discovery_failed',
        message: /not readable: http:.*\/mcp answered HTTP 403/,
        asked: ['POST /mcp', `GET ${PRM}/mcp`, `GET ${PRM}`],
      },
    );
  });

  it.each([
    'http://evil.example/prm',
    'javascript:alert(1)',
    'file:///etc/passwd',
    '/relative',
    'https://a:b@h/prm',
  ])('at %s is not asked for', async (url) => {
    const server = await givenWholeServer();
    await expectFailure(
      server,
      { challenge: { resourceMetadata: url } },
      {
        code: 'discovery_failed',
        message: /^The metadata address is not an https: URL/,
        asked: [],
      },
    );
  });

  it('at a link-local address is not asked for', async () => {
    const server = await givenWholeServer();
    server.script['/mcp'] = challenge('Bearer resource_metadata="https://169.254.169.254/latest"');
    const failure = await expectFailure(
      server,
      {},
      {
        code: 'discovery_failed',
        message: /^Discovery stopped: 169\.254\.169\.254 is not a public address/,
        asked: ['POST /mcp'],
      },
    );
    expect(failure.cure).toContain('AUTHORIZATION_ENDPOINT');
  });
});

describe('redirects of metadata', () => {
  it('are followed, and shown', async () => {
    const server = await givenWholeServer();
    server.script['/moved'] = server.script[`${PRM}/mcp`] ?? 404;
    server.script[`${PRM}/mcp`] = { text: '', status: 302, headers: { location: '/moved' } };
    const { result, steps } = await run(`${server.origin}/mcp`);
    expect(result?.mode).toBe('metadata');
    expect(server.asked).toEqual(['POST /mcp', `GET ${PRM}/mcp`, 'GET /moved', `GET ${ASM}`]);
    expect(steps.map(({ outcome }) => outcome)).toEqual(['401', '302, redirects', '200', '200']);
  });

  it.each([
    ['http: elsewhere', 'http://evil.example/prm', /is not an https: URL/],
    ['a file', 'file:///etc/passwd', /is not an https: URL/],
    ['a link-local address', 'https://169.254.169.254/latest', /is not a public address/],
  ])('to %s are not followed', async (_, location, message) => {
    const server = await givenWholeServer();
    server.script[`${PRM}/mcp`] = { text: '', status: 307, headers: { location } };
    await expectFailure(
      server,
      {},
      { code: 'discovery_failed', message, asked: ['POST /mcp', `GET ${PRM}/mcp`] },
    );
  });

  it('come to an end', async () => {
    const server = await givenWholeServer();
    server.script[`${PRM}/mcp`] = { text: '', status: 302, headers: { location: `${PRM}/mcp` } };
    await expectFailure(
      server,
      {},
      {
        code: 'discovery_failed',
        message: /HTTP 302/,
        asked: ['POST /mcp', ...Array.from({ length: 4 }, () => `GET ${PRM}/mcp`)],
      },
    );
  });
});

describe('authorization server metadata', () => {
  /** An upstream that names issuers on a second server. */
  async function givenTwo(...paths: string[]): Promise<{ upstream: ScriptedServer; as: ScriptedServer }> {
    const as = await givenScriptedServer();
    const upstream = await givenScriptedServer({ '/mcp': 401 });
    upstream.script[`${PRM}/mcp`] = {
      json: {
        resource: `${upstream.origin}/mcp`,
        authorization_servers: paths.map((path) => as.origin + path),
      },
    };
    return { upstream, as };
  }

  it.each([
    ['', [ASM, OIDC]],
    ['/', [ASM, OIDC]],
    ['/t', [`${ASM}/t`, `${OIDC}/t`, `/t${OIDC}`]],
    ['/t/', [`${ASM}/t`, `${OIDC}/t`, `/t${OIDC}`]],
    ['/a/b', [`${ASM}/a/b`, `${OIDC}/a/b`, `/a/b${OIDC}`]],
  ])('of the issuer path "%s" is looked for in order', async (path, urls) => {
    for (const [index, found] of urls.entries()) {
      const { upstream, as } = await givenTwo(path);
      as.script[found] = { json: serverAt(as.origin + path) };
      const { result } = await run(`${upstream.origin}/mcp`);
      expect(result?.server.issuer).toBe(as.origin + path);
      expect(as.asked).toEqual(urls.slice(0, index + 1).map((url) => `GET ${url}`));
    }
  });

  it('that is nowhere ends discovery with all that was asked', async () => {
    const { upstream, as } = await givenTwo('/t');
    const { failure } = await run(`${upstream.origin}/mcp`);
    expect(failure?.code).toBe('discovery_failed');
    expect(failure?.message.match(/HTTP 404/g)).toHaveLength(3);
    expect(as.asked).toHaveLength(3);
  });

  it('that answers 500 ends the search', async () => {
    const { upstream, as } = await givenTwo('');
    as.script[ASM] = 500;
    as.script[OIDC] = { json: serverAt(as.origin) };
    const { failure } = await run(`${upstream.origin}/mcp`);
    expect(failure).toMatchObject({ code: 'discovery_failed', origin: 'server' });
    expect(as.asked).toEqual([`GET ${ASM}`]);
  });

  it.each<[string, (issuer: string) => string]>([
    ['another issuer', () => 'https://evil.example'],
    ['the issuer with a slash', (issuer) => `${issuer}/`],
    ['the issuer in another case', (issuer) => issuer.replace('http', 'HTTP')],
  ])('that calls itself %s is not used, and its endpoints are untouched', async (_, named) => {
    const { upstream, as } = await givenTwo('');
    as.script[ASM] = { json: serverAt(as.origin, { issuer: named(as.origin) }) };
    const { failure } = await run(`${upstream.origin}/mcp`);
    expect(failure?.code).toBe('discovery_failed');
    expect(failure?.message).toMatch(/calls itself .+, so it was not used\.$/);
    expect(failure?.cure).toContain('ISSUER');
    expect(as.asked).toEqual([`GET ${ASM}`]);
  });

  it('of the first of several servers that can be used is taken', async () => {
    const { upstream, as } = await givenTwo('/one', '/two', '/three');
    as.script[`${ASM}/one`] = {
      json: serverAt(`${as.origin}/one`, { code_challenge_methods_supported: undefined }),
    };
    as.script[`${ASM}/two`] = { json: serverAt(`${as.origin}/two`) };
    const { result } = await run(`${upstream.origin}/mcp`);
    expect(result?.server.issuer).toBe(`${as.origin}/two`);
    expect(as.asked).toEqual([`GET ${ASM}/one`, `GET ${ASM}/two`]);
  });

  it('of several servers that cannot be used: the first one’s reason is told', async () => {
    const { upstream, as } = await givenTwo('/one', '/two');
    as.script[`${ASM}/one`] = {
      json: serverAt(`${as.origin}/one`, { code_challenge_methods_supported: ['plain'] }),
    };
    expect((await run(`${upstream.origin}/mcp`)).failure?.code).toBe('pkce_unsupported');
    expect(as.asked).toHaveLength(4);
  });

  it('is asked of five servers at most, of each once', async () => {
    const { upstream, as } = await givenTwo('/1', '/1', '/2', '/3', '/4', '/5', '/6');
    expect((await run(`${upstream.origin}/mcp`)).failure?.code).toBe('discovery_failed');
    expect(new Set(as.asked).size).toBe(as.asked.length);
    expect(as.asked).toHaveLength(4 * 3);
  });

  it('is asked of the ISSUER that was set, whatever is announced', async () => {
    const { upstream, as } = await givenTwo('/one');
    as.script[`${ASM}/mine`] = { json: serverAt(`${as.origin}/mine`) };
    const { result } = await run(`${upstream.origin}/mcp`, { issuer: `${as.origin}/mine` });
    expect(result?.server.issuer).toBe(`${as.origin}/mine`);
    expect(as.asked).toEqual([`GET ${ASM}/mine`]);
  });

  it.each([[[]], [undefined]])('cannot be had where the resource names no server: %j', async (servers) => {
    const server = await givenWholeServer();
    server.script[`${PRM}/mcp`] = {
      json: { resource: `${server.origin}/mcp`, authorization_servers: servers },
    };
    await expectFailure(
      server,
      {},
      {
        code: 'discovery_failed',
        message: /does not say which authorization server it trusts/,
        asked: ['POST /mcp', `GET ${PRM}/mcp`],
      },
    );
  });

  it.each(['http://as.example', 'ftp://as.example', 'as.example', 'https://u:p@as.example'])(
    'of the server %s is not asked for',
    async (issuer) => {
      const server = await givenWholeServer();
      server.script[`${PRM}/mcp`] = {
        json: { resource: `${server.origin}/mcp`, authorization_servers: [issuer] },
      };
      await expectFailure(
        server,
        {},
        {
          code: 'discovery_failed',
          message: /^The authorization server is not an https: URL/,
          asked: ['POST /mcp', `GET ${PRM}/mcp`],
        },
      );
    },
  );

  it.each([
    ['authorization_endpoint', 'javascript:alert(1)'],
    ['authorization_endpoint', 'file:///etc/passwd'],
    ['authorization_endpoint', 'http://as.example/authorize'],
    ['authorization_endpoint', 'https://u:p@as.example/authorize'],
    ['token_endpoint', 'http://as.example/token'],
    ['token_endpoint', '/token'],
    ['registration_endpoint', 'http://as.example/register'],
    ['revocation_endpoint', 'data:text/plain,x'],
  ])('with the %s %s is not used', async (name, url) => {
    const server = await givenWholeServer();
    server.script[ASM] = { json: serverAt(server.origin, { [name]: url }) };
    await expectFailure(
      server,
      {},
      {
        code: 'discovery_failed',
        message: new RegExp(`^The ${name.replace('_', ' ')} of .* is not an https: URL`),
        asked: ['POST /mcp', `GET ${PRM}/mcp`, `GET ${ASM}`],
      },
    );
  });

  it('with http: on loopback is not used for an upstream that is elsewhere', async () => {
    const answers: Record<string, unknown> = {
      'https://mcp.example.com/.well-known/oauth-protected-resource/mcp': {
        resource: 'https://mcp.example.com/mcp',
        authorization_servers: ['http://127.0.0.1:9'],
      },
    };
    const asked: string[] = [];
    const { failure } = await run('https://mcp.example.com/mcp', {
      challenge: {},
      request: async (url) => {
        asked.push(url);
        return { status: 200, header: () => [], text: JSON.stringify(answers[url]) };
      },
    });
    expect(failure?.message).toMatch(/^The authorization server is not an https: URL/);
    expect(asked).toEqual(Object.keys(answers));
  });

  it.each([undefined, [], ['plain'], ['s256']])(
    'with PKCE methods %j is refused, unless told otherwise',
    async (methods) => {
      const server = await givenWholeServer();
      server.script[ASM] = { json: serverAt(server.origin, { code_challenge_methods_supported: methods }) };
      const failure = await expectFailure(
        server,
        {},
        {
          code: 'pkce_unsupported',
          message: /does not say that it supports PKCE with S256/,
          asked: ['POST /mcp', `GET ${PRM}/mcp`, `GET ${ASM}`],
        },
      );
      expect(failure.cure).toContain('REQUIRE_PKCE_METADATA=false');
      expect((await run(`${server.origin}/mcp`, { requirePkceMetadata: false })).result?.mode).toBe(
        'metadata',
      );
    },
  );

  it('can be asked for again', async () => {
    const server = await givenWholeServer();
    const moved = { token_endpoint: `${server.origin}/new/token` };
    server.script[ASM] = { json: serverAt(server.origin, moved) };
    const http = givenHttpClient({ upstreamMcpUrl: server.origin });
    const input = {
      request: http.request,
      onStep: () => undefined,
      requirePkceMetadata: true,
      upstreamMcpUrl: server.origin,
    };
    expect(await discoverServer(input, server.origin)).toMatchObject(moved);
    expect(server.asked).toEqual([`GET ${ASM}`]);
  });
});

describe('the rules of 2025-03-26', () => {
  const ABSENT = [`GET ${PRM}/mcp`, `GET ${PRM}`];

  it('use metadata at the root, with endpoints wherever it says, and no resource', async () => {
    const endpoints = {
      authorization_endpoint: 'https://login.example/x/go?tenant=1',
      token_endpoint: 'https://login.example/y/tokens',
      registration_endpoint: 'https://login.example/z',
    };
    const server = await givenScriptedServer({ '/mcp': 401 });
    const document = { issuer: server.origin, ...endpoints };
    server.script[ASM] = { json: document };
    const { result } = await run(`${server.origin}/mcp`);
    expect(result).toEqual({
      mode: 'legacy',
      server: document,
      resource: undefined,
      resourceScopes: undefined,
      challenge: undefined,
    });
    expect(server.asked).toEqual(['POST /mcp', ...ABSENT, `GET ${ASM}`]);
    expect(server.requests.at(-1)?.headers['mcp-protocol-version']).toBe('2025-03-26');
  });

  it('take an origin with and without its slash for the same issuer, and keep what was said', async () => {
    const server = await givenScriptedServer({ '/mcp': 401 });
    server.script[ASM] = { json: serverAt(server.origin, { issuer: `${server.origin}/` }) };
    expect((await run(`${server.origin}/mcp`)).result?.server.issuer).toBe(`${server.origin}/`);
  });

  it('refuse another issuer, unless it was set', async () => {
    const server = await givenScriptedServer({ '/mcp': 401 });
    server.script[ASM] = { json: serverAt(server.origin, { issuer: 'https://other.example' }) };
    const { failure } = await run(`${server.origin}/mcp`);
    expect(failure?.message).toMatch(/calls itself https:\/\/other\.example/);
    const { result } = await run(`${server.origin}/mcp`, { issuer: 'https://other.example' });
    expect(result?.server.issuer).toBe('https://other.example');
  });

  it('refuse a server that advertises PKCE without S256', async () => {
    const server = await givenScriptedServer({ '/mcp': 401 });
    server.script[ASM] = { json: serverAt(server.origin, { code_challenge_methods_supported: ['plain'] }) };
    expect((await run(`${server.origin}/mcp`)).failure?.code).toBe('pkce_unsupported');
  });

  it('take the default endpoints where there is no metadata, after a 401', async () => {
    const server = await givenScriptedServer({ '/mcp': challenge('Bearer realm="x"') });
    const { result } = await run(`${server.origin}/mcp`);
    expect(result).toMatchObject({
      mode: 'legacy',
      server: {
        issuer: server.origin,
        authorization_endpoint: `${server.origin}/authorize`,
        token_endpoint: `${server.origin}/token`,
        registration_endpoint: `${server.origin}/register`,
      },
      challenge: { realm: 'x' },
    });
    expect(server.asked).toEqual(['POST /mcp', ...ABSENT, `GET ${ASM}`]);
  });

  it.each([200, 202, 400, 406, 415])(
    'do not apply to an upstream that answers %i: no login is needed',
    async (status) => {
      const server = await givenScriptedServer({ 'POST /mcp': status, 'GET /mcp': 405 });
      await expectFailure(
        server,
        {},
        {
          code: 'not_required',
          message: /answers without a login/,
          asked: [...PROBES, ...ABSENT, `GET ${ASM}`],
        },
      );
    },
  );

  it.each([PRM, ASM])('do not apply to an open upstream that forbids %s either', async (path) => {
    const server = await givenScriptedServer({ 'POST /mcp': 200, 'GET /mcp': 405, [path]: 403 });
    expect((await run(`${server.origin}/mcp`)).failure?.code).toBe('not_required');
  });

  it('do not apply to an open upstream whose site has a page for every path', async () => {
    const server = await givenScriptedServer({
      'POST /mcp': 200,
      'GET /mcp': 405,
      [PRM]: { text: '<html>' },
      [`${PRM}/mcp`]: { text: '<html>' },
    });
    expect((await run(`${server.origin}/mcp`)).failure?.code).toBe('not_required');
  });

  it.each([403, 404, 500])('do not apply to an upstream that answers %i', async (status) => {
    const server = await givenScriptedServer({ '/mcp': status });
    await expectFailure(
      server,
      {},
      {
        code: 'discovery_failed',
        message: new RegExp(`answered HTTP ${status} and did not ask for a login`),
        asked: [...PROBES, ...ABSENT, `GET ${ASM}`],
      },
    );
  });

  it.each([500, 403])('end when the metadata answers %i', async (status) => {
    const server = await givenScriptedServer({ '/mcp': 401, [ASM]: status });
    await expectFailure(
      server,
      {},
      {
        code: 'discovery_failed',
        message: new RegExp(`HTTP ${status}`),
        asked: ['POST /mcp', ...ABSENT, `GET ${ASM}`],
      },
    );
  });
});

describe('the probe', () => {
  it('is an unauthenticated tools/list', async () => {
    const server = await givenWholeServer();
    await run(`${server.origin}/mcp`);
    const [probe] = server.requests;
    expect(JSON.parse(probe?.body ?? '')).toMatchObject({ jsonrpc: '2.0', method: 'tools/list' });
    expect(probe?.headers).toMatchObject({
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    });
    expect(probe?.headers).not.toHaveProperty('authorization');
  });

  it('goes on with a GET, whose stream it does not wait for', async () => {
    const server = await givenWholeServer();
    server.script['POST /mcp'] = 200;
    server.script['GET /mcp'] = challenge('Bearer scope="s"');
    expect((await run(`${server.origin}/mcp`)).result?.challenge).toEqual({ scope: 's' });
    expect(server.asked.slice(0, 2)).toEqual(PROBES);

    const open = await givenScriptedServer({
      'POST /mcp': 200,
      'GET /mcp': (_, response) =>
        void response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders(),
    });
    expect((await run(`${open.origin}/mcp`)).failure?.code).toBe('not_required');
  });

  it('does not mind a stream that sends nothing, once the server has answered', async () => {
    const server = await givenScriptedServer({ 'POST /mcp': 200, 'GET /mcp': () => undefined });
    const { failure, steps } = await run(`${server.origin}/mcp`, {}, { answerTimeoutMs: 1_000 });
    expect(failure?.code).toBe('not_required');
    expect(steps.slice(0, 2).map(({ outcome }) => outcome)).toEqual(['200', 'timeout']);
  });

  it.each([
    ['/v1/sse', '/v1/sse'],
    ['v1/sse', '/mcp/v1/sse'],
    ['//evil.example/x', '//evil.example/x'],
  ])('ends with PROBE_PATH %s, on the upstream’s origin', async (probePath, path) => {
    const server = await givenScriptedServer({ '/mcp': 200, [path]: 401 });
    server.script[ASM] = { json: serverAt(server.origin) };
    expect((await run(`${server.origin}/mcp`, { probePath })).result?.mode).toBe('legacy');
    expect(server.asked.slice(0, 3)).toEqual([...PROBES, `GET ${path}`]);
  });

  it('says when the upstream is not there', async () => {
    const { failure } = await run('http://127.0.0.1:1/mcp');
    expect(failure).toMatchObject({ code: 'upstream_unreachable', origin: 'server' });
    expect(failure?.message).toContain('ECONNREFUSED');
  });

  it('says when the upstream does not answer in time', async () => {
    const server = await givenScriptedServer({ '/mcp': () => undefined });
    const { failure } = await run(`${server.origin}/mcp`, {}, { answerTimeoutMs: 1_000 });
    expect(failure).toMatchObject({ code: 'upstream_unreachable', origin: 'timeout' });
    expect(server.asked).toEqual(['POST /mcp']);
  });
});

describe('endpoints that were entered', () => {
  const entered = {
    authorizationEndpoint: 'https://as.example/authorize?x=1',
    tokenEndpoint: 'https://tokens.example/token',
  };

  it('are used without a single request', async () => {
    const server = await givenScriptedServer();
    const met = { scope: 's' };
    const { result } = await run(`${server.origin}/mcp`, { ...entered, challenge: met });
    expect(result).toEqual({
      mode: 'override',
      server: {
        issuer: 'https://as.example',
        authorization_endpoint: entered.authorizationEndpoint,
        token_endpoint: entered.tokenEndpoint,
      },
      resource: `${server.origin}/mcp`,
      resourceScopes: undefined,
      challenge: met,
    });
    expect(server.asked).toEqual([]);
  });

  it('go with the issuer that was entered', async () => {
    const { result } = await run('http://127.0.0.1:1/mcp', { ...entered, issuer: 'https://as.example/t' });
    expect(result?.server.issuer).toBe('https://as.example/t');
  });
});

describe('canonicalResource', () => {
  it.each([
    ['https://h.example', 'https://h.example'],
    ['https://h.example/', 'https://h.example/'],
    ['HTTPS://H.Example:443/Mcp', 'https://h.example/Mcp'],
    ['https://h.example/mcp/', 'https://h.example/mcp/'],
    ['https://h.example/mcp?x=1#f', 'https://h.example/mcp?x=1'],
    ['https://h.example?x=/1', 'https://h.example?x=/1'],
  ])('of %s is %s', (url, expected) => {
    expect(canonicalResource(url)).toBe(expected);
  });
});
