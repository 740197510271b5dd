/**
 * A real agent that gives GPUs of a fake nvidia-smi to attempts: by UUID, to one at a time, never a fenced
 * one, over a restart, and through every trouble of the tool.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LOADED_VRAM } from '#agent/attempt/loaded-vram.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import { FakeTools } from '#test/support/fake-tools.ts';
import { CAPTURES, type Capture } from '#test/support/smi-captures.ts';
import { answersOf, uuidOf } from '#test/support/smi-tables.ts';
import { until } from '#test/support/until.ts';
import {
  AGENT,
  attemptSpec,
  ROOT,
  spawnAgent,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';

const run = promisify(execFile);

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

async function start(refresh = '1s'): Promise<void> {
  const before = mesh.find('agent.started').length;
  const flags = [...mesh.flags(), '--refresh', refresh, '--slots', '4'];
  agent = spawnAgent(flags, { PATH: tools.path, CUDA_VISIBLE_DEVICES: 'inherited' });
  await until(() => mesh.find('agent.started').length > before, 'the agent to start');
}

async function cli(...args: string[]): Promise<string> {
  const { url, credentialFile } = mesh.server;
  const flags = ['--server', url, '--credential', credentialFile];
  const main = ['--import', 'tsx', join(ROOT, 'cli/main.ts')];
  const { stdout } = await run(process.execPath, [...main, ...args, ...flags], { cwd: ROOT });
  return stdout;
}

const SAY = 'echo "pid $$"; env | grep -E "^(CUDA|NVIDIA)_VISIBLE_DEVICES="';
/** Says what it was given, and ends when the file is there. */
const holding = (file: string): string => `${SAY}; until [ -e ${file} ]; do sleep 0.05; done`;

function wants(gpus: number | null, script = SAY): AttemptSpec {
  const needs = { slots: 1, cpus: 0, exclusive: false };
  return attemptSpec([step(script)], {
    needs: gpus === null ? needs : { ...needs, gpus: { count: gpus } },
  });
}

const given = async (spec: AttemptSpec): Promise<string[]> =>
  ((await mesh.began(spec)).data.resources?.gpus ?? []).map(({ id }) => id);

const said = async (spec: AttemptSpec): Promise<string> => {
  expect((await mesh.exited(spec)).data.outcome).toBe('passed');
  return (await mesh.log(spec)).stdout.toString();
};

const fences = (): string[] =>
  (mesh.find('agent.changed').at(-1)?.data.registration.hardware?.gpus ?? []).flatMap(
    ({ fence }) => fence?.reason ?? [],
  );

const waits = async (spec: AttemptSpec, reason: string): Promise<void> => {
  await until(
    () => mesh.of(spec, 'attempt.waiting').some(({ data }) => data.reason.includes(reason)),
    `it to wait: ${reason}; said ${mesh
      .of(spec, 'attempt.waiting')
      .map(({ data }) => data.reason)
      .join(' | ')}`,
  );
};

describe('an agent gives GPUs', { timeout: 120_000 }, () => {
  it('to one attempt at a time, by UUID; keeps that over a restart; tells what it gave', async () => {
    tools.answer(answersOf(2));
    await start('60s');
    const file = join(mesh.dir, 'go');
    const [a, b, c, none, unsaid] = [
      wants(1, holding(file)),
      wants(1, holding(`${file}.b`)),
      wants(1),
      wants(0),
      wants(null),
    ];
    for (const spec of [a, b]) await mesh.startAttempt(spec);
    expect([await given(a), await given(b)]).toEqual([[uuidOf(0)], [uuidOf(1)]]);
    for (const spec of [none, unsaid]) await mesh.startAttempt(spec);
    expect(await said(none)).toContain('CUDA_VISIBLE_DEVICES=\nNVIDIA_VISIBLE_DEVICES=void\n');
    expect(await said(unsaid)).toContain('CUDA_VISIBLE_DEVICES=inherited\n');

    if (agent !== null) await mesh.kill(agent);
    await start('60s');
    await mesh.startAttempt(c);
    await until(() => mesh.find('attempt.adopted').length === 2, 'both to be adopted');
    expect(mesh.of(c, 'attempt.step_started')).toEqual([]);
    await run('touch', [`${file}.b`]);
    expect(await given(c)).toEqual([uuidOf(1)]);
    expect(await said(c)).toContain(
      `CUDA_VISIBLE_DEVICES=${uuidOf(1)}\nNVIDIA_VISIBLE_DEVICES=${uuidOf(1)}\n`,
    );
    await run('touch', [file]);
    const { resources } = (await mesh.exited(a)).data;
    expect(resources?.gpus).toMatchObject([{ id: uuidOf(0), index: 0, name: 'NVIDIA L40S' }]);
    expect(resources?.gpus[0]?.driver).toMatch(/^\d+\./);
    expect(resources?.host.kernel).not.toBe('');
    expect((await mesh.exited(a)).data.automatic?.map(({ name }) => name)).not.toContain(
      LOADED_VRAM,
    );
    // Never at rest: after the looks of two starts, only attempts that need a GPU had one taken.
    const looks = tools.calls().filter((call) => call.includes('--query-gpu'));
    expect(looks.length).toBeLessThanOrEqual(6);
    const loads = { ...wants(1), steps: [step('true', { step: 'load' }), step('true')] };
    await mesh.startAttempt(loads);
    const { automatic } = (await mesh.exited(loads)).data;
    const loaded = automatic?.find(({ name }) => name === LOADED_VRAM);
    expect(loaded).toMatchObject({ unit: 'MiB', direction: 'none' });
    expect(loaded?.value).toBeGreaterThanOrEqual(0);
  });

  it.each(CAPTURES)('of every capture: %s', async (capture: Capture) => {
    tools.replay(capture, 'idle');
    await start('60s');
    const spec = wants(1);
    await mesh.startAttempt(spec);
    const [gpu] = await given(spec);
    expect(gpu).toMatch(capture === 'h100-mig' ? /^MIG-/ : /^GPU-/);
    expect(await said(spec)).toContain(`CUDA_VISIBLE_DEVICES=${gpu ?? ''}\n`);
    const many = wants(99);
    await mesh.startAttempt(many);
    expect((await mesh.exited(many)).data).toMatchObject({
      stage: 'provision',
      class: 'preflight',
    });
  });

  it('never one that a stranger uses: it is fenced, what waits says so, and it comes back by itself', async () => {
    tools.answer(answersOf(1, [{ gpu: 0, pid: process.pid }]));
    await start();
    const [spec, beside] = [wants(1), wants(0)];
    await mesh.startAttempt(spec);
    await waits(spec, `GPU 0 is fenced: in use by python (pid ${process.pid})`);
    expect(fences()).toEqual([`in use by python (pid ${process.pid})`]);
    expect(await cli('agents')).toContain('1x NVIDIA L40S (1 fenced)');
    const page = await cli('agents', AGENT);
    expect(page).toContain('used');
    expect(page).toMatch(/fenced since \S+: in use by python/);
    // It holds up nobody who needs no GPU.
    await mesh.startAttempt(beside);
    await said(beside);
    expect(mesh.of(spec, 'attempt.step_started')).toEqual([]);
    tools.answer(answersOf(1));
    expect(await given(spec)).toEqual([uuidOf(0)]);
    await until(() => fences().length === 0, 'the fence to be taken away');
    expect(await cli('agents')).not.toContain('fenced');
  });

  it('tells its own processes from others, and one attempt from another', async () => {
    tools.answer(answersOf(2));
    await start();
    const file = join(mesh.dir, 'go');
    const spec = wants(1, holding(file));
    await mesh.startAttempt(spec);
    const pid = (await mesh.began(spec)).data.pid ?? 0;
    tools.answer(
      answersOf(2, [
        { gpu: 0, pid },
        { gpu: 1, pid },
      ]),
    );
    await until(() => fences().length > 0, 'a fence');
    expect(fences()).toEqual([
      `in use by python (pid ${pid}) of ${attemptKey(spec)}, which was not given it`,
    ]);
    await run('touch', [file]);
    await said(spec);
  });

  it('through every trouble of nvidia-smi, and its switches from one to another', async () => {
    tools.answer(answersOf(2));
    await start();
    const troubles: readonly [string, () => void, string][] = [
      [
        'exit 9',
        () => {
          tools.answer({}, 'echo "NVIDIA-SMI has failed"; exit 9\n');
        },
        'status 9',
      ],
      [
        'a hang that ignores TERM',
        () => {
          tools.answer({}, "trap '' TERM INT HUP; while :; do sleep 60; done\n");
        },
        'nvidia-smi hangs',
      ],
      [
        'a reset that the driver asks for',
        () => {
          tools.answer(answersOf(2, [], (row) => row.replace(', valid, None,', ', valid, Reset,')));
        },
        'the driver asks for a recovery: Reset',
      ],
      [
        'its removal',
        () => {
          tools.remove('nvidia-smi');
        },
        'nvidia-smi is not installed any more',
      ],
    ];
    for (const [what, make, reason] of troubles) {
      make();
      await until(() => fences().length === 2, `both to be fenced by ${what}`);
      expect(fences()[0], what).toContain(reason);
      const [spec, beside] = [wants(2), wants(null)];
      await mesh.startAttempt(spec);
      await waits(spec, reason);
      await mesh.startAttempt(beside);
      await said(beside);
      tools.answer(answersOf(2));
      expect(await given(spec), what).toEqual([uuidOf(0), uuidOf(1)]);
      await said(spec);
      await until(() => fences().length === 0, 'the fences to be taken away');
    }
    // One GPU alone is in trouble: the other one goes on.
    tools.answer(
      answersOf(2, [], (row, index) =>
        index === 0 ? row.replace(', None,', ', Drain P2P,') : row,
      ),
    );
    await until(() => fences().length === 1, 'one to be fenced');
    const last = wants(1);
    await mesh.startAttempt(last);
    expect(await given(last)).toEqual([uuidOf(1)]);
  });
});
