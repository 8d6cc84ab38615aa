import { faultsOf, reportOf } from './report.ts';
import { runSoak } from './soak.ts';

const DEFAULT_MINUTES = 10;

/**
 * Runs a soak from the command line: the first argument is its length in minutes, `SOAK_SEED` the choice of faults.
 * @returns the exit code: 0 when nothing is wrong, 1 when something is, 2 for a wrong argument
 */
export async function main(
  root: string,
  [given = String(DEFAULT_MINUTES)]: readonly string[],
): Promise<number> {
  const minutes = Number(given);
  if (!(minutes > 0)) {
    console.error('The argument is the length in minutes, such as: npm run soak -- 10');
    return 2;
  }
  const seed = Number(process.env.SOAK_SEED ?? Date.now() % 2 ** 31);
  console.log(`Soak for ${minutes} min, SOAK_SEED=${seed}`);
  const result = await runSoak({ root, seconds: minutes * 60, seed, say: (text) => console.log(text) });
  console.log(`\n${reportOf(result)}`);
  return faultsOf(result).length === 0 ? 0 : 1;
}
