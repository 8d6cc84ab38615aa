import { LoginFailure } from '../../app/oauth/errors.ts';
import { SettingsError } from '../../app/settings.ts';
import { SecretStoreError } from '../../app/store/secret-store.ts';

/**
 * What goes back over IPC. An error that was thrown there would reach the page with a prefix of Electron's own, and
 * standard error with a stack.
 */
export type Answer = { readonly value: unknown } | { readonly error: string };

/** Any sender that is none of our pages hears this and no more. */
export const REFUSED: Answer = { error: 'Refused.' };

/** What a page may show of an error: the sentences that were written for people, and no word of any other. */
export function plainMessage(error: unknown): string {
  if (error instanceof LoginFailure) return `${error.message} ${error.cure}`;
  if (error instanceof SettingsError || error instanceof SecretStoreError) return error.message;
  return 'Something went wrong; look at the log.';
}
