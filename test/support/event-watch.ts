/** What passes a mesh while a test looks: every event as it is stored, and single messages as they are sent. */
import type { EventRecord } from '#protocol/fold/record.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { startsIn } from '#protocol/messages/run/starts.ts';
import { filters } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { tail } from '#protocol/nats/streams/tail.ts';

export interface EventWatch {
  /** Of the run's own subjects, in the order of the stream, what was purged since included. */
  recordsOf(run: string): EventRecord[];
  /** All runs that were ever submitted, once for each event that says so. */
  submitted(): string[];
  /** Of what has been read; resolves when a record fits. */
  until(fits: (record: EventRecord) => boolean): Promise<EventRecord>;
  /** What is remembered of it. */
  forget(run: string): void;
  close(): Promise<void>;
}

export function watchEvents(connection: MeshConnection): EventWatch {
  const byRun = new Map<string, EventRecord[]>();
  const submitted: string[] = [];
  const waiting = new Set<{
    fits: (record: EventRecord) => boolean;
    found: (record: EventRecord) => void;
  }>();
  const reader = tail(connection, {
    stream: STREAMS.events,
    filters: ['bm.v1.evt.>'],
    onMessage: ({ subject, sequence, timeMs, data }) => {
      const decoded = decode(data);
      if (decoded.kind !== 'ok') throw new Error(`nobody can read ${subject} ${sequence}`);
      const record = { subject, sequence, timeMs, message: decoded.message };
      const run = runIn(subject);
      if (run !== null) {
        const records = byRun.get(run) ?? [];
        records.push(record);
        byRun.set(run, records);
        if (record.message.name === 'run.submitted') submitted.push(run);
      }
      for (const one of waiting) {
        if (!one.fits(record)) continue;
        waiting.delete(one);
        one.found(record);
      }
    },
  });
  return {
    recordsOf: (run) => byRun.get(run) ?? [],
    submitted: () => submitted,
    until: (fits) =>
      new Promise((found) => {
        const before = [...byRun.values()].flat().find(fits);
        if (before === undefined) waiting.add({ fits, found });
        else found(before);
      }),
    forget: (run) => byRun.delete(run),
    close: () => reader.close(),
  };
}

/** Of `evt.run.RUN`, `evt.task.RUN.TASK`, `evt.agent.AGENT.RUN.TASK.N`. */
function runIn(subject: string): string | null {
  const [, , , owner, first = '', second = '', task] = subject.split('.');
  if (owner === 'run' || owner === 'task') return first;
  return owner === 'agent' && task !== undefined ? second : null;
}

interface Watch {
  readonly passed: Promise<void>;
}

/** Subscribed when this resolves; `passed` resolves with the first message on the subject. */
export function watchSubject(connection: MeshConnection, subject: string): Promise<Watch> {
  return watchFor(connection, { subject, count: 1, inOne: () => 1 });
}

/** `passed` resolves with the `count`th start, of any run, for any agent; one command gives several. */
export function watchStarts(connection: MeshConnection, count: number): Promise<Watch> {
  const inOne = (data: Uint8Array): number => {
    const decoded = decode(data);
    if (decoded.kind !== 'ok') throw new Error('nobody can read a start');
    return startsIn(decoded.message).length;
  };
  return watchFor(connection, { subject: filters.startsOf('*'), count, inOne });
}

async function watchFor(
  { nats }: MeshConnection,
  at: {
    readonly subject: string;
    readonly count: number;
    readonly inOne: (data: Uint8Array) => number;
  },
): Promise<Watch> {
  let left = at.count;
  const passed = new Promise<void>((settle) => {
    const subscription = nats.subscribe(at.subject, {
      callback: (_, { data }) => {
        left -= at.inOne(data);
        if (left > 0) return;
        subscription.unsubscribe();
        settle();
      },
    });
  });
  await nats.flush();
  return { passed };
}
