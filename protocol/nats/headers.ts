/** Names of the message headers that protocol/nats itself writes and reads. */
export const HEADERS = {
  /** Identity of the writer: the state folder of an agent, the claim of a coordinator. */
  instance: 'bm-instance',
  /** The writer's own number of the message on its subject, from 1. */
  seq: 'bm-seq',
  /** crc32 of the payload: tells a repeat from another message that got the same number. */
  crc: 'bm-crc',
  epoch: 'bm-epoch',
} as const;

/** Headers the server defines. */
export const SERVER_HEADERS = {
  expectedLastSubjectSequence: 'Nats-Expected-Last-Subject-Sequence',
  expectedLastSubjectSequenceSubject: 'Nats-Expected-Last-Subject-Sequence-Subject',
  messageId: 'Nats-Msg-Id',
  ttl: 'Nats-TTL',
  /** On the marker the server stores when a key expires. */
  markerReason: 'Nats-Marker-Reason',
  keyOperation: 'KV-Operation',
  rollup: 'Nats-Rollup',
} as const;

export type HeaderFields = Readonly<Record<string, string>>;
