// @ts-check
// The Debian and Ubuntu packages that the tests need: a browser, a display, a session bus, a keyring, Electron's libraries.
import { run } from './process.mjs';

/**
 * Each with the names it goes by, newest first: 64-bit time values gave some libraries another name.
 * @type {readonly (readonly [string, ...string[]])[]}
 */
export const TEST_PACKAGES = [
  ['chromium'],
  ['dbus'],
  ['dbus-x11'],
  ['gnome-keyring'],
  ['libasound2t64', 'libasound2'],
  ['libgbm1'],
  ['libgtk-3-0t64', 'libgtk-3-0'],
  ['libnotify4'],
  ['libnss3'],
  ['libsecret-1-0'],
  ['libsecret-tools'],
  ['libxss1'],
  ['openssl'],
  ['procps'],
  ['unzip'],
  ['xauth'],
  ['xvfb'],
];

/**
 * @param {readonly (readonly [string, ...string[]])[]} wanted
 * @returns {Promise<string[]>} of each the first name that can be installed here, as `apt-cache` knows; its last name
 *   where it knows none
 */
export async function choosePackages(wanted) {
  const { lines } = await run('apt-cache', ['policy', ...wanted.flat()], { ...process.env, LC_ALL: 'C' });
  const known = installable(lines);
  return wanted.map((names) => names.find((name) => known.has(name)) ?? names.slice(-1).join());
}

/**
 * Reads `apt-cache policy`: a name alone, then its indented facts. A virtual package has no candidate.
 *
 * @param {readonly string[]} lines
 */
export function installable(lines) {
  /** @type {Set<string>} */
  const names = new Set();
  let name = '';
  for (const line of lines) {
    if (/^\S+:$/.test(line)) name = line.slice(0, -1);
    else if (/^ {2}Candidate: (?!\(none\))/.test(line)) names.add(name);
  }
  return names;
}
