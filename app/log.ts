import electronLog from 'electron-log/node';
import { MAX_LOG_FILE_BYTES } from './limits.ts';
import { redact } from './redaction.ts';

/** Levels of `LOG_LEVEL`, most severe first. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One line per event: a short sentence, and details that are appended as `key=value`. Never pass a secret. */
export type Logger = Record<LogLevel, (event: string, details?: LogDetails) => void>;
export type LogDetails = Readonly<Record<string, string | number | boolean | undefined>>;

/** The process's log. */
export interface ProcessLog extends Logger {
  /** Writes lines of this level and of more severe ones from now on. */
  setLevel(level: LogLevel): void;
  /** Writes nothing any more: whatever is said from now on is lost. */
  end(): void;
}

/** A line as it was written: redacted, with its time and its level at the start. */
export interface LogLine {
  readonly level: LogLevel;
  readonly text: string;
}

export interface LogOptions {
  /** The first level; see {@link ProcessLog.setLevel}. */
  level: LogLevel;
  /** Path of a log file; without it lines go to standard error. */
  file?: string;
  /**
   * Secrets known by value (an API key, a client secret): hidden wherever they turn up. They are looked at for each line,
   * so the caller may add to them.
   */
  secrets?: readonly string[] | ReadonlySet<string>;
  /** Told of each line that is written. */
  onLine?: (line: LogLine) => void;
}

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
export function openLog({ level, file, secrets = [], onLine }: LogOptions): ProcessLog {
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
    log.transports.file.maxSize = MAX_LOG_FILE_BYTES;
    log.transports.file.resolvePathFn = () => file;
    log.transports.file.writeOptions = { flag: 'a', mode: 0o600, encoding: 'utf8' };
    // At once: the lines before a crash are the ones that matter. A call that goes well writes none above `debug`.
    log.transports.file.sync = true;
  }
  let enabled = LOG_LEVELS.indexOf(level);
  const writer = (at: LogLevel) => {
    const rank = LOG_LEVELS.indexOf(at);
    return (event: string, details?: LogDetails) => {
      if (rank > enabled) return;
      const line = lineOf(at, event, details, secrets);
      log[at](line);
      onLine?.({ level: at, text: line });
    };
  };
  return {
    error: writer('error'),
    warn: writer('warn'),
    info: writer('info'),
    debug: writer('debug'),
    setLevel: (next) => {
      enabled = LOG_LEVELS.indexOf(next);
    },
    end: () => {
      log.transports.console.level = false;
      log.transports.file.level = false;
    },
  };
}

function lineOf(
  level: LogLevel,
  event: string,
  details: LogDetails | undefined,
  secrets: Iterable<string>,
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
