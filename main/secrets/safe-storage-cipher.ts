import type { SafeStorage as ElectronSafeStorage } from 'electron';
import { SecretStoreError } from '../../app/store/secret-store.ts';
import type { Cipher } from './cipher.ts';

type SynchronousCall = 'isEncryptionAvailable' | 'encryptString' | 'decryptString';
type AsynchronousCall = 'isAsyncEncryptionAvailable' | 'encryptStringAsync' | 'decryptStringAsync';

/** What is used of Electron's safeStorage. Older versions lack the asynchronous calls, newer ones the others. */
export type SafeStorage = Partial<
  Pick<ElectronSafeStorage, SynchronousCall | AsynchronousCall | 'getSelectedStorageBackend'>
>;

export interface SafeStorageCipherOptions {
  safeStorage: SafeStorage;
  /** By it the person finds the key's item in the Keychain: `<app name> Safe Storage`. */
  appName: string;
  platform?: NodeJS.Platform;
  /** Until a call counts as one whose prompt nobody answers, in milliseconds; by default a minute. */
  timeoutMs?: number;
}

/** The calls of one of the two ways; what either encrypts the other can decrypt. */
interface Calls {
  isAvailable(): Promise<boolean>;
  encrypt(text: string): Promise<Buffer>;
  decrypt(ciphertext: Buffer): Promise<{ text: string; stale: boolean }>;
}

const PROBE = 'probe';
/** Begins what was encrypted on Linux with the password that Chromium has in its source; elsewhere with a real key. */
const HARD_CODED_PASSWORD = 'v10';

/**
 * A cipher by Electron's safeStorage: its key lies in the Keychain (macOS), DPAPI (Windows), or a Secret Service, KWallet
 * or portal (Linux). To be used after the app is ready.
 *
 * The system is first asked for the key at the first call, which may put a prompt on the screen. Only then
 * {@link Cipher.weakness} is sure on Linux: a cipher that turns out to be weak rejects with `unavailable`.
 * @see https://www.electronjs.org/docs/latest/api/safe-storage
 */
export function createSafeStorageCipher(options: SafeStorageCipherOptions): Cipher {
  const { safeStorage, appName, platform = process.platform, timeoutMs = 60_000 } = options;
  const asynchronous = asynchronousCalls(safeStorage);
  const calls = asynchronous ?? synchronousCalls(safeStorage);
  const errors = errorsFor(platform, appName);
  const isBasicText = () =>
    platform === 'linux' && safeStorage.getSelectedStorageBackend?.() === 'basic_text';
  let foundWeak = false;
  let probing: Promise<void> | undefined;

  // The backend is what the synchronous calls go by; the others look for a keyring by themselves.
  const weakness = () => (foundWeak || (!asynchronous && isBasicText()) ? WEAKNESS : undefined);

  const protectsNothing = (ciphertext: Buffer) =>
    platform === 'linux' && ciphertext.subarray(0, 3).toString('latin1') === HARD_CODED_PASSWORD;

  async function encryptChecked(text: string): Promise<Buffer> {
    const ciphertext = await calls.encrypt(text);
    if (!protectsNothing(ciphertext)) return ciphertext;
    foundWeak = true;
    throw errors.weak();
  }

  async function probe(): Promise<void> {
    if (weakness() !== undefined) throw errors.weak();
    if (!(await calls.isAvailable())) throw errors.refused();
    try {
      const { text } = await calls.decrypt(await encryptChecked(PROBE));
      if (text === PROBE) return;
    } catch (error) {
      if (error instanceof SecretStoreError) throw error;
      if (isBasicText()) {
        foundWeak = true;
        throw errors.weak();
      }
      throw isTemporary(error) ? errors.later() : errors.refused();
    }
    throw errors.refused();
  }

  /** Once; after a failure the next call tries again. A prompt that is on the screen is waited for by all. */
  function probed(): Promise<void> {
    probing ??= probe().catch((error: unknown) => {
      probing = undefined;
      throw error;
    });
    return inTime(probing, timeoutMs, errors.noAnswer);
  }

  return {
    get weakness() {
      return weakness();
    },
    async encrypt(text) {
      await probed();
      try {
        return (await encryptChecked(text)).toString('base64');
      } catch (error) {
        if (error instanceof SecretStoreError) throw error;
        throw isTemporary(error) ? errors.later() : errors.refused();
      }
    },
    async decrypt(text) {
      await probed();
      const ciphertext = Buffer.from(text, 'base64');
      // Anybody could have made one that protects nothing.
      if (ciphertext.length === 0 || protectsNothing(ciphertext)) throw errors.foreign();
      try {
        return await calls.decrypt(ciphertext);
      } catch (error) {
        throw isTemporary(error) ? errors.later() : errors.foreign();
      }
    },
  };
}

async function inTime<T>(task: Promise<T>, timeoutMs: number, error: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(error()), timeoutMs);
    timer.unref();
  });
  try {
    return await Promise.race([task, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

const WEAKNESS =
  'This desktop has no keyring that could protect secrets (GNOME Keyring, KWallet or another Secret Service).';

function asynchronousCalls(safeStorage: SafeStorage): Calls | undefined {
  const { isAsyncEncryptionAvailable, encryptStringAsync, decryptStringAsync } = safeStorage;
  if (!isAsyncEncryptionAvailable || !encryptStringAsync || !decryptStringAsync) return undefined;
  return {
    isAvailable: () => isAsyncEncryptionAvailable.call(safeStorage),
    encrypt: (text) => encryptStringAsync.call(safeStorage, text),
    async decrypt(ciphertext) {
      const { result, shouldReEncrypt } = await decryptStringAsync.call(safeStorage, ciphertext);
      return { text: result, stale: shouldReEncrypt };
    },
  };
}

function synchronousCalls(safeStorage: SafeStorage): Calls {
  return {
    isAvailable: async () => safeStorage.isEncryptionAvailable?.() ?? false,
    async encrypt(text) {
      if (!safeStorage.encryptString) throw new Error('no such call');
      return safeStorage.encryptString(text);
    },
    async decrypt(ciphertext) {
      if (!safeStorage.decryptString) throw new Error('no such call');
      return { text: safeStorage.decryptString(ciphertext), stale: false };
    },
  };
}

/** safeStorage says so only in words: the keyring is locked, or its daemon is being started. */
function isTemporary(error: unknown): boolean {
  return error instanceof Error && error.message.includes('temporarily unavailable');
}

function errorsFor(platform: NodeJS.Platform, appName: string) {
  const isMac = platform === 'darwin';
  return {
    /** macOS does not say whether a person, a policy or a locked Keychain refused, and is asked once per start only. */
    refused: () =>
      isMac
        ? new SecretStoreError(
            'denied',
            `macOS did not give ${appName} its key, the Keychain item "${appName} Safe Storage". Start the app again and press Always Allow when macOS asks.`,
          )
        : new SecretStoreError(
            'unavailable',
            `The system gave ${appName} no key to encrypt with, so new logins end with the app. Unlock or set up its keyring, then start the app again.`,
          ),
    later: () =>
      new SecretStoreError(
        'locked',
        isMac
          ? `The Keychain item "${appName} Safe Storage" cannot be read now. Unlock this Mac, then try again.`
          : 'The keyring is locked or not there yet. Unlock it, then try again.',
      ),
    noAnswer: () =>
      new SecretStoreError(
        'locked',
        isMac
          ? `macOS has not given ${appName} its key yet. Press Always Allow in the prompt on the screen.`
          : 'The keyring has not answered yet. Unlock it in the prompt on the screen.',
      ),
    weak: () => new SecretStoreError('unavailable', `${WEAKNESS} Set one up, then start the app again.`),
    foreign: () =>
      new SecretStoreError('corrupt', `This was encrypted by another build or user of ${appName}.`),
  };
}
