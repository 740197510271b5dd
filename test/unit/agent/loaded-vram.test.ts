/** VRAM after load: when it is looked at, and what is made of the look. */
import { describe, expect, it } from 'vitest';
import { AttemptAsker } from '#agent/attempt/attempt-asker.ts';
import { ScratchFolders } from '#agent/attempt/run-folders.ts';
import type { AttemptMessage, AttemptState } from '#agent/attempt/attempt-state.ts';
import { isLoaded, vramUsed } from '#agent/attempt/loaded-vram.ts';
import type { GpuLook } from '#agent/checks/types.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import type { AssignedGpu } from '#protocol/messages/agent/resources.ts';
import type { StepName } from '#protocol/messages/attempt/attempt-spec.ts';
import { ManualClock } from '#test/support/manual-clock.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { Script, specOf, stepOf } from './attempt-cases.ts';

const [GPU] = goldenMessages['agent.changed'].registration.hardware?.gpus ?? [];
if (GPU === undefined) throw new Error('the golden host has no GPU');
const { index, name, vendor, kind, numaNode, driver, cuda } = GPU;

const gpuOf = (id: string, memoryMiB: number, memoryFreeMiB: number | null): Gpu => ({
  ...GPU,
  id,
  memoryMiB,
  memoryFreeMiB,
});
const assignedGpu = (id: string): AssignedGpu => ({
  ...{ id, uuid: id, index, name, vendor, kind, numaNode, driver, cuda },
  memoryMiB: null,
  powerLimitW: null,
});
const HOST = { os: 'o', kernel: 'k', cpuModel: 'c', governor: null, maxMhz: null };

function stateOf(steps: readonly StepName[], gpus = ['a', 'b']): AttemptState {
  const script = new Script(specOf(steps));
  const resources = { gpus: gpus.map(assignedGpu), cpus: [], host: HOST };
  script.say({ kind: 'begin', slots: [0], resources });
  while (script.state.life.kind === 'stepping') {
    const { index } = script.state.life;
    if (steps[index] === 'run') break;
    script.end();
  }
  return script.state;
}

describe('the look', () => {
  it.each<[StepName[], string[], boolean]>([
    [['load', 'run'], ['a'], true],
    [['service', 'run'], ['a'], true],
    [['setup', 'run'], ['a'], false],
    [['load', 'run'], [], false],
  ])('%j with GPUs %j: %s', (steps, gpus, isDue) => {
    const state = { ...stateOf(['load', 'run'], gpus), spec: specOf(steps) };
    expect(isLoaded(state, stepOf('run'))).toBe(isDue);
    expect(isLoaded(state, stepOf('collect'))).toBe(false);
  });

  it('is taken once, before the first run step', () => {
    const state = stateOf(['load', 'run', 'run']);
    const metric = { name: 'vram.after_load', value: 1, unit: 'MiB', direction: 'none' } as const;
    expect(isLoaded({ ...state, measured: [metric] }, stepOf('run'))).toBe(false);
    const script = new Script(state.spec);
    script.begin();
    script.end();
    script.end();
    const { resources } = state;
    if (resources === undefined) throw new Error('it has no GPUs');
    expect(isLoaded({ ...script.state, resources }, stepOf('run'))).toBe(false);
  });

  it('sums up the GPUs of the attempt, or says nothing', () => {
    const gpus = [gpuOf('a', 24_000, 10_000), gpuOf('b', 24_000, 23_000), gpuOf('c', 1, 0)];
    expect(vramUsed({ gpus }, ['a', 'b'])).toMatchObject({ value: 15_000, unit: 'MiB' });
    expect(vramUsed({ gpus }, ['a', 'gone'])).toBeNull();
    expect(vramUsed({ gpus: [gpuOf('a', 24_000, null)] }, ['a'])).toBeNull();
  });

  it('keeps the run step waiting for a while at most, whatever becomes of the tool', async () => {
    const clock = new ManualClock();
    const looks: (() => Promise<GpuLook>)[] = [
      () => Promise.resolve({ gpus: [gpuOf('a', 100, 40), gpuOf('b', 100, 99)], troubles: [] }),
      () => Promise.reject(new Error('no such tool')),
      () => new Promise(() => undefined),
    ];
    const said: AttemptMessage[] = [];
    const state = stateOf(['load', 'run']);
    for (const lookAtGpus of looks) {
      const asker = new AttemptAsker({
        deps: {
          inheritedEnv: {},
          stateDir: '/',
          scratch: new ScratchFolders('/'),
          lookAtGpus,
          clock,
          onBug: (error) => {
            throw error;
          },
        },
        health: undefined,
        paths: { work: '/', report: '/r', checkpoint: '/c', peers: '/p' },
        state: () => state,
        checkpoint: () => null,
        post: (message) => said.push(message),
      });
      const before = asker.beforeStep(stepOf('run'));
      await new Promise(setImmediate);
      clock.advance(5_000);
      await before;
      expect(asker.beforeStep(stepOf('collect'))).toBeNull();
    }
    expect(said).toEqual([
      {
        kind: 'measured',
        metric: { name: 'vram.after_load', value: 61, unit: 'MiB', direction: 'none' },
      },
    ]);
    expect(clock.waiting).toBe(0);
  });
});

describe('a verdict while the look is taken', () => {
  it('is obeyed by an agent that came back: the step never begins', () => {
    const script = new Script(specOf(['run', 'teardown']));
    script.begin();
    script.say({
      kind: 'health',
      changes: [{ rule: 'r', state: 'failing', then: 'fail', reason: 'silent' }],
    });
    script.say({ kind: 'resume', bootId: 'b' });
    script.say({ kind: 'step_not_started', index: 0 });
    expect(script.started()).toEqual(['run']);
    expect(script.state).toMatchObject({ life: { kind: 'exited' }, verdict: { class: 'health' } });
  });
});
