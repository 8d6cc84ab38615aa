import { lstat, readdir, realpath, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileError, systemCode } from '../../app/store/file-errors.ts';
import type { AppFolder } from '../app-folder.ts';

/** Folder of the file store, below the app's. */
const SECRETS = 'secrets';
/** Chromium's folder on its way out. */
const LEAVING = /^chromium\.reset-\d+$/;

/**
 * Deletes what the app keeps in its folder, and nothing else: the folder may be shared with brokers on the command line, or
 * be one that a person uses for other things.
 * @returns what is left, where and why, in sentences
 */
export async function eraseFolder(folder: AppFolder): Promise<string[]> {
  const { root } = folder;
  let names: readonly string[];
  try {
    names = await readdir(root);
  } catch (error) {
    return systemCode(error) === 'ENOENT' ? [] : [fileError(root, error).message];
  }
  const leftovers: string[] = [];
  for (const name of names) {
    const file = path.join(root, name);
    try {
      const left = await erase(file, folder);
      if (left !== undefined) leftovers.push(left);
    } catch (error) {
      leftovers.push(fileError(file, error).message);
    }
  }
  return leftovers;
}

/**
 * @returns what is left on purpose
 * @throws the system's error
 */
async function erase(file: string, folder: AppFolder): Promise<string | undefined> {
  const name = path.basename(file);
  if (file === folder.chromium) return eraseChromium(folder);
  if (name === SECRETS) return eraseSecrets(file);
  if (LEAVING.test(name)) await rm(file, { recursive: true });
  else if (isOurs(name, folder)) return eraseFile(file);
  return undefined;
}

/** Chromium still runs in it. Moved away, whatever it writes until this process has ended goes nowhere. */
async function eraseChromium({ root, chromium }: AppFolder): Promise<undefined> {
  const leaving = path.join(root, `chromium.reset-${Date.now()}`);
  await rename(chromium, leaving);
  await rm(leaving, { recursive: true, maxRetries: 5 });
}

/** The logins of the app's servers have gone with the logouts. What keeps the others readable stays with them. */
async function eraseSecrets(folder: string): Promise<string | undefined> {
  const names = await readdir(folder);
  if (names.some((name) => name.includes('.json')))
    return `${folder} holds logins that are not those of this app's servers; delete it if nobody needs them.`;
  await rm(folder, { recursive: true });
  return undefined;
}

async function eraseFile(file: string): Promise<string | undefined> {
  const isLink = (await lstat(file)).isSymbolicLink();
  const target = isLink ? await realpath(file).catch(() => undefined) : undefined;
  await rm(file);
  return target && `${file} was a link to ${target}, which is still there.`;
}

/** A file of ours, an older one of the log, a settings file that was set aside, or what a write that was cut off has left. */
function isOurs(name: string, { settingsFile, logFile, lookFile }: AppFolder): boolean {
  const [settings, log, look] = [settingsFile, logFile, lookFile].map((file) => path.basename(file));
  if (name === log || name === log?.replace('.log', '.old.log')) return true;
  if (/^settings\.broken-.*\.json$/.test(name)) return true;
  return [settings, look].some((own) => name === own || name.startsWith(`${own}.`));
}
