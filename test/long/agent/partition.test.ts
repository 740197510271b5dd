/** A host that is cut off for a minute while 16 attempts print 1,000 lines a second each. */
import { expect, it } from 'vitest';
import { CutLink } from '#test/support/cut-link.ts';
import { expectWholeAfterCut } from '#test/support/partition-round.ts';

it('loses no byte and no event, and stays small', async (context) => {
  const link = CutLink.create();
  if (typeof link === 'string') {
    process.stdout.write(`skipped: ${link}\n`);
    context.skip(link);
    return;
  }
  try {
    process.stdout.write(`${await expectWholeAfterCut(link, { attempts: 16, cutMs: 60_000 })}\n`);
    expect.hasAssertions();
  } finally {
    link.dispose();
  }
});
