// `node tests/support/run-typescript.mjs FOLDER …`: plain Node 20 cannot run TypeScript, so `tests/FOLDER/main.ts` is bundled
// first; packages stay outside. Its `main` is told where the project lies and the other arguments, and returns the exit code.
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
const [folder, ...args] = process.argv.slice(2);
const program = join(root, 'node_modules', '.cache', 'mcp-auth-proxy', `${folder}.mjs`);

await build({
  absWorkingDir: root,
  entryPoints: [`tests/${folder}/main.ts`],
  outfile: program,
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20.18',
  logLevel: 'warning',
});
const { main } = await import(pathToFileURL(program).href);
process.exit(await main(root, args));
