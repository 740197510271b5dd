/** What steps leave on the disk: 100,000 mutations of each. */
import fc from 'fast-check';
import { afterAll, it } from 'vitest';
import { mutatedRecord, mutatedSegments, StepFolderFuzz } from '#test/support/record-fuzz.ts';

/** On a machine that is busy with much else. */
const LONG_MS = 3_600_000;

const folder = new StepFolderFuzz();
afterAll(() => {
  folder.close();
});

it(
  'no record names what is no process, or ends a step in a way that cannot be told',
  { timeout: LONG_MS },
  () => {
    fc.assert(
      fc.property(mutatedRecord, (text) => {
        folder.record(text);
      }),
      { numRuns: 100_000 },
    );
  },
);

it(
  'no index makes a reader of the output throw, leave something out, or go on for ever',
  { timeout: LONG_MS },
  () => {
    fc.assert(
      fc.property(mutatedSegments, (given) => {
        folder.segments(given);
      }),
      { numRuns: 100_000 },
    );
  },
);
