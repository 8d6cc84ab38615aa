import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { Broker } from '../broker.ts';
import { type Logger, openLog } from '../log.ts';
import {
  forgetSecrets,
  SECRET_SETTINGS,
  type Settings,
  SettingsError,
  settingsFromEnvironment,
} from '../settings.ts';
import { SecretStoreError } from '../store/secret-store.ts';
import { VERSION } from '../version.ts';
import type { ListeningMessage } from './background.ts';

/** Exit codes of `serve`. */
const EXIT_BAD_SETTING = 2;
const EXIT_PORT_TAKEN = 3;

/** The process that started this one hears of it at the latest so long after it listens, in milliseconds. */
const STORE_PATIENCE_MS = 2_000;
/**
 * Longest time from the signal to the end, in milliseconds: 5 s for calls in flight, then the rest of a refresh that is
 * under way, whose rotated token must not be lost.
 */
const LONGEST_END_MS = 15_000;
/** What is left behind may keep the process for so long, in milliseconds. */
const LAST_WAIT_MS = 500;

/**
 * Runs one broker in the foreground until SIGINT or SIGTERM.
 * @param options.logFile where log lines go instead of standard error
 * @returns the exit code
 */
export async function serve({ logFile }: { logFile?: string | undefined }): Promise<number> {
  // The optimizing compiler for WebAssembly, which undici's HTTP parser is in, leaves 10 MB behind: for a busy broker only.
  setFlagsFromString('--wasm-tiering-budget=1000000000');
  let settings: Settings;
  try {
    settings = settingsFromEnvironment(process.env);
  } catch (error) {
    return settingsFailure(error);
  } finally {
    forgetSecrets(process.env);
  }
  const log = openLog({
    level: settings.logLevel,
    secrets: SECRET_SETTINGS.map((name) => settings[name]).filter((secret) => secret !== undefined),
    ...(logFile === undefined ? {} : { file: logFile }),
  });
  const broker = new Broker({ settings, log });
  const stopped = untilStopped();
  const started = broker.start();
  broker.once('listening', () => {
    log.info('Listening', { version: VERSION, url: broker.mcpUrl, upstream: broker.upstreamShown });
    void tellParent({ type: 'listening', url: broker.localUrl }, started);
  });
  try {
    await Promise.race([started.then(() => sayState(broker, log)), stopped]);
  } catch (error) {
    return startFailure(error, settings);
  }
  const signal = await stopped;
  log.info('Stopping', { signal });
  // What hangs beyond that, such as a command of the store, is left behind.
  const limit = setTimeout(() => process.exit(0), LONGEST_END_MS);
  await broker.close();
  clearTimeout(limit);
  log.info('Stopped');
  setTimeout(() => process.exit(0), LAST_WAIT_MS).unref();
  return 0;
}

function sayState({ state, loginUrl }: Broker, log: Logger): void {
  if (state === 'authenticated') log.info('A stored login was found; no login is needed');
  else log.info(`Not logged in; open ${loginUrl} if the server wants a login`, { state });
}

/**
 * Says what is wrong with the settings, in one line per fault on standard error.
 * @returns the exit code
 * @throws what is no {@link SettingsError}
 */
export function settingsFailure(error: unknown): number {
  if (!(error instanceof SettingsError)) throw error;
  for (const fault of error.faults) process.stderr.write(`${fault}\n`);
  return EXIT_BAD_SETTING;
}

/**
 * Says why a broker did not start, in one line on standard error.
 * @returns the exit code
 * @throws what it has no words for
 */
export function startFailure(error: unknown, { port, bind }: Pick<Settings, 'port' | 'bind'>): number {
  const { code } = error as { code?: unknown };
  switch (code) {
    case 'EADDRINUSE':
      process.stderr.write(
        `Port ${port} on ${bind} is taken; end the program that listens there, or set PORT to a free one.\n`,
      );
      return EXIT_PORT_TAKEN;
    case 'EACCES':
      process.stderr.write(`Port ${port} may not be used by this user; set PORT to one above 1023.\n`);
      return EXIT_PORT_TAKEN;
    case 'EADDRNOTAVAIL':
      process.stderr.write(
        `BIND "${bind}" is not an address of this machine; set it to one that is, or to 127.0.0.1.\n`,
      );
      return EXIT_BAD_SETTING;
    default:
      if (!(error instanceof SecretStoreError)) throw error;
      process.stderr.write(`${error.message}\n`);
      return EXIT_BAD_SETTING;
  }
}

function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
}

/**
 * A broker in the background tells the process that started it, and is on its own from then on. It waits for the store,
 * so that the state it shows is the true one, but not for a person whom the store has asked something.
 */
async function tellParent(message: ListeningMessage, started: Promise<void>): Promise<void> {
  if (process.send === undefined) return;
  const patience = delay(STORE_PATIENCE_MS, 'patience', { ref: false });
  const outcome = await Promise.race([started.catch(() => 'failed'), patience]);
  if (outcome === 'failed') return;
  process.send(message, () => {
    if (process.connected) process.disconnect();
  });
}
