/** What waits for an agent that is lost is there when it is back. */
import { decode } from '#protocol/messages/envelope.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import type { GangChecks } from './gang-checks.ts';
import type { ProcessChecks } from './process-checks.ts';
import type { SimServer, Stored } from '../world/server.ts';

interface Of {
  readonly server: SimServer;
  readonly note: (text: string) => void;
  readonly gangs: GangChecks;
  readonly processes: ProcessChecks;
}

/** A command was removed: no revoke of what was superseded that nobody has read or answered (I5). */
export function checkRemoved(
  { subject, sequence, data }: Stored,
  { server, note, gangs, processes }: Of,
): void {
  const parsed = parseSubject(subject);
  const decoded = parsed?.kind === 'command' ? decode(data) : null;
  if (parsed?.kind !== 'command' || decoded?.kind !== 'ok') return;
  const { message } = decoded;
  if (message.name !== 'command.revoke' || message.data.superseded !== true) return;
  const { run, task, n } = message.data;
  const { agent } = parsed;
  const key = gangs.keyOf(`${run}/${task}#${n}`, agent);
  const isRead = sequence <= (server.mailboxes.get(agent)?.floor ?? 0);
  // Stored twice in doubt: the other stays.
  const isTwice = server.commands.messages.some((other) => {
    const same = other?.subject === subject ? decode(other.data) : null;
    return same?.kind === 'ok' && same.message.id === message.id;
  });
  if (!isRead && !isTwice && !processes.isAnswered(key))
    note(`I5: the revoke of ${key} is gone, and ${agent} has not read it`);
}
