import { randomBytes, scrypt } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { withLock } from './lock.ts';
import { FILE_MODE, readPrivateFile, syncFolder } from './private-files.ts';
import type { KeyOrigin, ScryptOrigin } from './sealed.ts';

/** Where the keys of a file store come from. */
export interface KeySource {
  /** The key of an item that names this origin, `undefined` when this source cannot have it. */
  forOpening(origin: KeyOrigin): Promise<Buffer | undefined>;
  /** The key for a new item, created when there is none yet. */
  forSealing(): Promise<{ origin: KeyOrigin; key: Buffer }>;
}

const KEY_BYTES = 32;
const SALT_BYTES = 16;
/** One of the settings OWASP's Password Storage Cheat Sheet recommends for scrypt; takes 32 MiB. */
const COST = { N: 2 ** 15, r: 8, p: 3 };

/** Keys derived from a passphrase. Each salt is derived once; new items reuse the salt of an item read before. */
export function passphraseKeys(passphrase: string): KeySource {
  const derived = new Map<string, Promise<Buffer>>();
  let current: ScryptOrigin = {
    from: 'scrypt',
    ...COST,
    salt: randomBytes(SALT_BYTES).toString('base64'),
  };

  function keyOf(origin: ScryptOrigin): Promise<Buffer> {
    const id = JSON.stringify(origin);
    const known = derived.get(id);
    if (known !== undefined) return known;
    const key = deriveKey(passphrase, origin);
    derived.set(id, key);
    return key;
  }

  return {
    async forOpening(origin) {
      if (origin.from !== 'scrypt') return undefined;
      if (origin.N === COST.N && origin.r === COST.r && origin.p === COST.p) current = origin;
      return keyOf(origin);
    },
    async forSealing() {
      const origin = current;
      return { origin, key: await keyOf(origin) };
    },
  };
}

function deriveKey(passphrase: string, { N, r, p, salt }: ScryptOrigin): Promise<Buffer> {
  const maxmem = 256 * N * r;
  return new Promise((resolve, reject) => {
    scrypt(passphrase, Buffer.from(salt, 'base64'), KEY_BYTES, { N, r, p, maxmem }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

/**
 * A random key in a file of mode 0600. It is read for every use, so that a process never seals with a key that was
 * replaced under it.
 * @param path the key file; its folder exists when a key is first needed for sealing
 * @param lockFolder where processes that find no key agree on who makes it
 */
export function keyFileKeys(path: string, lockFolder: string): KeySource {
  async function read(): Promise<Buffer | undefined> {
    const key = await readPrivateFile(path);
    return key?.length === KEY_BYTES ? key : undefined;
  }

  return {
    forOpening: async (origin) => (origin.from === 'file' ? read() : undefined),
    async forSealing() {
      const key =
        (await read()) ?? (await withLock(lockFolder, path, async () => (await read()) ?? create(path)));
      return { origin: { from: 'file' }, key };
    },
  };
}

/** Puts a new key in place of a missing or damaged one (which opened nothing any more). */
async function create(path: string): Promise<Buffer> {
  const key = randomBytes(KEY_BYTES);
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, key, { flag: 'wx', mode: FILE_MODE, flush: true });
  await rename(draft, path);
  await syncFolder(dirname(path));
  return key;
}
