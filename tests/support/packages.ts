import { copyFile, link, mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { builderCommand } from '../../build/builder.mjs';
import { findElectron } from '../../build/electron.mjs';
import { run } from '../../build/process.mjs';
import { stageApp } from '../../build/stage.mjs';
import { writeElectronSkeleton } from './electron-skeleton.ts';

/** A packaged app on this disk. */
export interface PackagedApp {
  readonly executable: string;
  /** What @electron/fuses is told to read: the executable or, on macOS, the app. */
  readonly fuses: string;
  /** Where app.asar lies. */
  readonly resources: string;
}

/** Path of the executable of an app that is packaged or installed already, to be tested in place of one made here. */
const GIVEN = process.env.PACKAGED_APP ? path.resolve(process.env.PACKAGED_APP) : undefined;

/** An app for macOS, around an Electron without programs unless a real one is given: it can be looked at, not started. */
export function givenMacPackage(): () => PackagedApp {
  return givenPackage(async (folder) => {
    if (GIVEN !== undefined) return macApp(path.resolve(GIVEN, '../../..'));
    const electron = path.join(folder, 'electron');
    await mkdir(electron);
    await writeElectronSkeleton(electron);
    // There is no program in it that could be signed.
    await pack(folder, [
      '--mac',
      'dir',
      '--x64',
      `--config.electronDist=${electron}`,
      '--config.mac.identity=null',
    ]);
    return macApp(path.join(folder, 'mac', 'MCP Auth Proxy.app'));
  });
}

/** An app for this system that can be started: the given one, or on Linux one around the Electron at hand. */
export function givenStartablePackage(): () => PackagedApp {
  return givenPackage(async (folder) => {
    if (GIVEN !== undefined)
      return process.platform === 'darwin' ? macApp(path.resolve(GIVEN, '../../..')) : linuxApp(GIVEN);
    const found = findElectron();
    if ('missing' in found) throw new Error(found.missing);
    const electron = path.join(folder, 'electron');
    // Without resources: the app of a development runtime lies there.
    await linkTree(path.dirname(await realpath(found.executable)), electron, ['resources']);
    await mkdir(path.join(electron, 'resources'));
    const version = found.version === undefined ? [] : [`--config.electronVersion=${found.version}`];
    await pack(folder, ['--linux', 'dir', `--config.electronDist=${electron}`, ...version]);
    return linuxApp(path.join(folder, 'linux-unpacked', 'mcp-auth-proxy'));
  });
}

/** Why there is no packaged app that could be started here, if there is none. */
export function missingStartablePackage(): string | undefined {
  if (GIVEN !== undefined || process.platform === 'linux') return undefined;
  return 'On macOS, PACKAGED_APP has to name its executable, because the test uses your Keychain.';
}

function macApp(app: string): PackagedApp {
  return {
    executable: path.join(app, 'Contents', 'MacOS', 'MCP Auth Proxy'),
    fuses: app,
    resources: path.join(app, 'Contents', 'Resources'),
  };
}

function linuxApp(executable: string): PackagedApp {
  return { executable, fuses: executable, resources: path.join(path.dirname(executable), 'resources') };
}

function givenPackage(make: (folder: string) => Promise<PackagedApp>): () => PackagedApp {
  let folder: string | undefined;
  let made: PackagedApp | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'package-'));
    made = await make(folder);
  }, 120_000);
  afterAll(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true });
  });
  return () => {
    if (made === undefined) throw new Error('The package is there in tests only.');
    return made;
  };
}

async function pack(folder: string, args: readonly string[]): Promise<void> {
  await stageApp(folder);
  // No signature on any system: what is only looked at needs none, and on Linux there is none.
  const command = builderCommand(args, { folder, env: {}, platform: 'linux' });
  const { code, lines } = await run(process.execPath, command);
  if (code !== 0) throw new Error(`electron-builder ended with ${code}:\n${lines.join('\n')}`);
}

/** Hundreds of megabytes: links where both folders are on one disk. They are only read, electron-builder copies them. */
async function linkTree(from: string, to: string, except: readonly string[] = []): Promise<void> {
  await mkdir(to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    if (except.includes(entry.name)) continue;
    if (entry.isDirectory()) await linkTree(source, target);
    else await link(source, target).catch(() => copyFile(source, target));
  }
}
