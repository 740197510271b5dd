/** Mutations of what vendors' tools and the kernel print, for the parsers that read it. */
import fc from 'fast-check';
import { readCards } from '#agent/discovery/amd-gpus.ts';
import { readCgroupLimits } from '#agent/discovery/cgroup-limits.ts';
import { readNumaNodes, readTopology } from '#agent/discovery/cpu-topology.ts';
import { rosterOf } from '#agent/discovery/gpu-roster.ts';
import { readInstances, readMigDetails, withInstances } from '#agent/discovery/mig-instances.ts';
import { readCuda, readGpus, readProcesses, refusedField } from '#agent/discovery/nvidia-gpus.ts';
import { Gpu } from '#protocol/messages/agent/hardware.ts';
import { allFixtures, CAPTURES, section } from './smi-captures.ts';

const AMD = JSON.stringify({
  card0: { 'Card Series': 'X', 'VRAM Total Memory (B)': '68702699520', 'PCI Bus': '0000:63:00.0' },
  system: { 'Driver version': '6.7.0' },
});
const KERNEL = [
  '30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n35 31 0:33 / /c/memory rw - cgroup cgroup rw,memory\n',
  '4:memory:/a/b\n0::/a/b/c\n',
  '150000 100000\n',
  '0-3,8\n',
  'processor : 0\nphysical id : 0\ncore id : 1\n\nprocessor : 1\n',
  'Node 0 MemTotal:  12280388 kB\n',
  'Unable to determine the device handle for GPU 0000:0A:00.0: Unknown Error\n',
];
const SEEDS = [
  ...allFixtures(),
  ...CAPTURES.flatMap((capture) =>
    ['idle-gpus', 'load-processes', 'list', 'idle-details'].map((name) => section(capture, name)),
  ),
  AMD,
  ...KERNEL,
];

const CHUNKS = [
  ...[
    '[N/A]',
    '[Unknown Error]',
    'ERR!',
    ',',
    '\n',
    '\r',
    '"',
    '{',
    '}',
    '[',
    ']',
    ':',
    '\0',
    '-1',
  ],
  ...[
    '9'.repeat(400),
    ' '.repeat(500),
    'a'.repeat(5_000),
    'uuid',
    'MIG Device',
    'GPU UUID : GPU-x',
  ],
  ...['Unable to determine the device handle for GPU', '0-99999999', '\u{1f4a5}', '\ud800'],
];

interface Edit {
  readonly at: number;
  readonly drop: number;
  readonly put: string;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  drop: fc.oneof(fc.constant(0), fc.nat(8), fc.nat(4_000)),
  put: fc.oneof(fc.constantFrom(...CHUNKS), fc.string({ maxLength: 12, unit: 'binary' })),
});

/** A text that is like one of the seeds. */
export const mutated: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...SEEDS), fc.array(edit, { maxLength: 6 }))
  .map(([text, edits]) =>
    edits.reduce((before, { at, drop, put }) => {
      const from = Math.floor(at * before.length);
      return before.slice(0, from) + put + before.slice(from + drop);
    }, text),
  );

/** Most an event may hold, whatever a tool printed. */
const MOST_BYTES = 2_000;

/** Reads the text in every way; throws where a parser does, or where what it read is not sound. */
export function readEverything(text: string): void {
  const { gpus, note } = readGpus(text);
  const instances = readInstances(text);
  const all = withInstances(
    gpus.map((gpu): Gpu => ({ ...gpu, mig: true })),
    instances,
    readMigDetails(text),
  );
  const cards = readCards(text);
  const amd = cards.kind === 'read' ? cards.gpus : [];
  for (const gpu of [...gpus, ...all, ...amd]) sound(gpu);
  if (note !== null && note.length > 200) throw new Error('a note without bound');
  for (const [uuid, users] of readProcesses(text)) {
    if (users.length > 64 || uuid === '') throw new Error('processes without bound');
  }
  readCuda(text);
  refusedField(text);
  const looks = [
    { probe: { tool: 'nvidia-smi', state: 'ready', reason: null } as const, gpus: all },
  ];
  const { gpus: roster } = rosterOf(gpus, { looks, pci: [], isContainer: false });
  if (roster.length < Math.min(all.length, 256)) throw new Error('a GPU went missing');
  if (new Set(roster.map(({ id }) => id)).size !== roster.length) throw new Error('ids not unique');
  readCgroupLimits(() => text);
  readTopology(text, () => text);
  if (readNumaNodes(() => text).length > 256) throw new Error('nodes without bound');
}

function sound(gpu: Gpu): void {
  Gpu.parse(gpu);
  const { processes, ...rest } = gpu;
  if (JSON.stringify(rest).length > MOST_BYTES * 2) throw new Error('a GPU without bound');
  if ((processes?.length ?? 0) > 64) throw new Error('processes without bound');
  if (gpu.state === 'ready' ? gpu.reason !== null : gpu.reason === null) {
    throw new Error(`${gpu.state} with reason ${gpu.reason ?? 'none'}`);
  }
}
