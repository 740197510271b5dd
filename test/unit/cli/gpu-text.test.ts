/** GPUs as `agents`, `agents AGENT` and `doctor` show them. */
import { describe, expect, it } from 'vitest';
import { troubleLines } from '#cli/commands/agents.ts';
import { gpuChecks } from '#cli/doctor/gpu-checks.ts';
import { agentLines } from '#cli/output/agent-text.ts';
import { gpusText } from '#cli/output/gpu-text.ts';
import { styleFor } from '#cli/output/style.ts';
import { widthOf } from '#cli/output/text.ts';
import { applyToFleet, createFleetFold, type AgentFold } from '#protocol/fold/fleet-fold.ts';
import type { Gpu, GpuProbe, Hardware } from '#protocol/messages/agent/hardware.ts';
import type { Message } from '#protocol/messages/envelope.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';

const { registration } = goldenMessages['agent.changed'];
const { hardware } = registration;
if (hardware === undefined) throw new Error('the golden registration has no hardware');
const GPU = { ...(hardware.gpus[0] as Gpu), state: 'ready', reason: null } as const;
const gpu = (id: string, change: Partial<Gpu> = {}): Gpu => ({ ...GPU, id, ...change });
const host = (gpus: readonly Gpu[], gpuProbes: readonly GpuProbe[] = []): Hardware => ({
  ...hardware,
  gpus: [...gpus],
  gpuProbes: [...gpuProbes],
});
const failedProbe: GpuProbe = { tool: 'nvidia-smi', state: 'failed', reason: 'nvidia-smi hangs' };

describe('the column', () => {
  it.each<[string, Hardware, string]>([
    ['none', host([]), '-'],
    ['two of a kind', host([gpu('a'), gpu('b')]), '2x NVIDIA L40S'],
    ['one failed', host([gpu('a'), gpu('b', { state: 'failed' })]), '2x NVIDIA L40S (1 failed)'],
    [
      'instances, without the GPU they are part of',
      host([gpu('a', { state: 'partitioned' }), gpu('m', { kind: 'mig', name: 'X MIG 1g' })]),
      '1x X MIG 1g',
    ],
    ['a tool in trouble', host([], [failedProbe]), 'nvidia-smi failed'],
    [
      'a nameless one',
      host([gpu('a', { name: null, state: 'absent' })]),
      '1x unknown nvidia (1 absent)',
    ],
  ])('%s', (_name, value, text) => {
    expect(gpusText(value)).toBe(text);
  });
});

const fold = (change: Partial<Registration>): AgentFold => ({
  ...{
    agent: 'lab-1',
    state: 'ready',
    unreachable: false,
    cordon: null,
    startedMs: 0,
    changedMs: 0,
    rejected: 0,
  },
  registration: { ...registration, ...change },
});

describe('troubles', () => {
  it('are named below the table, within the width; a stopped agent has none', () => {
    const bad = gpu('GPU-b', { state: 'failed', reason: `lost\u001b[31m ${'very '.repeat(50)}` });
    const agent = fold({ hardware: host([GPU, bad], [failedProbe]) });
    const lines = troubleLines([agent], 60);
    expect(lines[0]).toBe('lab-1: nvidia-smi failed: nvidia-smi hangs');
    expect(lines[1]).toMatch(/^lab-1: GPU 0 \(NVIDIA L40S, GPU-b\) failed: lost very/);
    expect(lines.every((line) => widthOf(line) <= 60)).toBe(true);
    expect(troubleLines([{ ...agent, state: 'stopped' }], 60)).toEqual([]);
    expect(troubleLines([fold({})], null)[0]).toContain('degraded: faulty memory');
  });

  it.each<[string, Hardware | undefined, [string, string][]]>([
    ['an agent of before', undefined, []],
    ['no GPU', host([]), []],
    ['all well', host([GPU]), [['ok', '1x NVIDIA L40S']]],
    [
      'one failed and one degraded',
      host([
        gpu('a', { state: 'failed', reason: 'lost' }),
        gpu('b', { state: 'degraded', reason: 'ECC' }),
      ]),
      [
        ['fail', 'GPU 0 (NVIDIA L40S, a) is failed: lost'],
        ['warn', 'GPU 0 (NVIDIA L40S, b) is degraded: ECC'],
      ],
    ],
    [
      'absent',
      host([gpu('a', { state: 'absent', reason: 'gone' })]),
      [['fail', 'GPU 0 (NVIDIA L40S, a) is absent: gone']],
    ],
    ['a tool that hangs', host([], [failedProbe]), [['fail', 'nvidia-smi hangs']]],
    [
      'a tool that hangs is told once, by its GPUs',
      host([gpu('a', { state: 'failed', reason: 'nvidia-smi hangs' })], [failedProbe]),
      [['fail', 'GPU 0 (NVIDIA L40S, a) is failed: nvidia-smi hangs']],
    ],
    [
      'a GPU nobody installed a driver for is no failure',
      host(
        [gpu('a', { state: 'failed', reason: 'none' })],
        [{ tool: 'nvidia-smi', state: 'absent', reason: null }],
      ),
      [['warn', 'GPU 0 (NVIDIA L40S, a) is failed: none']],
    ],
  ])('doctor: %s', (_name, value, expected) => {
    const { hardware: _golden, ...bare } = registration;
    const checks = gpuChecks('agent a', value === undefined ? bare : { ...bare, hardware: value });
    expect(checks.map(({ status, detail }) => [status, detail])).toEqual(expected);
    for (const { status, advice } of checks) expect(advice === null).toBe(status === 'ok');
  });
});

describe('one agent at length', () => {
  const style = styleFor(false);

  it.each([40, 80, 200])('fits a terminal of %i columns', (width) => {
    const lines = agentLines(fold({}), { style, width, state: 'ready' });
    expect(lines.every((line) => widthOf(line) <= width)).toBe(true);
  });

  it('has what the host is and has', () => {
    const text = agentLines(fold({}), { style, width: null, state: 'ready' }).join('\n');
    expect(text).toContain('in a container (docker)');
    expect(text).toContain('1 socket, 8 cores, 16 threads, 1 NUMA node, 2 usable');
    expect(text).toContain('CPU quota 2.5, cpuset 0-3, memory 23.4 GiB (cgroup v2)');
    expect(text).toContain('rack=r7');
    expect(text).toContain('ffmpeg 20037');
    expect(text).toContain('degraded: faulty memory');
  });

  it('is shown of an agent that tells less', () => {
    const { hardware: _hardware, labels: _labels, ...bare } = registration;
    const lines = agentLines(
      { ...fold({}), registration: bare },
      { style, width: 80, state: 'ready' },
    );
    expect(lines[0]).toBe('lab-1 ready');
    expect(
      agentLines({ ...fold({}), registration: null }, { style, width: 80, state: 'ready' }),
    ).toHaveLength(1);
  });
});

it('the fleet shows the newest of what a host said, and when it started', () => {
  const fleet = createFleetFold();
  const subject = subjects.hostEvents('local-1');
  const say = (sequence: number, message: unknown): void => {
    applyToFleet(fleet, {
      subject,
      sequence,
      timeMs: sequence * 1_000,
      message: message as Message,
    });
  };
  const { hardware: _hardware, ...bare } = registration;
  say(1, { name: 'agent.changed', data: goldenMessages['agent.changed'] });
  expect(fleet.agents.size).toBe(0); // of an agent whose start is not known nothing is said
  say(2, { name: 'agent.started', data: { registration: bare, adopted: 0 } });
  say(3, { name: 'agent.changed', data: goldenMessages['agent.changed'] });
  expect(fleet.agents.get('local-1')).toMatchObject({
    registration,
    startedMs: 2_000,
    changedMs: 3_000,
  });
  say(4, { name: 'agent.started', data: { registration: bare, adopted: 0 } });
  expect(fleet.agents.get('local-1')?.registration).toEqual(bare);
});
