import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import * as limits from '../../app/limits.ts';

const APP = fileURLToPath(new URL('../../app', import.meta.url));
/** These keep limits of their own: what a store's tools allow, and programs that are run by hand. */
const OWN = ['limits.ts', 'store/', 'cli/'];
/** What a timer of Node can do at most is no choice of ours. */
const GIVEN = ['oauth/session.ts LONGEST_TIMER_MS'];

describe('limits', () => {
  it('are in one file', async () => {
    const files = (await readdir(APP, { recursive: true }))
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => file.endsWith('.ts') && !OWN.some((own) => file.startsWith(own)));
    const found: string[] = [];
    for (const file of files) {
      const source = await readFile(join(APP, file), 'utf8');
      for (const [, name = ''] of source.matchAll(/^(?:export )?const ([A-Z][A-Z_]*) = [\d_]/gm))
        if (/(?:^|_)(?:MAX|MOST|LONGEST|LARGEST|LIMIT|TIMEOUT|BYTES)(?:_|$)/.test(name))
          found.push(`${file} ${name}`);
    }
    expect(found.sort()).toEqual(GIVEN);
  });

  it('have a reason each', async () => {
    const source = await readFile(join(APP, 'limits.ts'), 'utf8');
    const explained = [...source.matchAll(/\*\/\nexport const ([A-Z_]+) =/g)].map(([, name]) => name);
    expect(explained.sort()).toEqual(Object.keys(limits).sort());
  });

  it('are numbers that bind', () => {
    for (const limit of Object.values(limits)) expect(limit).toBeGreaterThan(0);
  });

  it('leave room for every body that is held, for every stream and for its calls', () => {
    expect(limits.MAX_HELD_TOTAL_BYTES).toBeGreaterThan(10 * limits.MAX_HELD_BYTES);
    expect(limits.MAX_CONNECTIONS).toBeGreaterThan(2 * 1_000);
    expect(limits.MAX_CALLS).toBeGreaterThanOrEqual(limits.MAX_CONNECTIONS);
  });

  it('are as the README tells them', async () => {
    const readme = await readFile(join(APP, '../README.md'), 'utf8');
    const row = (code: string) => readme.split('\n').find((line) => line.includes(`\`${code}\` |`)) ?? '';
    const told = (value: number) => value.toLocaleString('en');
    expect(row('too_many')).toContain(`${told(limits.MAX_CONNECTIONS)} connections`);
    expect(row('too_many')).toContain(`${told(limits.MAX_CALLS)} calls`);
    expect(row('too_many')).toContain(`${limits.MAX_PIPELINED} requests on one connection`);
    expect(row('too_many')).toContain(`\`Retry-After: ${limits.TOO_MANY_RETRY_SECONDS}\``);
    expect(row('too_large')).toContain(`headers ${limits.MAX_HEAD_BYTES / 1024} KiB`);
    expect(row('too_large')).toContain(`${told(limits.MAX_HEADER_FIELDS)} fields`);
    expect(row('too_large')).toContain(`target ${limits.MAX_TARGET_BYTES / 1024} KiB`);
    expect(row('token_renewed')).toContain(`over ${limits.MAX_HELD_BYTES / 1024 / 1024} MiB`);
  });
});
