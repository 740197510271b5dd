/** `benchmesh runs`: what runs and what has run. */
import type { Command } from 'commander';
import type { RunView } from '#protocol/fold/run-view.ts';
import {
  integerOption,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import { openIfAny, resultsDirOf } from '../mesh/find-mesh.ts';
import { date, duration } from '../output/format.ts';
import { stateText } from '../output/run-text.ts';
import { paintState, type Style } from '../output/style.ts';
import { table, type Column } from '../output/table.ts';
import { terminal } from '../output/terminal.ts';
import { archivedRunIds, readArchivedSummary } from '../runs/archive.ts';
import { liveRuns } from '../runs/live-runs.ts';

interface RunsFlags extends MeshFlags, JsonFlag {
  readonly limit: number;
}

interface Row extends RunView {
  readonly directory: string | null;
}

export function build(command: Command): void {
  withMesh(withJson(command)).addOption(
    integerOption('--limit <n>', 'how many, the newest', 1).default(50),
  );
  withExamples(command, ['benchmesh runs', 'benchmesh runs --limit 5 --json']);
  command.action(async (flags: RunsFlags) => {
    const rows = (await allRuns(flags)).slice(-flags.limit);
    if (flags.json === true) {
      terminal.printJson('runs', { runs: rows });
      return;
    }
    if (rows.length === 0) {
      terminal.note('no runs yet: benchmesh run examples/hello.yaml makes one');
      return;
    }
    const { style, width } = terminal;
    terminal.printLines(table(rows, columns(style), { width, paintHeader: style.dim }));
  });
}

/** Live and finished, in the order of submission (the stream's time, I2). What is in a directory wins: it is complete. */
async function allRuns(flags: RunsFlags): Promise<Row[]> {
  const resultsDir = await resultsDirOf(flags);
  const mesh = await openIfAny(flags, 'runs');
  const rows = new Map<string, Row>();
  try {
    for (const { view, archived } of mesh === null ? [] : await liveRuns(mesh.connection)) {
      rows.set(view.id, { ...view, directory: archived });
    }
  } finally {
    await mesh?.close();
  }
  const ids = await archivedRunIds(resultsDir);
  for (const id of ids.slice(-flags.limit)) {
    const { view, directory } = await readArchivedSummary(resultsDir, id);
    rows.set(id, { ...view, directory });
  }
  const key = (row: Row): string => `${row.submitted} ${row.id}`;
  return [...rows.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function columns(style: Style): Column<Row>[] {
  return [
    { header: 'run', value: (row) => row.id },
    { header: 'suite', value: (row) => row.suite, shrinkTo: 8 },
    { header: 'state', value: stateText, paint: (cell) => paintState(style, cell) },
    {
      header: 'tasks',
      value: (row) => `${row.states.ended}/${row.tasks}`,
      align: 'right',
    },
    { header: 'failed', value: (row) => String(notPassed(row)), align: 'right' },
    { header: 'elapsed', value: (row) => duration(row.elapsedMs), align: 'right' },
    { header: 'submitted', value: (row) => date(row.submitted), optional: true },
    { header: 'by', value: (row) => row.by, shrinkTo: 8, optional: true },
  ];
}

function notPassed({ outcomes }: RunView): number {
  return (outcomes.failed ?? 0) + (outcomes.timed_out ?? 0) + (outcomes.lost ?? 0);
}
