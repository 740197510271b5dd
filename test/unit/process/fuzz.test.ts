/** What steps leave on the disk, under mutations. test/long has many more. */
import fc from 'fast-check';
import { afterAll, it } from 'vitest';
import { mutatedRecord, mutatedSegments, StepFolderFuzz } from '#test/support/record-fuzz.ts';

const folder = new StepFolderFuzz();
afterAll(() => {
  folder.close();
});

it('no record names what is no process, or ends a step in a way that cannot be told', () => {
  fc.assert(
    fc.property(mutatedRecord, (text) => {
      folder.record(text);
    }),
    { numRuns: 1_500 },
  );
});

it('no index makes a reader of the output throw, leave something out, or go on for ever', () => {
  fc.assert(
    fc.property(mutatedSegments, (given) => {
      folder.segments(given);
    }),
    { numRuns: 600 },
  );
});
