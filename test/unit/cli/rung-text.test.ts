/** The rung of supervision, and why there is no better one, as `doctor` and `agents` show them. */
import { describe, expect, it } from 'vitest';
import { rungCheck } from '#cli/doctor/checks.ts';
import { agentLines } from '#cli/output/agent-text.ts';
import { styleFor } from '#cli/output/style.ts';
import type { AgentFold } from '#protocol/fold/fleet-fold.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';

const { registration } = goldenMessages['agent.changed'];
const on = (rung: Registration['rung'], degraded: string | null): Registration => ({
  ...registration,
  slots: 2,
  cpus: 2,
  rung,
  degraded,
});

describe('doctor', () => {
  it.each([
    [on('cgroup', null), 'ok', '2 slots, 2 CPUs, supervision rung cgroup'],
    [
      on('subreaper', 'u.scope is a systemd unit without Delegate=yes'),
      'ok',
      '2 slots, 2 CPUs, supervision rung subreaper (no cgroup rung: u.scope is a systemd unit without Delegate=yes)',
    ],
    [
      on('scan', 'meshrun does not run here'),
      'warn',
      '2 slots, 2 CPUs, supervision rung scan: meshrun does not run here',
    ],
  ])('says what a host stands on and why it is not more', (at, status, detail) => {
    expect(rungCheck('agent a', at)).toMatchObject({ status, detail });
  });
});

it('agents AGENT has both', () => {
  const agent: AgentFold = {
    agent: 'lab-1',
    state: 'ready',
    unreachable: false,
    cordon: null,
    startedMs: 0,
    changedMs: 0,
    rejected: 0,
    registration: on('subreaper', 'no cgroup v2 is mounted here'),
  };
  const text = agentLines(agent, { style: styleFor(false), width: null, state: 'ready' });
  expect(text.join('\n')).toMatch(/slots +2, supervision rung subreaper\n/);
  expect(text.join('\n')).toMatch(/no better rung +no cgroup v2 is mounted here\n/);
});
