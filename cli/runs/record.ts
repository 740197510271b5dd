/** Stored messages of BM_EVENTS as records a fold takes. */
import { decode } from '#protocol/messages/envelope.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { StoredMessage } from '#protocol/nats/streams/stream-read.ts';

/** Null for what this program cannot read; the fold goes on without it. */
export function recordOf(message: StoredMessage): EventRecord | null {
  const decoded = decode(message.data);
  if (decoded.kind !== 'ok') return null;
  const { subject, sequence, timeMs } = message;
  return { subject, sequence, timeMs, message: decoded.message };
}
