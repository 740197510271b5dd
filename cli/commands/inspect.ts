/** `benchmesh inspect RUN/TASK[/N]`: an attempt as it is now, its processes included. */
import type { Command } from 'commander';
import type { AttemptFold } from '#protocol/fold/attempt-fold.ts';
import { InspectReply } from '#protocol/messages/agent/agent-api.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { inspectLines } from '../output/inspect-text.ts';
import { terminal } from '../output/terminal.ts';
import { askAgent } from '../runs/ask-agent.ts';
import { attemptOf, type Asked } from '../runs/find-attempt.ts';
import { readRun, withRun } from '../runs/find-run.ts';
import { parseTarget } from '../runs/match.ts';

interface InspectFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run/task[/n]>', 'id, a unique part of it, or latest')));
  command.addHelpText(
    'after',
    `
Its agent answers, not the log: processes with their state, CPU time, share of a CPU over the last
half second, memory and command, the GPUs it holds and who uses them, the step it is in, its log and
checkpoint so far. It ends with 9 where the attempt has ended, 5 where there is none, and 7 where its
agent does not answer.`,
  );
  withExamples(command, ['benchmesh inspect k3f9/d2xq', 'benchmesh inspect latest/d2xq/1 --json']);
  command.action(async (text: string, flags: InspectFlags) => {
    const asked = parseTarget(text);
    await withRun(flags, asked.run, async (found) => {
      const { ref, attempt } = attemptOf(await readRun(found), asked);
      if (found.kind === 'archived' || hasEnded(attempt)) throw endedAlready({ ref, attempt });
      const { agent } = attempt;
      const question = { agent, verb: 'inspect', body: { ...ref } };
      const reply = InspectReply.parse(await askAgent(found.mesh.connection, question));
      if (flags.json === true) terminal.printJson('inspect', reply);
      else terminal.printLines(inspectLines(reply, terminal));
    });
  });
}

/** What it left alive can still be looked at. */
function hasEnded({ exited }: AttemptFold): boolean {
  return exited !== null && exited.survivors.length === 0;
}

function endedAlready({ ref, attempt }: Asked): MeshError {
  const { run, task, n } = ref;
  const outcome = attempt.exited?.outcome ?? 'lost';
  return new MeshError(
    'already_ended',
    `attempt ${n} of ${run}/${task} has ended (${outcome}): benchmesh show ${run}/${task} says how`,
  );
}
