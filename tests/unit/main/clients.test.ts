import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT_LABELS, MCP_CLIENTS, type McpClientId, setupFor } from '../../../main/clients.ts';

const README = await readFile(new URL('../../../README.md', import.meta.url), 'utf8');
const EXAMPLE = { name: 'example', mcpUrl: 'http://127.0.0.1:5177/mcp' };

/** Programs that the commands call. */
const PROGRAMS = ['kimi', 'claude', 'codex', 'gemini', 'code'];
/** How the README calls a client where it is not called by its label. */
const README_TITLES: Partial<Record<McpClientId, string>> = { codex: 'Codex CLI' };

describe('setupFor', () => {
  it.each(MCP_CLIENTS)('says what the README says: %s', (client) => {
    for (const apiKeyRequired of [false, true]) {
      const { kind, text } = setupFor(client, { ...EXAMPLE, apiKeyRequired });
      if (kind === 'command') expect(commandsInReadme(client)).toContain(text);
      else expect([JSON.parse(text)]).toEqual(snippetsInReadme(client, apiKeyRequired));
    }
  });

  it('gives a hint for each', () => {
    for (const client of MCP_CLIENTS) {
      for (const apiKeyRequired of [false, true]) {
        const { kind, hint } = setupFor(client, { ...EXAMPLE, apiKeyRequired });
        expect(hint).toContain(kind === 'command' ? 'Run it in a terminal' : 'mcp.json');
      }
    }
  });

  it.each([
    ['mcp.craft.do', 'mcp-craft-do'],
    ['My Notes (work)', 'my-notes-work'],
    ['Büro-Ablage', 'buro-ablage'],
    ['snake_case', 'snake-case'],
    ['--header', 'header'],
    ['$(touch pwned)', 'touch-pwned'],
    ['日本', 'mcp-server'],
    ['', 'mcp-server'],
    [`${'a'.repeat(39)} b`, 'a'.repeat(39)],
  ])('makes of the name %j the identifier %s', (name, identifier) => {
    const { text } = setupFor('codex', { ...EXAMPLE, name, apiKeyRequired: false });
    expect(text).toBe(`codex mcp add ${identifier} --url ${EXAMPLE.mcpUrl}`);
  });

  it('quotes a URL that a shell would read as a pattern', () => {
    const { text } = setupFor('codex', {
      name: 'six',
      mcpUrl: 'http://[::1]:5177/mcp',
      apiKeyRequired: false,
    });
    expect(text).toBe("codex mcp add six --url 'http://[::1]:5177/mcp'");
  });
});

describe('a command in a real shell', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'clients-'));
    for (const program of PROGRAMS) {
      await writeFile(join(folder, program), '#!/bin/sh\nfor word; do printf \'%s\\0\' "$word"; done\n', {
        mode: 0o755,
      });
    }
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** What the program gets when a person pastes the command. */
  async function wordsOf(command: string): Promise<string[]> {
    const env = { PATH: `${folder}${delimiter}${process.env.PATH}`, PROXY_API_KEY: 'the key' };
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], { env, cwd: folder });
    return stdout.split('\0').slice(0, -1);
  }

  it('gives the key to the client', async () => {
    const server = { ...EXAMPLE, apiKeyRequired: true };
    for (const client of ['kimi-cli', 'claude-code', 'gemini-cli'] as const) {
      expect(await wordsOf(setupFor(client, server).text)).toContain('X-Api-Key: the key');
    }
    expect(await wordsOf(setupFor('codex', server).text)).toContain('PROXY_API_KEY');
  });

  it('is that one command, whatever a server is called and wherever it is', async () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('$', '`', '"', "'", ';', '&', '|', '\n', '(', ')', '-', ' ', 'a') }),
    );
    const clients = fc.constantFrom(...MCP_CLIENTS);
    const lengths = new Map<McpClientId, number>();
    for (const client of MCP_CLIENTS) {
      const { kind, text } = setupFor(client, { ...EXAMPLE, apiKeyRequired: false });
      if (kind === 'command') lengths.set(client, (await wordsOf(text)).length);
    }
    await fc.assert(
      fc.asyncProperty(clients, hostile, hostile, async (client, name, path) => {
        const mcpUrl = new URL(`http://127.0.0.1:5177/${path.replaceAll('\\', '')}`).href;
        const { kind, text } = setupFor(client, { name, mcpUrl, apiKeyRequired: false });
        if (kind === 'snippet') {
          expect(JSON.parse(text)).toBeTypeOf('object');
          return;
        }
        const words = await wordsOf(text);
        expect(words).toHaveLength(lengths.get(client) ?? 0);
        expect(words.join('\n')).toContain(mcpUrl.replaceAll("'", '%27'));
      }),
      { numRuns: 60 },
    );
  });
});

function section(client: McpClientId): string {
  const title = README_TITLES[client] ?? CLIENT_LABELS[client];
  const [, after] = README.split(`<summary><b>${title}</b></summary>`);
  const [text] = after?.split('</details>') ?? [];
  if (text === undefined) throw new Error(`the README has no section on ${title}`);
  return text;
}

function blocks(client: McpClientId, language: string): string[] {
  const fenced = new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs');
  return [...section(client).matchAll(fenced)].map(([, text]) => text ?? '');
}

function commandsInReadme(client: McpClientId): string[] {
  return blocks(client, 'sh').flatMap((block) =>
    block.split('\n').map((line) => line.replace(/\s+# with a key$/, '')),
  );
}

/** The README shows snippets with a key, and says that the headers are left out without. */
function snippetsInReadme(client: McpClientId, withKey: boolean): unknown[] {
  return blocks(client, 'json').map((block) =>
    JSON.parse(block, (key, value) => (key === 'headers' && !withKey ? undefined : value)),
  );
}
