import type { Settings } from '../../app/settings.ts';
import { createMemoryStore } from '../../app/store/memory.ts';
import { openStore } from '../../app/store/open-store.ts';
import { type SecretStore, SecretStoreError } from '../../app/store/secret-store.ts';
import type { Cipher } from './cipher.ts';

export interface AppStoreOptions {
  settings: Pick<Settings, 'tokenStore' | 'keychainService' | 'stateDir' | 'tokenStoreKey'>;
  cipher: Cipher;
  appName: string;
  /** Told when an item is there and cannot be read any more, so that the person learns why they are logged out. */
  onCorrupt?: (error: SecretStoreError) => void;
  /** `SECURITY_BIN` stands in for Apple's `security` in tests. */
  env?: NodeJS.ProcessEnv;
  platform?: NodeJS.Platform;
}

/** Tells our items from others and from later ways to encrypt; base64 follows. */
const FORMAT = 'safe-storage:v1:';

/**
 * Opens the store of the app: what it keeps is encrypted by the cipher, and the ciphertext lies in the Keychain on macOS
 * and in files elsewhere, or where the settings say. With a cipher that protects nothing it is a memory store; whether
 * it does may show only at the first use.
 * @throws {SecretStoreError} as {@link openStore} does
 */
export async function createAppStore(options: AppStoreOptions): Promise<SecretStore> {
  const { settings, env = process.env, platform = process.platform } = options;
  const inner = await openStore({
    kind: settings.tokenStore === 'auto' ? placeFor(platform, env) : settings.tokenStore,
    service: settings.keychainService,
    stateDir: settings.stateDir,
    passphrase: settings.tokenStoreKey,
    platform,
    env,
  });
  // What never leaves this process needs no cipher, and no prompt for its key.
  return inner.kind === 'memory' ? inner : encryptedStore(inner, options);
}

/** Not `auto` of the broker: on Linux the key lies in the keyring already, and files have no limit of size. */
function placeFor(platform: NodeJS.Platform, env: NodeJS.ProcessEnv): 'keychain' | 'file' {
  return platform === 'darwin' || env.SECURITY_BIN ? 'keychain' : 'file';
}

function encryptedStore(inner: SecretStore, { cipher, appName, onCorrupt }: AppStoreOptions): SecretStore {
  const memory = createMemoryStore();
  const isWeak = () => cipher.weakness !== undefined;
  /** Why the last login could not be stored. */
  let refused: SecretStoreError | undefined;
  // The broker on the command line keeps its own item for the same login: neither can read the other's.
  const itemOf = (account: string) => `${appName}: ${account}`;

  function corrupt(): SecretStoreError {
    const message = `The stored login was encrypted by another build or user of ${appName}; log in again.`;
    const error = new SecretStoreError('corrupt', message);
    onCorrupt?.(error);
    return error;
  }

  async function decrypt(stored: string): Promise<{ text: string; stale: boolean }> {
    if (!stored.startsWith(FORMAT)) throw corrupt();
    try {
      return await cipher.decrypt(stored.slice(FORMAT.length));
    } catch (error) {
      throw error instanceof SecretStoreError && error.code === 'corrupt' ? corrupt() : error;
    }
  }

  /** The login is there whether this succeeds or not, and the next reader tries again. */
  async function encryptAgain(item: string, stored: string, text: string): Promise<void> {
    try {
      const ciphertext = await cipher.encrypt(text);
      // Another process may have stored the next login meanwhile.
      if ((await inner.get(item)) === stored) await inner.set(item, FORMAT + ciphertext);
    } catch (error) {
      if (!(error instanceof SecretStoreError)) throw error;
    }
  }

  return {
    get kind() {
      return isWeak() ? memory.kind : inner.kind;
    },
    get description() {
      return isWeak()
        ? `memory only: ${cipher.weakness}`
        : refused === undefined
          ? `${inner.description}, with a key of this app alone`
          : `nowhere yet, so the login ends with the app: ${refused.message}`;
    },
    get lockFolder() {
      return isWeak() ? memory.lockFolder : inner.lockFolder;
    },
    async get(account) {
      if (isWeak()) return memory.get(account);
      const item = itemOf(account);
      const stored = await inner.get(item);
      if (stored === undefined) return undefined;
      try {
        const { text, stale } = await decrypt(stored);
        if (stale) await encryptAgain(item, stored, text);
        return text;
      } catch (error) {
        if (isWeak()) return memory.get(account);
        throw error;
      }
    },
    async set(account, value) {
      try {
        if (!isWeak()) {
          await inner.set(itemOf(account), FORMAT + (await cipher.encrypt(value)));
          refused = undefined;
          return;
        }
      } catch (error) {
        if (!isWeak()) {
          if (error instanceof SecretStoreError) refused = error;
          throw error;
        }
      }
      await memory.set(account, value);
    },
    async delete(account) {
      await memory.delete(account);
      // Also what was stored when there still was a keyring.
      await inner.delete(itemOf(account));
    },
  };
}
