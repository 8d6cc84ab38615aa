import { readdir, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileError, systemCode } from './file-errors.ts';
import { keyFileKeys, passphraseKeys } from './file-keys.ts';
import { accountHash } from './item-name.ts';
import { ensurePrivateFolder, readPrivateFile, syncFolder, writePrivateFile } from './private-files.ts';
import { createQueue } from './queue.ts';
import { open, parseSealed, type SealedItem, seal } from './sealed.ts';
import { type SecretStore, SecretStoreError } from './secret-store.ts';

export interface FileStoreOptions {
  /** Created with mode 0700 at the first write; a wider mode is taken back. */
  folder: string;
  /** Encrypts the items (`TOKEN_STORE_KEY`); without one, or with an empty one, a key file beside the items does. */
  passphrase?: string;
}

/**
 * A store of encrypted files, one per account: AES-256-GCM under a key from a passphrase or from a key file of mode
 * 0600. With a key file it protects against nobody who can read this user's files; it keeps tokens out of backups of
 * single files, greps and screens.
 */
export function createFileStore(options: FileStoreOptions): SecretStore {
  const { folder } = options;
  const lockFolder = join(folder, 'locks');
  const keyFile = join(folder, 'store.key');
  const passphrase = options.passphrase === '' ? undefined : options.passphrase;
  const keys = passphrase === undefined ? keyFileKeys(keyFile, lockFolder) : passphraseKeys(passphrase);
  const queue = createQueue();
  const itemFile = (account: string) => join(folder, `${accountHash(account)}.json`);

  /** One operation at a time; whatever goes wrong with a file leaves as a SecretStoreError. */
  function run<T>(path: string, task: () => Promise<T>): Promise<T> {
    return queue(() =>
      task().catch((error: unknown) => {
        throw fileError(path, error, 'set STATE_DIR to another folder');
      }),
    );
  }

  /** What a process that died in the middle of a write has left of this item: it holds a token like the item itself. */
  async function draftsOf(path: string): Promise<string[]> {
    const names = await readdir(folder).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return [];
      throw error;
    });
    return names.filter((name) => name.startsWith(`${basename(path)}.`)).map((name) => join(folder, name));
  }

  function whyUnreadable(path: string, item: SealedItem): SecretStoreError {
    const usesPassphrase = passphrase !== undefined;
    if (usesPassphrase && item.key.from === 'file') {
      return corrupt(path, 'was stored without TOKEN_STORE_KEY', 'Unset TOKEN_STORE_KEY or log in again.');
    }
    if (usesPassphrase) {
      const fault = 'is damaged or was stored with another TOKEN_STORE_KEY';
      return corrupt(path, fault, 'Set the former TOKEN_STORE_KEY or log in again.');
    }
    if (item.key.from === 'scrypt') {
      return corrupt(path, 'was stored with a TOKEN_STORE_KEY', 'Set that TOKEN_STORE_KEY or log in again.');
    }
    return corrupt(path, `is damaged or its key ${keyFile} was lost`, 'Log in again.');
  }

  return {
    kind: 'file',
    description: `encrypted files in ${folder}`,
    lockFolder,
    get(account) {
      const path = itemFile(account);
      return run(path, async () => {
        const content = await readPrivateFile(path);
        if (content === undefined) return undefined;
        await ensurePrivateFolder(folder);
        const item = parseSealed(content.toString('utf8'));
        if (item === undefined) throw corrupt(path, 'is damaged or of another program', 'Log in again.');
        const key = await keys.forOpening(item.key);
        const value = key === undefined ? undefined : open(item, account, key);
        if (value === undefined) throw whyUnreadable(path, item);
        return value;
      });
    },
    set(account, value) {
      const path = itemFile(account);
      return run(path, async () => {
        await ensurePrivateFolder(folder);
        const { origin, key } = await keys.forSealing();
        await writePrivateFile(path, seal(value, account, origin, key));
      });
    },
    delete(account) {
      const path = itemFile(account);
      return run(path, async () => {
        const drafts = await draftsOf(path);
        const removed = await Promise.all([path, ...drafts].map(unlinkIfThere));
        if (removed.includes(true)) await syncFolder(folder);
      });
    },
  };
}

/** @returns whether there was such a file */
async function unlinkIfThere(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function corrupt(path: string, fault: string, cure: string): SecretStoreError {
  return new SecretStoreError('corrupt', `The stored login ${path} ${fault}. ${cure}`);
}
