import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import manifest from '../../package.json' with { type: 'json' };
import { givenFolder } from './broker.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The product as another package.json would make it, in a folder that goes with the test. What does not depend on that is
 * taken from `dist/`, which has to be there.
 * @param members of package.json that are others; `undefined` takes one out
 * @returns the folder, for an app to be started from
 */
export async function givenVariant(members: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = await givenFolder();
  const dist = path.join(folder, 'dist');
  const text = JSON.stringify({ ...manifest, ...members });
  await mkdir(path.join(dist, 'main'), { recursive: true });
  await Promise.all([
    writeFile(path.join(folder, 'package.json'), text),
    ...['icons', 'renderer', 'main/preload.cjs'].map((part) =>
      cp(path.join(PROJECT, 'dist', part), path.join(dist, part), { recursive: true }),
    ),
    build({
      absWorkingDir: PROJECT,
      entryPoints: { main: 'main/main.ts' },
      outdir: path.join(dist, 'main'),
      bundle: true,
      splitting: true,
      platform: 'node',
      format: 'esm',
      external: ['electron'],
      plugins: [packageJson(text)],
      // CommonJS packages inside an ES module ask for these.
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;",
      },
    }),
  ]);
  return folder;
}

function packageJson(contents: string): Plugin {
  return {
    name: 'package.json',
    setup({ onLoad }) {
      onLoad({ filter: /\/package\.json$/ }, (args) =>
        args.path === path.join(PROJECT, 'package.json') ? { contents, loader: 'json' } : undefined,
      );
    },
  };
}
