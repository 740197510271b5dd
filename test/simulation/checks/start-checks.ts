/** Starts stay in BM_COMMANDS while their attempts may live: a stop asks by them who has to acknowledge (I5). */
import { decode } from '#protocol/messages/envelope.ts';
import { startsIn } from '#protocol/messages/run/starts.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import type { GangChecks } from './gang-checks.ts';
import type { Start } from './seen.ts';
import type { Stored } from '../world/server.ts';

interface Of {
  readonly runs: ReadonlyMap<
    string,
    { readonly isArchived: boolean; readonly open: ReadonlySet<string> }
  >;
  readonly starts: ReadonlyMap<string, Start>;
  /** Given up: the revoke tells of it. */
  readonly revoked: ReadonlyMap<string, string>;
  readonly gangs: GangChecks;
  readonly note: (text: string) => void;
}

/** A command was removed. */
export function checkStartsRemoved(
  { data, subject, sequence }: Stored,
  { runs, starts, revoked, gangs, note }: Of,
): void {
  const parsed = parseSubject(subject);
  const decoded = decode(data);
  if (parsed?.kind !== 'command' || decoded.kind !== 'ok') return;
  for (const { spec } of startsIn(decoded.message)) {
    const key = gangs.keyOf(`${spec.run}/${spec.task}#${spec.n}`, parsed.agent);
    const run = runs.get(spec.run);
    if (run?.isArchived !== false || !run.open.has(key) || revoked.has(key)) continue;
    // Stored twice in doubt: the first counts.
    if (starts.get(key)?.sequence === sequence)
      note(`I5: the start of ${key} is gone, and its attempt has not ended`);
  }
}
