// @ts-check
// Runs the app whose folder comes next on the command line, and keeps it from being ready until Playwright is.
// Playwright waits for ever for a window that loads its first page just when it connects. It holds an Electron that it has
// found itself in the same way, and calls this function when it has connected, whatever Electron it is.
import { fileURLToPath } from 'node:url';
import { app } from 'electron';

const ready = app.whenReady();
const emit = app.emit.bind(app);
let isReady = false;
/** @type {(value: undefined) => void} */
let release;
const released = new Promise((resolve) => {
  release = resolve;
});
/** @type {unknown[]} */
let readyArguments = [];

app.isReady = () => isReady;
app.whenReady = () => released;
app.emit = (event, ...args) => {
  if (event !== 'ready' || isReady) return emit(event, ...args);
  readyArguments = args;
  return true;
};
Object.assign(globalThis, {
  async __playwright_run() {
    await ready;
    isReady = true;
    release(undefined);
    emit('ready', ...readyArguments);
  },
});

// What the app starts anew is held by nobody.
process.argv.splice(process.argv.indexOf(fileURLToPath(import.meta.url)), 1);
await import('../../build/loader.mjs');
