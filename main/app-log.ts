import { EventEmitter } from 'node:events';
import { type Logger, type LogLevel, openLog } from '../app/log.ts';
import type { LogLine } from './ipc/contract.ts';

/** The last lines that the window can show at once. */
const KEPT_LINES = 500;

/** The app's log: a file with rotation, and its last lines for the window. */
export class AppLog extends EventEmitter<{ line: [LogLine] }> {
  readonly logger: Logger;
  readonly file: string;
  readonly #log: ReturnType<typeof openLog>;
  readonly #secrets: string[] = [];
  readonly #lines: LogLine[] = [];
  #number = 0;

  /** @param file its path; its folder must be there */
  constructor(file: string, level: LogLevel) {
    super();
    this.file = file;
    this.#log = openLog({
      level,
      file,
      secrets: this.#secrets,
      onLine: ({ level: at, text }) => this.#keep({ number: ++this.#number, level: at, text }),
    });
    this.logger = this.#log;
  }

  get recent(): readonly LogLine[] {
    return this.#lines;
  }

  setLevel(level: LogLevel): void {
    this.#log.setLevel(level);
  }

  /** Writes nothing any more, so that its file can go. */
  end(): void {
    this.#log.end();
  }

  /** Hides these values from now on, wherever they turn up. */
  hide(secrets: readonly string[]): void {
    for (const secret of secrets) if (!this.#secrets.includes(secret)) this.#secrets.push(secret);
  }

  #keep(line: LogLine): void {
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    this.emit('line', line);
  }
}
