// @ts-check
// What the product is bundled from: the command line; the app's main process, preload script, pages and icons.
// The demo's servers stay outside: they are development dependencies.
import { join } from 'node:path';
import { build } from 'esbuild';
import { renderIcons } from './icons.mjs';
import { ROOT } from './process.mjs';

/** @typedef {import('esbuild').BuildOptions} BuildOptions */

/**
 * One call of esbuild. Its `outdir` is relative to the folder that everything goes to.
 * @typedef {BuildOptions & { readonly entryPoints: Record<string, string> | string[], readonly outdir: string }} Bundle
 */

/** @type {BuildOptions} */
const common = {
  absWorkingDir: ROOT,
  bundle: true,
  sourcemap: true,
  logLevel: 'warning',
};

/** @type {import('esbuild').Plugin} */
const slimUndici = {
  name: 'slim-undici',
  setup(build) {
    build.onResolve({ filter: /^undici$/ }, () => ({ path: join(ROOT, 'build/undici.mjs') }));
  },
};

/** @type {BuildOptions} */
const node = {
  ...common,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.18',
  external: ['electron', 'oidc-provider', '@modelcontextprotocol/sdk/*'],
  plugins: [slimUndici],
  // CommonJS packages inside an ES module ask for these.
  banner: {
    js: [
      "import { createRequire as __createRequire } from 'node:module';",
      'const require = __createRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;',
    ].join(' '),
  },
};

/**
 * Chromium of the oldest Electron that the app runs on.
 * @type {BuildOptions}
 */
const chromium = { ...common, platform: 'browser', target: 'chrome130' };

const PAGES = ['status', 'login'];

/** @type {Bundle} */
export const COMMAND_LINE = { ...node, entryPoints: { cli: 'app/cli/main.ts' }, outdir: '.' };

/** @type {readonly Bundle[]} */
export const APP = [
  { ...node, entryPoints: { main: 'main/main.ts' }, outdir: 'main' },
  {
    // A sandboxed preload script is one CommonJS file and has no Node: an import of it fails here.
    ...chromium,
    entryPoints: { preload: 'main/preload.ts' },
    outdir: 'main',
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    external: ['electron'],
  },
  ...PAGES.map(
    (page) =>
      /** @type {Bundle} */ ({
        ...chromium,
        entryPoints: [`renderer/${page}/index.tsx`, `renderer/${page}/index.html`],
        outdir: `renderer/${page}`,
        format: 'esm',
        minify: true,
        loader: { '.html': 'copy' },
      }),
  ),
];

/**
 * Writes bundles, and the icons that the app shows. All are tried: what can be built is there even when another part
 * cannot, and why has been printed by then.
 *
 * @param {string} folder where they go: its subfolders `main`, `renderer` and `icons`
 * @param {readonly Bundle[]} bundles
 * @param {Pick<BuildOptions, 'sourcemap'>} [options] instead of what the bundles have
 * @returns {Promise<{ files: string[], inputs: string[] }>} `files`: paths of all that was written, and of icons that
 *   were there; `inputs`: what was bundled, relative to the project's folder
 * @throws {Error} which names what could not be built
 */
export async function bundle(folder, bundles, options = {}) {
  const [icons, ...built] = await Promise.allSettled([
    renderIcons(join(folder, 'icons')),
    ...bundles.map((one) => build({ ...one, ...options, metafile: true, outdir: join(folder, one.outdir) })),
  ]);
  const failed = bundles
    .filter((_, index) => built[index]?.status === 'rejected')
    .map(({ entryPoints }) => Object.values(entryPoints).join(' and '));
  if (icons.status === 'rejected') failed.push(`the icons (${icons.reason})`);
  if (icons.status === 'rejected' || failed.length > 0) throw new Error(`Not built: ${failed.join(', ')}`);

  const metafiles = built.flatMap((one) => (one.status === 'fulfilled' ? [one.value.metafile] : []));
  const outputs = metafiles.flatMap((metafile) => Object.keys(metafile.outputs));
  return {
    files: [...icons.value, ...outputs.map((file) => join(ROOT, file))],
    inputs: [...new Set(metafiles.flatMap((metafile) => Object.keys(metafile.inputs)))],
  };
}
