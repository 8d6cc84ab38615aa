import { describe, expect, it } from 'vitest';
import { runCommand } from '../../../app/store/run-command.ts';

const shell = (text: string, input?: string, timeoutMs = 10_000) =>
  runCommand('/bin/sh', ['-c', text], { timeoutMs, ...(input === undefined ? {} : { input }) });

describe('runCommand', () => {
  it('passes input and collects output and exit code', async () => {
    expect(await shell('cat; echo problem >&2; exit 7', 'grüße')).toEqual({
      outcome: 'exited',
      code: 7,
      stdout: 'grüße',
      stderr: 'problem\n',
    });
  });

  it('reports a signal as a shell does', async () => {
    expect(await shell('kill -9 $$')).toMatchObject({ outcome: 'exited', code: 137 });
  });

  it('takes a program that does not read its input', async () => {
    expect(await shell('exec true', 'x'.repeat(1_000_000))).toMatchObject({ outcome: 'exited', code: 0 });
  });

  it('uses no shell', async () => {
    const result = await runCommand('/bin/echo', ['$HOME;', '`id`'], { timeoutMs: 10_000 });
    expect(result).toMatchObject({ stdout: '$HOME; `id`\n' });
  });

  it('gives the environment it is told', async () => {
    const result = await runCommand('/bin/sh', ['-c', 'echo $A'], { env: { A: 'b' }, timeoutMs: 10_000 });
    expect(result).toMatchObject({ stdout: 'b\n' });
  });

  it('says why a program cannot be started', async () => {
    const result = await runCommand('/nowhere/program', [], { timeoutMs: 10_000, input: 'x' });
    expect(result).toEqual({ outcome: 'not-started', errorCode: 'ENOENT' });
  });

  it('gives up a program that hangs, and one whose child keeps the output open', async () => {
    expect(await shell('exec sleep 60', undefined, 100)).toEqual({ outcome: 'timed-out' });
    expect(await shell('sleep 3 & wait', undefined, 100)).toEqual({ outcome: 'timed-out' });
  });

  it('keeps a Ctrl-C at the terminal from the program', async () => {
    const own = await shell('ps -o pgid= -p $PPID; ps -o pgid= -p $$');
    const [ours, its] = own.outcome === 'exited' ? own.stdout.trim().split(/\s+/) : [];
    expect(its).toMatch(/^\d+$/);
    expect(its).not.toBe(ours);
  });
});
