/** `benchmesh collect RUN/TASK[/N] --again`: the result files of an attempt, taken once more. */
import type { Command } from 'commander';
import { lastFiles } from '#protocol/fold/attempt-fold.ts';
import { EXIT, MeshError } from '#protocol/messages/errors.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import {
  exitWith,
  withExamples,
  withJson,
  withMesh,
  withRank,
  type JsonFlag,
  type MeshFlags,
  type RankFlag,
} from '../command.ts';
import { collectedLines } from '../output/collected-text.ts';
import { plural } from '../output/format.ts';
import { terminal } from '../output/terminal.ts';
import { collectAgain, type CollectedAgain } from '../runs/collect-again.ts';
import { membersAsked } from '../runs/find-attempt.ts';
import { readRun, withRun } from '../runs/find-run.ts';
import { parseTarget } from '../runs/match.ts';

interface CollectFlags extends MeshFlags, JsonFlag, RankFlag {
  readonly again?: boolean;
}

export function build(command: Command): void {
  withRank(
    withMesh(withJson(command.argument('<run/task[/n]>', 'id, a unique part of it, or latest'))),
    'every rank',
  )
    .option('--again', 'take them now; they are taken by themselves when the attempt ends')
    .addHelpText(
      'after',
      `
While the run is live, and as long as the attempt's work folder is there: of one that runs, or of one
that has ended, say because a file came late or could not be stored. What its suite names as files is
taken, within its limits, required ones are looked for and schemas checked; of a path that was kept
before, the content now takes its place. The outcome and the metrics of an attempt that has ended stay
as they are. It ends with 0 where all is kept as the suite wants it, 1 where something is missing or
does not fit its schema, 5 where there is no such attempt or nothing of it, 7 where its agent does not
answer, and 9 where the run has ended: then its directory has what was kept.`,
    );
  withExamples(command, [
    'benchmesh collect k3f9/d2xq --again',
    'benchmesh collect latest/d2xq/1 --again --json',
  ]);
  command.action(async (text: string, flags: CollectFlags) => {
    if (flags.again !== true)
      throw new MeshError(
        'usage',
        'files are collected when an attempt ends: to take them now, too, say --again',
      );
    const asked = parseTarget(text);
    await withRun(flags, asked.run, async (found) => {
      const members = membersAsked(await readRun(found), { ...asked, rank: flags.rank });
      const all = await Promise.all(
        members.map(({ ref }) =>
          collectAgain(found, ref, (files) => {
            const who = ref.rank === undefined ? '' : `rank ${ref.rank}: `;
            terminal.note(`${who}${plural(files, 'file')} so far`);
          }),
        ),
      );
      const values = all.map(valueOf);
      const [first] = values;
      if (flags.json !== true)
        for (const one of all) terminal.printLines(collectedLines({ ...one, files: keptOf(one) }));
      else if (values.length === 1 && first !== undefined) terminal.printJson('collect', first);
      else if (first !== undefined) {
        const { run, task, n } = first;
        terminal.printJson('collect', { run, task, n, ranks: values });
      }
      const isWhole = all.every(({ lost, unfit }) => lost.length + unfit.length === 0);
      exitWith(isWhole ? EXIT.ok : EXIT.failed);
    });
  });
}

function keptOf({ attempt }: CollectedAgain): StoredFile[] {
  return lastFiles(attempt.files).filter(({ kind }) => kind === 'result');
}

function valueOf(collected: CollectedAgain) {
  const { id, ref, attempt, lost, unfit } = collected;
  const outcome = attempt.exited?.outcome ?? null;
  return { ...ref, id, outcome, files: keptOf(collected), lost, unfit };
}
