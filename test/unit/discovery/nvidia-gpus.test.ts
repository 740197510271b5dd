/** nvidia-smi's words to GPUs: every capture there is, and every way a GPU is not well. */
import { describe, expect, it } from 'vitest';
import { readCuda, readGpus, readProcesses, refusedField } from '#agent/discovery/nvidia-gpus.ts';
import { Gpu } from '#protocol/messages/agent/hardware.ts';
import { fixtureText, section, type Capture, type Load } from '#test/support/smi-captures.ts';

const ZERO = 'GPU-00000000-0000-0000-0000-000000000000';

type Row = readonly [Capture, Load, Partial<Gpu>];

const SAMPLES: readonly Row[] = [
  [
    'rtx-2080-super',
    'idle',
    {
      name: 'NVIDIA GeForce RTX 2080 SUPER',
      busId: '0000:0c:00.0',
      memoryMiB: 8_192,
      memoryFreeMiB: 7_571,
      driver: '595.71.05',
      computeCapability: '7.5',
      mig: null,
      persistence: false,
      ecc: null,
      powerLimitW: 250,
    },
  ],
  ['rtx-2080-super', 'load', { memoryFreeMiB: 6_967 }],
  [
    'h100',
    'idle',
    {
      name: 'NVIDIA H100 80GB HBM3',
      busId: '0000:00:09.0',
      memoryMiB: 81_559,
      memoryFreeMiB: 81_081,
      driver: '590.48.01',
      computeCapability: '9.0',
      mig: false,
      persistence: true,
      ecc: true,
      powerLimitW: 700,
    },
  ],
  ['h100', 'load', { memoryFreeMiB: 61_263 }],
  ['h100-mig', 'idle', { mig: true, memoryMiB: 81_559, memoryFreeMiB: 81_022 }],
  ['h100-mig', 'load', { mig: true, memoryFreeMiB: 69_956 }],
  [
    'l40s',
    'idle',
    {
      name: 'NVIDIA L40S',
      busId: '0000:01:00.0',
      memoryMiB: 46_068,
      memoryFreeMiB: 45_460,
      driver: '595.80',
      computeCapability: '8.9',
      mig: null,
      persistence: false,
      ecc: true,
      powerLimitW: 350,
    },
  ],
  ['l40s', 'load', { memoryFreeMiB: 44_225 }],
];

describe('captures', () => {
  it.each(SAMPLES)('%s, %s', (capture, load, expected) => {
    const { gpus, note } = readGpus(section(capture, `${load}-gpus`));
    expect(note).toBeNull();
    expect(gpus).toHaveLength(1);
    expect(gpus[0]).toMatchObject({
      ...{ id: ZERO, uuid: ZERO, index: 0, state: 'ready', reason: null, vendor: 'nvidia' },
      ...{ kind: 'gpu', computeMode: 'Default', recoveryAction: 'None' },
      ...expected,
    });
    expect(Gpu.parse(gpus[0])).toEqual(gpus[0]);
  });

  it.each([
    ['rtx-2080-super', '13.2'],
    ['h100', '13.1'],
    ['h100-mig', '13.1'],
    ['l40s', '13.2'],
  ] as const)('CUDA of %s is %s, from --version and from the table', (capture, version) => {
    expect(readCuda(section(capture, 'version'))).toBe(version);
    expect(readCuda(section(capture, 'idle-table'))).toBe(version);
  });

  it.each([
    [
      'rtx-2080-super',
      [
        [5_268, 'ffmpeg', 370],
        [5_267, 'ffmpeg', 230],
      ],
    ],
    [
      'h100',
      [
        [11_327, '/root/tools/memhog', 2_566],
        [11_328, '/root/tools/memhog', 1_542],
        [11_345, './gpu_burn', 15_690],
      ],
    ],
    [
      'l40s',
      [
        [20_037, 'ffmpeg', 538],
        [20_038, 'ffmpeg', 681],
      ],
    ],
  ] as const)('processes on %s', (capture, expected) => {
    expect(readProcesses(section(capture, 'idle-processes')).size).toBe(0);
    const found = readProcesses(section(capture, 'load-processes')).get(ZERO);
    expect(found).toEqual(expected.map(([pid, name, memoryMiB]) => ({ pid, name, memoryMiB })));
  });

  it('two GPUs of which much is not asked: nothing is made up, and the gap is named', () => {
    const { gpus } = readGpus(fixtureText('query-testdata.txt'));
    expect(gpus.map(({ uuid, index, driver }) => [uuid, index, driver])).toEqual([
      ['GPU-df6e7a7c-7314-46f8-abc4-b88b36dcf3aa', 0, '466.63'],
      ['GPU-04757e3e-3077-4e2e-b988-7e2d647b52e9', 1, '123.45'],
    ]);
    expect(gpus.map(({ state }) => state)).toEqual(['degraded', 'degraded']);
    expect(gpus[0]?.reason).toBe('nvidia-smi does not tell its memory.total');
  });

  it.each(['fuzz-header-only-mismatch.txt', 'uncooperative.sh.txt'])('%s has no GPU', (file) => {
    const { gpus, note } = readGpus(fixtureText(file));
    expect(gpus).toEqual([]);
    expect(note).not.toBeNull();
  });
});

const HEADER =
  'index, uuid, name, pci.bus_id, memory.total [MiB], memory.free [MiB], driver_version';

/** A GPU with further columns; those of the core may be replaced. */
function one(change: Readonly<Record<string, string>>): Gpu | undefined {
  const cells: Record<string, string> = {
    index: '3',
    uuid: 'GPU-a',
    name: 'NVIDIA X',
    'pci.bus_id': '00000000:65:00.0',
    'memory.total [MiB]': '1000 MiB',
    'memory.free [MiB]': '900 MiB',
    driver_version: '550.1',
    ...change,
  };
  return readGpus(`${Object.keys(cells).join(', ')}\n${Object.values(cells).join(', ')}\n`).gpus[0];
}

describe('a GPU that is not well', () => {
  it.each([
    [{ gpu_recovery_action: 'None' }, 'ready', null],
    [{ gpu_recovery_action: 'Reset' }, 'failed', 'the driver asks for a recovery: Reset'],
    [{ gpu_recovery_action: 'Reboot' }, 'failed', 'recovery: Reboot'],
    [{ gpu_recovery_action: 'Drain P2P' }, 'degraded', 'recovery: Drain P2P'],
    [{ gpu_recovery_action: 'Drain and Reset' }, 'degraded', 'Drain and Reset'],
    [{ gpu_recovery_action: '[N/A]' }, 'ready', null],
    [{ compute_mode: 'Prohibited' }, 'failed', 'Prohibited'],
    [{ compute_mode: 'Exclusive_Process' }, 'ready', null],
    [{ 'remapped_rows.failure': 'Yes' }, 'degraded', 'could not be remapped'],
    [{ 'remapped_rows.pending': 'Yes' }, 'degraded', 'at its next reset'],
    [{ 'retired_pages.pending': 'Yes' }, 'degraded', 'at its next reset'],
    [{ 'memory.total [MiB]': '[N/A]' }, 'degraded', 'does not tell its memory.total'],
    [{ 'memory.total [MiB]': '[Function Not Found]' }, 'degraded', 'memory.total'],
    [{ name: '[N/A]' }, 'degraded', 'does not tell its name'],
    [{ 'memory.total [MiB]': '[Unknown Error]' }, 'failed', 'memory.total: Unknown Error'],
    [{ 'memory.free [MiB]': '[GPU is lost]' }, 'failed', 'memory.free: GPU is lost'],
    [{ name: 'ERR!' }, 'failed', 'name: ERR!'],
    [{ uuid: '[N/A]' }, 'failed', 'no UUID'],
    [{ uuid: '[GPU requires reset]' }, 'failed', 'uuid: GPU requires reset'],
    [{ 'power.limit [W]': '[Requested functionality has been deprecated]' }, 'ready', null],
  ] as const)('%j is %s', (change, state, reason) => {
    const gpu = one(change);
    expect(gpu?.state).toBe(state);
    if (reason === null) expect(gpu?.reason).toBeNull();
    else expect(gpu?.reason).toContain(reason);
  });

  it('without a UUID it is known by its place', () => {
    expect(one({ uuid: '[Unknown Error]' })?.id).toBe('pci-0000:65:00.0');
    expect(one({ uuid: '[N/A]', 'pci.bus_id': '[N/A]' })?.id).toBe('nvidia-3');
  });

  it.each([
    [
      'Unable to determine the device handle for GPU 0000:0A:00.0: Unknown Error',
      '0000:0a:00.0',
      null,
    ],
    [
      'Unable to determine the device handle for GPU 00000000:0A:00.0: GPU is lost.  Reboot the system to recover this GPU',
      '0000:0a:00.0',
      null,
    ],
    ['Unable to determine the device handle for GPU2: Unknown Error', null, 2],
    [
      'Unable to determine the device handle for GPU 00000000:0A:00.0:\nNot Supported',
      '0000:0a:00.0',
      null,
    ],
  ])('%s', (line, busId, index) => {
    for (const text of [
      line,
      `${HEADER}\n0, GPU-b, B, 00000000:01:00.0, 5 MiB, 5 MiB, 1\n${line}\n`,
    ]) {
      const { gpus, note } = readGpus(text);
      expect(gpus.at(-1)).toMatchObject({ state: 'failed', busId, index, uuid: null });
      expect(gpus.at(-1)?.reason).toMatch(/^nvidia-smi: (Unknown Error|GPU is lost|Not Supported)/);
      expect(gpus).toHaveLength(text === line ? 1 : 2);
      expect(note).toBeNull();
    }
  });
});

describe('the table', () => {
  it('takes columns by name: unknown ones and another order do no harm', () => {
    const text = 'shiny.new [%], name, uuid, memory.total [MiB], index\n99 %, X, GPU-a, 7 MiB, 4\n';
    expect(readGpus(text).gpus[0]).toMatchObject({ name: 'X', index: 4, memoryMiB: 7 });
  });

  it('reads values without units, commas in a name, lines of other systems', () => {
    const text = `${HEADER}\r\n0, GPU-a, Tesla, with, commas, 00000000:01:00.0, 16, 15, 1\r\n`;
    expect(readGpus(text).gpus[0]).toMatchObject({
      name: 'Tesla,with,commas'.replaceAll(',', ', '),
    });
  });

  it('a row that does not fit its header is told, not guessed', () => {
    const { gpus, note } = readGpus(`${HEADER}\n0, GPU-a, cut\n`);
    expect(gpus).toEqual([]);
    expect(note).toBe('0, GPU-a, cut');
  });

  it('warnings beside the rows are kept', () => {
    const { gpus, note } = readGpus(
      `WARNING: infoROM is corrupted\n${HEADER}\n0, GPU-a, X, 00000000:01:00.0, 1, 1, 1`,
    );
    expect(gpus).toHaveLength(1);
    expect(note).toBe('WARNING: infoROM is corrupted');
  });

  it('names the field that is refused', () => {
    const said = 'Field "gpu_recovery_action" is not a valid field to query.\n';
    expect(refusedField(said)).toBe('gpu_recovery_action');
    expect(refusedField('something else')).toBeNull();
  });
});
