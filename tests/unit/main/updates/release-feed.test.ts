import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { describe, expect, it } from 'vitest';
import { latestRelease } from '../../../../main/updates/release-feed.ts';
import { givenFolder } from '../../../support/broker.ts';
import { makeAuthority } from '../../../support/certificates.ts';
import { freePort } from '../../../support/free-port.ts';
import { givenConnectProxy } from '../../../support/proxies.ts';
import {
  givenScriptedServer,
  listenUntilTestEnds,
  type ScriptedAnswer,
  type ScriptedRequest,
  scriptedListener,
} from '../../../support/scripted-server.ts';

const REPOSITORY = { owner: 'octo-org', name: 'hello' };
const PATH = '/repos/octo-org/hello/releases/latest';

/** Asks a feed that answers so. */
async function look(answer: ScriptedAnswer, etag?: string) {
  const server = await givenScriptedServer({ [PATH]: answer });
  const found = await latestRelease(REPOSITORY, { etag, api: server.origin });
  return { found, server };
}

describe('the feed of the releases', () => {
  it('is asked for the latest one, with nothing of the person or of this version in the question', async () => {
    const { found, server } = await look({
      json: { tag_name: 'v1.2.3', html_url: 'https://evil.example/', draft: false, prerelease: false },
      headers: { etag: 'W/"one"' },
    });
    expect(found).toEqual({ tag: 'v1.2.3', etag: 'W/"one"' });
    expect(server.asked).toEqual([`GET ${PATH}`]);
    const { host: _, connection: __, ...headers } = server.requests[0]?.headers ?? {};
    expect(headers).toEqual({
      accept: 'application/vnd.github+json',
      'user-agent': 'mcp-auth-proxy',
      'x-github-api-version': '2022-11-28',
    });
  });

  it('has nothing to say when nothing has changed since', async () => {
    const { found, server } = await look(
      ({ headers }, response) =>
        void response.writeHead(headers['if-none-match'] === 'W/"one"' ? 304 : 500).end(),
      'W/"one"',
    );
    expect(found).toBe('unchanged');
    expect(server.requests).toHaveLength(1);
  });

  it.each<[string, ScriptedAnswer]>([
    ['there is none', 404],
    ['it is a draft', { json: { tag_name: 'v1.2.3', draft: true } }],
    ['it is marked as a prerelease', { json: { tag_name: 'v1.2.3', prerelease: true } }],
  ])('offers no release when %s', async (_, answer) => {
    expect((await look(answer)).found).toMatchObject({ tag: undefined });
  });

  it.each<[ScriptedAnswer, string]>([
    [403, 'status 403'],
    [429, 'status 429'],
    [500, 'status 500'],
    [{ text: '<!doctype html>' }, 'no release'],
    [{ text: '' }, 'no release'],
    [{ json: null }, 'no release'],
    [{ json: [] }, 'no release'],
    [{ json: { tag_name: 7 } }, 'no release'],
    [{ json: { tag_name: 'v1.2.3', draft: 'no' } }, 'no release'],
  ])('is of no use when it answers %j', async (answer, refused) => {
    expect((await look(answer)).found).toEqual({ refused });
  });

  it('is followed to where a renamed repository has it, on the same host', async () => {
    const server = await givenScriptedServer();
    const redirect = (location: string) => ({ text: '', status: 301, headers: { location } });
    server.script[PATH] = redirect(`${server.origin}/repositories/5/releases/latest`);
    server.script['/repositories/5/releases/latest'] = { json: { tag_name: 'v2.0.0' } };
    const ask = () => latestRelease(REPOSITORY, { etag: undefined, api: server.origin });
    expect(await ask()).toMatchObject({ tag: 'v2.0.0' });
    server.script[PATH] = redirect(PATH);
    expect(await ask()).toEqual({ refused: 'status 301' });
    expect(server.requests).toHaveLength(2 + 4);
  });

  it('is followed to no other host', async () => {
    const elsewhere = await givenScriptedServer({ '/': { json: { tag_name: 'v9.9.9' } } });
    for (const location of [`${elsewhere.origin}/`, `//${elsewhere.host}/`, 'http://[', 'javascript:1']) {
      const { found } = await look({ text: '', status: 302, headers: { location } });
      expect(found).toEqual({ refused: 'status 302' });
    }
    expect(elsewhere.asked).toEqual([]);
  });

  it('may not answer with more than can be meant', async () => {
    const body = 'x'.repeat(300 * 1024);
    await expect(look({ json: { tag_name: 'v1.2.3', body } })).rejects.toMatchObject({ code: 'too_large' });
  });

  it('may not be there', async () => {
    const api = `http://127.0.0.1:${await freePort()}`;
    await expect(latestRelease(REPOSITORY, { etag: undefined, api })).rejects.toMatchObject({
      name: 'HttpFailure',
    });
  });

  it('is reached as the system reaches the network, and believed by its certificate alone', async () => {
    const folder = await givenFolder();
    const authority = await makeAuthority(folder, ['api.github.com']);
    const requests: ScriptedRequest[] = [];
    const feed = createServer(
      authority.server,
      scriptedListener({ [PATH]: { json: { tag_name: 'v1.2.3' } } }, requests),
    );
    const proxy = await givenConnectProxy(await listenUntilTestEnds(feed));
    const networkWith = (certificates: readonly string[]) => ({
      proxyFor: async () => proxy.url,
      certificateAuthorities: async () => certificates,
    });
    const certificate = await readFile(authority.caFile, 'utf8');
    const network = networkWith([certificate]);
    expect(await latestRelease(REPOSITORY, { etag: undefined, network })).toMatchObject({ tag: 'v1.2.3' });
    expect(proxy.asked).toEqual(['api.github.com:443']);
    await expect(
      latestRelease(REPOSITORY, { etag: undefined, network: networkWith([]) }),
    ).rejects.toMatchObject({ name: 'HttpFailure' });
    expect(requests).toHaveLength(1);
  });
});
