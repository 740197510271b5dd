/** Agents of the miniature mesh, and messages as its parts would write them. */
import type { CoreMessage } from '#coordinator/core/core-state.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { StopCommand } from '#protocol/messages/run/command.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import type { Message } from '#protocol/messages/envelope.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';

export interface MiniAgent {
  readonly id: string;
  readonly hostId: string;
  readonly slots: number;
  /** As it registers it: absent, one start at a time. */
  readonly reads?: readonly string[];
  /** Commands read so far: position in the stream. */
  read: number;
  readonly seen: Set<string>;
  readonly stops: StopCommand[];
  readonly newest: Map<string, { readonly sequence: number; readonly isPause: boolean }>;
  /** Accepted and not exited. */
  readonly live: Map<string, AttemptSpec>;
  readonly begun: string[];
}

type Host = Pick<MiniAgent, 'id' | 'hostId' | 'slots' | 'reads'>;

/** As it stands in a stream at this sequence. */
export function recordOf<N extends MessageName>(
  { sequence, timeMs }: Pick<EventRecord, 'sequence' | 'timeMs'>,
  { subject, name, data, id }: { subject: string; name: N; data: MessageData<N>; id: string },
): EventRecord {
  return { subject, sequence, timeMs, message: messageOf(name, data, id) };
}

export function messageOf<N extends MessageName>(
  name: N,
  data: MessageData<N>,
  id: string,
): Message {
  const from = { source: '/test', seq: null, instance: null, incarnation: 1, epoch: null };
  return { name, data, id, ...from } as Message;
}

export function beatOf({ id }: Host): Extract<CoreMessage, { kind: 'heartbeat' }>['beat'] {
  return { agent: id, instance: id, incarnation: 1, running: 0, queued: 0, diskFreeBytes: 1 };
}

export function registrationOf({ id, hostId, slots, reads = [] }: Host): Registration {
  const { registration } = goldenMessages['agent.started'];
  return { ...registration, agent: id, hostId, slots, cpus: slots, reads: [...reads] };
}

export interface SubmitOptions {
  readonly ifBusy?: 'queue' | 'reject';
  readonly basis?: string | null | undefined;
}
