import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answer, listPages } from '../../../../main/windows/protocol.ts';

const SECRET = 'outside of the pages';

let folder: string;
let files: ReadonlyMap<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pages-'));
  for (const page of ['status', 'login', 'other']) {
    await mkdir(path.join(folder, 'renderer', page, 'nested'), { recursive: true });
    for (const name of [
      'index.html',
      'index.js',
      'index.css',
      'index.js.map',
      'notes',
      'nested/index.html',
      'a b.svg',
    ])
      await writeFile(path.join(folder, 'renderer', page, name), `${page} ${name}`);
  }
  await writeFile(path.join(folder, 'main.js'), SECRET);
  await symlink(path.join(folder, 'main.js'), path.join(folder, 'renderer/status/linked.js'));
  files = await listPages(path.join(folder, 'renderer'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const get = (url: string, method = 'GET') => answer({ url, method }, files);

describe('the pages of the app', () => {
  it.each([
    ['app://status/index.html', 'text/html; charset=utf-8', 'status index.html'],
    ['app://status/index.html#log', 'text/html; charset=utf-8', 'status index.html'],
    ['app://login/index.js', 'text/javascript; charset=utf-8', 'login index.js'],
    ['app://login/index.css', 'text/css; charset=utf-8', 'login index.css'],
    ['app://status/a%20b.svg', 'image/svg+xml', 'status a b.svg'],
  ])('%s is served as %s', async (url, type, text) => {
    const response = await get(url);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(type);
    expect(await response.text()).toBe(text);
  });

  it.each([
    'app://status',
    'app://status/',
    'app://status/index.js.map',
    'app://status/notes',
    'app://status/nested/index.html',
    'app://status/linked.js',
    'app://status/index.html?x=1',
    'app://status/../login/index.html',
    'app://status/../../main.js',
    'app://status/..%2f..%2fmain.js',
    'app://status/%2e%2e/%2e%2e/main.js',
    'app://status/..\\..\\main.js',
    'app://status//index.html',
    'app://other/index.html',
    'app://status.evil.example/index.html',
    'app:///status/index.html',
    'file:///etc/passwd',
    'constructor',
    '',
  ])('%s does not exist', async (url) => {
    const response = await get(url);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain(SECRET);
  });

  it.each(['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'])('take no %s', async (method) => {
    expect((await get('app://status/index.html', method)).status).toBe(405);
  });

  it.each(['app://status/index.html', 'app://nowhere/'])(
    '%s may load nothing from elsewhere',
    async (url) => {
      const { headers } = await get(url);
      expect(headers.get('content-security-policy')).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'none'; " +
          "connect-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
          "require-trusted-types-for 'script'; trusted-types 'none'",
      );
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
      expect(headers.get('permissions-policy')).toMatch(/(^|, )camera=\(\)(,|$)/);
      expect(headers.get('cache-control')).toBe('no-store');
    },
  );

  it('are an error as long as they have not been built', async () => {
    await expect(listPages(path.join(folder, 'nowhere'))).rejects.toThrow(/ENOENT/);
  });
});
