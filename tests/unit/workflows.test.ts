import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import manifest from '../../package.json' with { type: 'json' };

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly 'runs-on': string;
  readonly 'timeout-minutes'?: number;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly needs?: readonly string[];
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const FOLDER = new URL('../../.github/workflows/', import.meta.url);
const read = async (name: string) => parse(await readFile(new URL(name, FOLDER), 'utf8')) as Workflow;
const names = await readdir(FOLDER);

describe.each(names)('the workflow %s', async (name) => {
  const { permissions, jobs } = await read(name);
  const steps = Object.values(jobs).flatMap((job) => job.steps);
  const commands = steps.flatMap(({ run }) => run ?? []);

  it('may read the project, and no more except where it publishes', () => {
    expect(permissions).toEqual({ contents: 'read' });
    const more = Object.entries(jobs).filter(([, job]) => job.permissions !== undefined);
    expect(more.filter(([job]) => job !== 'publish')).toEqual([]);
  });

  it('keeps no credentials on the disk, and ends', () => {
    for (const step of steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'))) {
      expect(step.with).toHaveProperty('persist-credentials', false);
    }
    for (const job of Object.values(jobs)) expect(job['timeout-minutes']).toBeGreaterThan(0);
  });

  it("uses GitHub's own actions only, by their version", () => {
    const used = steps.flatMap(({ uses }) => uses ?? []);
    expect(used.filter((action) => !/^actions\/[a-z-]+@v\d+$/.test(action))).toEqual([]);
  });

  it('writes no expression into a command, where its value would be run', () => {
    expect(commands.filter((command) => command.includes('${{'))).toEqual([]);
  });

  it('lends secrets to the step that signs, and to no other', () => {
    const borrowers = steps.filter(({ env = {} }) =>
      Object.values(env).some((value) => value.includes('secrets.')),
    );
    expect(borrowers.filter(({ run }) => !run?.includes('npm run package'))).toEqual([]);
  });

  it('calls scripts that are there', () => {
    const called = commands.flatMap((command) => [...command.matchAll(/npm run (?:-s )?([\w:-]+)/g)]);
    expect(called.map(([, script]) => script).filter((script) => !(`${script}` in manifest.scripts))).toEqual(
      [],
    );
  });
});

describe('the workflows', () => {
  it("run the README's test command at every push, on Linux and on macOS", async () => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
    const [, command] = /^(npm run setup && npm test)\b/m.exec(readme) ?? [];
    const { on, jobs } = await read('test.yml');
    expect(on).toHaveProperty('push', null);
    const systems = Object.values(jobs)
      .filter(({ steps }) => steps.some(({ run }) => run === command))
      .map((job) => job['runs-on']);
    expect(systems.sort()).toEqual(['macos-latest', 'ubuntu-latest']);
  });

  it('publish only what was started before', async () => {
    const { jobs } = await read('release.yml');
    expect(jobs.publish?.needs).toEqual(['macos', 'intel', 'linux']);
    for (const name of ['macos', 'linux']) {
      const order = jobs[name]?.steps.map(({ run = '', uses = '' }) => run + uses) ?? [];
      const at = (text: string) => order.findIndex((step) => step.includes(text));
      expect(at('npm run setup')).toBeGreaterThan(-1);
      expect(at('npm run package')).toBeGreaterThan(at('npm run setup'));
      expect(at('PACKAGED_APP=')).toBeGreaterThan(at('npm run package'));
      expect(at('actions/upload-artifact')).toBeGreaterThan(at('PACKAGED_APP='));
    }
  });
});
