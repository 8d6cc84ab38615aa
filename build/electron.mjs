// @ts-check
// Finds the Electron that runs the app from its sources. Plain Node: set-up uses it before there are npm packages.
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { ROOT } from './process.mjs';

/**
 * The stock Electron of the user's cache, which all copies of this project share.
 * A change of what is in the folder needs another name: older copies go on using theirs.
 */
export const RUNTIME = { version: '33.2.1', folder: 'electron-33.2.1' };

/**
 * @typedef {object} Electron
 * @property {string} executable
 * @property {string | undefined} version as in `33.2.1`; `undefined` when its folder does not say
 * @property {readonly string[]} args what it needs on this machine, to be put before the app's folder
 */

/**
 * Looks in this order: `ELECTRON_BIN`, the npm package `electron` (whose binary is a download of its own, not started
 * here), the user's cache.
 *
 * @param {object} [where]
 * @param {NodeJS.ProcessEnv} [where.env]
 * @param {string} [where.root] folder of the project
 * @param {boolean} [where.rootUser] whether root runs it on Linux
 * @returns {Electron | { missing: string }} `missing`: why there is none and what to do, in one sentence
 */
export function findElectron({ env = process.env, root = ROOT, rootUser = isRootOnLinux() } = {}) {
  const chosen = env.ELECTRON_BIN || undefined;
  if (chosen !== undefined && !existsSync(chosen)) {
    return { missing: `ELECTRON_BIN names ${chosen}, which does not exist: correct it or unset it.` };
  }
  const executable = [chosen, packagedExecutable(root), join(runtimeFolder(env), 'electron')].find(
    (candidate) => candidate !== undefined && existsSync(candidate),
  );
  if (executable === undefined) return { missing: 'There is no Electron yet: run npm run setup.' };
  return { executable, version: versionOf(executable), args: sandboxArguments(rootUser) };
}

/** What any Electron needs here: Chromium refuses to start its sandbox for root. */
export function sandboxArguments(rootUser = isRootOnLinux()) {
  return rootUser ? ['--no-sandbox'] : [];
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {string} where set-up keeps the Electron that all copies of this project share
 */
export function runtimeFolder(env = process.env) {
  const given = env.XDG_CACHE_HOME ?? '';
  // XDG Base Directory Specification: a relative path is to be ignored.
  const cache = isAbsolute(given) ? given : join(env.HOME || homedir(), '.cache');
  return join(cache, 'mcp-auth-proxy', RUNTIME.folder);
}

/** Reads what `require('electron')` would answer, which starts a download when there is nothing to find. */
function packagedExecutable(/** @type {string} */ root) {
  const folder = join(root, 'node_modules/electron');
  try {
    return join(folder, 'dist', readFileSync(join(folder, 'path.txt'), 'utf8'));
  } catch {
    return undefined;
  }
}

/** A file `version` lies beside the executable, or beside Electron.app. */
function versionOf(/** @type {string} */ executable) {
  const [bundle = executable, ...inside] = executable.split(/(?<=\.app)\//);
  try {
    const text = readFileSync(join(dirname(inside.length > 0 ? bundle : executable), 'version'), 'utf8');
    return text.trim().replace(/^v/, '');
  } catch {
    return undefined;
  }
}

function isRootOnLinux() {
  return process.platform === 'linux' && process.getuid?.() === 0;
}
