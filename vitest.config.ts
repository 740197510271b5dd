import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/{unit,integration,e2e}/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Most tests wait for processes more than they compute: twice the CPUs of the smallest machine.
    maxWorkers: 4,
    reporters: ['default'],
  },
});
