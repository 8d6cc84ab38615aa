// @ts-check
// Runs the app of this folder in Electron: `npm start`. Arguments go on to it.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { findElectron } from './electron.mjs';
import { ROOT } from './process.mjs';

const electron = findElectron();
if ('missing' in electron) {
  console.error(electron.missing);
  process.exit(1);
}
if (electron.args.includes('--no-sandbox')) {
  console.error('Started by root: Chromium runs without its sandbox. Use another user for real logins.');
}

// Terminals inside Electron apps set this, and Electron would then be a plain Node.
const { ELECTRON_RUN_AS_NODE: _, ...env } = process.env;

const child = spawn(electron.executable, [...electron.args, ROOT, ...process.argv.slice(2)], {
  env,
  stdio: 'inherit',
  // A terminal sends Ctrl-C to a whole process group, and Electron dies at once from a second signal: in a group of its
  // own it gets the one that is passed on.
  detached: true,
});
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => child.kill(signal));
}
child.on('error', (error) => {
  console.error(`${electron.executable} cannot be started: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => {
  process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]);
});
