/** Which attempts a leader's own message starts: by ids, since what is in it need not be read back. Pure. */
import { z } from 'zod';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import { attemptOfStart } from './core/starts/start.ts';

/** The envelope's first members, its id among them. */
const HEAD_BYTES = 200;

const Several = z.object({ data: z.object({ starts: z.array(z.object({ id: z.string() })) }) });

/** Null where its ids do not tell. */
export function ownStarts(data: Uint8Array, run: string): readonly AttemptRef[] | null {
  const decoder = new TextDecoder();
  const head = decoder.decode(data.subarray(0, HEAD_BYTES));
  const id = /^\{"specversion":"1\.0","id":"([\w-]+)"/.exec(head)?.[1];
  if (id === undefined) return null;
  const one = attemptOfStart(id, run);
  if (one !== null) return [one];
  const several = Several.safeParse(JSON.parse(decoder.decode(data)));
  const ids = several.success ? several.data.data.starts : [];
  const refs = ids.flatMap((start) => attemptOfStart(start.id, run) ?? []);
  return refs.length === 0 || refs.length < ids.length ? null : refs;
}
