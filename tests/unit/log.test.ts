import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  LOG_LEVELS,
  type LogDetails,
  type LogLevel,
  type LogLine,
  type LogOptions,
  openLog,
} from '../../app/log.ts';
import { givenFolder } from '../support/broker.ts';

const SECRET = 'mF_9.B5f-4.1JqM';
const LINE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn |info |debug) /;

afterEach(() => {
  vi.restoreAllMocks();
});

/** What a log writes, on either way out, for a few events. */
type Write = (
  options: Omit<LogOptions, 'file'>,
  events: ReadonlyArray<readonly [LogLevel, string, LogDetails?]>,
) => Promise<string>;

const toFile: Write = async (options, events) => {
  const file = path.join(await givenFolder(), 'broker.log');
  const log = openLog({ ...options, file });
  for (const [level, event, details] of events) log[level](event, details);
  return readFile(file, 'utf8').catch(() => '');
};

const toStandardError: Write = async (options, events) => {
  let written = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    written += chunk;
    return true;
  });
  const log = openLog(options);
  for (const [level, event, details] of events) log[level](event, details);
  vi.restoreAllMocks();
  return written;
};

describe.each([
  ['a file', toFile],
  ['standard error', toStandardError],
])('a log to %s', (_, write) => {
  it.each(LOG_LEVELS.map((level, index) => [level, LOG_LEVELS.slice(0, index + 1)] as const))(
    'at level %s writes %j',
    async (level, shown) => {
      const written = await write(
        { level },
        LOG_LEVELS.map((at) => [at, `event at ${at}`]),
      );
      expect(written.match(/event at \w+/g)).toEqual(shown.map((at) => `event at ${at}`));
    },
  );

  it('writes one line per event: time, level, sentence, details', async () => {
    const details = {
      url: 'http://127.0.0.1:5177/mcp',
      count: 3,
      ok: true,
      none: undefined,
      text: 'two words',
      empty: '',
    };
    const written = await write({ level: 'info' }, [['info', 'Something happened', details]]);
    expect(written).toMatch(LINE);
    expect(written.replace(LINE, '')).toBe(
      'Something happened url=http://127.0.0.1:5177/mcp count=3 ok=true text="two words" empty=\n',
    );
  });

  it.each([
    ['line feed', '\n'],
    ['carriage return', '\r\n'],
    ['escape', '\u001b[2J'],
    ['null', '\0'],
    ['delete', '\u007f'],
    ['C1 control sequence introducer', '\u009b31m'],
    ['next line', '\u0085'],
    ['line separator', '\u2028'],
    ['paragraph separator', '\u2029'],
    ['right-to-left override', '\u202e'],
    ['zero width', '\u200b'],
  ])('lets no outside text start a line or steer a terminal: %s', async (__, evil) => {
    const forged = `x${evil}2030-01-01T00:00:00.000Z info  forged`;
    const written = await write({ level: 'info' }, [
      ['info', forged],
      ['warn', 'Second', { from: forged, [`k${evil}`]: 1 }],
    ]);
    expect(written.split(/\n/)).toHaveLength(3);
    expect(written.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  });

  it.each(['%c red', '%s and %d', '{text}', '{y}-{level}', '$& $1', '100%'])(
    'leaves %s as it is',
    async (odd) => {
      const written = await write({ level: 'info' }, [['info', `before ${odd} after`, { odd }]]);
      expect(written).toContain(`before ${odd} after`);
    },
  );

  it('hides secrets, those of a kind and those known by value, however they are spelled', async () => {
    const known = 'say "friend"';
    const written = await write({ level: 'debug', secrets: [known] }, [
      ['debug', `Authorization: Bearer ${SECRET}`],
      ['info', 'Callback', { url: `/oauth/callback?code=${SECRET}&state=${SECRET}` }],
      ['warn', 'Answer', { body: JSON.stringify({ refresh_token: SECRET }) }],
      ['error', 'Known', { in: known, also: JSON.stringify({ x: known }), [known]: 1 }],
    ]);
    expect(written.split('\n')).toHaveLength(5);
    expect(written).not.toContain(SECRET);
    expect(written).not.toContain('friend');
  });
});

describe('a log', () => {
  /** A log whose lines are kept. */
  async function givenLog(options: Omit<LogOptions, 'file' | 'onLine'>) {
    const file = path.join(await givenFolder(), 'broker.log');
    const lines: LogLine[] = [];
    const log = openLog({ ...options, file, onLine: (line) => void lines.push(line) });
    return { log, lines, written: () => readFile(file, 'utf8') };
  }

  it('tells of each line as it is written: redacted, and none that its level leaves out', async () => {
    const { log, lines, written } = await givenLog({ level: 'info', secrets: ['hush hush'] });
    log.debug('left out');
    log.info('Known', { text: 'hush hush' });
    log.error(`Authorization: Bearer ${SECRET}`);
    expect(lines.map(({ level }) => level)).toEqual(['info', 'error']);
    expect(lines.map(({ text }) => `${text}\n`).join('')).toBe(await written());
    expect(await written()).not.toMatch(/hush/);
    expect(await written()).not.toContain(SECRET);
  });

  it.each<[string, string[] | Set<string>, (secrets: never, secret: string) => unknown]>([
    ['a list', [], (secrets: string[], secret) => secrets.push(secret)],
    ['a set', new Set(), (secrets: Set<string>, secret) => secrets.add(secret)],
  ])('hides a secret that was added to %s after it was opened', async (_, secrets, add) => {
    const { log, lines } = await givenLog({ level: 'info', secrets });
    add(secrets as never, 'hush hush');
    log.info('It is hush hush');
    expect(lines[0]?.text).toContain('It is [redacted]');
  });

  it('changes its level while it runs, and looks at no details below it', async () => {
    const { log, lines } = await givenLog({ level: 'warn' });
    const looked: string[] = [];
    const details = {
      get detail() {
        looked.push(`at ${lines.length}`);
        return 1;
      },
    };
    log.info('one', details);
    log.setLevel('debug');
    log.debug('two', details);
    log.setLevel('error');
    log.warn('three', details);
    log.error('four', details);
    expect(lines.map(({ text }) => text.replace(LINE, ''))).toEqual(['two detail=1', 'four detail=1']);
    expect(looked).toEqual(['at 0', 'at 1']);
  });
});

describe('a log file', () => {
  it('is readable by its owner only', async () => {
    const folder = await givenFolder();
    const file = path.join(folder, 'deep', 'er', 'broker.log');
    openLog({ level: 'info', file }).info('hello');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('is continued, not begun anew', async () => {
    const file = path.join(await givenFolder(), 'broker.log');
    await writeFile(file, 'before\n');
    openLog({ level: 'info', file }).info('after');
    expect((await readFile(file, 'utf8')).split('\n').map((line) => line.slice(-6))).toEqual([
      'before',
      ' after',
      '',
    ]);
  });

  it('is moved aside when it is full, so that there are never more than two', async () => {
    const folder = await givenFolder();
    const file = path.join(folder, 'broker.log');
    const log = openLog({ level: 'info', file });
    const filler = 'all work and no play '.repeat(3_000);
    for (let count = 0; count < 110; count++) log.info(filler, { count });
    expect((await readdir(folder)).sort()).toEqual(['broker.log', 'broker.old.log']);
    for (const name of await readdir(folder)) {
      const { size, mode } = await stat(path.join(folder, name));
      expect(size).toBeLessThan(2.2 * 1024 * 1024);
      expect(mode & 0o777).toBe(0o600);
    }
    expect(await readFile(file, 'utf8')).toContain('count=109');
  });

  it('is not made anew once the log has ended', async () => {
    const folder = await givenFolder();
    const log = openLog({ level: 'debug', file: path.join(folder, 'app.log') });
    log.info('first');
    await rm(path.join(folder, 'app.log'));
    log.end();
    log.error('last');
    expect(await readdir(folder)).toEqual([]);
  });

  it('has what was written just before the process died', async () => {
    const file = path.join(await givenFolder(), 'broker.log');
    const module = fileURLToPath(new URL('../../app/log.ts', import.meta.url));
    const script = `
      import { openLog } from ${JSON.stringify(module)};
      const log = openLog({ level: 'info', file: process.env.FILE });
      process.once('exit', () => log.info('last words'));
      for (let i = 0; i < 50; i++) log.info('line', { i });
      process.exit(0);`;
    const out = await runScript(script, { FILE: file });
    expect(out).toEqual({ code: 0, errors: '' });
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    expect(lines).toHaveLength(51);
    expect(lines.at(-1)).toMatch(/last words$/);
  });

  it('that cannot be written is told of in one line, and the process goes on', async () => {
    const folder = await givenFolder();
    await writeFile(path.join(folder, 'taken'), '');
    const module = fileURLToPath(new URL('../../app/log.ts', import.meta.url));
    const script = `
      import { openLog } from ${JSON.stringify(module)};
      const log = openLog({ level: 'info', file: process.env.FILE });
      log.info('one'); log.info('two');`;
    const { code, errors } = await runScript(script, { FILE: path.join(folder, 'taken', 'broker.log') });
    expect(code).toBe(0);
    expect(errors).toMatch(/^The log file cannot be written: .*(EEXIST|ENOTDIR).*\n$/);
  });
});

/** Runs an ES module of ours in a process of its own, bundled, because Node does not read TypeScript yet. */
async function runScript(
  script: string,
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; errors: string }> {
  const { build } = await import('esbuild');
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { outputFiles } = await build({
    stdin: { contents: script, resolveDir: root, loader: 'ts' },
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    logLevel: 'silent',
  });
  const child = spawn(process.execPath, ['-'], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  child.stdin.end(outputFiles[0]?.text);
  const [errors, [code]] = await Promise.all([
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, errors };
}
