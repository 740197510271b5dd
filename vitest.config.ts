import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Most tests wait for processes more than they compute: twice the CPUs of the smallest machine.
    maxWorkers: 4,
    reporters: ['default'],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // Pure parts, nothing to keep apart: loading the code anew for each file took half of the time.
          isolate: false,
        },
      },
      {
        extends: true,
        test: { name: 'processes', include: ['test/{integration,e2e}/**/*.test.ts'] },
      },
    ],
  },
});
