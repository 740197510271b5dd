/** What is stored and said in a miniature mesh. */
import type { CoreMessage } from '#coordinator/core/core-state.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import type { Message } from '#protocol/messages/envelope.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import type { MiniAgent } from './miniature.ts';

export function messageOf<N extends MessageName>(
  name: N,
  data: MessageData<N>,
  id: string,
): Message {
  return {
    name,
    data,
    id,
    source: '/test',
    seq: null,
    instance: null,
    incarnation: 1,
    epoch: null,
  } as Message;
}

export function beatOf({ id }: MiniAgent): Extract<CoreMessage, { kind: 'heartbeat' }>['beat'] {
  return { agent: id, instance: id, incarnation: 1, running: 0, queued: 0, diskFreeBytes: 1 };
}

export function registrationOf({
  id,
  hostId,
  slots,
}: Pick<MiniAgent, 'id' | 'hostId' | 'slots'>): Registration {
  const { registration } = goldenMessages['agent.started'];
  return { ...registration, agent: id, hostId, slots, cpus: slots };
}
