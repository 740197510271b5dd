/** `benchmesh audit RUN`: folds the log again and compares it with what was shown and archived. */
import type { Command } from 'commander';
import { EXIT } from '#protocol/messages/errors.ts';
import { auditArchive, type AuditReport } from '../audit/audit-archive.ts';
import { auditLive } from '../audit/audit-live.ts';
import {
  exitWith,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import { plural } from '../output/format.ts';
import { terminal } from '../output/terminal.ts';
import { archivedDirectory } from '../runs/archive.ts';
import { withRun, type FoundRun } from '../runs/find-run.ts';

interface AuditFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run>', 'id, a unique part of it, or latest')));
  command.addHelpText(
    'after',
    `
A finished run: its events against run.json, the tables and the length of every log. A live run:
the log against the coordinator's own view at the same sequence. Ends with 1 if anything differs.`,
  );
  withExamples(command, ['benchmesh audit latest']);
  command.action(async (text: string, flags: AuditFlags) => {
    await withRun(flags, text, async (found) => {
      print(found.run, await audit(found), flags);
    });
  });
}

async function audit(found: FoundRun): Promise<AuditReport> {
  if (found.kind === 'archived') return auditArchive(found.directory, found.run);
  try {
    return await auditLive(found.mesh.connection, found.run);
  } catch (error) {
    // It may have ended between two questions.
    const directory = await archivedDirectory(found.resultsDir, found.run);
    if (directory === null) throw error;
    return auditArchive(directory, found.run);
  }
}

function print(run: string, report: AuditReport, flags: AuditFlags): void {
  const { compared, sequence } = report;
  const ok = report.differences.length === 0;
  if (!ok) exitWith(EXIT.failed);
  if (flags.json === true) {
    terminal.printJson('audit', { run, ok, sequence, compared, differences: report.differences });
    return;
  }
  for (const { path, folded, found } of report.differences) {
    terminal.print(
      `${path}: the log says ${JSON.stringify(folded)}, found ${JSON.stringify(found)}`,
    );
  }
  const { style } = terminal;
  const what = compared.join(', ');
  terminal.print(
    ok
      ? `${style.good('ok')}: run ${run} agrees with its log at sequence ${sequence}: ${what}`
      : `${style.bad('differs')}: run ${run}: ${plural(report.differences.length, 'difference')} in ${what}`,
  );
}
