/** `benchmesh agents [AGENT]`: who is in the mesh, what they have, and how they supervise; `agents forget AGENT`. */
import type { Command } from 'commander';
import type { AgentFold } from '#protocol/fold/fleet-fold.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { openMesh } from '../mesh/find-mesh.ts';
import { agentLines } from '../output/agent-text.ts';
import { cordonText } from '../output/explain-text.ts';
import { dash, date } from '../output/format.ts';
import { gpusText, gpuTroubles } from '../output/gpu-text.ts';
import { paintState, type Style } from '../output/style.ts';
import { table, type Column } from '../output/table.ts';
import { terminal } from '../output/terminal.ts';
import { oneLine, truncate } from '../output/text.ts';
import { readFleet } from '../runs/fleet.ts';
import { forgetAgent, type ForgetFlags } from '../runs/forget-agent.ts';

interface AgentsFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  buildForget(
    command.command('forget').description('Give up an agent whose host is gone for good.'),
  );
  withMesh(withJson(command)).argument('[agent]', 'one agent, at length');
  withExamples(command, [
    'benchmesh agents',
    'benchmesh agents local-1',
    'benchmesh agents --json',
  ]);
  command.action(async (id: string | undefined, flags: AgentsFlags) => {
    const mesh = await openMesh(flags, 'agents');
    try {
      const { sequence, agents: all } = await readFleet(mesh.connection);
      const agents = id === undefined ? all : all.filter(({ agent }) => agent === id);
      if (id !== undefined && agents.length === 0) {
        throw new MeshError('not_found', `no agent ${id} has joined: benchmesh agents lists them`);
      }
      if (flags.json === true) {
        terminal.printJson('agents', { sequence, agents: agents.map(agentJson) });
        return;
      }
      const { style, width } = terminal;
      if (id !== undefined) {
        for (const agent of agents) {
          terminal.printLines(agentLines(agent, { style, width, state: agentState(agent) }));
        }
      } else if (agents.length === 0) {
        terminal.note('no agent has joined: benchmesh up starts one');
      } else {
        terminal.printLines(table(agents, agentColumns(style), { width, paintHeader: style.dim }));
        terminal.printLines(troubleLines(agents, width).map(style.warn));
      }
    } finally {
      await mesh.close();
    }
  });
}

function buildForget(command: Command): void {
  withMesh(withJson(command.argument('<agent>', 'its id')))
    .option('--reason <text>', 'kept with the word')
    .option('--force', 'also an agent that is there');
  command.addHelpText(
    'after',
    `
What it was given goes on elsewhere at once, whatever the suite says of lost hosts; stops that wait for it close
as unproven: whether something runs on there is not verified. Its id is free. If it comes back with the same state
folder it enrols anew, and ends what it still runs.`,
  );
  withExamples(command, ['benchmesh agents forget gpu-7 --reason "its lease is over"']);
  // What both take is read as of `agents`, wherever it stands.
  command.action((agent: string) => forgetAgent(agent, command.optsWithGlobals<ForgetFlags>()));
}

/** State as people see it. */
export function agentState(agent: AgentFold): string {
  if (agent.state === 'stopped') return 'stopped';
  if (agent.unreachable) return 'unreachable';
  return agent.state === 'ready' && agent.cordon !== null ? 'cordoned' : agent.state;
}

function agentJson(agent: AgentFold): Record<string, unknown> {
  const { registration } = agent;
  return {
    agent: agent.agent,
    state: agentState(agent),
    unreachable: agent.unreachable,
    cordon: agent.cordon,
    started: new Date(agent.startedMs).toISOString(),
    changed: new Date(agent.changedMs).toISOString(),
    rejected: agent.rejected,
    registration,
  };
}

/** Who cordoned an agent, and why a GPU is not ready, below the table: there is no room for it in a column. Pure. */
export function troubleLines(agents: readonly AgentFold[], width: number | null): string[] {
  return agents.flatMap(({ agent, state, cordon, registration }) => {
    const hardware = registration?.hardware;
    const ofGpus = hardware === undefined || state === 'stopped' ? [] : gpuTroubles(hardware);
    const troubles = cordon === null ? ofGpus : [cordonText(cordon), ...ofGpus];
    return troubles.map((trouble) => {
      const line = oneLine(`${agent}: ${trouble}`);
      return width === null ? line : truncate(line, width);
    });
  });
}

/** Of what has no room the last is left out first; its id is what people copy. */
export function agentColumns(style: Style): Column<AgentFold>[] {
  const of =
    (read: (of: NonNullable<AgentFold['registration']>) => string) => (agent: AgentFold) =>
      agent.registration === null ? '-' : read(agent.registration);
  return [
    { header: 'agent', value: (agent) => agent.agent, isKey: true },
    { header: 'state', value: agentState, paint: (cell) => paintState(style, cell) },
    { header: 'host', value: of((at) => at.hostname), shrinkTo: 8, optional: true },
    { header: 'address', value: of((at) => at.address), optional: true },
    { header: 'slots', value: of((at) => String(at.slots)), align: 'right' },
    { header: 'cpus', value: of((at) => String(at.cpus)), align: 'right', optional: true },
    {
      header: 'memory',
      value: of((at) => `${(at.memoryMiB / 1_024).toFixed(1)} GiB`),
      align: 'right',
      optional: true,
    },
    {
      header: 'gpus',
      value: of((at) => (at.hardware === undefined ? '-' : gpusText(at.hardware))),
      shrinkTo: 12,
    },
    { header: 'rung', value: of((at) => at.rung), optional: true },
    {
      header: 'no better rung',
      value: of((at) => dash(at.degraded)),
      shrinkTo: 14,
      optional: true,
    },
    { header: 'cpu', value: of((at) => at.cpuModel), shrinkTo: 10, optional: true },
    {
      header: 'since',
      value: (agent) => date(new Date(agent.startedMs).toISOString()),
      optional: true,
    },
    { header: 'version', value: of((at) => at.version), optional: true },
  ];
}
