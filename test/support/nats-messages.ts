/** Reads what is stored, for tests that compare it with what was written. */
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { HEADERS } from '#protocol/nats/headers.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';

export interface StoredText {
  readonly subject: string;
  readonly sequence: number;
  /** `bm-seq`, 0 without. */
  readonly seq: number;
  readonly text: string;
}

export async function storedIn(
  connection: MeshConnection,
  stream: string,
  ...filters: string[]
): Promise<StoredText[]> {
  const found: StoredText[] = [];
  const query = { stream, filters, timeoutMs: 30_000 };
  await readAll(connection, query, (message) => {
    found.push({
      subject: message.subject,
      sequence: message.sequence,
      seq: Number(message.header(HEADERS.seq) ?? 0),
      text: new TextDecoder().decode(message.data),
    });
  });
  return found;
}

/** The `bm-seq` of each subject, in stream order. */
export function seqsBySubject(messages: readonly StoredText[]): Map<string, number[]> {
  const seqs = new Map<string, number[]>();
  for (const { subject, seq } of messages) seqs.set(subject, [...(seqs.get(subject) ?? []), seq]);
  return seqs;
}

/** 1, 2, ... `length`. */
export function upTo(length: number): number[] {
  return Array.from({ length }, (_, index) => index + 1);
}
