/** `benchmesh drain AGENT`: it takes nothing new, until `--undo`. */
import type { Command } from 'commander';
import type { AgentFold } from '#protocol/fold/fleet-fold.ts';
import { DrainReply } from '#protocol/messages/agent/drain.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { call } from '#protocol/nats/rpc.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { openMesh } from '../mesh/find-mesh.ts';
import { operator } from '../mesh/home.ts';
import { terminal } from '../output/terminal.ts';
import { followDrain, type DrainWatch } from '../runs/follow-drain.ts';
import { readFleet } from '../runs/fleet.ts';

interface DrainFlags extends MeshFlags, JsonFlag {
  readonly undo?: boolean;
  readonly reason?: string;
  readonly wait?: boolean;
}

/** Agents beat each 2 s and obey at once. */
const ANSWER_MS = 10_000;

export function build(command: Command): void {
  withMesh(withJson(command.argument('<agent>', 'its id')))
    .option('--undo', 'take it back: it takes work again')
    .option('--reason <text>', 'kept with the order and shown in events')
    .option('--wait', 'until nothing runs there any more');
  command.addHelpText(
    'after',
    `
What runs there ends by itself, what had not begun is given back and runs elsewhere, uncounted; a task
that fits no other agent waits. It holds over restarts of the agent. The coordinator keeps the order, so
an agent that is away obeys when it is back; then this ends with 7, the order stored.`,
  );
  withExamples(command, [
    'benchmesh drain local-1 --reason "new driver"',
    'benchmesh drain local-1 --wait',
    'benchmesh drain local-1 --undo',
  ]);
  command.action(async (agent: string, flags: DrainFlags) => {
    const undo = flags.undo === true;
    if (undo && flags.wait === true)
      throw new MeshError(
        'usage',
        '--wait is for a drain: there is nothing to wait for with --undo',
      );
    const mesh = await openMesh(flags, 'drain');
    try {
      const { connection } = mesh;
      const { sequence, agents } = await readFleet(connection);
      const known = agents.find((one) => one.agent === agent);
      if (known === undefined)
        throw new MeshError(
          'not_found',
          `no agent ${agent} has joined: benchmesh agents lists them`,
        );
      const watch = followDrain(connection, { agent, undo, fromSequence: sequence + 1 });
      try {
        const request = { agent, by: operator(), reason: flags.reason ?? null, undo };
        const reply = DrainReply.parse(await call(connection, 'drain', request));
        if (!isThere(known, undo)) await answered(watch, { agent, undo, away: reply.unreachable });
        if (flags.wait === true) await watch.idle;
      } finally {
        await watch.close();
      }
      say(agent, { undo, waited: flags.wait === true, isJson: flags.json === true });
    } finally {
      await mesh.close();
    }
  });
}

/** It says nothing where nothing changes. */
function isThere({ state }: AgentFold, undo: boolean): boolean {
  return state === (undo ? 'ready' : 'draining');
}

async function answered(
  watch: DrainWatch,
  { agent, undo, away }: { readonly agent: string; readonly undo: boolean; readonly away: boolean },
): Promise<void> {
  const isSaid = !away && (await watch.saidWithin(ANSWER_MS));
  if (isSaid) return;
  const why = away ? 'is unreachable' : `has not answered within ${ANSWER_MS / 1_000} s`;
  const then = undo ? 'it takes work again when it has read it' : 'it obeys when it has read it';
  throw new MeshError(
    'agent_unreachable',
    `the order is stored, but agent ${agent} ${why}: ${then}`,
  );
}

function say(
  agent: string,
  {
    undo,
    waited,
    isJson,
  }: { readonly undo: boolean; readonly waited: boolean; readonly isJson: boolean },
): void {
  const state = undo ? 'ready' : 'draining';
  if (isJson) terminal.printJson('drain', { agent, state, idle: waited });
  else if (undo) terminal.print(`agent ${agent} takes work again`);
  else
    terminal.print(
      `agent ${agent} takes nothing new${waited ? ', and nothing runs there' : '; what runs ends by itself'}`,
    );
}
