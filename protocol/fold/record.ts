import type { Message } from '../messages/envelope.ts';

/** One stored message of BM_EVENTS, decoded. Order and dates are the stream's (I2). */
export interface EventRecord {
  readonly subject: string;
  /** Stream sequence. */
  readonly sequence: number;
  /** The stream's timestamp, ms since 1970 UTC. */
  readonly timeMs: number;
  readonly message: Message;
}
