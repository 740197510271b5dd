/** Reports under mutations. test/long has many more. */
import fc from 'fast-check';
import { afterAll, it } from 'vitest';
import { checkReport, mutatedReport, ReportReader } from '#test/support/report-fuzz.ts';

const reader = new ReportReader();
afterAll(() => {
  reader.close();
});

it('no report is a crash, and where it was looked at changes nothing', () => {
  fc.assert(
    fc.property(mutatedReport, (given) => {
      checkReport(reader, given);
    }),
    { numRuns: 2_000 },
  );
});
