import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import path from 'node:path';
import { extractFile, getRawHeader, listPackage } from '@electron/asar';
import { build } from 'esbuild';
import plist from 'plist';
import { describe, expect, it } from 'vitest';
import { ICNS_TYPES } from '../../../build/package-icons.mjs';
import { TRAY_ICONS } from '../../../main/tray/icon.ts';
import manifest from '../../../package.json' with { type: 'json' };
import { fusesThatAreOn, PRODUCT_FUSES } from '../../support/fuses.ts';
import { givenMacPackage } from '../../support/packages.ts';

/** Most that the app's own code may take, in bytes. */
const BUDGET = 3 * 1024 * 1024;

const APP = 'MCP Auth Proxy';
const ID = 'local.mcp-auth-proxy';

describe('the app for macOS', { timeout: 30_000 }, () => {
  const packaged = givenMacPackage();
  const contents = (...parts: string[]) => path.join(packaged().resources, '..', ...parts);
  const archive = () => path.join(packaged().resources, 'app.asar');
  /** Paths of the files in the archive. */
  const packed = () =>
    listPackage(archive(), { isPack: false })
      .map((name) => name.replaceAll('\\', '/').slice(1))
      .filter((name) => path.posix.extname(name) !== '');
  const infoOf = async (bundle: string) =>
    plist.parse(await readFile(path.join(bundle, 'Info.plist'), 'utf8')) as plist.PlistObject;

  it('says in its Info.plist what the system has to know', async () => {
    const info = await infoOf(contents());
    expect(info).toMatchObject({
      CFBundleIdentifier: ID,
      CFBundleName: APP,
      CFBundleDisplayName: APP,
      CFBundleExecutable: APP,
      CFBundleIconFile: 'icon.icns',
      CFBundleShortVersionString: manifest.version,
      LSUIElement: true,
      LSMinimumSystemVersion: '13.0',
      LSApplicationCategoryType: 'public.app-category.developer-tools',
      NSHumanReadableCopyright: expect.stringContaining('MCP Auth Proxy authors'),
      NSRequiresAquaSystemAppearance: false,
    });
    expect(info.NSAppTransportSecurity).toEqual({ NSAllowsArbitraryLoads: false });
    // What it never asks for needs no reason.
    expect(Object.keys(info).filter((key) => key.endsWith('UsageDescription'))).toEqual([]);
  });

  it('has helpers of its name and identifier', async () => {
    const frameworks = contents('Frameworks');
    const helpers = (await readdir(frameworks)).filter((name) => name.endsWith('.app')).sort();
    expect(helpers).toEqual([
      `${APP} Helper (GPU).app`,
      `${APP} Helper (Plugin).app`,
      `${APP} Helper (Renderer).app`,
      `${APP} Helper.app`,
    ]);
    for (const helper of helpers) {
      const info = await infoOf(path.join(frameworks, helper, 'Contents'));
      expect(info.CFBundleExecutable).toBe(path.basename(helper, '.app'));
      expect(info.CFBundleIdentifier).toMatch(new RegExp(`^${ID}\\.helper(\\.[A-Za-z]+)?$`));
      await stat(path.join(frameworks, helper, 'Contents', 'MacOS', path.basename(helper, '.app')));
    }
  });

  it('has an archive whose hash is the one in its Info.plist, and which is whole', async () => {
    const { header, headerString } = getRawHeader(archive());
    const { ElectronAsarIntegrity } = await infoOf(contents());
    expect(ElectronAsarIntegrity).toEqual({
      'Resources/app.asar': { algorithm: 'SHA256', hash: sha256(Buffer.from(headerString)) },
    });
    for (const name of packed()) {
      const entry = name.split('/').reduce<Entry>((at, part) => at.files?.[part] ?? {}, header as Entry);
      expect(entry.integrity?.hash, name).toBe(sha256(extractFile(archive(), name)));
    }
  });

  it('has in its archive what it runs on, and nothing else', () => {
    const names = packed();
    const code = names.filter((name) => /^dist\/main\/[\w-]+\.js$/.test(name));
    expect(code).toContain('dist/main/main.js');
    const icons = TRAY_ICONS.flatMap((icon) =>
      ['Template', 'Template@2x', '', '@2x'].map((form) => `dist/icons/${icon}${form}.png`),
    );
    const pages = ['status', 'login'].flatMap((page) =>
      ['html', 'js', 'css'].map((type) => `dist/renderer/${page}/index.${type}`),
    );
    expect(names.filter((name) => !code.includes(name)).sort()).toEqual(
      ['package.json', 'dist/main/preload.cjs', 'dist/icons/app-256.png', ...icons, ...pages].sort(),
    );
  });

  it('needs nothing that is not in its archive, in Node.js or in Electron', async () => {
    const names = packed();
    const code = names.filter((name) => name.startsWith('dist/main/') && name.endsWith('.js'));
    const unknown: string[] = [];
    for (const file of code) {
      for (const name of await importsOf(extractFile(archive(), file).toString())) {
        const there = name.startsWith('.')
          ? names.includes(path.posix.join(path.posix.dirname(file), name))
          : name.startsWith('node:') || builtinModules.includes(name) || name === 'electron';
        if (!there) unknown.push(`${file}: ${name}`);
      }
    }
    expect(unknown).toEqual([]);
  });

  it('describes itself without what only its development needs', () => {
    const described = JSON.parse(extractFile(archive(), 'package.json').toString());
    expect(described).toMatchObject({ name: 'mcp-auth-proxy', productName: APP, main: 'dist/main/main.js' });
    for (const absent of ['scripts', 'dependencies', 'devDependencies', 'bin', 'private']) {
      expect(described).not.toHaveProperty(absent);
    }
  });

  it('keeps to its size', async () => {
    const { size } = await stat(archive());
    process.stderr.write(`app.asar: ${(size / 1024 / 1024).toFixed(2)} MiB\n`);
    expect(size).toBeLessThanOrEqual(BUDGET);
  });

  it('has its fuses set', async () => {
    expect(await fusesThatAreOn(packaged().fuses)).toEqual(PRODUCT_FUSES);
  });

  it('has its icon in all sizes, and speaks English', async () => {
    const icon = await readFile(contents('Resources', 'icon.icns'));
    expect(icon.subarray(0, 4).toString()).toBe('icns');
    expect([...membersOf(icon)].sort()).toEqual(Object.keys(ICNS_TYPES).sort());
    const languages = (await readdir(contents('Resources'))).filter((name) => name.endsWith('.lproj'));
    expect(languages).toEqual(['en.lproj']);
  });

  it('comes with its own licence and those of others', async () => {
    expect(await readFile(contents('Resources', 'LICENSE.txt'), 'utf8')).toContain('MIT License');
    const notices = await readFile(contents('Resources', 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    for (const name of [...Object.keys(manifest.dependencies), 'preact']) {
      expect(notices).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, 'm'));
    }
  });
});

describe('the entitlements', () => {
  it.each(['entitlements.mac.plist', 'entitlements.mac.inherit.plist'])(
    'of %s are the one V8 needs',
    async (name) => {
      const file = new URL(`../../../build/${name}`, import.meta.url);
      expect(plist.parse(await readFile(file, 'utf8'))).toEqual({ 'com.apple.security.cs.allow-jit': true });
    },
  );
});

interface Entry {
  readonly files?: Readonly<Record<string, Entry>>;
  readonly integrity?: { readonly hash: string };
}

/** What a bundled file loads: by statements, by `import()`, and by the `require` that esbuild gives CommonJS packages. */
async function importsOf(source: string): Promise<Set<string>> {
  const found = new Set([...source.matchAll(/\b__require\("([^"]+)"\)/g)].map(([, name = '']) => name));
  await build({
    stdin: { contents: source },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    logLevel: 'silent',
    plugins: [
      {
        name: 'collect',
        setup({ onResolve }) {
          onResolve({ filter: /.*/ }, ({ path: name, kind }) => {
            if (kind !== 'entry-point') found.add(name);
            return { path: name, external: true };
          });
        },
      },
    ],
  });
  return found;
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** The types of the members of an .icns; each is followed by its length, which counts both. */
function* membersOf(icon: Buffer): Generator<string> {
  for (let at = 8; at < icon.length; at += icon.readUInt32BE(at + 4)) {
    yield icon.toString('latin1', at, at + 4);
  }
}
