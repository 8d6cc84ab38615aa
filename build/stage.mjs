// @ts-check
// Puts together what goes into a package: nothing of an older build, no source maps, no command line.
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { APP, bundle } from './bundles.mjs';
import { bundledPackages, thirdPartyNotices } from './notices.mjs';
import { renderPackageIcons } from './package-icons.mjs';
import { ROOT } from './process.mjs';

/** What of package.json the app needs: everything is bundled, so it has no dependencies. */
const KEPT = /** @type {const} */ ([
  'name',
  'productName',
  'version',
  'desktopName',
  'description',
  'license',
  'author',
  'homepage',
  'repository',
  'type',
  'main',
]);

/** Files that people shall find beside the program, not inside it. */
export const LEGAL_FILES = /** @type {const} */ (['LICENSE.txt', 'THIRD-PARTY-NOTICES.txt']);

/**
 * @param {string} folder is made anew: `app/` is the app, with its legal files, `icons/` has those of the packages
 * @returns {Promise<string[]>} the folders of the npm packages in the app, relative to the project's
 */
export async function stageApp(folder) {
  const app = join(folder, 'app');
  const icons = join(folder, 'icons');
  await Promise.all([app, icons].map((path) => rm(path, { recursive: true, force: true })));
  await mkdir(app, { recursive: true });
  const [{ inputs }] = await Promise.all([
    bundle(join(app, 'dist'), APP, { sourcemap: false }),
    renderPackageIcons(icons),
    writeManifest(join(app, 'package.json')),
    copyFile(join(ROOT, 'LICENSE'), join(app, LEGAL_FILES[0])),
  ]);
  const packages = bundledPackages(inputs);
  await writeFile(join(app, LEGAL_FILES[1]), await thirdPartyNotices(packages));
  return packages;
}

async function writeManifest(/** @type {string} */ file) {
  const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  await writeFile(file, `${JSON.stringify(manifest, [...KEPT], 2)}\n`);
}
