/** MCP clients that can be set up by a command or a snippet. */
export const MCP_CLIENTS = ['kimi-cli', 'claude-code', 'codex', 'gemini-cli', 'cursor', 'vs-code'] as const;
export type McpClientId = (typeof MCP_CLIENTS)[number];

/** What people call them. */
export const CLIENT_LABELS: Readonly<Record<McpClientId, string>> = {
  'kimi-cli': 'kimi-cli',
  'claude-code': 'Claude Code',
  codex: 'Codex',
  'gemini-cli': 'Gemini CLI',
  cursor: 'Cursor',
  'vs-code': 'VS Code',
};

/** What an MCP client is told of a server of ours. */
export interface ClientServer {
  /** What the person calls the server; any text. */
  readonly name: string;
  readonly mcpUrl: string;
  /** Whether `PROXY_API_KEY` is set. The key itself is not asked for: texts name the variable. */
  readonly apiKeyRequired: boolean;
}

/** How a client is set up: a command for a shell, or a snippet for a file. Never holds a secret. */
export interface ClientSetup {
  readonly text: string;
  readonly kind: 'command' | 'snippet';
  /** One or two sentences on what to do with it. */
  readonly hint: string;
}

/** A server as it is written into commands and files: nothing in it can mean anything else there. */
interface Entry {
  readonly name: string;
  readonly url: string;
  /** The URL as one word of a shell. */
  readonly word: string;
  readonly withKey: boolean;
  /** Option of a command that sends the key, with a space before it; empty without a key. */
  readonly header: string;
}

const MAX_NAME_LENGTH = 40;
const CURSOR_FILES = 'Put it into ~/.cursor/mcp.json, or into .cursor/mcp.json of a project.';

const SETUPS: Readonly<Record<McpClientId, (entry: Entry) => ClientSetup>> = {
  'kimi-cli': (entry) =>
    command(entry, `kimi mcp add --transport http ${entry.name} ${entry.word}${entry.header}`),
  'claude-code': (entry) =>
    command(entry, `claude mcp add --transport http --scope user ${entry.name} ${entry.word}${entry.header}`),
  codex: (entry) =>
    command(
      entry,
      `codex mcp add ${entry.name} --url ${entry.word}${entry.withKey ? ' --bearer-token-env-var PROXY_API_KEY' : ''}`,
    ),
  'gemini-cli': (entry) =>
    command(entry, `gemini mcp add --scope user --transport http${entry.header} ${entry.name} ${entry.word}`),
  cursor: ({ name, url, withKey }) => {
    const headers = withKey ? { headers: { 'X-Api-Key': placeholder('env:PROXY_API_KEY') } } : {};
    return {
      kind: 'snippet',
      text: json({ mcpServers: { [name]: { url, ...headers } } }),
      hint: withKey ? `${CURSOR_FILES} Cursor must be started with PROXY_API_KEY set.` : CURSOR_FILES,
    };
  },
  'vs-code': (entry) => {
    const { name, url } = entry;
    if (!entry.withKey) return command(entry, `code --add-mcp '${json({ name, type: 'http', url }, 0)}'`);
    // The command has no way to have the key asked for, and the key itself must not be in it.
    const headers = { 'X-Api-Key': placeholder('input:proxy-key') };
    return {
      kind: 'snippet',
      text: json({
        inputs: [{ type: 'promptString', id: 'proxy-key', description: 'PROXY_API_KEY', password: true }],
        servers: { [name]: { type: 'http', url, headers } },
      }),
      hint: 'Put it into .vscode/mcp.json of a project. VS Code asks for the key once and keeps it.',
    };
  },
};

/**
 * The exact command or snippet that adds a server of ours to an MCP client; the README has the same ones.
 * @throws {TypeError} when `mcpUrl` is not a URL
 */
export function setupFor(client: McpClientId, server: ClientServer): ClientSetup {
  // The one character that ends a quoted word of a shell, and that URLs leave as it is.
  const url = new URL(server.mcpUrl).href.replaceAll("'", '%27');
  return SETUPS[client]({
    name: identifier(server.name),
    url,
    word: shellWord(url),
    withKey: server.apiKeyRequired,
    header: server.apiKeyRequired ? ' --header "X-Api-Key: $PROXY_API_KEY"' : '',
  });
}

/**
 * A name that every client takes and no shell or file format reads as anything else: letters and digits in words
 * joined by `-`. No `_`: Gemini CLI splits its tool names there.
 */
function identifier(name: string): string {
  const words = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
  const joined = words.join('-').slice(0, MAX_NAME_LENGTH).replace(/-$/, '');
  return joined === '' ? 'mcp-server' : joined;
}

/** `[` and `?` of a URL are patterns to a shell, `&` and `;` end a command. */
function shellWord(url: string): string {
  return /^[\w.:/%~-]+$/.test(url) ? url : `'${url}'`;
}

function command({ withKey }: Entry, text: string): ClientSetup {
  const hint = withKey ? 'Run it in a terminal in which PROXY_API_KEY is set.' : 'Run it in a terminal.';
  return { kind: 'command', text, hint };
}

/** What the client itself replaces by a value. */
function placeholder(source: string): string {
  return `\${${source}}`;
}

function json(value: unknown, indent = 2): string {
  return JSON.stringify(value, undefined, indent);
}
