import * as v from 'valibot';
import { SECRET_SETTINGS } from '../../app/settings.ts';
import { SecretStoreError } from '../../app/store/secret-store.ts';
import type { Cipher } from '../secrets/cipher.ts';
import type { Members, ServerEntry } from './document.ts';

export type SecretName = (typeof SECRET_SETTINGS)[number];
export type Secrets = Readonly<Partial<Record<SecretName, string>>>;

/** What the file holds of a secret. */
const SEALED = v.object({ sealed: v.string() });

type Opened = { readonly text: string; readonly stale: boolean } | { readonly fault: string };

/** Members apart from those that are secrets. */
export function separate(members: Members): { plain: Members; secrets: Members } {
  const entries = Object.entries(members);
  return {
    plain: Object.fromEntries(entries.filter(([name]) => !isSecret(name))),
    secrets: Object.fromEntries(entries.filter(([name]) => isSecret(name))),
  };
}

/** Members without the secrets that are empty, which stand for none. */
export function withoutEmptySecrets(members: Members): Members {
  return Object.fromEntries(
    Object.entries(members).filter(([name, value]) => !isSecret(name) || value !== ''),
  );
}

function isSecret(name: string): name is SecretName {
  return (SECRET_SETTINGS as readonly string[]).includes(name);
}

/**
 * The secrets of the servers in a settings file: sealed there, in the clear here. A secret that was entered and is not
 * in the file, or not yet, is held for this run.
 */
export class ServerSecrets {
  readonly #cipher: Cipher;
  /** What each ciphertext holds. */
  readonly #opened = new Map<string, Opened>();
  readonly #opening = new Set<string>();
  /** By server; they go before what the file says. */
  readonly #entered = new Map<string, Secrets>();

  constructor(cipher: Cipher) {
    this.#cipher = cipher;
  }

  /**
   * Decrypts what these servers hold and was not decrypted so far. That may take a person's answer. Never rejects.
   * @param options.again whether what has failed before is tried again
   */
  async open(entries: readonly ServerEntry[], { again }: { again: boolean }): Promise<void> {
    const sealed = entries.flatMap((entry) => SECRET_SETTINGS.map((name) => sealedIn(entry[name])));
    const ciphertexts = [...new Set(sealed)].filter((ciphertext) => ciphertext !== undefined);
    const closed = ciphertexts.filter((ciphertext) => this.#isToOpen(ciphertext, again));
    await Promise.all(closed.map((ciphertext) => this.#open(ciphertext)));
  }

  /** Holds secrets that a person has entered; an empty one stands for none. */
  enter(id: string, secrets: Members): void {
    const texts = Object.entries(secrets).filter(([, value]) => typeof value === 'string');
    this.#entered.set(id, { ...this.#entered.get(id), ...Object.fromEntries(texts) });
  }

  /** Forgets what was entered for a server that is no more. */
  forget(id: string): void {
    this.#entered.delete(id);
  }

  /**
   * The secrets of a server in the clear, wrong ones as they are.
   * @returns also why sealed ones cannot be read, and whether there is one that is not open yet
   */
  of(entry: ServerEntry): { secrets: Members; unreadable: Secrets; isOpening: boolean } {
    const secrets: Record<string, unknown> = {};
    const unreadable: Partial<Record<SecretName, string>> = {};
    let isOpening = false;
    for (const name of SECRET_SETTINGS) {
      const entered = this.#entered.get(entry.id)?.[name];
      const ciphertext = sealedIn(entry[name]);
      const opened = ciphertext === undefined ? { text: entry[name] } : this.#opened.get(ciphertext);
      if (entered !== undefined) secrets[name] = entered;
      else if (!opened) isOpening = true;
      else if ('fault' in opened) unreadable[name] = opened.fault;
      else secrets[name] = opened.text;
      if (secrets[name] === '' || secrets[name] === undefined) delete secrets[name];
    }
    return { secrets, unreadable, isOpening };
  }

  /**
   * A server as it is to be written: what was entered, is in the clear, or was sealed with a former key is sealed.
   * Where nothing can be sealed, what was entered is left out, and what a person wrote into the file stays as it is.
   * @returns also what could not be sealed, with the reason
   */
  async seal(entry: ServerEntry): Promise<{ entry: ServerEntry; unsealed: Secrets }> {
    const sealed: Record<string, unknown> = { ...entry };
    const unsealed: Partial<Record<SecretName, string>> = {};
    for (const name of SECRET_SETTINGS) {
      const entered = this.#entered.get(entry.id)?.[name];
      if (entered !== undefined) delete sealed[name];
      const text = entered ?? plainIn(entry[name]) ?? this.#staleText(entry[name]);
      if (text === undefined || text === '') continue;
      try {
        const { weakness } = this.#cipher;
        if (weakness !== undefined) throw new SecretStoreError('unavailable', weakness);
        sealed[name] = { sealed: await this.#seal(text) };
      } catch (error) {
        if (entered !== undefined) unsealed[name] = reasonOf(error);
      }
    }
    return { entry: sealed as ServerEntry, unsealed };
  }

  /** Leaves to the file what has been written to it. */
  written(entry: ServerEntry): void {
    const entered = Object.entries(this.#entered.get(entry.id) ?? {});
    const isWritten = (name: string, text: string) =>
      text === '' ? entry[name] === undefined : this.#textIn(entry[name]) === text;
    const missing = entered.filter(([name, text]) => !isWritten(name, text));
    this.#entered.set(entry.id, Object.fromEntries(missing));
  }

  #isToOpen(ciphertext: string, again: boolean): boolean {
    const opened = this.#opened.get(ciphertext);
    return !this.#opening.has(ciphertext) && (!opened || (again && 'fault' in opened));
  }

  async #open(ciphertext: string): Promise<void> {
    this.#opening.add(ciphertext);
    try {
      this.#opened.set(ciphertext, await this.#cipher.decrypt(ciphertext));
    } catch (error) {
      this.#opened.set(ciphertext, { fault: reasonOf(error) });
    }
    this.#opening.delete(ciphertext);
  }

  async #seal(text: string): Promise<string> {
    // A write that failed is tried again: what was sealed for it is still good.
    for (const [ciphertext, opened] of this.#opened)
      if ('text' in opened && opened.text === text && !opened.stale) return ciphertext;
    const ciphertext = await this.#cipher.encrypt(text);
    this.#opened.set(ciphertext, { text, stale: false });
    return ciphertext;
  }

  #textIn(value: unknown): string | undefined {
    const opened = this.#opened.get(sealedIn(value) ?? '');
    return opened && 'text' in opened ? opened.text : undefined;
  }

  #staleText(value: unknown): string | undefined {
    const opened = this.#opened.get(sealedIn(value) ?? '');
    return opened && 'text' in opened && opened.stale ? opened.text : undefined;
  }
}

function sealedIn(value: unknown): string | undefined {
  return v.is(SEALED, value) ? value.sealed : undefined;
}

function plainIn(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The words of a failed cipher that are meant for people. */
function reasonOf(error: unknown): string {
  return error instanceof SecretStoreError ? error.message : 'The secret store of this system failed.';
}
