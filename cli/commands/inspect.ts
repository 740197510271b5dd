/** `benchmesh inspect RUN/TASK[/N]`: an attempt as it is now, its processes included. */
import type { Command } from 'commander';
import type { AttemptFold } from '#protocol/fold/attempt-fold.ts';
import { InspectReply } from '#protocol/messages/agent/agent-api.ts';
import { MeshError, toError } from '#protocol/messages/errors.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import {
  withExamples,
  withJson,
  withMesh,
  withRank,
  type JsonFlag,
  type MeshFlags,
  type RankFlag,
} from '../command.ts';
import { inspectLines } from '../output/inspect-text.ts';
import { terminal } from '../output/terminal.ts';
import { askAgent } from '../runs/ask-agent.ts';
import { attemptOf, membersAsked, type Asked } from '../runs/find-attempt.ts';
import { readRun, withRun } from '../runs/find-run.ts';
import { parseTarget } from '../runs/match.ts';
import { nameOf } from '../runs/work-file.ts';

interface InspectFlags extends MeshFlags, JsonFlag, RankFlag {}

export function build(command: Command): void {
  withRank(
    withMesh(withJson(command.argument('<run/task[/n]>', 'id, a unique part of it, or latest'))),
    'every rank that has not ended',
  );
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
      const fold = await readRun(found);
      const target = { ...asked, rank: flags.rank };
      const live = membersAsked(fold, target).filter(({ attempt }) => !hasEnded(attempt));
      if (found.kind === 'archived' || live.length === 0)
        throw endedAlready(attemptOf(fold, target));
      const { connection } = found.mesh;
      const answers = await Promise.allSettled(live.map((one) => inspected(connection, one)));
      const replies = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      if (flags.json !== true)
        for (const reply of replies) terminal.printLines(inspectLines(reply, terminal));
      else if (live[0]?.ref.rank === undefined || flags.rank !== undefined)
        for (const reply of replies) terminal.printJson('inspect', reply);
      else terminal.printJson('inspect', { ...attemptOf(fold, asked).ref, ranks: replies });
      for (const answer of answers) if (answer.status === 'rejected') throw toError(answer.reason);
    });
  });
}

type Inspected = InspectReply & { readonly rank?: number };

async function inspected(
  connection: MeshConnection,
  { ref: { run, task, n, rank }, attempt: { agent } }: Asked,
): Promise<Inspected> {
  const question = { agent, verb: 'inspect', body: { run, task, n } };
  const reply = InspectReply.parse(await askAgent(connection, question));
  return rank === undefined ? reply : { ...reply, rank };
}

/** What it left alive can still be looked at. */
function hasEnded({ exited }: AttemptFold): boolean {
  return exited !== null && exited.survivors.length === 0;
}

function endedAlready({ ref, attempt }: Asked): MeshError {
  const { run, task } = ref;
  const outcome = attempt.exited?.outcome ?? 'lost';
  return new MeshError(
    'already_ended',
    `${nameOf(ref)} has ended (${outcome}): benchmesh show ${run}/${task} says how`,
  );
}
