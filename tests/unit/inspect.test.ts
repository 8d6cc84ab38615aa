import { createServer as createTlsServer } from 'node:https';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { inspectUpstream, type UpstreamReport } from '../../app/inspect.ts';
import { givenFolder, givenUpstream } from '../support/broker.ts';
import { makeAuthority } from '../support/certificates.ts';
import { givenRevision } from '../support/revisions.ts';
import {
  givenScriptedServer,
  listenUntilTestEnds,
  type ScriptedAnswer,
  scriptedListener,
} from '../support/scripted-server.ts';

type Reachable = Extract<UpstreamReport, { kind: 'reachable' }>;

/** The report of a server that is there. */
function reachable(url: string, found: Partial<Reachable>): Reachable {
  return {
    kind: 'reachable',
    host: new URL(url).host,
    login: 'not_required',
    revision: undefined,
    issuer: undefined,
    obstacle: undefined,
    ...found,
  };
}

const exactly = (date: string) => ({ date, orLater: false });

/** A server that answers `server/discover` and `initialize` with what is given, and all else with a JSON-RPC error. */
async function givenTalking(answers: {
  discover?: object;
  initialize?: object;
  form?: (text: string) => ScriptedAnswer;
}) {
  const { discover, initialize, form = (text) => ({ json: JSON.parse(text) }) } = answers;
  const server = await givenScriptedServer({
    'POST /mcp': async (request, response, raw) => {
      const { method } = JSON.parse(request.body) as { method: string };
      const found = { 'server/discover': discover, initialize }[method];
      const text = JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        ...(found ?? { error: { code: -32601, message: 'no such method' } }),
      });
      const answer = form(text);
      if (typeof answer === 'function') await answer(request, response, raw);
      else if (typeof answer === 'object' && 'json' in answer)
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer.json));
    },
  });
  return { server, url: `${server.origin}/mcp` };
}

describe('a URL that cannot be one', () => {
  it.each([
    ['', 'Enter the URL of the MCP server, such as https://mcp.example.com/mcp.'],
    ['  ', 'Enter the URL of the MCP server, such as https://mcp.example.com/mcp.'],
    [
      'mcp.example.com',
      'The URL "mcp.example.com" is not an absolute URL; write it like https://mcp.example.com/mcp.',
    ],
    [
      'http://mcp.example.com/mcp',
      'The URL "http://mcp.example.com/mcp" must use https: (http: is allowed on loopback only).',
    ],
    [
      'file:///etc/passwd',
      'The URL "file:///etc/passwd" must use https: (http: is allowed on loopback only).',
    ],
    ['https://me:secret@mcp.example.com', 'The URL must not hold a user name or password; remove them.'],
    [
      'https://mcp.example.com/#x',
      'The URL "https://mcp.example.com/#…" must not hold a fragment; remove "#" and what follows.',
    ],
  ])('%j', async (url, message) => {
    expect(await inspectUpstream(url)).toEqual({ kind: 'bad_url', message });
  });
});

describe('nothing that answers', () => {
  it('at a port where nobody listens', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
    await new Promise((resolve) => server.close(resolve));
    expect(await inspectUpstream(`http://127.0.0.1:${port}/mcp`)).toEqual({
      kind: 'unreachable',
      message: `127.0.0.1:${port} cannot be reached (nothing listens there, ECONNREFUSED).`,
    });
  });

  it('at a name that is none', async () => {
    expect(await inspectUpstream('https://mcp.invalid/mcp')).toEqual({
      kind: 'unreachable',
      message: expect.stringMatching(/^mcp\.invalid cannot be reached \(.*E(NOTFOUND|AI_AGAIN)\)\.$/),
    });
  });

  it('with a certificate that is to be trusted, and does where it is named', async () => {
    const { caFile, server: certificate } = await makeAuthority(await givenFolder());
    const server = createTlsServer(certificate, scriptedListener({ '/mcp': 404 }));
    const url = `https://localhost:${await listenUntilTestEnds(server)}/mcp`;
    expect(await inspectUpstream(url)).toEqual({
      kind: 'unreachable',
      message: expect.stringContaining('is not trusted'),
    });
    const trusting = { settings: { extraCaCerts: caFile } };
    expect(await inspectUpstream(url, trusting)).toMatchObject({ kind: 'not_mcp' });
  });

  it('when it hangs: the look ends by itself', async () => {
    const { host, origin } = await givenScriptedServer({ '/mcp': () => undefined });
    expect(await inspectUpstream(`${origin}/mcp`, { withinMs: 500 })).toEqual({
      kind: 'unreachable',
      message: `${host} did not answer within 0.5 s.`,
    });
  });
});

describe('something that is no MCP server', () => {
  it.each<[string, ScriptedAnswer, string]>([
    ['nothing there', 404, 'There is nothing at /mcp of HOST (HTTP 404); check the path of the URL.'],
    [
      'a web page',
      { text: '<!doctype html>', headers: { 'content-type': 'text/html' } },
      'HOST answers with a web page there, not as an MCP server; check the path of the URL.',
    ],
    [
      'another API',
      { json: { hello: 1 } },
      'HOST does not answer as an MCP server there (HTTP 200); check the path of the URL.',
    ],
    [
      'a redirect',
      { text: '', status: 302, headers: { location: 'https://new.example.com/mcp?key=secret' } },
      'HOST redirects to https://new.example.com/mcp?…; if that is the server you mean, enter that URL.',
    ],
    ['trouble', 503, 'HOST has trouble of its own (HTTP 503); try again in a moment.'],
    [
      'an endless answer',
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' }).write('x'.repeat(100_000));
      },
      'HOST does not answer as an MCP server there (HTTP 200); check the path of the URL.',
    ],
  ])('%s', async (_, answer, message) => {
    const { host, origin } = await givenScriptedServer({ '/mcp': answer });
    expect(await inspectUpstream(`${origin}/mcp`)).toEqual({
      kind: 'not_mcp',
      message: message.replace('HOST', host),
    });
  });
});

describe('an open server', () => {
  it('says its revision in the handshake; the session that begins so is ended', async () => {
    const upstream = await givenUpstream({ mcpServer: { requireAuth: false } });
    for (const url of [upstream.mcpUrl, upstream.mcpServer.jsonUrl]) {
      expect(await inspectUpstream(url)).toEqual(reachable(url, { revision: exactly('2025-11-25') }));
    }
    expect(upstream.mcpServer.sessionCount).toBe(0);
  });

  it.each<[string, object, string | undefined]>([
    ['an older revision', { initialize: { result: { protocolVersion: '2025-03-26' } } }, '2025-03-26'],
    [
      'server/discover',
      { discover: { result: { supportedVersions: ['2025-11-25', '2026-07-28'] } } },
      '2026-07-28',
    ],
    [
      'both',
      {
        discover: { result: { supportedVersions: ['2026-07-28', '2025-11-25'] } },
        initialize: { result: { protocolVersion: '2025-11-25' } },
      },
      '2026-07-28',
    ],
    [
      'an error that names what is supported',
      { initialize: { error: { code: -32602, data: { supported: ['2025-06-18', '2024-11-05'] } } } },
      '2025-06-18',
    ],
    ['nothing that is a date', { initialize: { result: { protocolVersion: '<b>1</b>' } } }, undefined],
    ['nothing', { initialize: { result: null } }, undefined],
  ])('says its revision by %s', async (_, answers, date) => {
    const { url } = await givenTalking(answers);
    const revision = date === undefined ? undefined : exactly(date);
    expect(await inspectUpstream(url)).toEqual(reachable(url, { revision }));
  });

  it('answers by an event stream that does not end: no more is read than it takes', async () => {
    const { url } = await givenTalking({
      initialize: { result: { protocolVersion: '2025-06-18' } },
      form: (text) => (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
        response.write(`: hello\r\n\r\nid: 1\r\ndata:\r\n\r\ndata: {"jsonrpc":"2.0","method":"x"}\r\n\r\n`);
        response.write(`event: message\r\ndata: ${text.slice(0, 16)}\r\ndata: ${text.slice(16)}\r\n\r\n`);
      },
    });
    expect(await inspectUpstream(url)).toEqual(reachable(url, { revision: exactly('2025-06-18') }));
  });

  it('of the HTTP+SSE transport is told by its stream', async () => {
    const upstream = await givenUpstream({ mcpServer: { requireAuth: false } });
    const url = upstream.mcpServer.sseUrl;
    expect(await inspectUpstream(url)).toEqual(reachable(url, { revision: exactly('2024-11-05') }));
  });

  it('is sent nothing that a person would have to be asked for', async () => {
    const { server, url } = await givenTalking({ initialize: { result: { protocolVersion: '2025-06-18' } } });
    await inspectUpstream(url);
    expect(server.asked).toEqual(['POST /mcp', 'POST /mcp', 'POST /mcp']);
    const methods = server.requests.map(({ body }) => (JSON.parse(body) as { method: string }).method);
    expect(methods.sort()).toEqual(['initialize', 'server/discover', 'tools/list']);
    for (const { headers } of server.requests) expect(headers.authorization).toBeUndefined();
  });
});

describe('a server that wants a login', () => {
  it.each([
    ['2025-03-26 with metadata', exactly('2025-03-26')],
    ['2025-03-26 without metadata', exactly('2025-03-26')],
    ['2025-06-18', { date: '2025-06-18', orLater: true }],
    ['2025-11-25', { date: '2025-06-18', orLater: true }],
    ['2026-07-28', { date: '2025-06-18', orLater: true }],
  ] as const)('by %s', async (revision, found) => {
    const { mcpUrl, issuer, tokenRequests, asked } = await givenRevision(revision);
    expect(await inspectUpstream(mcpUrl)).toEqual(
      reachable(mcpUrl, { login: 'required', revision: found, issuer }),
    );
    expect(tokenRequests).toEqual([]);
    expect(asked.filter(({ url }) => /register|authorize/.test(url.replace(/\.well-known.*/, '')))).toEqual(
      [],
    );
  });

  it('and lets the handshake pass: its revision is known', async () => {
    const upstream = await givenUpstream({ mcpServer: { openInitialize: true } });
    expect(await inspectUpstream(upstream.mcpUrl)).toEqual(
      reachable(upstream.mcpUrl, {
        login: 'required',
        revision: exactly('2025-11-25'),
        issuer: upstream.issuer,
      }),
    );
  });

  it('on another path only, which is known', async () => {
    const server = await givenScriptedServer({
      'POST /mcp': { json: { jsonrpc: '2.0', id: 1, result: { protocolVersion: '2025-06-18' } } },
      '/api/me': 401,
    });
    const url = `${server.origin}/mcp`;
    expect(await inspectUpstream(url)).toMatchObject({ login: 'not_required' });
    expect(await inspectUpstream(url, { settings: { probePath: '/api/me' } })).toMatchObject({
      login: 'required',
    });
  });

  it('whose metadata cannot be used: there, with what stands in the way', async () => {
    const upstream = await givenUpstream();
    upstream.authorizationServer.behaviour.respond = (_request, response) => {
      response.writeHead(404).end();
      return true;
    };
    expect(await inspectUpstream(upstream.mcpUrl)).toEqual(
      reachable(upstream.mcpUrl, {
        login: 'required',
        obstacle: expect.stringContaining('has no metadata'),
      }),
    );
  });

  it('of another kind: there, with what stands in the way', async () => {
    const { origin, host } = await givenScriptedServer({
      '/mcp': { text: '', status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
    });
    expect(await inspectUpstream(`${origin}/mcp`)).toEqual(
      reachable(origin, {
        login: 'required',
        obstacle: `${host} asks for a login of another kind than OAuth (Basic).`,
      }),
    );
  });

  it('is not told by metadata that is behind one', async () => {
    const { origin } = await givenScriptedServer({
      '/mcp': 404,
      '/.well-known/oauth-protected-resource': 401,
      '/.well-known/oauth-protected-resource/mcp': 401,
    });
    expect(await inspectUpstream(`${origin}/mcp`)).toMatchObject({ kind: 'not_mcp' });
  });
});
