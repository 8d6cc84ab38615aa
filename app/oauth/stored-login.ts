import type { Logger } from '../log.ts';
import type { Settings } from '../settings.ts';
import { withLock } from '../store/lock.ts';
import { type SecretStore, SecretStoreError } from '../store/secret-store.ts';
import { accountOf, type LoginRecord, parseRecord, serializeRecord } from './login-record.ts';

interface StoredLoginParts {
  settings: Pick<Settings, 'upstreamMcpUrl' | 'profile'>;
  store: SecretStore;
  log: Logger;
  /** Told whenever the record or the store's failure is another. */
  onChange: () => void;
}

/**
 * The login record as it is stored and as it is held here: the same, but for a store that fails. Its methods that read
 * or write are called inside one of the `exclusive` ones, which give turns within this process and across processes.
 */
export class StoredLogin {
  readonly #parts: StoredLoginParts;
  readonly #account: string;
  #record: LoginRecord;
  /** The item's text as last read or written; another text means that another process has written. */
  #storedText: string | undefined;
  #unsaved = false;
  /** Whether the stored item is there and cannot be read. */
  #unreadable = false;
  #failure: SecretStoreError | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: StoredLoginParts) {
    this.#parts = parts;
    this.#account = accountOf(parts.settings.upstreamMcpUrl, parts.settings.profile);
    this.#record = this.#empty();
  }

  get record(): LoginRecord {
    return this.#record;
  }

  /** Whether the grant at hand could not be stored so far. */
  get unsaved(): boolean {
    return this.#unsaved;
  }

  /** What is wrong with the store, as far as its last use has shown. */
  get failure(): SecretStoreError | undefined {
    return this.#failure;
  }

  /** Whether other processes can see what is stored. */
  get isShared(): boolean {
    return this.#parts.store.lockFolder !== undefined;
  }

  /** A record of this login that says nothing yet, with what is given. */
  blank(content: Partial<LoginRecord>): LoginRecord {
    return { ...this.#empty(), ...content };
  }

  /**
   * Takes over what another process has stored since.
   * @returns `ended` when there was a grant and is none any more
   * @throws {SecretStoreError} when the store cannot be read
   */
  async reread(): Promise<'ended' | 'current'> {
    // A login that could not be stored is newer than what is stored.
    if (this.#unsaved) return 'current';
    const text = await this.#read();
    if (text === this.#storedText) return 'current';
    this.#storedText = text;
    const { settings, store, log } = this.#parts;
    const record =
      text === undefined ? undefined : parseRecord(text, settings.upstreamMcpUrl, settings.profile);
    if (text !== undefined && !record) {
      log.warn('The stored login is not one of this program and server; log in again', { store: store.kind });
    }
    const ended = this.#record.grant !== undefined && record?.grant === undefined;
    this.replace(record ?? this.#empty());
    return ended ? 'ended' : 'current';
  }

  /** Stores a record and holds it, also when storing fails. @throws {SecretStoreError} */
  async save(record: LoginRecord): Promise<void> {
    // Only a grant is worth holding on to: the rest must not keep another process's grant from being seen.
    const unsaved = record.grant !== undefined && (this.#unsaved || record.grant !== this.#record.grant);
    this.#record = record;
    const text = serializeRecord(record);
    try {
      await this.#parts.store.set(this.#account, text);
      this.#storedText = text;
      this.#unsaved = false;
      this.#failure = undefined;
    } catch (error) {
      this.#unsaved = unsaved;
      throw this.#failed(error);
    }
  }

  /** Holds a record without storing it. */
  replace(record: LoginRecord): void {
    this.#record = record;
    this.#parts.onChange();
  }

  /** Forgets the record at once, and removes the item. @throws {SecretStoreError} when it could not be removed */
  async remove(): Promise<void> {
    this.#unsaved = false;
    this.replace(this.#empty());
    try {
      await this.#parts.store.delete(this.#account);
      this.#storedText = undefined;
      this.#failure = undefined;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Runs `fn` when nothing else of this login runs in this process. */
  exclusive<T>(fn: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(fn);
    this.#turn = run.catch(() => undefined);
    return run;
  }

  /**
   * The same, and across processes.
   * @throws {SecretStoreError} when the lock cannot be had; `fn` was not run then
   */
  exclusiveAcrossProcesses<T>(fn: () => Promise<T>): Promise<T> {
    return this.exclusive(() => withLock(this.#parts.store.lockFolder, this.#account, fn));
  }

  /** The same for what must happen now or be lost: without the lock when that cannot be had. */
  exclusiveEvenUnlocked<T>(fn: () => Promise<T>): Promise<T> {
    let begun = false;
    const once = () => {
      begun = true;
      return fn();
    };
    return this.exclusive(async () => {
      try {
        return await withLock(this.#parts.store.lockFolder, this.#account, once);
      } catch (error) {
        if (begun || !(error instanceof SecretStoreError)) throw error;
        this.#parts.log.warn('The lock on the stored login was not to be had', { reason: error.message });
        return fn();
      }
    });
  }

  /** The item's text; a damaged item counts as none. */
  async #read(): Promise<string | undefined> {
    const { store, log } = this.#parts;
    try {
      const text = await store.get(this.#account);
      this.#unreadable = false;
      this.#failure = undefined;
      return text;
    } catch (error) {
      if (!(error instanceof SecretStoreError) || error.code !== 'corrupt') throw this.#failed(error);
      if (!this.#unreadable) {
        const reason = error.message;
        log.warn('The stored login is not readable; log in again', { store: store.kind, reason });
      }
      this.#unreadable = true;
      this.#failure = undefined;
      return undefined;
    }
  }

  #failed(error: unknown): unknown {
    if (!(error instanceof SecretStoreError)) return error;
    const known = this.#failure?.message === error.message;
    this.#failure = error;
    if (!known) {
      const { store, log, onChange } = this.#parts;
      log.error('The token store failed', { store: store.kind, code: error.code, reason: error.message });
      onChange();
    }
    return error;
  }

  #empty(): LoginRecord {
    const { upstreamMcpUrl, profile } = this.#parts.settings;
    return { version: 1, upstream: upstreamMcpUrl, profile };
  }
}
