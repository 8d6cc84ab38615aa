import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const FORMAT = 'mcp-auth-proxy secret';
const VERSION = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** How the key of a sealed item is found again: the key file, or scrypt (RFC 7914) over the passphrase. */
export type KeyOrigin = { from: 'file' } | ScryptOrigin;
export interface ScryptOrigin {
  from: 'scrypt';
  /** Cost, block size and parallelization of RFC 7914, section 2. */
  N: number;
  r: number;
  p: number;
  /** base64 */
  salt: string;
}

/** An item as it lies on disk, in parts; the buffers come from base64. */
export interface SealedItem {
  key: KeyOrigin;
  iv: Buffer;
  tag: Buffer;
  ciphertext: Buffer;
}

/**
 * Encrypts a value with AES-256-GCM into the text of an item file. Header and account are authenticated, so that an item
 * put in another's place does not open.
 */
export function seal(value: string, account: string, origin: KeyOrigin, key: Buffer): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(associatedData(origin, account));
  const ciphertext = Buffer.concat([cipher.update(value, 'utf8'), cipher.final()]);
  const item = {
    format: FORMAT,
    version: VERSION,
    key: origin,
    iv: iv.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
    ciphertext: ciphertext.toString('base64'),
  };
  return `${JSON.stringify(item)}\n`;
}

/** Decrypts an item; `undefined` when the key is another, the account is another or a byte was changed. */
export function open(item: SealedItem, account: string, key: Buffer): string | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, item.iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(associatedData(item.key, account));
  decipher.setAuthTag(item.tag);
  try {
    return Buffer.concat([decipher.update(item.ciphertext), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

/** Reads the text of an item file; `undefined` for anything that {@link seal} did not write. */
export function parseSealed(text: string): SealedItem | undefined {
  const item = parseObject(text);
  if (item?.format !== FORMAT || item.version !== VERSION) return undefined;
  const key = parseOrigin(item.key);
  const iv = parseBase64(item.iv);
  const tag = parseBase64(item.tag);
  const ciphertext = parseBase64(item.ciphertext);
  if (key === undefined || ciphertext === undefined) return undefined;
  if (iv?.length !== IV_BYTES || tag?.length !== TAG_BYTES) return undefined;
  return { key, iv, tag, ciphertext };
}

function associatedData(origin: KeyOrigin, account: string): Buffer {
  const header = origin.from === 'file' ? ['file'] : ['scrypt', origin.N, origin.r, origin.p, origin.salt];
  return Buffer.from(JSON.stringify([FORMAT, VERSION, header, account]), 'utf8');
}

function parseOrigin(value: unknown): KeyOrigin | undefined {
  if (!isObject(value)) return undefined;
  if (value.from === 'file') return { from: 'file' };
  const { N, r, p, salt } = value;
  if (value.from !== 'scrypt' || typeof salt !== 'string') return undefined;
  // The bounds keep a forged header from costing gigabytes or minutes.
  if (!isWithin(N, 2 ** 14, 2 ** 18) || !isWithin(r, 8, 16) || !isWithin(p, 1, 8)) return undefined;
  if (!Number.isInteger(Math.log2(N)) || (parseBase64(salt)?.length ?? 0) < 16) return undefined;
  return { from: 'scrypt', N, r, p, salt };
}

function isWithin(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}

function parseBase64(value: unknown): Buffer | undefined {
  if (typeof value !== 'string') return undefined;
  const bytes = Buffer.from(value, 'base64');
  return bytes.toString('base64') === value ? bytes : undefined;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
