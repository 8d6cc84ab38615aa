// Bundles the command-line entry into dist/. The demo's servers stay outside: they are development dependencies.
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
/** A broker in the background may still load parts of an older build; they stay for a week, in milliseconds. */
const KEPT_FOR = 7 * 24 * 3_600_000;

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { cli: 'app/cli/main.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  metafile: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.18',
  sourcemap: true,
  logLevel: 'warning',
  external: ['electron', 'oidc-provider', '@modelcontextprotocol/sdk/*'],
  // CommonJS packages inside an ES module ask for these.
  banner: {
    js: [
      "import { createRequire as __createRequire } from 'node:module';",
      'const require = __createRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;',
    ].join(' '),
  },
});

const current = new Set(Object.keys(metafile.outputs).map((file) => join(root, file)));
for (const name of await readdir(dist)) {
  const file = join(dist, name);
  if (!current.has(file) && Date.now() - (await stat(file)).mtimeMs > KEPT_FOR) await rm(file);
}
