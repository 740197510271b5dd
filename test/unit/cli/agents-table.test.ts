/** The table of `agents`: what is left out where there is no room, and that its ids are whole. */
import { describe, expect, it } from 'vitest';
import { agentColumns } from '#cli/commands/agents.ts';
import { styleFor } from '#cli/output/style.ts';
import { table } from '#cli/output/table.ts';
import { widthOf } from '#cli/output/text.ts';
import type { AgentFold } from '#protocol/fold/fleet-fold.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';

const { registration } = goldenMessages['agent.changed'];

const agent = (id: string): AgentFold => ({
  ...{ agent: id, state: 'ready', unreachable: true, cordon: null },
  ...{ startedMs: 0, changedMs: 0, rejected: 0 },
  registration: {
    ...registration,
    ...{ hostname: 'a-long-host-name.rack-7.example', address: '192.168.100.101' },
    ...{ rung: 'subreaper', degraded: 'no cgroup v2 subtree is delegated to the agent' },
  },
});

describe('the table of agents', () => {
  it.each([
    [60, 'local-1'],
    [60, 'gpu-box-17-of-rack-4'],
    [40, 'local-1'],
    [80, 'local-1'],
  ])('at %i columns: %s is whole, and the rung goes before it is cut', (width, id) => {
    const [header = '', ...rows] = table([agent(id)], agentColumns(styleFor(false)), { width });
    expect([header, ...rows].every((line) => widthOf(line) <= width)).toBe(true);
    expect(rows[0]).toMatch(new RegExp(`^${id}  +unreachable `));
    expect(header).toMatch(/slots/);
    expect(header).not.toContain('better');
  });

  it('leaves nothing out into a pipe', () => {
    const [header] = table([agent('local-1')], agentColumns(styleFor(false)), { width: null });
    expect(header).toMatch(/^agent +state +host +address .* rung +no better rung +cpu /);
  });
});
