import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findElectron, RUNTIME, runtimeFolder } from '../../../build/electron.mjs';

describe('findElectron', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'electron-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function put(path: string, content = ''): Promise<string> {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    return file;
  }
  const find = (env: NodeJS.ProcessEnv = {}, rootUser = false) =>
    findElectron({ env: { XDG_CACHE_HOME: join(folder, 'cache'), ...env }, root: folder, rootUser });
  const putCached = () => put(`cache/mcp-auth-proxy/${RUNTIME.folder}/electron`);
  async function putPackaged(path = 'electron') {
    await put('node_modules/electron/path.txt', path);
    await put('node_modules/electron/dist/version', '45.4.1');
    return put(`node_modules/electron/dist/${path}`);
  }

  it('says what to do when there is none', () => {
    expect(find()).toEqual({ missing: 'There is no Electron yet: run npm run setup.' });
  });

  it('takes the one of the cache when there is no other', async () => {
    const executable = await putCached();
    await put(`cache/mcp-auth-proxy/${RUNTIME.folder}/version`, RUNTIME.version);
    expect(find()).toEqual({ executable, version: '33.2.1', args: [] });
  });

  it('prefers the npm package', async () => {
    await putCached();
    const executable = await putPackaged();
    expect(find()).toEqual({ executable, version: '45.4.1', args: [] });
  });

  it('reads the version beside Electron.app', async () => {
    const executable = await putPackaged('Electron.app/Contents/MacOS/Electron');
    expect(find()).toEqual({ executable, version: '45.4.1', args: [] });
  });

  it('does not take an npm package without its binary', async () => {
    await rm(await putPackaged());
    expect(Object.keys(find())).toEqual(['missing']);
  });

  it('prefers ELECTRON_BIN, of which no version may be known', async () => {
    await putPackaged();
    const executable = await put('mine/electron');
    expect(find({ ELECTRON_BIN: executable })).toEqual({ executable, version: undefined, args: [] });
  });

  it('takes nothing else when ELECTRON_BIN is wrong', async () => {
    await putPackaged();
    expect(find({ ELECTRON_BIN: '/nowhere/electron' })).toEqual({
      missing: 'ELECTRON_BIN names /nowhere/electron, which does not exist: correct it or unset it.',
    });
  });

  it('takes an empty ELECTRON_BIN for none', async () => {
    const executable = await putPackaged();
    expect(find({ ELECTRON_BIN: '' })).toHaveProperty('executable', executable);
  });

  it('switches the sandbox off for root alone', async () => {
    await putPackaged();
    expect(find({}, true)).toHaveProperty('args', ['--no-sandbox']);
    expect(find({}, false)).toHaveProperty('args', []);
  });
});

describe('runtimeFolder', () => {
  it.each([
    [{ XDG_CACHE_HOME: '/caches', HOME: '/home/ada' }, '/caches'],
    [{ HOME: '/home/ada' }, '/home/ada/.cache'],
    [{ XDG_CACHE_HOME: '', HOME: '/home/ada' }, '/home/ada/.cache'],
    [{ XDG_CACHE_HOME: 'relative', HOME: '/home/ada' }, '/home/ada/.cache'],
  ])('for %j lies in %s', (env, cache) => {
    expect(runtimeFolder(env)).toBe(join(cache, 'mcp-auth-proxy/electron-33.2.1'));
  });
});
