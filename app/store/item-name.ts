import { createHash } from 'node:crypto';
import { SecretStoreError } from './secret-store.ts';

/** Bytes; the name shares a line of limited length with the secret. */
const LONGEST_SERVICE = 255;
const READABLE = /^(?!sha256-)[A-Za-z0-9._:@ -]{1,120}$/;

/** The hash that stands for an account in a file name: one name per account, whatever the account holds. */
export function accountHash(account: string): string {
  return createHash('sha256').update(account, 'utf8').digest('hex');
}

/**
 * The name under which an account's item lies in a store of the operating system. Plain accounts keep their name, so
 * that people find the item; any other becomes a hash, because names are seen in process lists (a URL may carry a
 * secret), have to survive foreign command lines, and share their line with the secret. A name never holds `#`.
 */
export function itemName(account: string): string {
  return READABLE.test(account) ? account : `sha256-${accountHash(account)}`;
}

/**
 * Refuses a service name that is empty, very long, or holds line breaks or other control characters.
 * @throws {SecretStoreError} `unavailable`
 */
export function checkServiceName(service: string): void {
  if (service !== '' && Buffer.byteLength(service) <= LONGEST_SERVICE && !/\p{Cc}/u.test(service)) return;
  throw new SecretStoreError(
    'unavailable',
    `KEYCHAIN_SERVICE must be a name of 1 to ${LONGEST_SERVICE} bytes without line breaks.`,
  );
}
