/** `benchmesh explain RUN/TASK` or `AGENT`: why a task does not run, why an agent has room while work waits. */
import type { Command } from 'commander';
import { MeshError } from '#protocol/messages/errors.ts';
import {
  AgentExplanation,
  TaskExplanation,
  type ExplainRequest,
} from '#protocol/messages/run/explain.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { call } from '#protocol/nats/rpc.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { openMesh } from '../mesh/find-mesh.ts';
import { agentExplanationLines, taskExplanationLines } from '../output/explain-text.ts';
import { terminal } from '../output/terminal.ts';
import { readRun, withRun } from '../runs/find-run.ts';
import { matchTask, parseTarget, type Target } from '../runs/match.ts';

interface ExplainFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run/task|agent>', 'a task, or the id of an agent')));
  command.addHelpText(
    'after',
    `
The leading coordinator answers, by the policies that place tasks. Of a task that waits: for each agent
the first reason for which it does not take it. Of an agent: for each run with tasks that wait, why none
of them goes there. A higher priority number goes first, then what was submitted earlier.`,
  );
  withExamples(command, ['benchmesh explain k3f9/d2xq', 'benchmesh explain local-1']);
  command.action(async (text: string, flags: ExplainFlags) => {
    if (text.includes('/')) await explainTask(parseTarget(text), flags);
    else await explainAgent(text, flags);
  });
}

async function explainTask(target: Target, flags: ExplainFlags): Promise<void> {
  if (target.n !== null)
    throw new MeshError(
      'usage',
      'a task is explained, not one attempt of it: leave out the number',
    );
  const { task: text } = target;
  await withRun(flags, target.run, async (found) => {
    const fold = await readRun(found);
    const task = matchTask(text ?? '', fold.tasks.keys());
    const explanation =
      found.kind === 'archived'
        ? endOf(fold, task)
        : TaskExplanation.parse(
            await call(found.mesh.connection, 'explain', asked({ run: found.run, task })),
          );
    if (flags.json === true) terminal.printJson('explain', explanation);
    else terminal.printLines(taskExplanationLines(explanation, terminal.width));
  });
}

const asked = (request: ExplainRequest): ExplainRequest => request;

function endOf({ run, tasks }: RunFold, id: string): TaskExplanation {
  const task = tasks.get(id);
  const outcome = task?.outcome ?? null;
  if (task === undefined || outcome === null)
    throw new MeshError('not_found', `the directory has no end of ${id}`);
  const { reason } = task;
  return { run, task: id, reason: { kind: 'ended', outcome, reason }, agents: [] };
}

async function explainAgent(agent: string, flags: ExplainFlags): Promise<void> {
  const mesh = await openMesh(flags, 'explain');
  try {
    const reply = await call(mesh.connection, 'explain', asked({ agent }));
    const explanation = AgentExplanation.parse(reply);
    if (flags.json === true) terminal.printJson('explain', explanation);
    else terminal.printLines(agentExplanationLines(explanation, terminal.width));
  } finally {
    await mesh.close();
  }
}
