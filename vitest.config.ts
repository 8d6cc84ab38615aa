import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores: real browsers, keyrings and child processes starve each other beyond that.
    maxWorkers: 2,
    // oidc-provider says at each import that it is tested on newer versions of Node only.
    onConsoleLog: (text) =>
      text.startsWith('oidc-provider WARNING: Unsupported runtime') ? false : undefined,
  },
});
