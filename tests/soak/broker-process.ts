import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import * as v from 'valibot';
import { supervise } from '../support/supervised.ts';

const PROBED = v.object({
  heldBytes: v.number(),
  residentBytes: v.number(),
  handles: v.record(v.string(), v.number()),
});
const LISTENING = v.object({ type: v.literal('listening'), url: v.string() });

/** What a process holds right after a garbage collection; compiled code does not count. */
export type Probed = v.InferOutput<typeof PROBED>;

/** A broker in a process of its own, in which nothing else runs. */
export interface BrokerProcess {
  readonly url: string;
  readonly mcpUrl: string;
  readonly loginUrl: string;
  /** The last lines of its log. */
  readonly tail: () => string;
  /** Resolves when the process has ended, however that came. */
  readonly ended: Promise<void>;
  probe(): Promise<Probed>;
  stop(): Promise<void>;
}

export interface BrokerProcessOptions {
  /** Where the project lies, with the built program. */
  readonly root: string;
  /** A folder of the broker's own. */
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Starts the built `serve` and waits until it listens.
 * @throws Error with its output when it ends before that
 */
export async function startBrokerProcess(options: BrokerProcessOptions): Promise<BrokerProcess> {
  const { root, folder, environment } = options;
  const socket = join(folder, 'probe.sock');
  const probe = pathToFileURL(join(root, 'tests', 'soak', 'probe.mjs')).href;
  const child = spawn(
    process.execPath,
    ['--expose-gc', '--import', probe, join(root, 'dist', 'cli.js'), 'serve'],
    {
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        STATE_DIR: folder,
        TOKEN_STORE: 'file',
        PORT: '0',
        SOAK_PROBE: socket,
        ...environment,
      },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    },
  );
  const { ended, tail } = supervise(child);
  const url = await Promise.race([listening(child), ended]);
  if (url === undefined) throw new Error(`the broker ended before it listened: ${tail()}`);
  return {
    url,
    mcpUrl: `${url}/mcp`,
    loginUrl: `${url}/oauth/login`,
    tail,
    ended,
    async probe() {
      const connection = connect(socket);
      await once(connection, 'connect');
      return v.parse(PROBED, JSON.parse(await text(connection)));
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function listening(child: ChildProcess): Promise<string> {
  const [message] = await once(child, 'message');
  return v.parse(LISTENING, message).url;
}
