import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';
import { parseAst } from 'vite';
import { describe, expect, it } from 'vitest';
import { obtainClient } from '../../app/oauth/registration.ts';
import { type Settings, settingsFromEnvironment } from '../../app/settings.ts';
import { userStateFolder } from '../../app/store/open-store.ts';
import { givenHttpClient } from '../support/http-client.ts';
import { registrationAt } from '../support/registration.ts';
import { givenScriptedServer } from '../support/scripted-server.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFile(join(ROOT, path), 'utf8');

/** The cells of every table row of a Markdown text, without heads and rulers. */
function tableRows(markdown: string): string[][] {
  const lines = markdown.split('\n');
  return lines
    .filter(
      (line, index) =>
        /^\|(?!-)/.test(line) && !(lines[index + 1] ?? '').startsWith('|-') && !/^\|[-|: ]+\|$/.test(line),
    )
    .map((line) =>
      line
        .slice(1, line.lastIndexOf('|'))
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll('\\|', '|')),
    );
}

/** The part of a Markdown text below a heading, up to the next one of its level or above. */
function section(markdown: string, heading: string): string {
  const lines = markdown.split('\n');
  const start = lines.indexOf(heading);
  expect(start, `${heading} is missing`).not.toBe(-1);
  const level = heading.indexOf(' ');
  const end = lines.findIndex(
    (line, index) => index > start && /^#+(?= )/.test(line) && line.indexOf(' ') <= level,
  );
  return lines.slice(start, end === -1 ? undefined : end).join('\n');
}

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}
const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Partial<Node>).type === 'string';

async function syntaxOf(path: string): Promise<Node> {
  const { code } = await transform(await read(path), { loader: 'ts', target: 'esnext', tsconfigRaw: '{}' });
  return parseAst(code) as unknown as Node;
}

function childrenOf(node: Node): Node[] {
  return Object.values(node).flat().filter(isNode);
}

/** What `it`, `it.each(…)`, `describe.each(…)` … is called as; `undefined` for any other call, and for a skipped one. */
function kindOf(callee: unknown): 'it' | 'describe' | undefined {
  if (!isNode(callee)) return undefined;
  if (callee.type === 'CallExpression') return kindOf(callee.callee);
  if (callee.type === 'MemberExpression') {
    const { name } = callee.property as { name?: string };
    return name === 'each' || name === 'runIf' ? kindOf(callee.object) : undefined;
  }
  const { name } = callee as { name?: string };
  return name === 'it' || name === 'describe' ? name : undefined;
}

function titleOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === 'Literal' && typeof node.value === 'string') return node.value;
  if (node.type !== 'TemplateLiteral') return undefined;
  const quasis = node.quasis as ReadonlyArray<{ value: { cooked: string } }>;
  return quasis.length === 1 ? quasis[0]?.value.cooked : undefined;
}

/** The tests of a file, each as `describe > … > it`, as they stand in the source. */
async function testsOf(path: string): Promise<Set<string>> {
  const found = new Set<string>();
  const visit = (node: Node, within: readonly string[]): void => {
    const kind = node.type === 'CallExpression' ? kindOf(node.callee) : undefined;
    const [first, ...rest] = kind ? (node.arguments as Node[]) : [];
    const title = titleOf(first);
    if (kind === undefined || title === undefined) {
      for (const child of childrenOf(node)) visit(child, within);
      return;
    }
    if (kind === 'it') found.add([...within, title].join(' > '));
    else for (const child of rest) visit(child, [...within, title]);
  };
  visit(await syntaxOf(path), []);
  return found;
}

/** The names that a file defines: functions, classes, constants, types' values, methods and fields. */
async function symbolsOf(path: string): Promise<Set<string>> {
  const found = new Set<string>();
  const keep = (node: unknown) => {
    if (!isNode(node)) return;
    if (typeof node.name === 'string')
      found.add(node.type === 'PrivateIdentifier' ? `#${node.name}` : node.name);
  };
  const visit = (node: Node): void => {
    if (/^(Function|Class)Declaration$|^VariableDeclarator$/.test(node.type)) keep(node.id);
    if (/^(MethodDefinition|PropertyDefinition)$/.test(node.type)) keep(node.key);
    childrenOf(node).forEach(visit);
  };
  visit(await syntaxOf(path));
  return found;
}

function once<T>(find: (path: string) => Promise<T>): (path: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (path) => {
    const result = known.get(path) ?? find(path);
    known.set(path, result);
    return result;
  };
}

/** The links of a cell, each with the names in code that follow it up to the next link. */
function references(cell: string): Array<{ path: string; names: string[] }> {
  return cell
    .split(/(?=\[[^\]]+\]\()/)
    .filter((part) => part.startsWith('['))
    .map((part) => ({
      path: join('docs', /\]\(([^)]+)\)/.exec(part)?.[1] ?? ''),
      names: [...part.replace(/^\[.*?\]\(.*?\)/, '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
    }));
}

describe('docs/authorization.md', async () => {
  const rows = tableRows(section(await read('docs/authorization.md'), '## The rules'));
  const symbols = once(symbolsOf);
  const tests = once(testsOf);

  it('has every rule once and in order', () => {
    const expected = [
      ...Array.from({ length: 32 }, (_, index) => `A${index + 1}`),
      ...Array.from({ length: 12 }, (_, index) => `B${index + 1}`),
      ...Array.from({ length: 10 }, (_, index) => `T${index + 1}`),
      ...Array.from({ length: 40 }, (_, index) => `C${index + 1}`),
    ];
    expect(rows.map(([id]) => id)).toEqual(expected);
  });

  describe.each(rows.map((row) => [row[0] ?? '', row] as const))('%s', (_, row) => {
    const [, rule = '', source = '', code = '', test = ''] = row;

    it('is whole', () => {
      expect(row).toHaveLength(5);
      expect([rule, source].filter((cell) => cell === '')).toEqual([]);
    });

    it('names code that is there', async () => {
      const named = references(code);
      expect(named).not.toEqual([]);
      for (const { path, names } of named) {
        expect(names, `${path}: no name`).not.toEqual([]);
        const known = await symbols(path);
        expect(names.filter((name) => !known.has(name))).toEqual([]);
      }
    });

    it('names tests that are there', async () => {
      const named = references(test);
      expect(named).not.toEqual([]);
      for (const { path, names } of named) {
        expect(names, `${path}: no name`).not.toEqual([]);
        const known = await tests(path);
        expect(names.filter((name) => !known.has(name))).toEqual([]);
      }
    });
  });
});

describe.each([
  ['docs/faults.md', 4, await read('docs/faults.md')],
  ['docs/security.md', 3, section(await read('docs/security.md'), '## From whom it is protected')],
] as const)('%s', async (_path, columns, text) => {
  const tests = once(testsOf);

  it.each(tableRows(text).map((row) => [row[0] ?? '', row] as const))(
    'names tests that are there: %s',
    async (_, row) => {
      expect(row).toHaveLength(columns);
      const named = references(row.at(-1) ?? '');
      expect(named).not.toEqual([]);
      for (const { path, names } of named) {
        expect(names, `${path}: no name`).not.toEqual([]);
        const known = await tests(path);
        expect(names.filter((name) => !known.has(name))).toEqual([]);
      }
    },
  );
});

describe('the dependencies in docs/security.md', async () => {
  const rows = tableRows(section(await read('docs/security.md'), '## Dependencies'));

  it('are the packages that are bundled, and no other', async () => {
    const { metafile } = await build({
      absWorkingDir: ROOT,
      entryPoints: [
        'app/cli/main.ts',
        'main/main.ts',
        'renderer/status/index.tsx',
        'renderer/login/index.tsx',
      ],
      outdir: 'dist',
      bundle: true,
      splitting: true,
      write: false,
      metafile: true,
      platform: 'node',
      format: 'esm',
      // As build/bundles.mjs has it: the demo's servers are development dependencies.
      external: ['electron', 'oidc-provider', '@modelcontextprotocol/sdk/*'],
    });
    const bundled = Object.keys(metafile.inputs).flatMap(
      (path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [],
    );
    expect(rows.map(([name = '']) => name.replaceAll('`', '')).sort()).toEqual([...new Set(bundled)].sort());
  });
});

describe('links', async () => {
  const documents = ['README.md', ...(await readdir(join(ROOT, 'docs'))).map((name) => `docs/${name}`)];
  const markdown = documents.filter((path) => path.endsWith('.md'));

  it.each(markdown)('of %s lead somewhere', async (path) => {
    const text = withoutCode(await read(path));
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const broken: string[] = [];
    for (const target of targets.filter((link) => !/^[a-z]+:/.test(link))) {
      const [file = '', anchor] = target.split('#');
      const found = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), file));
      if (!existsSync(join(ROOT, found))) broken.push(target);
      else if (anchor !== undefined && !anchorsOf(await read(found)).has(anchor)) broken.push(target);
    }
    expect(broken).toEqual([]);
  });
});

function withoutCode(markdown: string): string {
  return markdown.replace(/^```.*?^```/gms, '').replace(/`[^`\n]*`/g, '');
}

/** The anchors that a page has on the usual hosts: its headings in lower case, words joined by hyphens. */
function anchorsOf(markdown: string): Set<string> {
  const headings = markdown.replace(/^```.*?^```/gms, '').matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe('the settings table of README.md', async () => {
  const UPSTREAM = 'https://mcp.example.com/mcp';
  const rows = tableRows(section(await read('README.md'), '## Settings'));
  const documented = rows.flatMap(([variables = '', value = '']) =>
    [...variables.matchAll(/`([A-Z_]+)`/g)].map(([, name = '']) => [name, value] as const),
  );
  /** Named in a row's words, because they are everybody's and not ours. */
  const COMMON = ['HTTPS_PROXY', 'NO_PROXY'];

  it('has the variables that are read, and no other', () => {
    const asked = (look: (env: NodeJS.ProcessEnv) => unknown) => {
      const names = new Set<string>();
      const env = new Proxy<NodeJS.ProcessEnv>(
        { UPSTREAM_MCP_URL: UPSTREAM },
        {
          get: (target, name) => {
            names.add(String(name));
            return target[String(name)];
          },
        },
      );
      look(env);
      return [...names].filter((name) => name === name.toUpperCase());
    };
    const ofTheSystem = asked((env) => userStateFolder('linux', env));
    const settings = asked((env) => settingsFromEnvironment(env, 'linux'));
    const ours = settings.filter((name) => !ofTheSystem.includes(name) && !COMMON.includes(name));
    expect(documented.map(([name]) => name).sort()).toEqual(ours.sort());
    const meanings = rows.map(([, , meaning]) => meaning).join('\n');
    for (const name of COMMON) expect(meanings).toContain(`\`${name}\``);
  });

  it.each(documented)('has the default of %s: %s', (variable, value) => {
    const settings = settingsFromEnvironment({ UPSTREAM_MCP_URL: UPSTREAM, HOME: '/home/x' }, 'linux');
    const name = variable.toLowerCase().replace(/_[a-z]/g, (match) => match.slice(1).toUpperCase());
    const actual: unknown = settings[name as keyof Settings];
    switch (value) {
      case 'required':
        expect(() => settingsFromEnvironment({})).toThrow(`${variable} is not set`);
        break;
      case 'the system’s own place':
      case "the system's own place":
        expect(actual).toBe(userStateFolder('linux', { HOME: '/home/x' }));
        break;
      case '–':
      case 'automatic':
        expect(Array.isArray(actual) ? actual[0] : actual).toBeUndefined();
        break;
      default:
        expect(value).toBe(`\`${String(actual)}\``);
    }
  });
});

describe('docs/client-metadata.json', async () => {
  const document = JSON.parse(await read('docs/client-metadata.json')) as Record<string, unknown>;

  it('says of the client what its registration says', async () => {
    const as = await givenScriptedServer({ 'POST /register': { status: 201, json: { client_id: 'new' } } });
    const [redirectUri = ''] = document.redirect_uris as string[];
    const { request } = givenHttpClient({ upstreamMcpUrl: as.origin });
    await obtainClient(registrationAt(as.origin, request, { redirectUri }));
    const sent = JSON.parse(as.requests[0]?.body ?? '{}') as Record<string, unknown>;
    const { redirect_uris: _, software_version: __, ...same } = sent;
    expect(Object.keys(same).sort()).toEqual([
      'application_type',
      'client_name',
      'grant_types',
      'response_types',
      'software_id',
      'token_endpoint_auth_method',
    ]);
    expect(document).toMatchObject(same);
  });

  it('lists the redirect URI of a broker with default settings, in each of its spellings', () => {
    const { port, redirectPath } = settingsFromEnvironment({ UPSTREAM_MCP_URL: 'https://mcp.example.com' });
    expect(document.redirect_uris).toEqual(
      ['127.0.0.1', '[::1]', 'localhost'].map((host) => `http://${host}:${port}${redirectPath}`),
    );
  });
});

describe('docs/client-metadata.md', async () => {
  const rows = tableRows(section(await read('docs/client-metadata.md'), '## The check at start'));

  it.each(rows.map(([warning = '']) => warning))('has a warning as it is given: %s', async (warning) => {
    const source = await read('app/oauth/client-metadata-document.ts');
    const fixed = warning.replaceAll('`', '').split('…');
    expect(fixed.filter((part) => !source.includes(part.trim()))).toEqual([]);
  });

  it('has every warning', async () => {
    const source = await read('app/oauth/client-metadata-document.ts');
    const given = [...source.matchAll(/(?:return|\?|:) [`'](CLIENT_METADATA_URL|The document at)/g)];
    expect(rows).toHaveLength(given.length);
  });
});
