// `npm run soak -- MINUTES`: plain Node 20 cannot run TypeScript, so the soak is bundled first; packages stay outside.
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
const program = new URL('../../node_modules/.cache/mcp-auth-proxy/soak.mjs', import.meta.url);

await build({
  absWorkingDir: root,
  entryPoints: ['tests/soak/main.ts'],
  outfile: fileURLToPath(program),
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20.18',
  logLevel: 'warning',
});
const { main } = await import(pathToFileURL(fileURLToPath(program)).href);
process.exit(await main(root, process.argv.slice(2)));
