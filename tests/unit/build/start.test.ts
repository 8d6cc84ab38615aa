import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

describe('npm start', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'start-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** A program that takes Electron's place. */
  async function start(script: string, args: readonly string[] = []): Promise<ChildProcess> {
    const program = join(folder, 'electron');
    await writeFile(program, `#!${process.execPath}\n${script}`, { mode: 0o755 });
    const env = { ...process.env, ELECTRON_BIN: program, ELECTRON_RUN_AS_NODE: '1' };
    return spawn(process.execPath, ['build/start.mjs', ...args], { cwd: ROOT, env, detached: true });
  }
  async function end(child: ChildProcess) {
    let [stdout, stderr] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    const [code] = await once(child, 'close');
    return { code, stdout, stderr };
  }

  it("gives Electron this folder and the caller's arguments, and takes its exit code over", async () => {
    const script =
      'console.log(JSON.stringify([process.argv.slice(2), process.env.ELECTRON_RUN_AS_NODE])); process.exit(7);';
    const { code, stdout } = await end(await start(script, ['--disable-gpu']));
    const [args, runAsNode] = JSON.parse(stdout);
    expect(code).toBe(7);
    expect(args.slice(-2).map((path: string) => resolve(path))).toEqual([
      resolve(ROOT),
      resolve('--disable-gpu'),
    ]);
    expect(runAsNode).toBeNull();
  });

  it.runIf(process.platform === 'linux')('says that there is no sandbox when root runs it', async () => {
    const { stdout, stderr } = await end(await start('console.log(process.argv.slice(2));'));
    const root = process.getuid?.() === 0;
    expect(stdout.includes('--no-sandbox')).toBe(root);
    expect(stderr.includes('without its sandbox')).toBe(root);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'passes %s on, once, when a terminal sends it to the whole process group',
    async (signal) => {
      const script = `
      let count = 0;
      process.on('${signal}', () => { count += 1; setTimeout(() => process.exit(40 + count), 100); });
      console.log('ready');
      setInterval(() => {}, 1000);`;
      const child = await start(script);
      if (child.stdout) await once(child.stdout, 'data');
      if (child.pid !== undefined) process.kill(-child.pid, signal);
      expect((await end(child)).code).toBe(41);
    },
  );

  it('ends as a shell would say when Electron is killed', async () => {
    expect((await end(await start(`process.kill(process.pid, 'SIGKILL');`))).code).toBe(137);
  });

  it('says in one sentence that there is no Electron', async () => {
    const env = { ...process.env, ELECTRON_BIN: join(folder, 'none') };
    const { code, stderr } = await end(spawn(process.execPath, ['build/start.mjs'], { cwd: ROOT, env }));
    expect(code).toBe(1);
    expect(stderr).toBe(`ELECTRON_BIN names ${folder}/none, which does not exist: correct it or unset it.\n`);
  });
});
