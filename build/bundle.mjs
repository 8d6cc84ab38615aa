// Bundles the product into dist/: the command line, the app's main process and preload script, its pages and icons.
// The demo's servers stay outside: they are development dependencies.
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { renderIcons } from './icons.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
/** What runs in the background may still load parts of an older build; they stay for a week, in milliseconds. */
const KEPT_FOR = 7 * 24 * 3_600_000;

const common = {
  absWorkingDir: root,
  bundle: true,
  metafile: true,
  sourcemap: true,
  logLevel: 'warning',
};

const node = {
  ...common,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.18',
  external: ['electron', 'oidc-provider', '@modelcontextprotocol/sdk/*'],
  // CommonJS packages inside an ES module ask for these.
  banner: {
    js: [
      "import { createRequire as __createRequire } from 'node:module';",
      'const require = __createRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;',
    ].join(' '),
  },
};

/** Chromium of the oldest Electron that the app runs on. */
const chromium = { ...common, platform: 'browser', target: 'chrome130' };

const PAGES = ['status', 'login'];

const BUNDLES = [
  { ...node, entryPoints: { cli: 'app/cli/main.ts' }, outdir: 'dist' },
  { ...node, entryPoints: { main: 'main/main.ts' }, outdir: 'dist/main' },
  {
    // A sandboxed preload script is one CommonJS file and has no Node: an import of it fails here.
    ...chromium,
    entryPoints: { preload: 'main/preload.ts' },
    outdir: 'dist/main',
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    external: ['electron'],
  },
  ...PAGES.map((page) => ({
    ...chromium,
    entryPoints: [`renderer/${page}/index.tsx`, `renderer/${page}/index.html`],
    outdir: `dist/renderer/${page}`,
    format: 'esm',
    minify: true,
    loader: { '.html': 'copy' },
  })),
];

// All are tried: what can be built is there even when another part cannot.
const [icons, ...bundles] = await Promise.allSettled([
  renderIcons(join(dist, 'icons')),
  ...BUNDLES.map((bundle) => build(bundle)),
]);
if (icons.status === 'rejected') console.error('The icons cannot be rendered:', icons.reason);
// Why a bundle cannot be built has been printed by then.
const failed = BUNDLES.filter((_, index) => bundles[index].status === 'rejected').map(({ entryPoints }) =>
  Object.values(entryPoints).join(' and '),
);
if (failed.length > 0) console.error(`Not built: ${failed.join(', ')}`);
if (icons.status === 'rejected' || failed.length > 0) process.exit(1);

const outputs = bundles.flatMap(({ value }) => Object.keys(value.metafile.outputs));
const current = new Set([...icons.value, ...outputs.map((file) => join(root, file))]);
for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
  const file = join(entry.parentPath, entry.name);
  if (!entry.isFile() || current.has(file)) continue;
  if (Date.now() - (await stat(file)).mtimeMs > KEPT_FOR) await rm(file);
}
