import electronLog from 'electron-log/node';
import { redact } from './redaction.ts';

/** Levels of `LOG_LEVEL`, most severe first. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One line per event: a short sentence, and details that are appended as `key=value`. Never pass a secret. */
export type Logger = Record<LogLevel, (event: string, details?: LogDetails) => void>;
export type LogDetails = Readonly<Record<string, string | number | boolean | undefined>>;

export interface LogOptions {
  level: LogLevel;
  /** Path of a log file; without it lines go to standard error. */
  file?: string;
  /** Secrets known by value (an API key, a client secret): hidden wherever they turn up. */
  secrets?: readonly string[];
}

/** A log file is moved to `NAME.old.log` when it reaches this many bytes, so two of them is the most there is. */
const MAX_FILE_BYTES = 2 * 1024 * 1024;

let created = 0;

let toldOfFailure = false;

// The library tells of a log file that cannot be written by its own logger, with a stack and for each line that is
// lost; one line in all is enough, and a full disk gets no fuller by it.
electronLog.transports.console.format = '{text}';
electronLog.transports.console.writeFn = ({ message }) => {
  if (toldOfFailure) return;
  toldOfFailure = true;
  const [reason] = String(message.data.at(-1)).split('\n', 1);
  process.stderr.write(`The log file cannot be written: ${reason}\n`);
};

/**
 * Opens the process's log. Every line passes {@link redact}, and control characters are made visible, so that no
 * outside text can start a line of its own or change how one is shown.
 */
export function openLog({ level, file, secrets = [] }: LogOptions): Logger {
  const log = electronLog.create({ logId: `mcp-auth-proxy-${++created}` });
  log.transports.console.format = '{text}';
  log.transports.console.level = file === undefined ? 'debug' : false;
  log.transports.console.writeFn = ({ message }) => {
    process.stderr.write(`${message.data.join(' ')}\n`);
  };
  log.transports.file.level = file === undefined ? false : 'debug';
  if (file !== undefined) {
    // Else the name is looked for in a package.json above the current folder, and nothing is written without one.
    log.transports.file.setAppName('mcp-auth-proxy');
    log.transports.file.format = '{text}';
    log.transports.file.maxSize = MAX_FILE_BYTES;
    log.transports.file.resolvePathFn = () => file;
    log.transports.file.writeOptions = { flag: 'a', mode: 0o600, encoding: 'utf8' };
    // At once: the lines before a crash are the ones that matter. A call that goes well writes none above `debug`.
    log.transports.file.sync = true;
  }
  const write = (at: LogLevel) => (event: string, details?: LogDetails) => {
    log[at](lineOf(at, event, details, secrets));
  };
  const silent = () => {};
  const enabled = (at: LogLevel) => LOG_LEVELS.indexOf(at) <= LOG_LEVELS.indexOf(level);
  return {
    error: write('error'),
    warn: enabled('warn') ? write('warn') : silent,
    info: enabled('info') ? write('info') : silent,
    debug: enabled('debug') ? write('debug') : silent,
  };
}

function lineOf(
  level: LogLevel,
  event: string,
  details: LogDetails | undefined,
  secrets: readonly string[],
): string {
  let line = event;
  for (const [key, value] of Object.entries(details ?? {}))
    if (value !== undefined)
      line += ` ${key}=${quoted(typeof value === 'string' ? redact(value, secrets) : value)}`;
  const safe = redact(line, secrets).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return `${new Date().toISOString()} ${level.padEnd(5)} ${safe}`;
}

function quoted(value: string | number | boolean): string {
  return typeof value === 'string' && /[\s"=]/.test(value) ? JSON.stringify(value) : String(value);
}
