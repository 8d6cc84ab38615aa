// @ts-check
// Starts other programs, for the scripts beside it.
import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * Runs a command without showing it.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<{ code: number | undefined, lines: string[] }>} its exit code, `undefined` when there is no such
 *   command, and what it wrote
 */
export function run(command, args, env = process.env) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', (error) => resolve({ code: undefined, lines: [error.message] }));
    child.on('close', (code) => resolve({ code: code ?? 1, lines: output.trimEnd().split('\n') }));
  });
}

/**
 * Runs the npm that runs this script, or else the one on the path.
 *
 * @param {readonly string[]} args
 */
export function npm(args) {
  const script = process.env.npm_execpath;
  return script !== undefined && basename(script) === 'npm-cli.js'
    ? run(process.execPath, [script, ...args])
    : run('npm', args);
}
