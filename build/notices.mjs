// @ts-check
// The licences of what is bundled, which most of them want to go with every copy.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './process.mjs';

const RULE = '-'.repeat(80);

/**
 * @param {readonly string[]} inputs paths of all files that were bundled, relative to the project's folder
 * @returns {string[]} the folders of the npm packages among them
 */
export function bundledPackages(inputs) {
  return [...new Set(inputs.flatMap((path) => packageFolder(path) ?? []))];
}

/**
 * @param {readonly string[]} folders of the bundled packages, relative to `root`
 * @param {string} [root] folder of the project
 * @returns {Promise<string>} their licence texts
 * @throws {Error} when a package comes without one
 */
export async function thirdPartyNotices(folders, root = ROOT) {
  const notices = await Promise.all(folders.map((folder) => notice(join(root, folder))));
  return [
    'MCP Auth Proxy contains the npm packages below. The licences of Electron and Chromium lie beside this file or',
    'beside the program.',
    ...notices.sort(),
    '',
  ].join('\n');
}

/** The innermost package that a file belongs to; packages lie in others where their versions differ. */
function packageFolder(/** @type {string} */ path) {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
}

async function notice(/** @type {string} */ folder) {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|copying|notice)\b/i.test(file)).sort();
  if (files.length === 0)
    throw new Error(`The package ${name} ${version} comes without the text of its licence.`);
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return ['', RULE, `${name} ${version} (${license})`, RULE, '', ...texts.map((text) => text.trim())].join(
    '\n',
  );
}
