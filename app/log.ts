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

/**
 * Opens the process's log. Every line passes {@link redact}, and control characters are made visible, so that no
 * outside text can start a line of its own.
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
    log.transports.file.format = '{text}';
    log.transports.file.maxSize = MAX_FILE_BYTES;
    log.transports.file.resolvePathFn = () => file;
    log.transports.file.writeOptions = { flag: 'a', mode: 0o600, encoding: 'utf8' };
    // Nothing on a call's path waits for the disk; what is written while the process ends must not be lost.
    log.transports.file.sync = false;
    process.once('exit', () => {
      log.transports.file.sync = true;
    });
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
    if (value !== undefined) line += ` ${key}=${quoted(value)}`;
  const safe = redact(line, secrets).replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (character) =>
    JSON.stringify(character).slice(1, -1),
  );
  return `${new Date().toISOString()} ${level.padEnd(5)} ${safe}`;
}

function quoted(value: string | number | boolean): string {
  return typeof value === 'string' && /[\s"=]/.test(value) ? JSON.stringify(value) : String(value);
}
