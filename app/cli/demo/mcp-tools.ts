import { setTimeout as delay } from 'node:timers/promises';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  CallToolRequestSchema,
  type CallToolResult,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  type ServerNotification,
  type ServerRequest,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import type { StepGate } from './step-gate.ts';

/** What the demo's resource and prompt say. */
export const GREETING = { uri: 'demo://greeting', text: 'Hello from the demo server' } as const;

interface Call {
  arguments: Readonly<Record<string, unknown>>;
  server: Server;
  gate: StepGate;
  extra: RequestHandlerExtra<ServerRequest, ServerNotification>;
}

interface ToolEntry extends Omit<Tool, 'name' | 'inputSchema'> {
  properties?: Record<string, object>;
  required?: string[];
  run: (call: Call) => string | Promise<string>;
}

const TOOLS: Readonly<Record<string, ToolEntry>> = {
  echo: {
    description: 'Answers with the text it is given',
    properties: { text: { type: 'string' } },
    required: ['text'],
    run: (call) => text(call, 'text'),
  },
  add: {
    description: 'Adds two numbers',
    properties: { a: { type: 'number' }, b: { type: 'number' } },
    required: ['a', 'b'],
    run: (call) => String(number(call, 'a') + number(call, 'b')),
  },
  whoami: {
    description: 'Says whose token the call carried, as JSON',
    run: ({ extra }) => JSON.stringify(identity(extra.authInfo)),
  },
  slow: {
    description: 'Makes steps and reports progress; without ms, each step waits for a trigger on the server',
    properties: { steps: { type: 'integer', minimum: 1 }, ms: { type: 'integer', minimum: 0 } },
    run: makeSteps,
  },
  notify: {
    description: 'Makes the server send a notification that belongs to no request',
    properties: { kind: { type: 'string', enum: ['tools', 'log'] }, text: { type: 'string' } },
    required: ['kind'],
    async run(call) {
      const kind = text(call, 'kind');
      if (kind === 'tools') await call.server.sendToolListChanged();
      else await call.server.sendLoggingMessage({ level: 'info', data: call.arguments.text ?? 'notified' });
      return `sent ${kind}`;
    },
  },
};

/**
 * A new MCP server, for one session, with the demo's tools, a resource and a prompt. It is the SDK's low-level `Server`,
 * which takes tools by JSON Schema; the high-level one takes schemas of a library the project does without.
 */
export function createMcpSession(gate: StepGate): Server {
  const server = new Server(
    { name: 'mcp-auth-proxy-demo', version: '1.0.0' },
    { capabilities: { tools: { listChanged: true }, resources: {}, prompts: {}, logging: {} } },
  );

  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: Object.entries(TOOLS).map(([name, { description, properties, required }]) => ({
      name,
      description,
      inputSchema: { type: 'object' as const, properties, required },
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra): Promise<CallToolResult> => {
    const tool = Object.hasOwn(TOOLS, params.name) ? TOOLS[params.name] : undefined;
    if (!tool) throw new McpError(ErrorCode.InvalidParams, `There is no tool ${params.name}`);
    const answer = await tool.run({ arguments: params.arguments ?? {}, server, gate, extra });
    return { content: [{ type: 'text', text: answer }] };
  });

  server.setRequestHandler(ListResourcesRequestSchema, () => ({
    resources: [{ uri: GREETING.uri, name: 'greeting', mimeType: 'text/plain' }],
  }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => {
    if (params.uri !== GREETING.uri) throw new McpError(ErrorCode.InvalidParams, 'There is no such resource');
    return { contents: [{ uri: GREETING.uri, mimeType: 'text/plain', text: GREETING.text }] };
  });

  server.setRequestHandler(ListPromptsRequestSchema, () => ({
    prompts: [
      { name: 'greet', description: 'Greets someone', arguments: [{ name: 'name', required: true }] },
    ],
  }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => {
    if (params.name !== 'greet') throw new McpError(ErrorCode.InvalidParams, 'There is no such prompt');
    const greeting = `Say hello to ${params.arguments?.name ?? 'everybody'}`;
    return { messages: [{ role: 'user' as const, content: { type: 'text' as const, text: greeting } }] };
  });
  return server;
}

async function makeSteps(call: Call): Promise<string> {
  const { extra, gate } = call;
  const steps = call.arguments.steps === undefined ? 3 : number(call, 'steps');
  const progressToken = extra._meta?.progressToken;
  for (let step = 1; step <= steps; step += 1) {
    const done = call.arguments.ms === undefined ? await gate.pass(extra.signal) : undefined;
    if (done === undefined) await delay(number(call, 'ms'), undefined, { signal: extra.signal });
    try {
      if (progressToken !== undefined) {
        await extra.sendNotification({
          method: 'notifications/progress',
          params: { progressToken, progress: step, total: steps },
        });
      }
    } finally {
      done?.();
    }
  }
  return `made ${steps} steps`;
}

/** Never the token itself. */
function identity(auth: AuthInfo | undefined): Record<string, unknown> {
  if (!auth) return { subject: null };
  return {
    subject: auth.extra?.subject,
    client_id: auth.clientId,
    scopes: auth.scopes,
    expires_at: auth.expiresAt,
    resource: auth.resource?.href,
  };
}

function text(call: Call, name: string): string {
  const value = call.arguments[name];
  if (typeof value !== 'string') throw new McpError(ErrorCode.InvalidParams, `${name} must be a string`);
  return value;
}

function number(call: Call, name: string): number {
  const value = call.arguments[name];
  if (typeof value !== 'number') throw new McpError(ErrorCode.InvalidParams, `${name} must be a number`);
  return value;
}
