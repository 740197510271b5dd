import { describe, expect, test } from 'vitest';
import { gpuResult, isOlder } from '#agent/checks/gpu-check.ts';
import { blankGpu } from '#agent/discovery/gpu-facts.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import type { CheckOf } from '#protocol/messages/attempt/check-spec.ts';

const RTX: Gpu = {
  ...blankGpu('nvidia', 'GPU-1'),
  name: 'NVIDIA RTX 4090',
  memoryMiB: 24_564,
  memoryFreeMiB: 18 * 1024,
  driver: '550.54.14',
};
const want = (change: Partial<CheckOf<'gpu'>> = {}): CheckOf<'gpu'> => ({
  kind: 'gpu',
  name: null,
  minFreeVramMiB: null,
  driver: null,
  ...change,
});
const look = (...gpus: Gpu[]) => ({ gpus, troubles: [] });
const no = (reason: string) => ({ ok: false, reason });
const yes = { ok: true };

describe('the gpu check', () => {
  test.each<[string, Partial<CheckOf<'gpu'>>, Gpu[], object]>([
    ['any GPU', {}, [RTX], yes],
    ['a part of its name, whatever the case', { name: 'rtx 4090' }, [RTX], yes],
    ['enough VRAM', { minFreeVramMiB: 18 * 1024 }, [RTX], yes],
    ['the same driver', { driver: '550.54.14' }, [RTX], yes],
    [
      'too little VRAM',
      { minFreeVramMiB: 20 * 1024 },
      [{ ...RTX, id: 'GPU-0', memoryFreeMiB: 10 }, RTX],
      no('18 GiB free of VRAM on NVIDIA RTX 4090, 20 GiB needed'),
    ],
    [
      'one of two has it',
      { minFreeVramMiB: 20 * 1024 },
      [RTX, { ...RTX, id: 'GPU-2', memoryFreeMiB: 22_000 }],
      yes,
    ],
    [
      'unknown VRAM',
      { minFreeVramMiB: 1 },
      [{ ...RTX, memoryFreeMiB: null }],
      no('free VRAM of NVIDIA RTX 4090 is not known, 1 MiB needed'),
    ],
    [
      'an old driver',
      { driver: '555' },
      [RTX],
      no('driver 550.54.14 of NVIDIA RTX 4090 is too old, 555 or newer needed'),
    ],
    [
      'another name',
      { name: 'H100' },
      [RTX],
      no('no usable GPU named H100; there is NVIDIA RTX 4090'),
    ],
    [
      'a GPU that failed',
      {},
      [{ ...RTX, state: 'failed', reason: 'fallen off the bus' }],
      no('no usable GPU (NVIDIA RTX 4090 failed: fallen off the bus)'),
    ],
    ['none at all', {}, [], no('no usable GPU')],
  ])('%s', (_name, change, gpus, result) => {
    expect(gpuResult(want(change), look(...gpus))).toEqual(result);
  });

  test('a tool that failed is named', () => {
    const troubles = ['nvidia-smi failed: no answer within 20000 ms'];
    expect(gpuResult(want(), { gpus: [], troubles })).toEqual(
      no(`no usable GPU (${troubles[0] ?? ''})`),
    );
  });

  test('of GPUs the attempt holds, each must have it; others do not count', () => {
    const other = { ...RTX, id: 'GPU-2', memoryFreeMiB: 1024 };
    const check = want({ minFreeVramMiB: 2048 });
    expect(gpuResult(check, look(RTX, other), ['GPU-1'])).toEqual(yes);
    expect(gpuResult(check, look(RTX, other), ['GPU-2'])).toMatchObject({ ok: false });
    expect(gpuResult(check, look(RTX, other), ['GPU-1', 'GPU-2'])).toMatchObject({ ok: false });
    expect(gpuResult(want(), look(RTX), ['GPU-1', 'GPU-9'])).toMatchObject({ ok: false });
  });

  test.each([
    ['535.104.05', '550', true],
    ['550.54.14', '550.54', false],
    ['550.5', '550.54', true],
    ['6.10.5', '6.9', false],
  ])('%s is older than %s: %s', (have, wanted, older) => {
    expect(isOlder(have, wanted)).toBe(older);
  });
});
