/** What a fake nvidia-smi prints: a capture's GPU, as often and used by whom a test wants. */
import { section } from './smi-captures.ts';
import type { Answers } from './fake-tools.ts';

export const uuidOf = (index: number): string => `GPU-0000000${index}-0000-0000-0000-000000000000`;

export interface Use {
  readonly gpu: number;
  readonly pid: number;
}

/** `count` GPUs like the L40S; `change` may break the row of one. */
export function answersOf(
  count: number,
  uses: readonly Use[] = [],
  change: (row: string, index: number) => string = (row) => row,
): Answers {
  const [header = '', first = ''] = section('l40s', 'idle-gpus').split('\n');
  const busId = /[0-9A-F]{8}:[0-9A-F]{2}:[0-9A-F]{2}\.0/.exec(first)?.[0] ?? '';
  const rows = Array.from({ length: count }, (_, index) =>
    change(
      first
        .replace(/^\d+/, String(index))
        .replace(/GPU-[\w-]+/, uuidOf(index))
        .replace(busId, busId.replace(/..\.0$/, `0${index}.0`)),
      index,
    ),
  );
  const users = uses.map(({ gpu, pid }) => `${uuidOf(gpu)}, ${pid}, 100, /usr/bin/python`);
  return {
    gpus: [header, ...rows, ''].join('\n'),
    processes: ['gpu_uuid, pid, used_gpu_memory [MiB], process_name', ...users, ''].join('\n'),
    version: section('l40s', 'version'),
  };
}
