/** `benchmesh uncordon AGENT`: it may have new work again. */
import type { Command } from 'commander';
import { withExamples, withJson, withMesh } from '../command.ts';
import { cordonAgent, type CordonFlags } from '../runs/cordon-agent.ts';

export function build(command: Command): void {
  withMesh(withJson(command.argument('<agent>', 'its id'))).option(
    '--reason <text>',
    'shown in events',
  );
  command.addHelpText(
    'after',
    `
Takes a cordon back, whoever made it. An agent that drains goes on draining: benchmesh drain --undo.`,
  );
  withExamples(command, ['benchmesh uncordon local-1']);
  command.action((agent: string, flags: CordonFlags) => cordonAgent(agent, { undo: true, flags }));
}
