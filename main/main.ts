import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { app, BrowserWindow, dialog, powerMonitor, protocol } from 'electron';
import { LOG_LEVELS, type LogLevel } from '../app/log.ts';
import { forgetSecrets } from '../app/settings.ts';
import { fileError } from '../app/store/file-errors.ts';
import { VERSION } from '../app/version.ts';
import { appFolder } from './app-folder.ts';
import { AppLog } from './app-log.ts';
import { type Shell, startShell } from './shell.ts';
import { denyByDefault } from './windows/hardening.ts';
import { registerScheme } from './windows/protocol.ts';

/** Calls in flight get 5 s, then the rest of a refresh that is under way, whose rotated token must not be lost. */
const LONGEST_END_MS = 15_000;
/** The same after the logouts, for which servers and stores have their own time. */
const LONGEST_RESET_MS = 75_000;

// The Keychain item of the encryption key is named after the app: one that runs from its source must not ask for that of
// an installed one.
if (!app.isPackaged) app.setName('MCP Auth Proxy Development');
const env = { ...process.env };
forgetSecrets(process.env);
const folder = appFolder(env, { packaged: app.isPackaged });
if (!makeFolder(folder.chromium)) app.exit(1);
else {
  app.setPath('userData', folder.chromium);
  const start: SecondStart = { withServer: Boolean(env.UPSTREAM_MCP_URL?.trim()) };
  if (app.requestSingleInstanceLock({ ...start })) run();
  else {
    if (start.withServer) {
      process.stderr.write(
        'MCP Auth Proxy runs already, so UPSTREAM_MCP_URL was not added; quit it first.\n',
      );
    }
    app.exit(0);
  }
}

/** What a start tells the app that runs already. */
interface SecondStart {
  readonly withServer: boolean;
}

/** There is no log yet, and no window: what is wrong is said by the system's own dialog, on Linux by standard error. */
function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return true;
  } catch (error) {
    const { message } = fileError(path, error, 'set STATE_DIR to another folder');
    dialog.showErrorBox('MCP Auth Proxy cannot start.', message);
    return false;
  }
}

function run(): void {
  const log = new AppLog(folder.logFile, levelFrom(env.LOG_LEVEL));
  const { logger } = log;
  // Without a listener Electron shows a stack to the person.
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      logger.error('Something went wrong', { error: error instanceof Error ? error.stack : String(error) });
    });
  }
  registerScheme(protocol);
  denyByDefault(app);

  const started = app.whenReady().then(() => startShell({ folder, log, env, onReset: () => end('reset') }));
  app.on('activate', () => void started.then((shell) => shell.openWindow()));
  // The app lives in the menu bar.
  app.on('window-all-closed', () => undefined);
  const end = untilEnd(started, log);
  started.then(
    () => logger.info('Started', { version: VERSION, electron: process.versions.electron }),
    (error: unknown) => {
      logger.error('The app could not start', {
        error: error instanceof Error ? error.stack : String(error),
      });
      process.stderr.write(`MCP Auth Proxy could not start; ${folder.logFile} says why.\n`);
      app.exit(1);
    },
  );
}

/** How the app ends: as it is, or as if it had never been there, to start anew. */
type End = 'quit' | 'reset';

/**
 * Quits once the servers have ended, which takes a while when calls are in flight.
 * @returns what ends the app, if nothing has so far
 */
function untilEnd(started: Promise<Shell>, { logger }: AppLog): (how: End) => void {
  let ending = false;
  let systemEnds = false;
  app.on('second-instance', (_event, _argv, _folder, data) => {
    // Whoever starts the app while it ends wants it to run.
    if (ending) {
      giveEnvironmentOn();
      app.relaunch();
    } else {
      const { withServer } = data as SecondStart;
      void started.then((shell) => (withServer ? shell.refuseServer() : shell.openWindow()));
    }
  });
  app.on('before-quit', (event) => {
    // Macs take a quit that is put off for a refusal to log out or shut down.
    if (!systemEnds) event.preventDefault();
    end('quit');
  });
  void app.whenReady().then(() =>
    powerMonitor.on('shutdown', () => {
      systemEnds = true;
      end('quit');
    }),
  );

  function end(how: End): void {
    if (ending) return;
    ending = true;
    logger.info(how === 'reset' ? 'Resetting everything' : 'Stopping');
    const leave = () => {
      if (how === 'reset') startAnew();
      app.exit(0);
    };
    // The window says meanwhile that everything is being reset.
    if (how === 'quit') for (const window of BrowserWindow.getAllWindows()) window.hide();
    // What hangs beyond that, such as a command of the store, is left behind.
    setTimeout(leave, how === 'reset' ? LONGEST_RESET_MS : LONGEST_END_MS).unref();
    void started
      .then((shell) => (how === 'reset' ? shell.reset() : shell.close()))
      .catch((error: unknown) => {
        logger.error('The app did not end well', {
          error: error instanceof Error ? error.stack : String(error),
        });
      })
      .finally(() => {
        logger.info('Stopped');
        leave();
      });
  }

  return end;
}

/**
 * Starts the app again, when this process has ended; an AppImage at once, because its file system goes with this process.
 * That one does not meet this one's lock: it was in the folder that is gone.
 */
function startAnew(): void {
  giveEnvironmentOn();
  const { APPIMAGE } = env;
  if (!app.isPackaged || !APPIMAGE) app.relaunch();
  else spawn(APPIMAGE, process.argv.slice(1), { detached: true, stdio: 'ignore' }).unref();
}

/** The next process has the settings of this one, the key that callers need among them. */
function giveEnvironmentOn(): void {
  Object.assign(process.env, env);
}

function levelFrom(variable: string | undefined): LogLevel {
  return LOG_LEVELS.find((level) => level === variable) ?? 'info';
}
