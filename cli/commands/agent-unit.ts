/** `benchmesh agent unit`: a systemd unit for the agent as it is installed here. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { configFile, readAgentConfig } from '../agent/agent-args.ts';
import { unitFile } from '../agent/unit-file.ts';
import { withExamples } from '../command.ts';
import { programFile } from '../mesh/programs.ts';
import { terminal } from '../output/terminal.ts';

interface UnitFlags {
  readonly config?: string;
  readonly user?: boolean;
}

export function buildUnit(command: Command): void {
  command
    .option('--config <file>', 'config file the agent reads; it must be right when this is printed')
    .option('--user', 'for the systemd of a user, without root');
  withExamples(command, [
    'benchmesh agent unit --config /etc/benchmesh/agent.yaml > /etc/systemd/system/benchmesh-agent.service',
    'benchmesh agent unit --user --config agent.yaml > ~/.config/systemd/user/benchmesh-agent.service',
  ]);
  command.action(async (flags: UnitFlags) => {
    const file = configFile(flags.config);
    if (file !== null) await readAgentConfig(file);
    terminal.printLines(
      unitFile({
        node: process.execPath,
        program: programFile('benchmesh'),
        config: file === null ? null : resolve(file),
        isUser: flags.user === true,
      }),
    );
  });
}
