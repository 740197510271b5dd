/** `benchmesh explain RUN/TASK`, `RUN` or `AGENT`: why a task does not run, why an agent has room while work waits. */
import type { Command } from 'commander';
import { MeshError } from '#protocol/messages/errors.ts';
import { isRunId } from '#protocol/messages/ids.ts';
import {
  AgentExplanation,
  RunExplanation,
  TaskExplanation,
  type ExplainRequest,
} from '#protocol/messages/run/explain.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { call } from '#protocol/nats/rpc.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { openIfAny, type OpenMesh } from '../mesh/find-mesh.ts';
import {
  agentExplanationLines,
  runExplanationLines,
  taskExplanationLines,
} from '../output/explain-text.ts';
import { terminal } from '../output/terminal.ts';
import { readRun, withRun } from '../runs/find-run.ts';
import { matchTask, parseTarget, type Target } from '../runs/match.ts';

interface ExplainFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  const what = 'a task, a run, or the id of an agent';
  withMesh(withJson(command.argument('<run/task|run|agent>', what)));
  command.addHelpText(
    'after',
    `
The leading coordinator answers, by the policies that place tasks. Of a task that waits: for each agent
the first reason for which it does not take it. Of a run: the same for its tasks that wait, those with the
same needs together, and what is held back: paused, waiting for a retry, with agents that are not heard.
Of an agent: for each run with tasks that wait, why none of them goes there. A higher priority number goes first, then the run
with the fewest slots in hand, then what was submitted earlier.`,
  );
  withExamples(command, [
    'benchmesh explain k3f9/d2xq',
    'benchmesh explain k3f9',
    'benchmesh explain local-1',
  ]);
  command.action(async (text: string, flags: ExplainFlags) => {
    if (text.includes('/')) await explainTask(parseTarget(text), flags);
    else await explainOne(text, flags);
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

/** An agent by its id; or a run, as everywhere by its id, a part of it, or `latest`. */
async function explainOne(text: string, flags: ExplainFlags): Promise<void> {
  const isRun = isRunId(text) || text === 'latest';
  if (!isRun && (await explainAgent(text, flags))) return;
  try {
    await withRun(flags, text, async (found) => {
      if (found.kind === 'live') await explainRun(found.mesh, found.run, flags);
      else show(ended(await readRun(found)), flags);
    });
  } catch (error) {
    if (isRun || !isNotFound(error)) throw error;
    const hint = 'benchmesh agents and benchmesh runs list them';
    throw new MeshError('not_found', `there is no agent and no run "${text}": ${hint}`);
  }
}

const isNotFound = (error: unknown): boolean =>
  error instanceof MeshError && error.code === 'not_found';

/** Of a run that has ended: nothing of it waits. */
function ended({ run, tasks }: RunFold): RunExplanation {
  const { size } = tasks;
  const nothing = { groups: [], more: 0, heldBack: [], other: 0 };
  return { run, tasks: size, ended: size, handedOut: 0, ...nothing };
}

function show(explanation: RunExplanation, flags: ExplainFlags): void {
  if (flags.json === true) terminal.printJson('explain', explanation);
  else terminal.printLines(runExplanationLines(explanation, terminal.width));
}

async function explainRun(
  { connection }: OpenMesh,
  run: string,
  flags: ExplainFlags,
): Promise<void> {
  show(RunExplanation.parse(await call(connection, 'explain', asked({ run }))), flags);
}

/** False where no mesh runs, or none of its agents has this id. */
async function explainAgent(agent: string, flags: ExplainFlags): Promise<boolean> {
  const mesh = await openIfAny(flags, 'explain');
  if (mesh === null) return false;
  try {
    const reply = await call(mesh.connection, 'explain', asked({ agent }));
    const explanation = AgentExplanation.parse(reply);
    if (flags.json === true) terminal.printJson('explain', explanation);
    else terminal.printLines(agentExplanationLines(explanation, terminal.width));
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  } finally {
    await mesh.close();
  }
}
