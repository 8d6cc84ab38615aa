// @ts-check
// How electron-builder is called.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ROOT } from './process.mjs';

/** Where packages and what they are made of go; electron-builder.yml says so as well. */
export const RELEASE = join(ROOT, 'release');

/**
 * @param {readonly string[]} args for electron-builder, such as `--linux dir`
 * @param {object} [where]
 * @param {string} [where.folder] where the staged app is and the packages go
 * @param {NodeJS.ProcessEnv} [where.env] says whether there is an identity to sign with
 * @param {NodeJS.Platform} [where.platform]
 * @returns {string[]} a command line for this Node
 */
export function builderCommand(
  args,
  { folder = RELEASE, env = process.env, platform = process.platform } = {},
) {
  const builder = createRequire(import.meta.url).resolve('electron-builder/cli.js');
  /** @type {Record<string, string | boolean>} */
  const overrides = {
    ...(folder !== RELEASE && inFolder(folder)),
    ...(platform === 'darwin' && signing(env)),
  };
  const options = Object.entries(overrides).map(([name, value]) => `--config.${name}=${value}`);
  return [builder, '--publish', 'never', ...options, ...args];
}

function inFolder(/** @type {string} */ folder) {
  return {
    'directories.app': join(folder, 'app'),
    'directories.output': folder,
    'mac.icon': join(folder, 'icons/app.icns'),
    'linux.icon': join(folder, 'icons/linux'),
  };
}

/**
 * Macs run no program without a signature, and Apple takes no app that is signed by nobody. Such a signature has no team,
 * without which the hardened runtime refuses to load Electron's framework.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {Record<string, string | boolean>}
 */
function signing(env) {
  if (!canSign(env)) return { 'mac.identity': '-', 'mac.hardenedRuntime': false, 'mac.notarize': false };
  return { forceCodeSigning: true, 'mac.notarize': canNotarize(env) };
}

/**
 * What a workflow has no secret for, it sets all the same, to nothing; electron-builder would take that for a certificate.
 *
 * @param {NodeJS.ProcessEnv} env
 */
export function builderEnvironment(env) {
  return Object.fromEntries(
    Object.entries(env).filter(([name, value]) => value !== '' || !/^(CSC|APPLE)_/.test(name)),
  );
}

/** Whether a Developer ID is given, by the variables that electron-builder reads: an empty one is none. */
export function canSign(/** @type {NodeJS.ProcessEnv} */ env) {
  return Boolean(env.CSC_LINK || env.CSC_NAME);
}

function canNotarize(/** @type {NodeJS.ProcessEnv} */ env) {
  return Boolean(env.APPLE_API_KEY && env.APPLE_API_KEY_ID && env.APPLE_API_ISSUER);
}
