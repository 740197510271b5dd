/** `benchmesh coordinator`: a coordinator in the foreground; a second one stands by. */
import type { Command } from 'commander';
import { withExamples, type MeshFlags } from '../command.ts';
import { execProgram } from '../mesh/exec-program.ts';
import { resultsDirOf, serverArgs } from '../mesh/find-mesh.ts';

interface CoordinatorFlags extends MeshFlags {
  readonly id: string;
  readonly logFile?: string;
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
    .option('--log-file <file>', 'its own log');
  withExamples(command, ['benchmesh coordinator --id standby --log-file standby.log']);
  command.action(async (flags: CoordinatorFlags) => {
    process.exitCode = await execProgram('coordinator', [
      ...['--id', flags.id, '--results', await resultsDirOf(flags)],
      ...(await serverArgs(flags)),
      ...(flags.logFile === undefined ? [] : ['--log-file', flags.logFile]),
    ]);
  });
}
