/** `benchmesh cordon AGENT`: nothing new is handed to it, until `uncordon`. */
import type { Command } from 'commander';
import { withExamples, withJson, withMesh } from '../command.ts';
import { cordonAgent, type CordonFlags } from '../runs/cordon-agent.ts';

export function build(command: Command): void {
  withMesh(withJson(command.argument('<agent>', 'its id'))).option(
    '--reason <text>',
    'shown by agents and explain',
  );
  command.addHelpText(
    'after',
    `
What is with the agent already goes on there, what waits there too: benchmesh drain gives that back. The
coordinator keeps the cordon: it needs nothing of the agent, and holds over restarts of both.`,
  );
  withExamples(command, ['benchmesh cordon local-1 --reason "results look slow"']);
  command.action((agent: string, flags: CordonFlags) => cordonAgent(agent, { undo: false, flags }));
}
