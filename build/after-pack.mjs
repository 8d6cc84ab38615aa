// @ts-check
// What electron-builder has no setting for, done to the packed app before its fuses are set and it is signed.
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import plist from 'plist';
import { LEGAL_FILES } from './stage.mjs';

/** @param {import('electron-builder').AfterPackContext} context */
export default async function afterPack({ appOutDir, electronPlatformName, packager }) {
  const resources = packager.getResourcesDir(appOutDir);
  for (const name of LEGAL_FILES) await copyFile(join(packager.info.appDir, name), join(resources, name));
  if (electronPlatformName === 'darwin') await tightenTransportSecurity(join(resources, '../Info.plist'));
}

/**
 * Electron and electron-builder allow any insecure load. It concerns what the system itself loads: Chromium and Node.js,
 * which make all connections of this app, do not ask App Transport Security.
 */
async function tightenTransportSecurity(/** @type {string} */ file) {
  const info = /** @type {plist.PlistObject} */ (plist.parse(await readFile(file, 'utf8')));
  const tightened = { ...info, NSAppTransportSecurity: { NSAllowsArbitraryLoads: false } };
  await writeFile(file, plist.build(tightened));
}
