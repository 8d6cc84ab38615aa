import { checkServiceName } from './item-name.ts';
import { type CommandResult, runCommand } from './run-command.ts';
import { type SecretStore, SecretStoreError } from './secret-store.ts';
import { createSplitStore, type ItemKeeper } from './split-items.ts';

export interface KeychainStoreOptions {
  /** Service name of the items (`KEYCHAIN_SERVICE`). */
  service: string;
  /** Absolute path of Apple's `security` command. */
  securityBin?: string;
  /** Folder for locks between processes; `undefined`: none. */
  lockFolder?: string | undefined;
  /** Milliseconds until a call that hangs is given up; by default a minute. */
  timeoutMs?: number;
}

const COMMAND = '/usr/bin/security';
/** `security -i` reads a line into 4096 bytes, its newline or a NUL included, and takes the rest for another line. */
const LONGEST_LINE = 4095;
const NOT_FOUND = 44;
const DUPLICATE = 45;

/**
 * The login Keychain of macOS, through Apple's `security` command. A secret is passed on standard input and never in
 * an argument; every write is read back, every removal looked up again.
 *
 * @throws {SecretStoreError} `unavailable` for a service name the command cannot take
 */
export function createKeychainStore(options: KeychainStoreOptions): SecretStore {
  const { service, securityBin = COMMAND, lockFolder, timeoutMs = 60_000 } = options;
  checkServiceName(service);

  async function security(
    args: readonly string[],
    input?: string,
  ): Promise<CommandResult & { outcome: 'exited' }> {
    const result = await runCommand(securityBin, args, {
      timeoutMs,
      ...(input === undefined ? {} : { input }),
    });
    if (result.outcome === 'exited') return result;
    throw result.outcome === 'timed-out' ? noAnswer(timeoutMs) : notStarted(securityBin, result.errorCode);
  }

  async function read(name: string): Promise<string | undefined> {
    const result = await security(['find-generic-password', '-s', service, '-a', name, '-w']);
    if (result.code === NOT_FOUND) return undefined;
    if (result.code !== 0) throw failure(result.code);
    return result.stdout.replace(/\n$/, '');
  }

  async function add(name: string, text: string): Promise<number> {
    return (await security(['-i'], addCommand(service, name, text))).code;
  }

  async function remove(name: string): Promise<void> {
    const deleted = await security(['delete-generic-password', '-s', service, '-a', name]);
    if (deleted.code === NOT_FOUND) return;
    if (deleted.code !== 0) throw failure(deleted.code);
    // The command reports success even when nothing was deleted.
    const found = await security(['find-generic-password', '-s', service, '-a', name]);
    if (found.code === NOT_FOUND) return;
    if (found.code !== 0) throw failure(found.code);
    throw new SecretStoreError(
      'denied',
      `macOS did not delete the stored login. Delete the item "${service}" in Keychain Access.`,
    );
  }

  async function write(name: string, text: string): Promise<void> {
    const code = await add(name, text);
    if (code !== 0 && code !== DUPLICATE) throw failure(code);
    if ((await read(name)) === text) return;
    // `-U` does not replace every item it finds: make room for a new one.
    await remove(name);
    const again = await add(name, text);
    if (again !== 0) throw failure(again);
    if ((await read(name)) === text) return;
    throw new SecretStoreError(
      'unavailable',
      'The macOS Keychain did not keep the login as it was given. Try again, or set TOKEN_STORE=file.',
    );
  }

  const keeper: ItemKeeper = {
    capacity: (name) => LONGEST_LINE - Buffer.byteLength(addCommand(service, name, '')),
    read,
    write,
    remove,
  };
  return createSplitStore({
    kind: 'keychain',
    description: `the macOS Keychain (service "${service}")`,
    service,
    lockFolder,
    keeper,
  });
}

/** One line for `security -i`; without its newline the command would drop it. */
function addCommand(service: string, name: string, text: string): string {
  return `add-generic-password -U -s ${quote(service)} -a ${quote(name)} -w ${quote(text)}\n`;
}

/** Backslash escapes any character inside quotes; a newline cannot be in a word. */
function quote(word: string): string {
  return `"${word.replaceAll(/["\\]/g, '\\$&')}"`;
}

function failure(code: number): SecretStoreError {
  switch (code) {
    case 24: // errSecInDarkWake
    case 29: // errSecInteractionRequired
    case 36: // errSecInteractionNotAllowed
      return new SecretStoreError('locked', 'The macOS Keychain is locked. Unlock this Mac, then try again.');
    case 51: // errSecAuthFailed
    case 128: // errSecUserCanceled
      return new SecretStoreError(
        'denied',
        'macOS refused access to the stored login. Try again and allow it, or log in again.',
      );
    case 37: // errSecNoDefaultKeychain
    case 50: // errSecNoSuchKeychain
      return new SecretStoreError(
        'unavailable',
        'There is no default Keychain. Create one in Keychain Access, or set TOKEN_STORE=file.',
      );
    default:
      return new SecretStoreError(
        'unavailable',
        `The macOS Keychain failed (security ended with code ${code}). Try again, or set TOKEN_STORE=file.`,
      );
  }
}

function noAnswer(timeoutMs: number): SecretStoreError {
  return new SecretStoreError(
    'locked',
    `The macOS Keychain gave no answer for ${timeoutMs / 1000} s. Answer its prompt if there is one on the screen, then try again.`,
  );
}

function notStarted(path: string, errorCode: string | undefined): SecretStoreError {
  return new SecretStoreError(
    'unavailable',
    `Cannot run ${path} (${errorCode ?? 'unknown error'}), which the Keychain store needs and only macOS has. Set TOKEN_STORE=auto.`,
  );
}
