import { runCommand } from '../../app/store/run-command.ts';

export interface EncryptionKeyOptions {
  /** By it the system knows whose key it is. */
  readonly appName: string;
  readonly platform?: NodeJS.Platform;
  /** `SECURITY_BIN` stands in for Apple's `security` in tests. */
  readonly env?: NodeJS.ProcessEnv;
}

/** A prompt may be on the screen, in milliseconds. */
const TIMEOUT_MS = 30_000;
/** Apple's `security`: there is no such item. */
const NOT_FOUND = 44;

/**
 * Deletes the key by which safeStorage encrypts, which Electron offers no call for. What a reset has overlooked can then be
 * read by nobody. This process goes on with the key that it has; the next one makes a new key.
 * @returns what is left and what to do, in a sentence; `undefined` when nothing is
 */
export async function deleteEncryptionKey(options: EncryptionKeyOptions): Promise<string | undefined> {
  const { appName, platform = process.platform, env = process.env } = options;
  switch (platform) {
    case 'darwin':
      return deleteFromKeychain(`${appName} Safe Storage`, env);
    case 'linux':
      return deleteFromKeyring(appName, env);
    default:
      return undefined;
  }
}

async function deleteFromKeychain(service: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const security = async (command: string) => {
    const result = await runCommand(env.SECURITY_BIN || '/usr/bin/security', [command, '-s', service], {
      timeoutMs: TIMEOUT_MS,
    });
    return result.outcome === 'exited' ? result.code : undefined;
  };
  await security('delete-generic-password');
  // The command reports success even when nothing was deleted.
  if ((await security('find-generic-password')) === NOT_FOUND) return undefined;
  return `The key "${service}" may still be in the Keychain: delete it in Keychain Access.`;
}

/** Chromium's own attributes. Where the command is missing, the key is kept and used again; there is nothing left for it. */
async function deleteFromKeyring(appName: string, env: NodeJS.ProcessEnv): Promise<undefined> {
  const attributes = ['xdg:schema', 'chrome_libsecret_os_crypt_password_v2', 'application', appName];
  await runCommand('secret-tool', ['clear', ...attributes], { env, timeoutMs: TIMEOUT_MS });
}
