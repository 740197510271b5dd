/** `benchmesh logs RUN[/TASK[/N]]`: what benchmarks wrote, both streams in the order they came. */
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { EXIT, MeshError } from '#protocol/messages/errors.ts';
import { attemptName, rankName, type AttemptRef } from '#protocol/messages/ids.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { withExamples, withMesh, withRank, type MeshFlags, type RankFlag } from '../command.ts';
import { followLog, printArchived, readStoredLog } from '../logs/follow-log.ts';
import { LogCursors } from '../logs/log-cursor.ts';
import { LogPrinter, stdoutWriter } from '../logs/log-printer.ts';
import {
  attemptsOf,
  incompleteText,
  outcomeText,
  statusText,
  unfinishedOf,
  type LogTarget,
  type Unfinished,
} from '../logs/log-status.ts';
import { JsonLog } from '../logs/json-log.ts';
import { terminal } from '../output/terminal.ts';
import { readRun, withRun, type FoundRun } from '../runs/find-run.ts';
import { matchTask, parseTarget } from '../runs/match.ts';

interface LogsFlags extends MeshFlags, RankFlag {
  readonly follow?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly raw?: boolean;
  readonly timestamps?: boolean;
  readonly json?: boolean;
}

export function build(command: Command): void {
  withRank(
    withMesh(command.argument('<run[/task[/n]]>', 'id, a unique part of it, or latest')),
    'all ranks, each line with its own',
  )
    .option('-f, --follow', 'until it ends, then say how')
    .addOption(new Option('--stdout', 'only standard output').conflicts('stderr'))
    .addOption(new Option('--stderr', 'only standard error'))
    .addOption(
      new Option('--raw', 'the exact bytes, nothing else').conflicts(['timestamps', 'json']),
    )
    .option('--timestamps', 'when each line came, UTC, the clock of its host')
    .option('--json', 'one versioned JSON value a piece, its bytes in base64');
  command.addHelpText(
    'after',
    `
Of several attempts each line carries its task, and of a task on several hosts its rank; with --raw or
--json the pieces come as the ranks have sent them. What is not log (states, gaps, the outcome) goes
to standard error.`,
  );
  withExamples(command, [
    'benchmesh logs latest -f',
    'benchmesh logs k3f9/d2xq/1 --raw --stdout > out.bin',
    'benchmesh logs k3f9/d2xq --rank 1 -f',
  ]);
  command.action(async (text: string, flags: LogsFlags) => {
    const asked = parseTarget(text);
    await withRun(flags, asked.run, async (found) => {
      const fold = await readRun(found);
      const task = asked.task === null ? null : matchTask(asked.task, fold.tasks.keys());
      await printLogs(found, fold, {
        target: { run: found.run, task, n: asked.n, rank: flags.rank },
        flags,
      });
    });
  });
}

async function printLogs(
  found: FoundRun,
  fold: RunFold,
  { target, flags }: { target: LogTarget; flags: LogsFlags },
): Promise<void> {
  if (target.n !== null && attemptsOf(fold, target).length === 0 && fold.state === 'ended') {
    throw new MeshError(
      'not_found',
      `there is no attempt ${target.n} of ${target.run}/${target.task ?? ''}`,
    );
  }
  if (target.rank !== undefined && fold.state === 'ended' && attemptsOf(fold, target).length === 0)
    throw new MeshError('not_found', `nothing of ${target.run} has a rank ${target.rank}`);
  const note = (line: string): void => {
    if (flags.raw !== true) terminal.note(line);
  };
  const printer = printerOf(fold, target, flags);
  const cursors = new LogCursors();
  let end = fold;
  let unfinished: readonly Unfinished[] = [];
  if (found.kind === 'archived') {
    await printArchived({ target, cursors, printer }, found.directory, fold);
    // An archive is whole: what is missing in it was taken away, and nobody will bring it.
    unfinished = unfinishedOf(fold, target, (ref) => cursors.next(ref)).map((one) => ({
      ...one,
      isAway: false,
      file: join(found.directory, 'logs', one.ref.task, `${attemptName(one.ref)}.log`),
    }));
  } else {
    const { connection } = found.mesh;
    const reading = { connection, resultsDir: found.resultsDir, target, cursors, printer, note };
    if (flags.follow === true) end = await followLog(reading, onInterrupt());
    else ({ fold: end, unfinished } = await readStoredLog(reading, fold));
  }
  await printer.end();
  // Said with --raw too: whoever takes the bytes for the whole log is wrong.
  for (const one of unfinished) terminal.note(incompleteText(one));
  if (unfinished.length > 0) process.exitCode = EXIT.failed;
  const status = unfinished.length > 0 ? null : statusText(end, target, printer.bytes);
  if (status !== null && (flags.follow !== true || printer.bytes === 0)) note(status);
  if (flags.follow === true) {
    const outcome = outcomeText(end, target);
    if (outcome !== null) note(outcome);
  }
}

function printerOf(fold: RunFold, target: LogTarget, flags: LogsFlags): LogPrinter {
  const only = flags.stdout === true ? 'stdout' : flags.stderr === true ? 'stderr' : null;
  const output = {
    ...stdoutWriter(),
    note: (line: string) => {
      terminal.note(line);
    },
  };
  if (flags.json === true) return new JsonLog(only, output);
  const many = target.n === null && target.task === null && fold.tasks.size > 1;
  const label = (ref: AttemptRef): string | null => {
    if (many) return `${ref.task}#${attemptName(ref)}`;
    const { rank, since } = ref;
    if (rank === undefined || (target.rank !== undefined && since === undefined)) return null;
    return `rank ${rankName({ rank, since })}`;
  };
  return new LogPrinter(
    { raw: flags.raw === true, timestamps: flags.timestamps === true, label, only },
    output,
  );
}

function onInterrupt(): AbortSignal {
  const abort = new AbortController();
  process.once('SIGINT', () => {
    process.exitCode = EXIT.interrupted;
    abort.abort();
  });
  return abort.signal;
}
