import { describe, expect, it } from 'vitest';
import { MAX_STEP_UPS } from '../../../app/limits.ts';
import { StepUps } from '../../../app/oauth/step-up.ts';
import { memoryInUse } from '../../support/memory.ts';

const WRITE = 'tools/call write_file';

describe('step-ups', () => {
  it('are offered three times in a row, and then no more', () => {
    const stepUps = new StepUps();
    const offered = [1, 2, 3, 4, 5].map((login) => stepUps.refused(WRITE, login));
    expect(offered).toEqual([true, true, true, false, false]);
    expect(offered.filter(Boolean)).toHaveLength(MAX_STEP_UPS);
  });

  it('are counted once per login, however often the call is repeated', () => {
    const stepUps = new StepUps();
    for (let call = 0; call < 10; call++) expect(stepUps.refused(WRITE, 1)).toBe(true);
  });

  it('are counted for each operation by itself', () => {
    const stepUps = new StepUps();
    for (const login of [1, 2, 3, 4]) stepUps.refused(WRITE, login);
    expect(stepUps.refused(WRITE, 4)).toBe(false);
    expect(stepUps.refused('tools/call read_file', 4)).toBe(true);
  });

  it('keep nothing of the names, however long a client makes them', async () => {
    const stepUps = new StepUps();
    const length = 1_000_000;
    const before = await memoryInUse();
    const nameOf = (n: number) => `${n} ${'x'.repeat(length)} ${n}`;
    for (let n = 0; n < 50; n++) stepUps.refused(nameOf(n), 1);
    expect((await memoryInUse()).objects - before.objects).toBeLessThan(length);
    for (const login of [2, 3]) expect(stepUps.refused(nameOf(0), login)).toBe(true);
    expect(stepUps.refused(nameOf(0), 4)).toBe(false);
  });

  it('begin anew after a login that helped, and after a logout', () => {
    const stepUps = new StepUps();
    for (const login of [1, 2, 3]) stepUps.refused(WRITE, login);
    expect(stepUps.refused(WRITE, 6)).toBe(true);
    for (const login of [7, 8, 9]) stepUps.refused(WRITE, login);
    expect(stepUps.refused(WRITE, 9)).toBe(false);
    stepUps.clear();
    expect(stepUps.refused(WRITE, 9)).toBe(true);
  });
});
