import { SecretStoreError } from './secret-store.ts';

/** The `code` of a system error (`ENOENT`, `EACCES`, …), `undefined` for anything else. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Turns a failed file operation into an `unavailable` {@link SecretStoreError} that names the path and the cure.
 * @param path the file or folder that was used
 * @param cure what helps besides giving the user access, as a clause ("set STATE_DIR to another folder")
 */
export function fileError(path: string, error: unknown, cure?: string): SecretStoreError {
  if (error instanceof SecretStoreError) return error;
  const otherwise = cure === undefined ? '' : `, or ${cure}`;
  return new SecretStoreError('unavailable', `${problem(path, systemCode(error))}${otherwise}.`, {
    cause: error,
  });
}

function problem(path: string, code: string | undefined): string {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return `No permission to use ${path}: give your user access to it`;
    case 'EROFS':
      return `${path} is on a read-only file system: make it writable`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `No space left to write ${path}: free some space and try again`;
    case 'ENOTDIR':
      return `${path} lies below something that is not a folder: move that away`;
    default:
      return `Cannot use ${path} (${code ?? 'unknown error'}): check the folder`;
  }
}
