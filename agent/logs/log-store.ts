/** The narrow interface through which logs are stored: the real one is over BM_LOGS. */
import { LOG_HEADERS } from '#protocol/messages/attempt/log.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { publishEvent, type PublishOutcome } from '#protocol/nats/publisher.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { lastMessage } from '#protocol/nats/streams/stream-read.ts';
import { parsePositions, type LogBatch } from './log-batch.ts';

/** The last stored message of a log. */
export type LogTail =
  | {
      readonly kind: 'found';
      readonly sequence: number;
      readonly endOffset: number;
      readonly instance: string;
      readonly positions?: ReadonlyMap<string, number>;
    }
  | { readonly kind: 'none' }
  | { readonly kind: 'unknown' };

export interface LogStore {
  publish(subject: string, batch: LogBatch, expectedSequence: number): Promise<PublishOutcome>;
  tail(subject: string): Promise<LogTail>;
  /** Resolves when it makes sense to try again. */
  whenReachable(): Promise<void>;
  isClosed(): boolean;
}

const TIMEOUT_MS = 5_000;

export function natsLogStore(connection: MeshConnection): LogStore {
  return {
    publish: (subject, batch, expectedSequence) =>
      publishEvent(connection, subject, batch.payload, {
        headers: batch.headers,
        expectedLastSubjectSequence: expectedSequence,
        timeoutMs: TIMEOUT_MS,
      }),
    tail: async (subject) => {
      const last = await lastMessage(connection, STREAMS.logs, subject);
      if (last.kind !== 'found') return { kind: last.kind };
      const { message } = last;
      const gapTo = message.header(LOG_HEADERS.gapTo);
      const offset = Number(message.header(LOG_HEADERS.offset));
      return {
        kind: 'found',
        sequence: message.sequence,
        endOffset: gapTo === null ? offset + message.data.length : Number(gapTo),
        instance: message.header(LOG_HEADERS.instance) ?? '',
        positions: parsePositions(message.header(LOG_HEADERS.positions)),
      };
    },
    whenReachable: () => connection.whenConnected(),
    isClosed: () => connection.isClosed(),
  };
}
