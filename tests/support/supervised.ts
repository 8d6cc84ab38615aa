import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

const TAIL_LENGTH = 20_000;

/** What is known of a process that was started here. */
export interface Supervised {
  /** The end of what it has written to standard error, where that is piped. */
  readonly tail: () => string;
  /** Resolves when it has ended, however that came. */
  readonly ended: Promise<void>;
}

/** Sees to it that a process ends with this one at the latest. */
export function supervise(child: ChildProcess): Supervised {
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-TAIL_LENGTH);
  });
  return { tail: () => output, ended: once(child, 'close').then(() => void process.off('exit', kill)) };
}
