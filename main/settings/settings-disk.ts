import { open, readlink, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { systemCode } from '../../app/store/file-errors.ts';
import {
  ensurePrivateFolder,
  FILE_MODE,
  readPrivateFile,
  writePrivateFile,
} from '../../app/store/private-files.ts';
import { parseDocument, type SettingsDocument } from './document.ts';

/** What lies where the settings file should be. */
export type Reading =
  | { readonly kind: 'missing' }
  | { readonly kind: 'document'; readonly text: string; readonly document: SettingsDocument }
  /** It is there and no settings file; `fault` is the end of a sentence. */
  | { readonly kind: 'broken'; readonly fault: string }
  | { readonly kind: 'unreadable'; readonly error: unknown };

/** In bytes; the settings of a thousand servers are smaller. What is larger would stop the app while it is read. */
const LARGEST = 4 * 1024 * 1024;

/** Reads a settings file and takes away what other users may do with it. Never rejects. */
export async function readSettings(path: string): Promise<Reading> {
  let content: Buffer | undefined;
  try {
    if (await isTooLarge(path))
      return { kind: 'broken', fault: `it is larger than ${LARGEST / 2 ** 20} MiB` };
    content = await readPrivateFile(path);
  } catch (error) {
    return { kind: 'unreadable', error };
  }
  if (content === undefined) return { kind: 'missing' };
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return { kind: 'broken', fault: 'it is not text in UTF-8' };
  }
  const parsed = parseDocument(text);
  return 'fault' in parsed
    ? { kind: 'broken', fault: parsed.fault }
    : { kind: 'document', text, document: parsed.document };
}

/** @throws the system's error for what is neither a file nor a folder: reading a pipe, say, would never end */
async function isTooLarge(path: string): Promise<boolean> {
  const found = await stat(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  // Of a folder the system itself tells.
  if (!found || found.isDirectory()) return false;
  if (!found.isFile()) throw Object.assign(new Error('not a file'), { code: 'EINVAL' });
  return found.size > LARGEST;
}

/**
 * Replaces a settings file in one step, mode 0600, in a folder of mode 0700. Where it is a link, its target is replaced.
 * @throws the system's error
 */
export async function writeSettings(path: string, text: string): Promise<void> {
  await ensurePrivateFolder(dirname(path));
  await writePrivateFile(await targetOf(path), text);
}

/**
 * Moves a settings file out of the way, within its folder, under a name that nothing has yet.
 * @returns the new path
 * @throws the system's error
 */
export async function setAside(path: string, now: Date): Promise<string> {
  const target = await targetOf(path);
  // A colon is no character for a file name in Finder and on Windows.
  const time = now.toISOString().replace(/:/g, '-');
  for (let count = 1; ; count++) {
    const aside = join(dirname(target), `settings.broken-${time}${count === 1 ? '' : `-${count}`}.json`);
    if (!(await reserve(aside))) continue;
    try {
      await rename(target, aside);
    } catch (error) {
      await unlink(aside);
      throw error;
    }
    return aside;
  }
}

/** Creates an empty file, so that a rename to its name takes the place of nothing else. */
async function reserve(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', FILE_MODE)).close();
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Where a file really lies or, for a link to nothing, would lie. A circle of links has an error of its own. */
async function targetOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
  const link = await readlink(path).catch((error: unknown) => {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'EINVAL') return undefined;
    throw error;
  });
  return link === undefined ? path : targetOf(resolve(dirname(path), link));
}
