/** `benchmesh agents`: who is in the mesh, what they have, and how they supervise. */
import type { Command } from 'commander';
import type { AgentFold } from '#protocol/fold/fleet-fold.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { openMesh } from '../mesh/find-mesh.ts';
import { dash, date } from '../output/format.ts';
import { paintState, type Style } from '../output/style.ts';
import { table, type Column } from '../output/table.ts';
import { terminal } from '../output/terminal.ts';
import { readFleet } from '../runs/fleet.ts';

interface AgentsFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  withMesh(withJson(command));
  withExamples(command, ['benchmesh agents', 'benchmesh agents --json']);
  command.action(async (flags: AgentsFlags) => {
    const mesh = await openMesh(flags, 'agents');
    try {
      const { sequence, agents } = await readFleet(mesh.connection);
      if (flags.json === true) {
        terminal.printJson('agents', { sequence, agents: agents.map(agentJson) });
        return;
      }
      if (agents.length === 0) terminal.note('no agent has joined: benchmesh up starts one');
      else {
        const { style, width } = terminal;
        terminal.printLines(table(agents, columns(style), { width, paintHeader: style.dim }));
      }
    } finally {
      await mesh.close();
    }
  });
}

/** State as people see it. */
export function agentState(agent: AgentFold): string {
  if (agent.state === 'stopped') return 'stopped';
  return agent.unreachable ? 'unreachable' : agent.state;
}

function agentJson(agent: AgentFold): Record<string, unknown> {
  const { registration } = agent;
  return {
    agent: agent.agent,
    state: agentState(agent),
    unreachable: agent.unreachable,
    started: new Date(agent.startedMs).toISOString(),
    changed: new Date(agent.changedMs).toISOString(),
    rejected: agent.rejected,
    registration,
  };
}

function columns(style: Style): Column<AgentFold>[] {
  const of =
    (read: (of: NonNullable<AgentFold['registration']>) => string) => (agent: AgentFold) =>
      agent.registration === null ? '-' : read(agent.registration);
  return [
    { header: 'agent', value: (agent) => agent.agent },
    { header: 'state', value: agentState, paint: (cell) => paintState(style, cell) },
    { header: 'host', value: of((at) => at.hostname), shrinkTo: 8 },
    { header: 'address', value: of((at) => at.address) },
    { header: 'slots', value: of((at) => String(at.slots)), align: 'right' },
    { header: 'cpus', value: of((at) => String(at.cpus)), align: 'right' },
    {
      header: 'memory',
      value: of((at) => `${(at.memoryMiB / 1_024).toFixed(1)} GiB`),
      align: 'right',
    },
    { header: 'rung', value: of((at) => at.rung) },
    { header: 'degraded', value: of((at) => dash(at.degraded)), shrinkTo: 10 },
    { header: 'cpu', value: of((at) => at.cpuModel), shrinkTo: 10, optional: true },
    {
      header: 'since',
      value: (agent) => date(new Date(agent.startedMs).toISOString()),
      optional: true,
    },
    { header: 'version', value: of((at) => at.version), optional: true },
  ];
}
