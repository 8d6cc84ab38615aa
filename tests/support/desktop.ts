import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll } from 'vitest';
import { type Keyring, startKeyring } from './keyring.ts';

const COMMANDS = ['Xvfb', 'dbus-daemon', 'dbus-monitor', 'gnome-keyring-daemon'];

/** What a program that shows windows finds when a person has logged in at a Linux desktop, made for tests. */
export interface Desktop {
  /** Environment for the programs of this desktop; nothing else of the tests' own is in it. */
  readonly env: Readonly<Record<string, string>>;
  /** Address of the session bus. */
  readonly busAddress: string;
  /** The Secret Service, unlocked; `undefined` on a desktop without one. */
  readonly keyring: Keyring | undefined;
  stop(): Promise<void>;
}

export interface DesktopOptions {
  /** `false`: nobody on the bus keeps secrets, and nobody can be started to. Electron then cannot encrypt at all. */
  readonly keyring?: boolean;
}

/**
 * Why there can be no desktop here, if there is none. In continuous integration that is an error where there could be.
 * @throws Error on Linux when `CI` is `true` and something is missing
 */
export function missingDesktop(): string | undefined {
  if (process.platform !== 'linux') return 'The desktop of the tests is made of programs for Linux.';
  const missing = COMMANDS.filter((command) => !isOnPath(command));
  if (missing.length === 0) return undefined;
  const reason = `There is no ${missing.join(', ')} here; run "npm run setup".`;
  if (process.env.CI === 'true') throw new Error(reason);
  return reason;
}

/** A desktop for all tests of the file (or `describe`) that calls it: there from the first test until after the last. */
export function givenDesktop(options: DesktopOptions = {}): () => Desktop {
  let desktop: Desktop | undefined;
  beforeAll(async () => {
    desktop = await startDesktop(options);
  });
  afterAll(() => desktop?.stop());
  return () => {
    if (desktop === undefined) throw new Error('The desktop is there in tests and their hooks only.');
    return desktop;
  };
}

/** Starts a display, a session bus and, unless told otherwise, a keyring; resolved means that all of them answer. */
export async function startDesktop({ keyring: hasKeyring = true }: DesktopOptions = {}): Promise<Desktop> {
  const [display, session] = await Promise.allSettled([
    startDisplay(),
    hasKeyring ? startSession() : startBus(),
  ]);
  if (display.status === 'rejected' || session.status === 'rejected') {
    for (const part of [display, session]) if (part.status === 'fulfilled') await part.value.stop();
    throw display.status === 'rejected' ? display.reason : (session as PromiseRejectedResult).reason;
  }
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries({
    ...session.value.env,
    DISPLAY: display.value.name,
    // Electron chooses its store of secrets and the form of its tray icon by it.
    XDG_CURRENT_DESKTOP: 'GNOME',
    XDG_SESSION_TYPE: 'x11',
    LANG: 'C.UTF-8',
    // No machine's own bus is touched. A test that plays logind on this one sends the app to sleep and wakes it.
    DBUS_SYSTEM_BUS_ADDRESS: session.value.env.DBUS_SESSION_BUS_ADDRESS,
    // Else GTK starts an accessibility bus that outlives the test.
    NO_AT_BRIDGE: '1',
    GTK_A11Y: 'none',
  }))
    if (value !== undefined) env[name] = value;
  return {
    env,
    busAddress: env.DBUS_SESSION_BUS_ADDRESS ?? '',
    keyring: session.value.keyring,
    async stop() {
      await session.value.stop();
      await display.value.stop();
    },
  };
}

/** An X server on a display that it finds free by itself. */
async function startDisplay(): Promise<{ name: string; stop(): Promise<void> }> {
  const server = spawn(
    'Xvfb',
    ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp', '-noreset'],
    {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    },
  );
  try {
    const number = await firstLine(server, server.stdio[3] as Readable);
    return { name: `:${number}`, stop: () => end(server) };
  } catch (error) {
    await end(server);
    throw error;
  }
}

interface Session {
  readonly env: NodeJS.ProcessEnv;
  readonly keyring: Keyring | undefined;
  stop(): Promise<void>;
}

async function startSession(): Promise<Session> {
  const keyring = await startKeyring();
  return { env: keyring.env, keyring, stop: () => keyring.stop() };
}

/** A bus from which nothing is started by its name. */
async function startBus(): Promise<Session> {
  const folder = await mkdtemp(join(tmpdir(), 'desktop-'));
  await mkdir(join(folder, 'runtime'), { mode: 0o700 });
  const address = `unix:path=${join(folder, 'bus')}`;
  const config = join(folder, 'bus.conf');
  await writeFile(
    config,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
      "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
    <busconfig><type>session</type><listen>${address}</listen><policy context="default">
      <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
    </policy></busconfig>`,
  );
  const bus = spawn('dbus-daemon', [`--config-file=${config}`, '--nofork', '--print-address'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const stop = async () => {
    await end(bus);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await firstLine(bus, bus.stdout);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      XDG_DATA_HOME: join(folder, 'data'),
      XDG_CONFIG_HOME: join(folder, 'config'),
      XDG_CACHE_HOME: join(folder, 'cache'),
      XDG_RUNTIME_DIR: join(folder, 'runtime'),
      DBUS_SESSION_BUS_ADDRESS: address,
    },
    keyring: undefined,
    stop,
  };
}

/** What a process says first; an error when it ends without a word. */
async function firstLine(child: ChildProcess, stream: Readable): Promise<string> {
  const failed = once(child, 'error').then(([error]) => Promise.reject(error));
  const said = (async () => {
    let text = '';
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      text += String(chunk);
      if (text.includes('\n')) return text.slice(0, text.indexOf('\n')).trim();
    }
    throw new Error(`${child.spawnfile} ended at once`);
  })();
  return await Promise.race([said, failed]);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

function isOnPath(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
