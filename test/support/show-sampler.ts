/**
 * A reader that asks again and again, every 20 ms, over one open connection, for what `show --json`
 * prints: by the same code, in a process of its own (whose clock the test may shift). A line of JSON
 * for each sample, until the run has ended. Run with `node --import tsx`; says `ready` and takes the id
 * of the run on stdin, so that its own start is not part of the sampling.
 */
import { once } from 'node:events';
import { taskValue, runValue } from '#cli/commands/show.ts';
import { jsonLine } from '#cli/output/terminal.ts';
import { readRun, withRun } from '#cli/runs/find-run.ts';
import type { RunView } from '#protocol/fold/run-view.ts';

const EVERY_MS = 20;

/** As written: `run` is the line that `show RUN --json` prints, `tasks` of each `show RUN/TASK --json`. */
export interface SampleLine {
  /** Of this process's own monotonic clock. */
  readonly atMs: number;
  /** Of its wall clock. */
  readonly wallMs: number;
  readonly run: string;
  readonly tasks: readonly string[];
}

process.stdout.write('ready\n');
const [input] = (await once(process.stdin, 'data')) as [Buffer];
process.stdin.destroy();
await withRun({}, input.toString('utf8').trim(), async (found) => {
  for (let due = performance.now(); ; due = Math.max(due + EVERY_MS, performance.now())) {
    await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
    const fold = await readRun(found);
    const value: { sequence: number; run: RunView } = runValue(fold);
    const line: SampleLine = {
      atMs: performance.now(),
      wallMs: Date.now(),
      run: jsonLine('run', value),
      tasks: [...fold.tasks.keys()].map((id) => jsonLine('task', taskValue(fold, id))),
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
    if (value.run.state === 'ended') return;
  }
});
