/**
 * Submits a suite as `run --detach` does, again and again in one process: `node --import tsx`
 * submitter.ts SUITE COUNT. Prints the ids in the order of submission.
 */
import { openMesh } from '#cli/mesh/find-mesh.ts';
import { operator } from '#cli/mesh/home.ts';
import { readSuite } from '#cli/runs/read-suite.ts';
import { submit } from '#cli/runs/submit.ts';

const [, , file = '', count = '1'] = process.argv;
const mesh = await openMesh({}, 'run');
const ids: string[] = [];
for (let at = 0; at < Number(count); at += 1) {
  const { suite, text, file: suiteFile } = await readSuite(file, { set: [], only: [] });
  const { run } = await submit(mesh.connection, {
    run: null,
    suite,
    suiteText: text,
    suiteFile,
    by: operator(),
    ifBusy: 'queue',
    labels: {},
  });
  ids.push(run);
}
process.stdout.write(`${ids.join('\n')}\n`);
await mesh.close();
