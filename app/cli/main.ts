import { parseArgs } from 'node:util';
import { VERSION } from '../version.ts';

const HELP = `mcp-auth-proxy ${VERSION}: log in once, and every MCP call carries the login.

  serve [--log-file FILE]   run a broker in the foreground
  start, stop               run it in the background, and end it
  status                    whether one runs in the background
  logs [-f] [--lines N]     its log
  demo [--keep]             a server, a broker and a login, all on this machine

Settings come from the environment; UPSTREAM_MCP_URL is the one that is needed. The README lists them all.
`;

const EXIT_USAGE = 2;

const { out, err } = { out: process.stdout, err: process.stderr };

/** Runs a command. Each is loaded when it is asked for, so that none waits for the others' parts. */
async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      'log-file': { type: 'string' },
      follow: { type: 'boolean', short: 'f' },
      lines: { type: 'string' },
      keep: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
    },
  });
  if (values.version) {
    out.write(`${VERSION}\n`);
    return 0;
  }
  const [command, ...rest] = positionals;
  if (values.help || command === undefined || rest.length > 0) {
    (values.help ? out : err).write(HELP);
    return values.help ? 0 : EXIT_USAGE;
  }
  switch (command) {
    case 'serve':
      return (await import('./serve.ts')).serve({ logFile: values['log-file'] });
    case 'start':
      return (await import('./background.ts')).start({
        out,
        err,
        command: [process.execPath, process.argv[1] ?? '', 'serve'],
      });
    case 'status':
      return (await import('./background.ts')).status({ out, err, apiKey: process.env.PROXY_API_KEY });
    case 'logs':
      return (await import('./background.ts')).logs({
        out,
        err,
        ...(values.lines === undefined ? {} : { lines: linesOf(values.lines) }),
        ...(values.follow ? { follow: true, signal: untilInterrupted() } : {}),
      });
    case 'stop':
      return (await import('./background.ts')).stop({ out, err });
    case 'demo':
      return (await import('./demo/demo.ts')).demo({ keep: values.keep ?? false, out });
    default:
      err.write(`There is no command "${command}".\n\n${HELP}`);
      return EXIT_USAGE;
  }
}

function linesOf(value: string): number {
  if (!/^[1-9]\d{0,6}$/.test(value)) throw new UsageError(`--lines "${value}" must be a number such as 200.`);
  return Number(value);
}

function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  return controller.signal;
}

class UsageError extends Error {}

// `logs | head` ends the reader first; that is no failure.
out.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  const usage = error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS');
  err.write(usage ? `${message}\n\n${HELP}` : `It failed for an unknown reason: ${message}\n`);
  process.exitCode = usage ? EXIT_USAGE : 1;
}
