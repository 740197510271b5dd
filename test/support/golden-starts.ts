/** Golden payloads of starts, alone and together. */
import type { MessageData } from '#protocol/messages/catalog.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';

type Name = 'command.start' | 'command.starts';

export function goldenStarts(spec: AttemptSpec): { readonly [N in Name]: MessageData<N> } {
  const start = { spec, afterStop: 0, priority: 0 };
  const one = (n: number): MessageData<'command.starts'>['starts'][number] => ({
    ...{ id: `${spec.run}_${spec.task}_${n}`, ...start },
    spec: { ...spec, n },
  });
  return { 'command.start': start, 'command.starts': { starts: [one(1), one(2)] } };
}
