import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as v from 'valibot';
import { ensurePrivateFolder, readPrivateFile, writePrivateFile } from '../../app/store/private-files.ts';

const LEFTOVERS = v.array(v.string());

/** Keeps what a reset could not undo, for the start that follows it. @throws the system's error */
export async function keepLeftovers(file: string, leftovers: readonly string[]): Promise<void> {
  await ensurePrivateFolder(dirname(file));
  await writePrivateFile(file, JSON.stringify(leftovers));
}

/** What the reset before this start could not undo; it is told once. */
export async function takeLeftovers(file: string): Promise<readonly string[]> {
  try {
    const content = await readPrivateFile(file);
    if (content === undefined) return [];
    await rm(file);
    const parsed = v.safeParse(LEFTOVERS, JSON.parse(content.toString('utf8')));
    return parsed.success ? parsed.output : [];
  } catch {
    return [];
  }
}
