/** `benchmesh runs`: what runs and what has run. */
import type { Command } from 'commander';
import { join } from 'node:path';
import type { RunView } from '#protocol/fold/run-view.ts';
import { EXIT, MeshError, toError } from '#protocol/messages/errors.ts';
import {
  exitWith,
  integerOption,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import { openIfAny, resultsDirOf, type OpenMesh } from '../mesh/find-mesh.ts';
import { date, elapsed } from '../output/format.ts';
import { stateText } from '../output/run-text.ts';
import { paintState, type Style } from '../output/style.ts';
import { table, type Column } from '../output/table.ts';
import { terminal } from '../output/terminal.ts';
import { archivedRuns, readArchivedSummary, type DamagedRun } from '../runs/archive.ts';
import { liveRuns } from '../runs/live-runs.ts';
import { hasCoordinator, NO_COORDINATOR } from '../runs/uncoordinated.ts';

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
  command.addHelpText(
    'after',
    `
With the mesh down the finished runs are listed all the same, and it ends with 7. A directory that
cannot be read as a run is named on standard error.`,
  );
  withExamples(command, ['benchmesh runs', 'benchmesh runs --limit 5 --json']);
  command.action(async (flags: RunsFlags) => {
    const { rows: all, problems, unreachable, isLed } = await allRuns(flags);
    const rows = all.slice(-flags.limit);
    if (flags.json === true) terminal.printJson('runs', { runs: rows, unreachable, problems });
    for (const { directory, reason } of problems)
      terminal.note(`warning: ${directory} is not listed: ${reason}`);
    // After the list, which is printed all the same: the status says that it is not all there is.
    if (unreachable !== null) exitWith(EXIT.unreachable);
    if (!isLed) terminal.note(NO_COORDINATOR);
    if (unreachable !== null)
      terminal.note(`benchmesh: runs that are live are missing: ${unreachable}`);
    if (flags.json === true) return;
    if (rows.length === 0) {
      if (unreachable !== null || problems.length > 0) return;
      terminal.note('no runs yet: benchmesh run examples/hello.yaml makes one');
      return;
    }
    const { style, width } = terminal;
    terminal.printLines(table(rows, columns(style), { width, paintHeader: style.dim }));
  });
}

export interface Listed {
  readonly rows: readonly Row[];
  /** Directories of the results folder that cannot be read as a run. */
  readonly problems: readonly DamagedRun[];
  /** Why live runs are not among them; null where they are. */
  readonly unreachable: string | null;
  /** False where no coordinator records what becomes of the live ones. */
  readonly isLed: boolean;
}

/** Live and finished, in the order of submission (the stream's time, I2). What is in a directory wins: it is complete. */
export async function allRuns(flags: MeshFlags & { readonly limit: number }): Promise<Listed> {
  const resultsDir = await resultsDirOf(flags);
  const rows = new Map<string, Row>();
  const { unreachable, isLed } = await addLive(flags, rows);
  const { ids, damaged } = await archivedRuns(resultsDir);
  const problems = [...damaged];
  for (const id of ids.slice(-flags.limit)) {
    try {
      const { view, directory } = await readArchivedSummary(resultsDir, id);
      rows.set(id, { ...view, directory });
    } catch (error) {
      problems.push({ directory: join(resultsDir, id), reason: toError(error).message });
    }
  }
  const key = (row: Row): string => `${row.submitted} ${row.id}`;
  const sorted = [...rows.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  return { rows: sorted, problems, unreachable, isLed };
}

async function addLive(
  flags: MeshFlags,
  rows: Map<string, Row>,
): Promise<Pick<Listed, 'unreachable' | 'isLed'>> {
  let mesh: OpenMesh | null = null;
  try {
    mesh = await openIfAny(flags, 'runs');
    if (mesh === null) return { unreachable: null, isLed: true };
    let isLive = false;
    for (const { view, archived } of await liveRuns(mesh.connection)) {
      isLive ||= view.state !== 'ended';
      rows.set(view.id, { ...view, directory: archived });
    }
    return { unreachable: null, isLed: !isLive || (await hasCoordinator(mesh.connection)) };
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'mesh_unreachable') throw error;
    return { unreachable: error.message, isLed: true };
  } finally {
    await mesh?.close();
  }
}

function columns(style: Style): Column<Row>[] {
  return [
    { header: 'run', value: (row) => row.id, isKey: true },
    { header: 'suite', value: (row) => row.suite, shrinkTo: 8 },
    { header: 'state', value: stateText, paint: (cell) => paintState(style, cell) },
    {
      header: 'tasks',
      value: (row) => `${row.states.ended}/${row.tasks}`,
      align: 'right',
    },
    { header: 'failed', value: (row) => String(notPassed(row)), align: 'right' },
    {
      header: 'elapsed',
      value: (row) => elapsed(row.elapsedMs, row.state === 'ended'),
      align: 'right',
    },
    { header: 'submitted', value: (row) => date(row.submitted), optional: true },
    { header: 'by', value: (row) => row.by, shrinkTo: 8, optional: true },
  ];
}

function notPassed({ outcomes }: RunView): number {
  return (outcomes.failed ?? 0) + (outcomes.timed_out ?? 0) + (outcomes.lost ?? 0);
}
