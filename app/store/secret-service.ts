import { randomUUID } from 'node:crypto';
import { checkServiceName } from './item-name.ts';
import { runCommand } from './run-command.ts';
import { type SecretStore, SecretStoreError } from './secret-store.ts';
import { createSplitStore, type ItemKeeper } from './split-items.ts';

export interface SecretServiceStoreOptions {
  /** Value of the items' attribute `service` (`KEYCHAIN_SERVICE`). */
  service: string;
  /** The `secret-tool` command, a path or a name that is looked up in `PATH`. */
  command?: string;
  /** Environment of the command; it names the session bus. */
  env?: NodeJS.ProcessEnv;
  /** Folder for locks between processes; `undefined`: none. */
  lockFolder?: string | undefined;
  /** Milliseconds until a call that hangs is given up; by default a minute. */
  timeoutMs?: number;
}

type Answer = { code: number; stdout: string; fault: string | undefined };
type SecretTool = (args: readonly string[], input?: string) => Promise<Answer>;

/** `secret-tool store` reads into 8192 bytes, cuts off what is longer, and still ends with 0. */
const LONGEST_SECRET = 8191;
/** Exit code when nothing matches, and when something went wrong, which standard error then tells. */
const NOT_FOUND = 1;

/**
 * The Secret Service of the desktop (GNOME Keyring, KWallet, KeePassXC) through `secret-tool` of libsecret. A secret is
 * passed on standard input and never in an argument; every write is read back, every removal looked up again.
 *
 * @throws {SecretStoreError} `unavailable` for a service name the command cannot take
 * @see https://specifications.freedesktop.org/secret-service/
 */
export function createSecretServiceStore(options: SecretServiceStoreOptions): SecretStore {
  const { service, lockFolder } = options;
  checkServiceName(service);
  return createSplitStore({
    kind: 'secret-service',
    description: `the desktop's keyring (service "${service}")`,
    service,
    lockFolder,
    keeper: createKeeper(options),
  });
}

/**
 * Tells whether a Secret Service answers and can be used. Where no prompt can be shown (no display), a locked one is of
 * no use and only a write tells: there an item without a secret is written and removed again.
 *
 * @param timeoutMs longest time for each call, in milliseconds
 */
export async function isSecretServiceUsable(
  options: Omit<SecretServiceStoreOptions, 'lockFolder' | 'timeoutMs'>,
  timeoutMs: number,
): Promise<boolean> {
  const { DISPLAY, WAYLAND_DISPLAY } = options.env ?? process.env;
  const keeper = createKeeper({ ...options, timeoutMs });
  // No account's item has such a name, and no other process that asks the same.
  const name = `#probe-${randomUUID()}`;
  try {
    await keeper.read(name);
    if (DISPLAY === undefined && WAYLAND_DISPLAY === undefined) {
      await keeper.write(name, 'no secret');
      await keeper.remove(name);
    }
    return true;
  } catch (error) {
    if (error instanceof SecretStoreError) return false;
    throw error;
  }
}

function createKeeper(options: SecretServiceStoreOptions): ItemKeeper {
  const { service } = options;
  const secretTool = createSecretTool(options);
  const attributes = (name: string) => ['--', 'service', service, 'account', name];

  const lookUp = (name: string) => secretTool(['lookup', ...attributes(name)]);

  /** Also finds items of a locked keyring, which `lookup` and `clear` pass over in silence. */
  async function search(name: string): Promise<'none' | 'locked' | 'open'> {
    const found = await secretTool(['search', '--all', ...attributes(name)]);
    if (found.stdout !== '') return found.fault === undefined ? 'open' : 'locked';
    if (found.fault !== undefined || found.code !== 0) throw failure(found.fault);
    return 'none';
  }

  async function read(name: string): Promise<string | undefined> {
    let found = await lookUp(name);
    if (found.code === NOT_FOUND && found.fault === undefined) {
      const state = await search(name);
      if (state === 'none') return undefined;
      if (state === 'locked') throw locked();
      // Another process stored it just now.
      found = await lookUp(name);
    }
    if (found.fault !== undefined || found.code > NOT_FOUND) throw failure(found.fault);
    if (found.code === NOT_FOUND) throw locked();
    return found.stdout;
  }

  return {
    capacity: () => LONGEST_SECRET,
    read,
    async write(name, text) {
      const stored = await secretTool(['store', '--label=MCP Auth Proxy', ...attributes(name)], text);
      if (stored.fault !== undefined || stored.code !== 0) throw failure(stored.fault);
      if ((await read(name)) === text) return;
      throw new SecretStoreError(
        'unavailable',
        'The keyring did not keep the login as it was given. Try again, or set TOKEN_STORE=file.',
      );
    },
    async remove(name) {
      const cleared = await secretTool(['clear', ...attributes(name)]);
      if (cleared.fault !== undefined || cleared.code > NOT_FOUND) throw failure(cleared.fault);
      if ((await search(name)) !== 'none') throw locked();
    },
  };
}

function createSecretTool(options: SecretServiceStoreOptions): SecretTool {
  const { command = 'secret-tool', timeoutMs = 60_000 } = options;
  // English messages, to be told apart below; UTF-8, or the command refuses other arguments than ASCII.
  const env = { ...(options.env ?? process.env), LC_ALL: 'C.UTF-8', LANGUAGE: 'C' };
  return async (args, input) => {
    const result = await runCommand(command, args, {
      env,
      timeoutMs,
      ...(input === undefined ? {} : { input }),
    });
    if (result.outcome === 'exited') {
      return { code: result.code, stdout: result.stdout, fault: faultIn(result.stderr) };
    }
    throw result.outcome === 'timed-out' ? noAnswer(timeoutMs) : notStarted(command, result.errorCode);
  };
}

/** What the command says went wrong, without its name in front. Libraries it uses warn in other forms. */
function faultIn(stderr: string): string | undefined {
  return /^[^\s(*:]+: (.+)$/m.exec(stderr)?.[1];
}

function failure(fault = 'no reason given'): SecretStoreError {
  if (/\blocked\b/i.test(fault)) return locked();
  if (/dismissed|cancel|denied|not allowed/i.test(fault)) {
    return new SecretStoreError(
      'denied',
      'The keyring refused access to the stored login. Try again and allow it, or log in again.',
    );
  }
  if (/textual password/.test(fault)) {
    return new SecretStoreError(
      'corrupt',
      'The stored login in the keyring was written by another program. Log in again.',
    );
  }
  return new SecretStoreError(
    'unavailable',
    `The desktop's keyring does not answer (${fault}). Log in to the desktop, or set TOKEN_STORE=file.`,
  );
}

function locked(): SecretStoreError {
  return new SecretStoreError('locked', 'The keyring is locked. Unlock it, then try again.');
}

function noAnswer(timeoutMs: number): SecretStoreError {
  return new SecretStoreError(
    'locked',
    `The keyring gave no answer for ${timeoutMs / 1000} s. Answer its prompt if there is one on the screen, then try again.`,
  );
}

function notStarted(command: string, errorCode: string | undefined): SecretStoreError {
  const cure = 'Install it (on Debian and Ubuntu the package libsecret-tools) or set TOKEN_STORE=file.';
  const message =
    errorCode === 'ENOENT'
      ? `The command ${command} is missing. ${cure}`
      : `Cannot run ${command} (${errorCode ?? 'unknown error'}). ${cure}`;
  return new SecretStoreError('unavailable', message);
}
