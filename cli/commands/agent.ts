/** `benchmesh agent`: what is done on a host that joins a mesh. */
import type { Command } from 'commander';
import { buildRun } from './agent-run.ts';
import { buildUnit } from './agent-unit.ts';

export function build(command: Command): void {
  command.helpCommand(false);
  buildRun(command.command('run').description('Run an agent in the foreground.'));
  buildUnit(
    command.command('unit').description('Print a systemd unit that runs the agent of this host.'),
  );
}
