import { defineConfig } from 'vitest/config';

/** Measurements: `npx vitest run --config tests/bench/vitest.config.ts`. They print figures and judge none. */
export default defineConfig({
  test: {
    include: ['tests/bench/**/*.bench.ts'],
    testTimeout: 300_000,
    fileParallelism: false,
    disableConsoleIntercept: true,
    reporters: ['dot'],
  },
});
