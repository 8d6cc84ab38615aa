import { chmod, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { systemCode } from './file-errors.ts';

/** Read and written by this user alone. */
export const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
const hasModes = process.platform !== 'win32';

/** Creates a folder for this user alone, with its parents; takes away what others may do in an existing one. */
export async function ensurePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  if (!hasModes) return;
  const { mode } = await stat(folder);
  if ((mode & 0o077) !== 0) await chmod(folder, FOLDER_MODE);
}

/**
 * Reads a file and takes away what others may do with it.
 * @returns `undefined` when there is no such file
 * @throws the system's error for anything else
 */
export async function readPrivateFile(path: string): Promise<Buffer | undefined> {
  try {
    const file = await open(path, 'r');
    try {
      if (hasModes && ((await file.stat()).mode & 0o077) !== 0) await file.chmod(FILE_MODE);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Replaces a file in one step, mode 0600. After it resolved, the new content outlives a loss of power. */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  await writeFileAtomic(path, content, { mode: FILE_MODE });
  await syncFolder(dirname(path));
}

/** Makes a new name or a rename in the folder outlive a loss of power; Windows has no such call. */
export async function syncFolder(folder: string): Promise<void> {
  if (!hasModes) return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
