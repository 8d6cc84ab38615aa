/** Where a store keeps its items; the values of `TOKEN_STORE` besides `auto`. */
export const STORE_KINDS = ['keychain', 'secret-service', 'file', 'memory'] as const;
export type StoreKind = (typeof STORE_KINDS)[number];

/**
 * A place for small secrets, keyed by account. One item is one string.
 *
 * Every operation may reject with a {@link SecretStoreError}; no other error leaves a store.
 * Calls on one store may overlap: implementations queue what must not run side by side.
 */
export interface SecretStore {
  readonly kind: StoreKind;
  /** One short sentence for people: where the items lie, e.g. "macOS Keychain" or a file path. */
  readonly description: string;
  /**
   * Folder for the lock that keeps two processes from refreshing the same item at once. It has the same reach as
   * the items: beside the files of a file store, per user for the stores of the operating system, `undefined` for
   * a store no other process can see.
   */
  readonly lockFolder: string | undefined;
  /** The item's value, or `undefined` when there is none. */
  get(account: string): Promise<string | undefined>;
  /** Creates or replaces the item; resolved means a later `get`, in any process, returns this value. */
  set(account: string, value: string): Promise<void>;
  /** Removes the item; no error when there is none. */
  delete(account: string): Promise<void>;
}

/**
 * Why a store operation failed:
 * - `locked`: the store is locked, cannot ask right now or is busy with another process; what it holds is still there.
 *   Try again later.
 * - `denied`: a person or a policy refused. Do not try again by oneself.
 * - `corrupt`: the item is there and cannot be read (damaged, another key, written by something else).
 * - `unavailable`: the store itself is missing or broken (no command, no bus, disk full, read-only).
 */
export type SecretStoreErrorCode = 'locked' | 'denied' | 'corrupt' | 'unavailable';

/** A failure of a {@link SecretStore}. The message is for people, holds no secret, and says what to do. */
export class SecretStoreError extends Error {
  override readonly name = 'SecretStoreError';
  readonly code: SecretStoreErrorCode;

  constructor(code: SecretStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
