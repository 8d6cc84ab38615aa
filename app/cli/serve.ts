import { Broker } from '../broker.ts';
import { openLog } from '../log.ts';
import { SECRET_SETTINGS, type Settings, SettingsError, settingsFromEnvironment } from '../settings.ts';
import { SecretStoreError } from '../store/secret-store.ts';
import { VERSION } from '../version.ts';
import type { ListeningMessage } from './background.ts';

/** Exit codes of `serve`. */
const EXIT_FAILED = 1;
const EXIT_BAD_SETTING = 2;
const EXIT_PORT_TAKEN = 3;

/**
 * Runs one broker in the foreground until SIGINT or SIGTERM.
 * @param options.logFile where log lines go instead of standard error
 * @returns the exit code
 */
export async function serve({ logFile }: { logFile?: string | undefined }): Promise<number> {
  let settings: Settings;
  try {
    settings = settingsFromEnvironment(process.env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    for (const fault of error.faults) process.stderr.write(`${fault}\n`);
    return EXIT_BAD_SETTING;
  }
  const log = openLog({
    level: settings.logLevel,
    secrets: SECRET_SETTINGS.map((name) => settings[name]).filter((secret) => secret !== undefined),
    ...(logFile === undefined ? {} : { file: logFile }),
  });
  const broker = new Broker({ settings, log });
  const stopped = untilStopped();
  try {
    await broker.start();
  } catch (error) {
    return startFailure(error, settings);
  }
  log.info('Listening', { version: VERSION, url: broker.mcpUrl, upstream: broker.upstreamShown });
  const { state } = broker;
  if (state === 'authenticated') log.info('A stored login was found; no login is needed');
  else log.info(`Not logged in; open ${broker.loginUrl} if the server wants a login`, { state });
  tellParent({ type: 'listening', url: broker.localUrl });
  const signal = await stopped;
  log.info('Stopping', { signal });
  await broker.close();
  log.info('Stopped');
  return 0;
}

function startFailure(error: unknown, { port, bind }: Settings): number {
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
      return EXIT_FAILED;
  }
}

function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
}

/** A broker in the background tells the process that started it, and is on its own from then on. */
function tellParent(message: ListeningMessage): void {
  process.send?.(message, () => process.disconnect?.());
}
