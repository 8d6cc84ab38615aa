/** Encrypts texts so that only this app, run by this user, can read them. */
export interface Cipher {
  /** Why it protects nothing here, in one sentence for people; `undefined` when it does. */
  readonly weakness: string | undefined;
  /**
   * @returns the ciphertext in base64
   * @throws {SecretStoreError} `denied` or `unavailable`
   */
  encrypt(text: string): Promise<string>;
  /**
   * @returns the text, and whether it should be encrypted again (its key has changed)
   * @throws {SecretStoreError} `corrupt` for what another build, user or machine encrypted, `denied` or `unavailable`
   */
  decrypt(ciphertext: string): Promise<{ text: string; stale: boolean }>;
}
