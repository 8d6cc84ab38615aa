import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

/**
 * Who may import what. A file is held to every rule whose `room` it is in. An import is the path of a file in this
 * project, `node:NAME`, or the name of a package.
 *
 * In every list: `name/` is a folder, `name:*` all that begins so, `type NAME` a type-only import, anything else
 * is the whole name.
 */
interface Rule {
  readonly room: string;
  /** Files of the room that the rule does not bind. */
  readonly except?: readonly string[];
  /** The rule concerns these imports only; without it, all. */
  readonly about?: readonly string[];
  readonly may: readonly string[];
  readonly why: string;
}

const OUTSIDE_APP = ['main/', 'renderer/', 'tests/', 'build/', 'electron'];

const RULES: readonly Rule[] = [
  {
    room: 'app/',
    about: OUTSIDE_APP,
    may: [],
    why: 'the broker runs on plain Node: it knows neither the shell around it nor the tests',
  },
  {
    room: 'app/',
    except: ['app/cli/demo/'],
    about: Object.keys(manifest.devDependencies),
    may: [],
    why: 'development dependencies are not there in the product',
  },
  {
    room: 'app/',
    except: ['app/proxy/', 'app/http-client.ts'],
    about: ['undici'],
    may: [],
    why: 'one place makes HTTP clients, one room forwards with them',
  },
  {
    room: 'app/settings.ts',
    may: [
      'valibot',
      'node:*',
      'app/address.ts',
      'app/log.ts',
      'app/store/secret-store.ts',
      'app/store/open-store.ts',
    ],
    why: 'settings are read before anything else is there',
  },
  {
    room: 'app/oauth/',
    may: [
      'openid-client',
      'valibot',
      'node:*',
      'app/oauth/',
      'app/store/secret-store.ts',
      'app/store/lock.ts',
      'app/log.ts',
      'app/address.ts',
      'app/limits.ts',
      'app/settings.ts',
    ],
    why: 'the login knows the store through its interface, and nothing of the proxy',
  },
  {
    room: 'app/store/',
    may: ['node:*', 'proper-lockfile', 'write-file-atomic', 'app/store/'],
    why: 'a store keeps strings and knows nothing of what they mean',
  },
  {
    room: 'app/proxy/',
    about: ['app/oauth/'],
    may: ['app/oauth/session.ts', 'app/oauth/challenge.ts', 'app/oauth/errors.ts', 'type app/oauth/'],
    why: 'the proxy takes tokens from the session and reads challenges; the login is none of its business',
  },
  {
    room: 'app/pages/',
    may: ['node:crypto', 'app/pages/'],
    why: 'a page is made of what it is given',
  },
  {
    room: 'main/',
    about: ['app/', 'renderer/', 'tests/', 'build/'],
    may: [
      'app/broker.ts',
      'app/settings.ts',
      'app/log.ts',
      'app/inspect.ts',
      'app/get-document.ts',
      'app/address.ts',
      'app/network.ts',
      'app/version.ts',
      'app/store/',
      'app/oauth/errors.ts',
      'type app/',
    ],
    why: 'the shell talks to brokers; what a broker is made of is none of its business',
  },
  {
    room: 'main/',
    about: Object.keys(manifest.devDependencies),
    may: ['electron'],
    why: 'development dependencies are not there in the product, but for Electron itself',
  },
  {
    room: 'main/ipc/contract.ts',
    may: ['type main/', 'type app/'],
    why: 'both sides of the IPC see it: it is types only',
  },
  {
    room: 'main/view.ts',
    may: ['type app/'],
    why: 'both sides of the IPC see it: it is types only',
  },
  {
    room: 'renderer/',
    may: ['preact', 'renderer/', 'main/words.ts', 'main/clients.ts', 'type main/'],
    why: 'a page is drawn from what the IPC tells it, and has nothing else',
  },
  ...['main/words.ts', 'main/clients.ts'].map((room) => ({
    room,
    may: ['type main/view.ts'],
    why: 'the pages have them too',
  })),
];

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe('the rooms', () => {
  it('import only what they may', async () => {
    expect(await findViolations(ROOT)).toEqual([]);
  });

  it('have no package.json inside app/, which a packager would take for a second package', async () => {
    const files = await readdir(join(ROOT, 'app'), { recursive: true });
    expect(files.filter((file) => file.endsWith('package.json'))).toEqual([]);
  });
});

describe('the check itself', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'rooms-'));
  });
  afterAll(() => rm(root, { recursive: true }));

  it.each([
    ['app/pages/a.ts', `import { readFile } from 'node:fs';`, 'node:fs'],
    ['app/pages/a.ts', `import 'valibot';`, 'valibot'],
    ['app/pages/a.ts', `import type { Settings } from '../settings.ts';`, 'type app/settings.ts'],
    ['app/pages/a.ts', `import {\n  type A,\n  B,\n} from '../oauth/session.ts';`, 'app/oauth/session.ts'],
    ['app/pages/a.ts', `export * from '../broker.ts';`, 'app/broker.ts'],
    ['app/pages/a.ts', `export type { A } from '../broker.ts';`, 'type app/broker.ts'],
    ['app/pages/a.ts', `export type * as a from '../broker.ts';`, 'type app/broker.ts'],
    ['app/pages/a.ts', `type A = import('../broker.ts').Broker;`, 'type app/broker.ts'],
    ['app/pages/a.ts', `type A = typeof import("../broker.ts");`, 'type app/broker.ts'],
    ['app/oauth/a.ts', `import { fetch } from 'undici';`, 'undici'],
    ['app/oauth/a.ts', `import { openStore } from '../store/open-store.ts';`, 'app/store/open-store.ts'],
    ['app/oauth/a.ts', `import type { Broker } from '../broker.ts';`, 'type app/broker.ts'],
    ['app/oauth/a.ts', `const a = await import('../proxy/guard.ts');`, 'app/proxy/guard.ts'],
    ['app/proxy/a.ts', `import { finishLogin } from '../oauth/login.ts';`, 'app/oauth/login.ts'],
    ['app/store/a.ts', `import type { Logger } from '../log.ts';`, 'type app/log.ts'],
    ['app/settings.ts', `import { createFileStore } from './store/file.ts';`, 'app/store/file.ts'],
    ['app/broker.ts', `import { Agent } from 'undici';`, 'undici'],
    ['app/broker.ts', `import { app } from 'electron';`, 'electron'],
    ['app/broker.ts', `import { tray } from '../main/tray.ts';`, 'main/tray.ts'],
    ['app/cli/serve.ts', `import('@modelcontextprotocol/sdk/client/index.js');`, '@modelcontextprotocol/sdk'],
    ['app/cli/serve.ts', `const { build } = require('esbuild');`, 'esbuild'],
    ['main/tray/tray.ts', `import { Session } from '../../app/oauth/session.ts';`, 'app/oauth/session.ts'],
    ['main/tray/tray.ts', `import { forward } from '../../app/proxy/forward.ts';`, 'app/proxy/forward.ts'],
    ['main/main.ts', `import { render } from 'preact';`, 'preact'],
    ['main/main.ts', `import '../renderer/status/index.tsx';`, 'renderer/status/index.tsx'],
    ['main/view.ts', `import { app } from 'electron';`, 'electron'],
    ['main/words.ts', `import { hostname } from 'node:os';`, 'node:os'],
    ['renderer/status/a.tsx', `import { readFile } from 'node:fs';`, 'node:fs'],
    ['renderer/status/a.tsx', `import { ipcRenderer } from 'electron';`, 'electron'],
    [
      'renderer/status/a.tsx',
      `import { Servers } from '../../main/servers/servers.ts';`,
      'main/servers/servers.ts',
    ],
  ])('finds in %s: %s', async (file, source, found) => {
    await writeSource(file, source);
    const [violation, ...others] = await findViolations(root, [file]);
    expect(violation).toContain(`${file} imports ${found}:`);
    expect(others).toEqual([]);
  });

  it.each([
    ['app/cli/demo/upstream.ts', `import Provider from 'oidc-provider';`],
    ['app/http-client.ts', `import { Agent } from 'undici';`],
    ['app/proxy/a.ts', `import { request } from 'undici'; import { Session } from '../oauth/session.ts';`],
    ['app/proxy/a.ts', `import type { Grant } from '../oauth/login.ts';\nexport type { Grant };`],
    [
      'app/oauth/a.ts',
      `import { DEFAULT_CLIENT_ID } from '../settings.ts';\nimport { join } from 'node:path';`,
    ],
    ['main/a.ts', `import { app } from 'electron';\nimport type { Session } from '../app/oauth/session.ts';`],
    [
      'renderer/status/a.tsx',
      `import { useState } from 'preact/hooks';\nimport type { AppView } from '../../main/view.ts';\nexport const A = () => <p>{useState(0)}</p>;`,
    ],
    ['app/pages/a.ts', `export type Page = string;\nconst text = "it's // no import from 'undici'";`],
  ])('lets pass in %s: %s', async (file, source) => {
    await writeSource(file, source);
    expect(await findViolations(root, [file])).toEqual([]);
  });

  it('does not let an import pass that it cannot read', async () => {
    await writeSource('app/pages/a.ts', `const name = 'undici'; await import(name);`);
    const [violation] = await findViolations(root, ['app/pages/a.ts']);
    expect(violation).toContain('app/pages/a.ts imports a computed name:');
  });

  async function writeSource(file: string, source: string): Promise<void> {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), source);
  }
});

interface Import {
  readonly from: string;
  /** As the rules write it. */
  readonly name: string;
}

async function findViolations(root: string, only?: readonly string[]): Promise<string[]> {
  const rooms = ['app', 'main', 'renderer'];
  const files = only ?? (await Promise.all(rooms.map((room) => listSources(root, room)))).flat();
  const imports = (await Promise.all(files.map((file) => readImports(root, file)))).flat();
  return imports.flatMap(({ from, name }) =>
    RULES.filter((rule) => isIn(from, [rule.room]) && !isIn(from, rule.except ?? []))
      .filter((rule) => rule.about === undefined || isIn(withoutType(name), rule.about) || name === COMPUTED)
      .filter((rule) => !isIn(name, rule.may))
      .slice(0, 1)
      .map((rule) => {
        const allowed = rule.may.join(', ') || 'none of these';
        return `${from} imports ${name}: ${rule.why} (${rule.room} may import: ${allowed})`;
      }),
  );
}

async function listSources(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true });
  return entries
    .filter((entry) => /\.[cm]?[jt]sx?$/.test(entry))
    .map((entry) => posix.join(folder, entry.replaceAll('\\', '/')));
}

const COMPUTED = 'a computed name';
const TYPE = 'type ';
const TYPE_STATEMENT =
  /^(import|export)\s+type\s+(\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+)\s+from\s+(['"])(.+?)\3/gm;
const TYPE_EXPRESSION =
  /(?:typeof\s+|[:=<|&,(]\s*)(?<!await\s)import\((['"])(.+?)\1\)(?=\.\w|;|\s*[>|&,)]|$)/gm;
const COMPUTED_IMPORT = /(?<![\w.'"`])import\((?!\s*['"])/;

/** esbuild reads the source, so that strings, comments and regular expressions cannot deceive. */
async function readImports(root: string, file: string): Promise<Import[]> {
  const source = await readFile(join(root, file), 'utf8');
  const found = new Set<string>();
  await build({
    // esbuild drops type-only imports: make them plain ones that keep a mark.
    stdin: {
      contents: source.replace(TYPE_STATEMENT, `$1 $2 from '${TYPE}$4'`),
      loader: file.endsWith('x') ? 'tsx' : 'ts',
      sourcefile: file,
    },
    tsconfigRaw: {
      compilerOptions: {
        verbatimModuleSyntax: true,
        target: 'es2023',
        jsx: 'react-jsx',
        jsxImportSource: 'preact',
      },
    },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    logLevel: 'silent',
    plugins: [
      {
        name: 'collect',
        setup({ onResolve }) {
          onResolve({ filter: /.*/ }, ({ path, kind }) => {
            if (kind !== 'entry-point') found.add(path);
            return { path, external: true };
          });
        },
      },
    ],
  });
  for (const [, , specifier] of source.matchAll(TYPE_EXPRESSION)) {
    if (specifier !== undefined && !found.has(specifier)) found.add(`${TYPE}${specifier}`);
  }
  const names = [...found].map((specifier) => nameOf(root, file, specifier));
  if (COMPUTED_IMPORT.test(source)) names.push(COMPUTED);
  return names.map((name) => ({ from: file, name }));
}

function nameOf(root: string, file: string, marked: string): string {
  const mark = marked.startsWith(TYPE) ? TYPE : '';
  const specifier = withoutType(marked);
  if (specifier.startsWith('.')) {
    const path = relative(root, join(root, dirname(file), specifier));
    return mark + path.replaceAll('\\', '/');
  }
  if (specifier.startsWith('node:')) return mark + specifier;
  return (
    mark +
    specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/')
  );
}

function withoutType(name: string): string {
  return name.startsWith(TYPE) ? name.slice(TYPE.length) : name;
}

/** A type-only import may be had wherever a real one may. */
function isIn(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const plain = pattern.startsWith(TYPE) && name.startsWith(TYPE) ? withoutType(pattern) : pattern;
    const subject = withoutType(name);
    if (pattern.startsWith(TYPE) && !name.startsWith(TYPE)) return false;
    if (plain.endsWith('/')) return subject.startsWith(plain);
    if (plain.endsWith('*')) return subject.startsWith(plain.slice(0, -1));
    return subject === plain;
  });
}
