/** 100,000 mutations of reports. */
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { checkReport, mutatedReport, ReportReader } from '#test/support/report-fuzz.ts';

const reader = new ReportReader();
afterAll(() => {
  reader.close();
});

it('no report is a crash, or memory without bound', () => {
  const before = process.memoryUsage().rss;
  fc.assert(
    fc.property(mutatedReport, (given) => {
      checkReport(reader, given);
    }),
    { numRuns: 100_000 },
  );
  expect(process.memoryUsage().rss - before).toBeLessThan(512 * 1024 ** 2);
});
