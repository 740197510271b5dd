/** `benchmesh metrics RUN/TASK[/N]`: what an attempt used, and what its host did meanwhile. */
import { Option, type Command } from 'commander';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { seriesAcross } from '#protocol/fold/series-across.ts';
import { EXIT } from '#protocol/messages/errors.ts';
import { withExamples, withMesh, withRank, type MeshFlags, type RankFlag } from '../command.ts';
import { gangSampleText, reportedTable } from '../output/report-text.ts';
import { coverageText, noteLines, seriesTable } from '../output/telemetry-text.ts';
import { terminal } from '../output/terminal.ts';
import {
  archivedSamples,
  SampleCollector,
  SamplePrinter,
  tailSamples,
  type SampleKind,
} from '../runs/samples.ts';
import { attemptOf, membersAsked, type Asked } from '../runs/find-attempt.ts';
import { readRun, withRun, type FoundRun } from '../runs/find-run.ts';
import { parseTarget, type Target } from '../runs/match.ts';
import { nameOf } from '../runs/work-file.ts';

interface MetricsFlags extends MeshFlags, RankFlag {
  readonly samples?: boolean;
  readonly host?: boolean;
  readonly reported?: boolean;
  readonly together?: boolean;
  readonly follow?: boolean;
  readonly json?: boolean;
}

export function build(command: Command): void {
  withRank(
    withMesh(command.argument('<run/task[/n]>', 'id, a unique part of it, or latest')),
    'every rank',
  )
    .option('--samples', 'every sample, one a second')
    .addOption(
      new Option('--host', 'the samples of its host instead of its own').implies({ samples: true }),
    )
    .addOption(
      new Option('--reported', 'the values its benchmark reported, each').implies({
        samples: true,
      }),
    )
    .addOption(
      new Option(
        '--together',
        'of a task on several hosts: the values of all ranks as one, a second a line',
      ).conflicts(['rank', 'host', 'follow', 'samples']),
    )
    .addOption(
      new Option('-f, --follow', 'samples as they come, until it ends').implies({ samples: true }),
    )
    .option('--json', 'one versioned JSON value; of samples one a line');
  command.addHelpText(
    'after',
    `
Of a task on several hosts: the metrics of all ranks together, then what is known of each rank; lines of
samples begin with their rank. Without --samples: mean, 95th percentile, largest and smallest of each series, from the attempt's
result, what disturbed it, and the metrics that the benchmark reported more than once. Samples reach the mesh every 5 s; a live run's are kept for hours.`,
  );
  withExamples(command, [
    'benchmesh metrics k3f9/d2xq',
    'benchmesh metrics k3f9/d2xq/1 --host --json > host.ndjson',
    'benchmesh metrics k3f9/d2xq --together',
  ]);
  command.action(async (text: string, flags: MetricsFlags) => {
    const asked = parseTarget(text);
    await withRun(flags, asked.run, async (found) => {
      const fold = await readRun(found);
      const target = { ...asked, rank: flags.rank };
      if (flags.together === true) await printTogether({ found, fold }, target, flags);
      else if (flags.samples !== true) printSummary(fold, target, flags);
      else await printSamples({ found, fold }, target, flags);
    });
  });
}

function printSummary(fold: RunFold, target: Target, flags: MetricsFlags): void {
  const asked = attemptOf(fold, target);
  const members = asked.attempt.gang === undefined ? [] : membersAsked(fold, target);
  if (flags.json === true) {
    terminal.printJson('metrics', {
      sequence: fold.sequence,
      ...measured(asked),
      ...(members.length === 0 ? {} : { ranks: members.map(measured) }),
    });
    return;
  }
  const { style, width } = terminal;
  if (members.length === 0) {
    printOne(asked);
    return;
  }
  terminal.printLines(reportedTable(asked.attempt.exited?.metrics ?? [], { style, width }));
  for (const one of members) {
    terminal.print(style.bold(`rank ${one.ref.rank ?? 0} on ${one.attempt.agent}`));
    printOne(one);
  }
}

function measured({ ref, attempt: { agent, exited } }: Asked) {
  const { telemetry = null, metrics = [], report = null } = exited ?? {};
  return { ...ref, agent, telemetry, metrics, report };
}

function printOne({ ref, attempt }: Asked): void {
  const telemetry = attempt.exited?.telemetry ?? null;
  const { style, width } = terminal;
  const reported = reportedTable(attempt.exited?.metrics ?? [], { style, width });
  terminal.printLines(reported);
  if (telemetry === null) {
    const where = nameOf(ref);
    terminal.note(
      attempt.exited === null
        ? `${where} goes on: its samples so far are shown by --samples`
        : `${where} was not measured: it took less than a sample`,
    );
    return;
  }
  if (reported.length > 0) terminal.print('');
  terminal.printLines(seriesTable(telemetry, { style, width }));
  terminal.note(coverageText(telemetry));
  for (const line of noteLines(telemetry)) terminal.note(line);
}

async function printSamples(
  { found, fold }: { readonly found: FoundRun; readonly fold: RunFold },
  target: Target,
  flags: MetricsFlags,
): Promise<void> {
  const kind: SampleKind =
    flags.host === true ? 'host' : flags.reported === true ? 'reported' : 'attempt';
  const members = membersAsked(fold, target);
  const follow = flags.follow === true && fold.state !== 'ended' ? onInterrupt() : null;
  const print = async ({ ref, attempt }: Asked): Promise<number> => {
    const printer = new SamplePrinter({
      ...{ kind, ref, agent: attempt.agent, json: flags.json === true },
      isLabelled: members.length > 1,
    });
    if (found.kind === 'archived') await archivedSamples(found.directory, printer);
    else {
      const { connection } = found.mesh;
      const { resultsDir } = found;
      const fromMs = attempt.startedMs ?? attempt.acceptedMs;
      await tailSamples({ connection, resultsDir, printer, fromMs, follow });
    }
    return printer.count;
  };
  let count = 0;
  if (follow !== null) count = (await Promise.all(members.map(print))).reduce((a, b) => a + b, 0);
  else for (const one of members) count += await print(one);
  if (count === 0) terminal.note('there are no samples of it (yet)');
}

/** What the ranks have reported, by the operator of each metric. */
async function printTogether(
  { found, fold }: { readonly found: FoundRun; readonly fold: RunFold },
  target: Target,
  flags: MetricsFlags,
): Promise<void> {
  const { ref } = attemptOf(fold, target);
  const ranks: SampleCollector[] = [];
  for (const one of membersAsked(fold, target)) {
    const at = { ref: one.ref, agent: one.attempt.agent, json: false };
    const collector = new SampleCollector({ kind: 'reported', ...at });
    ranks.push(collector);
    if (found.kind === 'archived') await archivedSamples(found.directory, collector);
    else {
      const { connection } = found.mesh;
      const fromMs = one.attempt.startedMs ?? one.attempt.acceptedMs;
      const { resultsDir } = found;
      await tailSamples({ connection, resultsDir, printer: collector, fromMs, follow: null });
    }
  }
  const declared = fold.submitted?.suite.metrics ?? [];
  const operatorOf = (metric: string) => declared.find(({ name }) => name === metric)?.across;
  const rows = seriesAcross(
    ranks.map(({ samples }) => samples),
    operatorOf,
  );
  for (const sample of rows) {
    if (flags.json === true) terminal.printJson('gang_sample', { ...ref, sample });
    else terminal.print(gangSampleText(sample));
  }
  if (rows.length === 0) terminal.note('nothing was reported (yet)');
}

function onInterrupt(): AbortSignal {
  const abort = new AbortController();
  process.once('SIGINT', () => {
    process.exitCode = EXIT.interrupted;
    abort.abort();
  });
  return abort.signal;
}
