import { createHash } from 'node:crypto';
import { itemName } from './item-name.ts';
import { withLock } from './lock.ts';
import { createQueue } from './queue.ts';
import { type SecretStore, SecretStoreError, type StoreKind } from './secret-store.ts';

/** The items of a secret store of the operating system: short printable ASCII texts under names. */
export interface ItemKeeper {
  /** How many characters an item of this name can hold. */
  capacity(name: string): number;
  /** The item's text as it is, `undefined` when there is none. */
  read(name: string): Promise<string | undefined>;
  /** Creates or replaces an item, and has made sure that it is there. */
  write(name: string, text: string): Promise<void>;
  /** Removes an item, and has made sure that it is gone; no error when there is none. */
  remove(name: string): Promise<void>;
}

export interface SplitStoreOptions {
  kind: StoreKind;
  description: string;
  service: string;
  lockFolder: string | undefined;
  keeper: ItemKeeper;
}

/** The two places for the parts of a long value; a new value takes the one the old value does not use. */
type Generation = 'a' | 'b';
const GENERATIONS = ['a', 'b'] as const;

/** What the head item (the one under the account's own name) says. */
type Head =
  | { form: 'value'; base64: string }
  | { form: 'parts'; generation: Generation; count: number; digest: string }
  | { form: 'foreign' };

const PREFIX = 'v1:';
const VALUE = /^v1:([A-Za-z0-9+/]*={0,2})$/;
const PARTS = /^v1-parts:([ab]):([1-9][0-9]{0,3}):([0-9a-f]{64})$/;
const MOST_PARTS = 9_999;
const MOST_READS = 5;

/**
 * A {@link SecretStore} over items of limited length. A value is stored as `v1:` and base64 (these stores and their
 * commands garble other bytes). One too long for an item is cut into numbered parts, and the head item points at them:
 *
 * - a new value's parts are written first, its head last, then the old parts are removed, so that at every moment the
 *   head names a complete value;
 * - parts are written upwards and removed downwards, so that a crash leaves no gap, and what it leaves is found and
 *   removed by the next write or removal.
 */
export function createSplitStore(options: SplitStoreOptions): SecretStore {
  const { keeper, kind, description, service, lockFolder } = options;
  const queue = createQueue();
  const swept = new Set<string>();

  async function readParts(name: string, head: Head & { form: 'parts' }): Promise<string | undefined> {
    let base64 = '';
    for (let number = 1; number <= head.count; number++) {
      const text = await keeper.read(partName(name, head.generation, number));
      if (text?.startsWith(PREFIX) !== true) return undefined;
      base64 += text.slice(PREFIX.length);
    }
    return digestOf(base64) === head.digest ? base64 : undefined;
  }

  async function get(name: string): Promise<string | undefined> {
    let lastText: string | undefined;
    for (let reads = 0; reads < MOST_READS; reads++) {
      const text = await keeper.read(name);
      if (text === undefined) return undefined;
      // Unreadable parts under a head that changed meanwhile: another process replaced the value. Read the new one.
      if (text === lastText) break;
      lastText = text;
      const head = parseHead(text);
      if (head.form === 'foreign') break;
      const base64 = head.form === 'value' ? head.base64 : await readParts(name, head);
      const value = base64 === undefined ? undefined : decode(base64);
      if (value !== undefined) return value;
    }
    throw new SecretStoreError(
      'corrupt',
      `The stored login in ${description} is damaged or was written by another program. Log in again.`,
    );
  }

  /** The head before a write or a removal, for which a missing or unreadable one is no obstacle. */
  async function readHead(name: string): Promise<Head> {
    try {
      const text = await keeper.read(name);
      return text === undefined ? { form: 'foreign' } : parseHead(text);
    } catch (error) {
      if (error instanceof SecretStoreError && error.code === 'corrupt') return { form: 'foreign' };
      throw error;
    }
  }

  /**
   * Removes the parts of a generation above `keep`, the last one first. How many there are the old head says; parts no
   * head names, left by a crash, are looked for once per account and process.
   */
  async function removeParts(name: string, generation: Generation, old: Head, keep: number): Promise<void> {
    let last = old.form === 'parts' && old.generation === generation ? Math.max(old.count, keep) : keep;
    if (!swept.has(name)) {
      while ((await keeper.read(partName(name, generation, last + 1))) !== undefined) last++;
    }
    for (let number = last; number > keep; number--) {
      await keeper.remove(partName(name, generation, number));
    }
  }

  async function removeOldParts(name: string, old: Head, kept?: { generation: Generation; count: number }) {
    for (const generation of GENERATIONS) {
      await removeParts(name, generation, old, generation === kept?.generation ? kept.count : 0);
    }
    swept.add(name);
  }

  /** Once the head is written the value is stored: old parts that cannot be removed now are left to the next change. */
  async function tidy(name: string, old: Head, kept?: { generation: Generation; count: number }) {
    try {
      await removeOldParts(name, old, kept);
    } catch {
      swept.delete(name);
    }
  }

  /** One change of an item at a time, here and in other processes; what fails half-way may leave parts behind. */
  function change(account: string, task: (name: string, old: Head) => Promise<void>): Promise<void> {
    const name = itemName(account);
    // Not the lock a session holds on the account while it calls.
    const lock = `${kind}\n${service}\n${account}`;
    const work = async () => {
      const old = await readHead(name);
      try {
        await task(name, old);
      } catch (error) {
        swept.delete(name);
        throw error;
      }
    };
    return queue(() => withLock(lockFolder, lock, work));
  }

  async function replace(name: string, value: string, old: Head): Promise<void> {
    const base64 = Buffer.from(value, 'utf8').toString('base64');
    if (PREFIX.length + base64.length <= keeper.capacity(name)) {
      await keeper.write(name, PREFIX + base64);
      return tidy(name, old);
    }
    const generation = old.form === 'parts' && old.generation === 'a' ? 'b' : 'a';
    const parts = cut(name, generation, base64);
    for (const [index, part] of parts.entries()) {
      await keeper.write(partName(name, generation, index + 1), PREFIX + part);
    }
    await keeper.write(name, `v1-parts:${generation}:${parts.length}:${digestOf(base64)}`);
    await tidy(name, old, { generation, count: parts.length });
  }

  function cut(name: string, generation: Generation, base64: string): string[] {
    const length = keeper.capacity(partName(name, generation, MOST_PARTS)) - PREFIX.length;
    const count = Math.ceil(base64.length / length);
    if (length <= 0 || count > MOST_PARTS) {
      throw new SecretStoreError(
        'unavailable',
        `The login does not fit into ${description}. Set TOKEN_STORE=file.`,
      );
    }
    return Array.from({ length: count }, (_, index) => base64.slice(index * length, (index + 1) * length));
  }

  return {
    kind,
    description,
    lockFolder,
    get: (account) => queue(() => get(itemName(account))),
    set: (account, value) => change(account, (name, old) => replace(name, value, old)),
    delete: (account) =>
      change(account, async (name, old) => {
        // The head goes first: as long as it is there, so is everything it names.
        await keeper.remove(name);
        // Another process may have failed to remove parts: a log-out leaves none.
        swept.delete(name);
        await removeOldParts(name, old);
      }),
  };
}

/** `#` cannot be in the name of an account. */
function partName(name: string, generation: Generation, number: number): string {
  return `${name}#${generation}${number}`;
}

function parseHead(text: string): Head {
  const [, base64] = VALUE.exec(text) ?? [];
  if (base64 !== undefined) return { form: 'value', base64 };
  const [, generation, count, digest] = PARTS.exec(text) ?? [];
  if ((generation !== 'a' && generation !== 'b') || digest === undefined) return { form: 'foreign' };
  return { form: 'parts', generation, count: Number(count), digest };
}

function digestOf(base64: string): string {
  return createHash('sha256').update(base64).digest('hex');
}

function decode(base64: string): string | undefined {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
