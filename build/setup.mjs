// Makes a fresh copy ready: checks Node, installs the npm packages, and on Debian the packages the tests need.
// Plain Node and no dependencies, since it runs before there are any. Add a step to `STEPS` to add a line.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CI = process.env.CI === 'true';

// A step returns `{ state, detail }`, or nothing where it does not apply. `fatal` ends the set-up with code 1,
// `shown` is printed below the line.
const STEPS = [
  ['Node.js', checkNode],
  ['npm packages', installNpmPackages],
  ['Debian packages', installDebianPackages],
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
  const npm = basename(process.env.npm_execpath ?? '') === 'npm-cli.js';
  const [command, ...args] = npm ? [process.execPath, process.env.npm_execpath] : ['npm'];
  const { code, lines } = await run(command, [...args, 'ci', '--no-audit', '--no-fund']);
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
  const wanted = [
    'chromium',
    'dbus',
    'dbus-x11',
    'gnome-keyring',
    'libsecret-1-0',
    'libsecret-tools',
    'openssl',
    'procps',
  ];
  const query = await run('dpkg-query', ['-W', `-f=\${Package} \${db:Status-Status}\n`, ...wanted]);
  if (query.code === undefined) return undefined;
  const missing = wanted.filter((name) => !query.lines.includes(`${name} installed`));
  if (missing.length === 0) return { state: 'already there', detail: wanted.join(' ') };

  const needed = `${missing.join(' ')} (for the tests only)`;
  const install = ['install', '-y', '--no-install-recommends', ...missing];
  const root = process.getuid() === 0;
  if (!root && (await run('sudo', ['-n', 'true'])).code !== 0) {
    const command = `sudo apt-get update && sudo apt-get ${install.join(' ')}`;
    return { state: 'missing', detail: needed, shown: [`Install with: ${command}`], fatal: CI };
  }
  const prefix = [...(root ? [] : ['sudo', '-n']), 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];
  for (const args of [['update'], install]) {
    const [command, ...rest] = [...prefix, '-o', 'DPkg::Lock::Timeout=120', ...args];
    const { code, lines } = await run(command, rest);
    if (code === 0) continue;
    const detail = `${needed}; apt-get ${args[0]} failed:`;
    return { state: 'missing', detail, shown: lines, fatal: CI };
  }
  return { state: 'done', detail: missing.join(' ') };
}

function checkMacBrowser() {
  if (process.platform !== 'darwin') return undefined;
  const apps = ['Google Chrome', 'Chromium'];
  const folders = ['/Applications', join(homedir(), 'Applications')];
  const found = apps.find((app) => folders.some((folder) => existsSync(join(folder, `${app}.app`))));
  if (found !== undefined) return { state: 'already there', detail: found };
  return { state: 'missing', detail: 'Google Chrome or Chromium (for the browser tests only)' };
}

/** Runs a command without showing it; `code` is undefined when there is no such command. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', (error) => resolve({ code: undefined, lines: [error.message] }));
    child.on('close', (code) => resolve({ code: code ?? 1, lines: output.trimEnd().split('\n') }));
  });
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
