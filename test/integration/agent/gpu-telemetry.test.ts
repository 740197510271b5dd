/** Of a host with eight GPUs an attempt is told of those it has: in its result, and to who looks inside. */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { inspectLines } from '#cli/output/inspect-text.ts';
import { styleFor } from '#cli/output/style.ts';
import { askAgent } from '#cli/runs/ask-agent.ts';
import { InspectReply } from '#protocol/messages/agent/agent-api.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { FakeTools } from '#test/support/fake-tools.ts';
import { smiRow, smiTable } from '#test/support/smi-loop.ts';
import { answersOf, uuidOf } from '#test/support/smi-tables.ts';
import { until } from '#test/support/until.ts';
import {
  AGENT,
  attemptSpec,
  spawnAgent,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';

let mesh: TestMesh;
let tools: FakeTools;
let agent: AgentProcess | null;

beforeEach(async () => {
  mesh = await startTestMesh();
  tools = new FakeTools(join(mesh.dir, 'tools'));
  agent = null;
});
afterEach(async () => {
  if (agent !== null) await mesh.kill(agent);
  await mesh.close();
});

const wants = (gpus: number, script: string): AttemptSpec =>
  attemptSpec([step(script)], {
    needs: { slots: 1, cpus: 0, exclusive: false, gpus: { count: gpus } },
  });

const lookInside = async ({ run, task, n }: AttemptSpec): Promise<InspectReply> => {
  const body = { run, task, n };
  const reply = await askAgent(mesh.connection, { agent: AGENT, verb: 'inspect', body });
  return InspectReply.parse(reply);
};

const TWO_REASONS = '0x0000000000000024';

it('one of eight, one that is throttled, and none', { timeout: 90_000 }, async () => {
  const { gpus = '' } = answersOf(8);
  const rows = Array.from({ length: 8 }, (_, index) =>
    smiRow({
      index,
      uuid: uuidOf(index),
      power: `${100 + index}.00`,
      ...(index === 1 ? { reasons: TWO_REASONS } : {}),
    }),
  );
  const users = tools.loop('while :; do cat rows; sleep 1; done', {
    header: smiTable(),
    rows: `${rows.join('\n')}\n`,
    gpus,
  });
  agent = spawnAgent([...mesh.flags(), '--slots', '4'], { PATH: tools.path });
  await mesh.wait('agent.started');
  // Itself, and one of another attempt; nvidia-smi says who is there when it is asked for the first time.
  const [first, second, none] = [
    wants(1, `echo "${uuidOf(0)}, $$, 100, /usr/bin/python" >>${users}; exec sleep 5`),
    wants(1, `echo "${uuidOf(0)}, $$, 200, /usr/bin/stray" >>${users}; exec sleep 5`),
    wants(0, 'exec sleep 5'),
  ];
  for (const spec of [first, second, none]) await mesh.startAttempt(spec);
  const pids = await Promise.all(
    [first, second].map(async (spec) => (await mesh.began(spec)).data.pid ?? 0),
  );

  const seen = await until(async () => {
    const reply = await lookInside(first);
    return reply.gpus[0]?.sample && reply.gpus[0].users !== null ? reply : null;
  }, 'its GPU to be sampled');
  expect(seen.gpus).toHaveLength(1);
  const lines = inspectLines(seen, { style: styleFor(false), width: null });
  const [header = '', row = ''] = lines
    .slice(-2)
    .map((line) => line.trim().split(/ {2,}/).join('|'));
  expect(header).toBe('gpu|name|use|memory|of|power|temp|used by');
  expect(row).toBe(
    `0|NVIDIA L40S|98%|38120 MiB|46068 MiB|100 W|74 C|python ${pids[0]} 100 MiB, stray ${pids[1]} 200 MiB (not of this attempt)`,
  );
  expect((await lookInside(none)).gpus).toEqual([]);

  const measured = async (spec: AttemptSpec) => {
    const { telemetry } = (await mesh.exited(spec)).data;
    const series = Object.keys(telemetry?.series ?? {}).filter((name) => name.endsWith('.power'));
    const perturbed = (telemetry?.perturbed ?? []).filter(({ gpu }) => gpu !== null);
    return { series, perturbed, power: telemetry?.series[series[0] ?? '']?.mean };
  };
  expect(await measured(first)).toEqual({
    series: ['gpu.0.power'],
    power: 100,
    perturbed: [
      expect.objectContaining({
        reason: 'gpu_foreign',
        gpu: uuidOf(0),
        what: [`/usr/bin/stray (${pids[1]})`],
      }),
    ],
  });
  expect(await measured(second)).toEqual({
    series: ['gpu.1.power'],
    power: 101,
    perturbed: [expect.objectContaining({ reason: 'gpu_throttled', gpu: uuidOf(1) })],
  });
  expect(await measured(none)).toEqual({ series: [], power: undefined, perturbed: [] });
});
