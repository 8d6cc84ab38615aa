import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { systemCode } from './file-errors.ts';

export interface CommandOptions {
  /** Written to standard input, which is then closed. The place for secrets: arguments show in process lists. */
  input?: string;
  env?: NodeJS.ProcessEnv;
  /** Milliseconds until the command is killed. */
  timeoutMs: number;
}

/** How a command ended. `code` is the exit code, 128 + the signal's number when a signal ended it. */
export type CommandResult =
  | { outcome: 'exited'; code: number; stdout: string; stderr: string }
  | { outcome: 'timed-out' }
  | { outcome: 'not-started'; errorCode: string | undefined };

/**
 * Runs a program without a shell and collects what it prints (UTF-8). Never rejects.
 *
 * It gets a process group of its own, so that a Ctrl-C at the terminal does not end it in the middle of a write while
 * this process still finishes its work.
 */
export function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      env: options.env ?? process.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // A program that ends without reading its input breaks the pipe; its exit code tells the story.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');

    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      // A grandchild may hold the pipes open: do not wait for `close`.
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
      resolve({ outcome: 'timed-out' });
    }, options.timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      resolve({ outcome: 'not-started', errorCode: systemCode(error) });
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({
        outcome: 'exited',
        code: code ?? 128 + (signal === null ? 0 : constants.signals[signal]),
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
      });
    });
  });
}
