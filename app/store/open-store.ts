import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { type SecretStore, SecretStoreError, type StoreKind } from './secret-store.ts';

export interface OpenStoreOptions {
  /** `TOKEN_STORE`; `auto` picks the operating system's own. */
  kind: 'auto' | StoreKind;
  /** `KEYCHAIN_SERVICE`. */
  service: string;
  /** `STATE_DIR`; the file store lies in its subfolder `secrets`. */
  stateDir: string;
  /** `TOKEN_STORE_KEY`, for the file store. */
  passphrase?: string | undefined;
  platform?: NodeJS.Platform;
  /** Environment of the commands that are run; `SECURITY_BIN` stands in for Apple's `security` in tests. */
  env?: NodeJS.ProcessEnv;
}

const FOLDER = 'mcp-auth-proxy';
const PROBE_MS = 3_000;

/**
 * Opens the store that the settings ask for. A kind that is named is taken as it is; `auto` is the Keychain on macOS, the
 * Secret Service on Linux when one answers within a few seconds, else encrypted files.
 *
 * @throws {SecretStoreError} `unavailable` for a service name the store cannot take and for a Keychain where there is none; whether a store works shows at its use
 */
export async function openStore(options: OpenStoreOptions): Promise<SecretStore> {
  const { service, stateDir, passphrase, platform = process.platform, env = process.env } = options;
  const kind = options.kind === 'auto' ? await ownKind(platform, env, service) : options.kind;
  // Whatever STATE_DIR is: processes that share these items have to share their locks.
  const lockFolder = path.join(userStateFolder(platform, env), 'locks');
  switch (kind) {
    case 'keychain': {
      const { createKeychainStore } = await import('./keychain.ts');
      const { SECURITY_BIN } = env;
      if (platform !== 'darwin' && !SECURITY_BIN) {
        const message = 'TOKEN_STORE=keychain works on macOS only; set TOKEN_STORE to auto or file.';
        throw new SecretStoreError('unavailable', message);
      }
      return createKeychainStore({
        service,
        lockFolder,
        ...(SECURITY_BIN ? { securityBin: SECURITY_BIN } : {}),
      });
    }
    case 'secret-service': {
      const { createSecretServiceStore } = await import('./secret-service.ts');
      return createSecretServiceStore({ service, env, lockFolder });
    }
    case 'file': {
      const { createFileStore } = await import('./file.ts');
      const folder = path.join(stateDir, 'secrets');
      return createFileStore({ folder, ...(passphrase === undefined ? {} : { passphrase }) });
    }
    case 'memory': {
      const { createMemoryStore } = await import('./memory.ts');
      return createMemoryStore();
    }
  }
}

/**
 * The operating system's place for what this program keeps for the user: `~/Library/Application Support/mcp-auth-proxy`
 * (macOS), `%LOCALAPPDATA%\mcp-auth-proxy` (Windows), `$XDG_STATE_HOME/mcp-auth-proxy` or
 * `~/.local/state/mcp-auth-proxy` (elsewhere).
 * @see https://specifications.freedesktop.org/basedir-spec/
 */
export function userStateFolder(
  platform: NodeJS.Platform = process.platform,
  env: NodeJS.ProcessEnv = process.env,
): string {
  if (platform === 'win32') {
    const local = env.LOCALAPPDATA || path.win32.join(env.USERPROFILE || homedir(), 'AppData', 'Local');
    return path.win32.join(local, FOLDER);
  }
  const home = env.HOME || homedir();
  if (platform === 'darwin') return path.posix.join(home, 'Library', 'Application Support', FOLDER);
  const { XDG_STATE_HOME } = env;
  // The specification has relative paths ignored.
  const state =
    XDG_STATE_HOME && path.posix.isAbsolute(XDG_STATE_HOME)
      ? XDG_STATE_HOME
      : path.posix.join(home, '.local', 'state');
  return path.posix.join(state, FOLDER);
}

async function ownKind(
  platform: NodeJS.Platform,
  env: NodeJS.ProcessEnv,
  service: string,
): Promise<StoreKind> {
  if (platform === 'darwin') return 'keychain';
  if (platform !== 'linux' || !hasSessionBus(env)) return 'file';
  const { isSecretServiceUsable } = await import('./secret-service.ts');
  return (await isSecretServiceUsable({ service, env }, PROBE_MS)) ? 'secret-service' : 'file';
}

/** Without one libsecret would start a bus of its own, on a display, and find an empty keyring there. */
function hasSessionBus(env: NodeJS.ProcessEnv): boolean {
  if (env.DBUS_SESSION_BUS_ADDRESS) return true;
  return env.XDG_RUNTIME_DIR !== undefined && existsSync(path.join(env.XDG_RUNTIME_DIR, 'bus'));
}
