import { dirname } from 'node:path';
import * as v from 'valibot';
import { ensurePrivateFolder, readPrivateFile, writePrivateFile } from '../../app/store/private-files.ts';

const RECORD = v.object({
  /** `owner/name`: another build may look elsewhere. */
  repository: v.string(),
  /** When the feed was asked last, in milliseconds since the epoch. */
  lookedAt: v.pipe(v.number(), v.finite()),
  tag: v.optional(v.string()),
  etag: v.optional(v.string()),
});

/** The last look at the releases, as it is kept across restarts. */
export type LookRecord = v.InferOutput<typeof RECORD>;

/** @returns `undefined` when there is none, or none that can be read: it is worth no more than a look */
export async function readLook(file: string): Promise<LookRecord | undefined> {
  try {
    const content = await readPrivateFile(file);
    const parsed = v.safeParse(RECORD, JSON.parse(content?.toString('utf8') ?? ''));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

/** @throws the system's error */
export async function writeLook(file: string, record: LookRecord): Promise<void> {
  await ensurePrivateFolder(dirname(file));
  await writePrivateFile(file, `${JSON.stringify(record)}\n`);
}
