import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';

const PASSWORD = 'keyring password of a test';
const SECRETS = 'org.freedesktop.secrets';

/** A real Secret Service: gnome-keyring on a session bus of its own, with all its files in a temporary folder. */
export interface Keyring {
  /** Environment for processes that shall see this keyring and no display. */
  env: NodeJS.ProcessEnv;
  lock(): Promise<void>;
  unlock(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a bus and a keyring daemon; resolved means that the keyring is unlocked and answers. */
export async function startKeyring(): Promise<Keyring> {
  const folder = await mkdtemp(join(tmpdir(), 'keyring-'));
  const env = environment(folder);
  await mkdir(join(folder, 'runtime'), { mode: 0o700 });
  const children: ChildProcess[] = [];

  async function stop(): Promise<void> {
    for (const child of children.reverse()) await end(child);
    await rm(folder, { recursive: true, force: true });
  }

  try {
    const address = `--address=${env.DBUS_SESSION_BUS_ADDRESS}`;
    const bus = start('dbus-daemon', ['--session', '--nofork', '--print-address', address], env);
    children.push(bus);
    await output(bus.stdout, /unix:/);

    // The monitor tells when the daemon has its name; asking for the name would start another daemon.
    const match = `type='signal',member='NameOwnerChanged',arg0='${SECRETS}'`;
    const monitor = start('dbus-monitor', ['--session', match], env);
    children.push(monitor);
    await output(monitor.stdout, /NameAcquired/);
    const owned = output(monitor.stdout, /NameOwnerChanged/);
    const daemon = start('gnome-keyring-daemon', ['--foreground', '--unlock', '--components=secrets'], env);
    children.push(daemon);
    daemon.stdin.end(PASSWORD);
    await Promise.race([owned, ended(daemon)]);
    children.splice(children.indexOf(monitor), 1);
    await end(monitor);
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    env,
    async lock() {
      const collection = '/org/freedesktop/secrets/collection/login';
      await promisify(execFile)(
        'dbus-send',
        [
          ...['--session', '--print-reply', `--dest=${SECRETS}`, '/org/freedesktop/secrets'],
          ...['org.freedesktop.Secret.Service.Lock', `array:objpath:${collection}`],
        ],
        { env },
      );
    },
    unlock: () => unlock(join(folder, 'runtime', 'keyring', 'control')),
    stop,
  };
}

function environment(folder: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: folder,
    XDG_DATA_HOME: join(folder, 'data'),
    XDG_CONFIG_HOME: join(folder, 'config'),
    XDG_CACHE_HOME: join(folder, 'cache'),
    XDG_RUNTIME_DIR: join(folder, 'runtime'),
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(folder, 'bus')}`,
  };
}

function start(command: string, args: string[], env: NodeJS.ProcessEnv) {
  return spawn(command, args, { env, stdio: ['pipe', 'pipe', 'ignore'] });
}

/** Resolves once the stream has printed what is looked for. */
async function output(stream: Readable, wanted: RegExp): Promise<void> {
  let text = '';
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (wanted.test(text)) return;
  }
  throw new Error(`a process of the test keyring ended without printing ${wanted}`);
}

async function ended(child: ChildProcess): Promise<never> {
  const [code] = await once(child, 'exit');
  throw new Error(`${child.spawnfile} ended with ${code}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** What `pam_gnome_keyring` does after a log-in; the daemon's own command has no way to unlock a running daemon. */
async function unlock(controlSocket: string): Promise<void> {
  const UNLOCK = 1;
  const password = Buffer.from(PASSWORD);
  // A byte that carries the peer's credentials; then length, operation, and the password with its length.
  const request = Buffer.alloc(13);
  request.writeUInt32BE(12 + password.length, 1);
  request.writeUInt32BE(UNLOCK, 5);
  request.writeUInt32BE(password.length, 9);
  const socket = connect(controlSocket);
  socket.write(Buffer.concat([request, password]));
  const [reply]: Buffer[] = await once(socket, 'data');
  socket.destroy();
  const result = reply?.readUInt32BE(4);
  if (result !== 0) throw new Error(`the test keyring could not be unlocked (${result})`);
}
