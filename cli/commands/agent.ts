/** `benchmesh agent`: an agent in the foreground, for hosts that join a mesh. */
import { Option, type Command } from 'commander';
import {
  durationOption,
  integerOption,
  labelOption,
  withExamples,
  type MeshFlags,
} from '../command.ts';
import { execProgram } from '../mesh/exec-program.ts';
import { serverArgs } from '../mesh/find-mesh.ts';

interface AgentFlags extends MeshFlags {
  readonly id: string;
  readonly state: string;
  readonly slots?: number;
  readonly rung: string;
  readonly label?: readonly string[];
  readonly refresh?: number;
  readonly logFile?: string;
}

export function build(command: Command): void {
  command
    .requiredOption('--id <id>', 'id of the agent, unique in the mesh')
    .requiredOption('--state <dir>', "state folder, this agent's alone")
    .option('--server <url>', 'nats-server of the mesh; else BENCHMESH_SERVER, else the local mesh')
    .option('--credential <file>', 'credential for --server; else BENCHMESH_CREDENTIAL')
    .addOption(integerOption('--slots <n>', 'slots it offers; default one per usable CPU', 1))
    .addOption(
      new Option('--rung <rung>', 'how processes are supervised')
        .choices(['auto', 'cgroup', 'subreaper', 'scan'])
        .default('auto'),
    )
    .addOption(labelOption('a label of this agent; repeatable'))
    .addOption(durationOption('--refresh <duration>', 'between two looks at the host; default 60s'))
    .option('--log-file <file>', 'its own log; default agent.log in the state folder');
  withExamples(command, [
    'benchmesh agent --id lab-1 --state /var/lib/benchmesh --server nats://mesh:4222 --credential lab-1.nk',
    'benchmesh agent --id lab-2 --state /var/lib/benchmesh --label rack=r7 --label gpu.tier=a',
  ]);
  command.action(async (flags: AgentFlags) => {
    process.exitCode = await execProgram('agent', [
      ...['--id', flags.id, '--state', flags.state, '--rung', flags.rung],
      ...(await serverArgs(flags)),
      ...(flags.slots === undefined ? [] : ['--slots', String(flags.slots)]),
      ...(flags.label ?? []).flatMap((label) => ['--label', label]),
      ...(flags.refresh === undefined ? [] : ['--refresh', `${flags.refresh}ms`]),
      ...(flags.logFile === undefined ? [] : ['--log-file', flags.logFile]),
    ]);
  });
}
