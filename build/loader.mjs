// @ts-check
// Plays Electron's own default app in a runtime that comes without: runs the app whose folder is on the command line.
// It is copied into a runtime that several copies of this project share.
import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as electron from 'electron';

/**
 * Electron's default app uses more than what is documented.
 * @typedef {object} Undocumented
 * @property {(version: string) => void} setVersion
 * @property {(name: string) => void} setDesktopName
 * @property {(path: string) => void} setAppPath
 */
const app = /** @type {electron.App & Undocumented} */ (electron.app);

const given = process.argv.slice(1).find((argument) => !argument.startsWith('-'));
if (given === undefined) {
  console.error('Which app? Put its folder on the command line.');
  app.exit(2);
} else {
  await run(resolve(given));
}

async function run(/** @type {string} */ path) {
  // Before `ready`, as Electron waits for the end of this module: names decide where an app's data lie.
  Object.defineProperty(process, 'defaultApp', { value: true, enumerable: true });
  try {
    if (statSync(path).isDirectory()) {
      const {
        name,
        productName = name,
        version,
      } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
      app.setName(productName);
      app.setDesktopName(`${productName}.desktop`);
      app.setVersion(version);
      app.setAppPath(path);
    }
    await import(pathToFileURL(createRequire(import.meta.url).resolve(path)).href);
  } catch (error) {
    console.error('The app failed to load:', error);
    app.exit(1);
  }
}
