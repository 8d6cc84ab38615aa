import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { SafeStorage } from '../../main/secrets/safe-storage-cipher.ts';

type Backend = ReturnType<NonNullable<SafeStorage['getSelectedStorageBackend']>>;

export interface StandInOptions {
  /** Which calls there are: Electron 42 to 45 has both, older ones have the first, newer ones the second. */
  calls: 'synchronous' | 'asynchronous' | 'both';
  platform: 'darwin' | 'linux';
  /** Its ciphertexts can be read by those of the same key only. */
  key?: string;
  /** Linux only; by default a keyring. */
  backend?: Backend;
}

/** A stand-in of Electron's safeStorage, as strict as the original in `electron_api_safe_storage.cc`. */
export class StandInSafeStorage {
  readonly #options: StandInOptions;
  /** The calls that were made, in order. */
  readonly called: string[] = [];
  /** Whether the system gives the key; on macOS `false` once a person has pressed Deny. */
  givesKey = true;
  /** Whether encryption falls back to the password in Chromium's source (Linux). */
  usesHardCodedPassword = false;
  /** Whether what is decrypted shall be encrypted again. */
  keyHasChanged = false;
  temporarilyUnavailable = false;
  /** Settles before the asynchronous calls do: a prompt on the screen. */
  prompt: Promise<void> = Promise.resolve();

  constructor(options: StandInOptions) {
    this.#options = options;
  }

  /** What is handed to the cipher. */
  get calls(): SafeStorage {
    const { calls, platform, backend = 'gnome_libsecret' } = this.#options;
    const note = (name: string) => void this.called.push(name);
    const synchronous: SafeStorage = {
      isEncryptionAvailable: () => {
        note('isEncryptionAvailable');
        return this.givesKey && (backend !== 'basic_text' || this.usesHardCodedPassword);
      },
      encryptString: (text) => {
        note('encryptString');
        return this.#encrypt(text, 'safeStorage.encryptString');
      },
      decryptString: (ciphertext) => {
        note('decryptString');
        return this.#decrypt(ciphertext, 'safeStorage.decryptString');
      },
    };
    const asynchronous: SafeStorage = {
      isAsyncEncryptionAvailable: async () => {
        note('isAsyncEncryptionAvailable');
        await this.prompt;
        // Says no more than that the encryptor has been made.
        return true;
      },
      encryptStringAsync: async (text) => {
        note('encryptStringAsync');
        await this.prompt;
        return this.#encrypt(text, 'safeStorage.encryptStringAsync');
      },
      decryptStringAsync: async (ciphertext) => {
        note('decryptStringAsync');
        await this.prompt;
        const result = this.#decrypt(ciphertext, 'safeStorage.decryptStringAsync');
        return { result, shouldReEncrypt: this.keyHasChanged };
      },
    };
    return {
      ...(calls === 'asynchronous' ? {} : synchronous),
      ...(calls === 'synchronous' ? {} : asynchronous),
      ...(platform === 'linux' && { getSelectedStorageBackend: () => backend }),
    };
  }

  #encrypt(text: string, name: string): Buffer {
    if (typeof text !== 'string') throw new TypeError(`Error processing argument at index 0`);
    if (!this.givesKey && !this.usesHardCodedPassword) {
      throw new Error(`Error while encrypting the text provided to ${name}.`);
    }
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key(), iv);
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([Buffer.from(this.#tag()), iv, cipher.getAuthTag(), body]);
  }

  #decrypt(ciphertext: Buffer, name: string): string {
    if (!Buffer.isBuffer(ciphertext))
      throw new TypeError(`Expected the first argument of ${name}() to be a buffer`);
    if (this.temporarilyUnavailable) throw new Error(`${name} is temporarily unavailable. Please try again.`);
    if (!/^v1[01]/.test(ciphertext.subarray(0, 3).toString('latin1'))) {
      throw new Error(
        `Error while decrypting the ciphertext provided to ${name}. Ciphertext does not appear to be encrypted.`,
      );
    }
    try {
      if (!this.givesKey && !this.usesHardCodedPassword) throw new Error('no key');
      const decipher = createDecipheriv('aes-256-gcm', this.#key(), ciphertext.subarray(3, 15));
      decipher.setAuthTag(ciphertext.subarray(15, 31));
      return Buffer.concat([decipher.update(ciphertext.subarray(31)), decipher.final()]).toString('utf8');
    } catch {
      throw new Error(`Error while decrypting the ciphertext provided to ${name}.`);
    }
  }

  #tag(): string {
    return this.#options.platform === 'darwin' || this.usesHardCodedPassword ? 'v10' : 'v11';
  }

  #key(): Buffer {
    const secret = this.usesHardCodedPassword ? 'peanuts' : (this.#options.key ?? 'the key of a test');
    return createHash('sha256').update(secret).digest();
  }
}
