import { defineConfig } from 'vitest/config';

/** Rounds too long for every change: byte-exactness at full size, repeated races, soak. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    testTimeout: 900_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
