/** `benchmesh coordinator`: a coordinator in the foreground; a second one stands by. */
import type { Command } from 'commander';
import { cordonAfterOption, withExamples, type MeshFlags } from '../command.ts';
import { execProgram } from '../mesh/exec-program.ts';
import { resultsDirOf, serverArgs } from '../mesh/find-mesh.ts';

interface CoordinatorFlags extends MeshFlags {
  readonly id: string;
  readonly logFile?: string;
  readonly cordonAfter?: number;
}

export function build(command: Command): void {
  command
    .requiredOption('--id <id>', 'id of the coordinator')
    .option('--server <url>', 'nats-server of the mesh; else BENCHMESH_SERVER, else the local mesh')
    .option('--credential <file>', 'credential for --server; else BENCHMESH_CREDENTIAL')
    .option(
      '--results <dir>',
      'where finished runs go; else BENCHMESH_RESULTS, else of the local mesh',
    )
    .option('--log-file <file>', 'its own log')
    .addOption(cordonAfterOption('default 5'));
  withExamples(command, ['benchmesh coordinator --id standby --log-file standby.log']);
  command.action(async (flags: CoordinatorFlags) => {
    process.exitCode = await execProgram('coordinator', [
      ...['--id', flags.id, '--results', await resultsDirOf(flags)],
      ...(await serverArgs(flags)),
      ...(flags.logFile === undefined ? [] : ['--log-file', flags.logFile]),
      ...(flags.cordonAfter === undefined ? [] : ['--cordon-after', String(flags.cordonAfter)]),
    ]);
  });
}
