/** A stream in memory that keeps the server's rules for expectations, with faults on request. */
import type { OutboxStore } from '#protocol/nats/outbox/outbox.ts';
import type { PublishOptions, PublishOutcome } from '#protocol/nats/publisher.ts';

export interface FakeMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** What happens to one publish instead of being stored and acknowledged. */
export type Fault = 'lost' | 'ack_lost' | 'full' | 'rejected';

export interface FakeStore extends OutboxStore {
  messages: FakeMessage[];
  /** Asked before each publish; null lets it pass. */
  fault: (subject: string) => Fault | null;
  connected: boolean;
}

export function fakeStore(): FakeStore {
  let sequence = 0;
  const lastOf = (subject: string): FakeMessage | undefined =>
    store.messages.findLast((message) => message.subject === subject);

  const storeIt = (subject: string, data: Uint8Array, options: PublishOptions): PublishOutcome => {
    const last = lastOf(subject)?.sequence ?? 0;
    if (
      options.expectedLastSubjectSequence !== undefined &&
      options.expectedLastSubjectSequence !== last
    ) {
      return { kind: 'conflict', reason: `wrong last sequence: ${last}` };
    }
    sequence += 1;
    store.messages.push({
      subject,
      sequence,
      data: Uint8Array.from(data),
      headers: options.headers ?? {},
    });
    return { kind: 'stored', sequence, duplicate: false };
  };

  const store: FakeStore = {
    messages: [],
    fault: () => null,
    connected: true,
    publish: async (subject, data, options) => {
      await Promise.resolve();
      switch (store.fault(subject)) {
        case 'lost':
          return { kind: 'ambiguous', reason: 'timeout' };
        case 'ack_lost':
          storeIt(subject, data, options);
          return { kind: 'ambiguous', reason: 'timeout' };
        case 'full':
          return { kind: 'full', code: 10077, reason: 'maximum bytes exceeded' };
        case 'rejected':
          return { kind: 'rejected', code: 0, reason: 'no' };
        case null:
          return storeIt(subject, data, options);
      }
    },
    last: (subject) => {
      const found = lastOf(subject);
      if (found === undefined) return Promise.resolve({ kind: 'none' });
      const { data, headers } = found;
      const message = {
        subject,
        sequence: found.sequence,
        timeMs: 0,
        data,
        header: (name: string) => headers[name] ?? null,
      };
      return Promise.resolve({ kind: 'found', message });
    },
    isConnected: () => store.connected,
    whenConnected: () => Promise.resolve(),
    maxPayloadBytes: () => 64 * 1024,
  };
  return store;
}
