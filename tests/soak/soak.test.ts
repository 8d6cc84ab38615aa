import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { faultsOf, reportOf } from './report.ts';
import { runSoak } from './soak.ts';

it('some seconds of load and faults leave no error without a known cause', { timeout: 120_000 }, async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const result = await runSoak({ root, seconds: 8, seed: 20_260_728, say: () => undefined });
  expect(faultsOf(result), reportOf(result)).toEqual([]);
});
