// @ts-check
// `npm run build`: bundles the product into dist/.
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { APP, bundle, COMMAND_LINE } from './bundles.mjs';
import { ROOT } from './process.mjs';

const dist = join(ROOT, 'dist');
/** What runs in the background may still load parts of an older build; they stay for a week, in milliseconds. */
const KEPT_FOR = 7 * 24 * 3_600_000;

try {
  const { files } = await bundle(dist, [COMMAND_LINE, ...APP]);
  await removeOld(new Set(files));
} catch (error) {
  console.error(/** @type {Error} */ (error).message);
  process.exit(1);
}

async function removeOld(/** @type {ReadonlySet<string>} */ current) {
  for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (!entry.isFile() || current.has(file)) continue;
    if (Date.now() - (await stat(file)).mtimeMs > KEPT_FOR) await rm(file);
  }
}
