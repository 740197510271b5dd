/** The starts that a command gives, one or several: who reads starts reads them here. */
import { firstIssue, type Message } from '../envelope.ts';
import { GivenStart, type StartsCommand } from './command.ts';

type OneOfSeveral = StartsCommand['starts'][number];

export function startsIn(message: Message): readonly GivenStart[] {
  if (message.name === 'command.start') return [{ id: message.id, ...message.data }];
  return message.name === 'command.starts' ? readOf(message.data) : [];
}

/** What of several cannot be read is left out. */
export function readOf({ starts }: StartsCommand): readonly GivenStart[] {
  return starts.filter(isRead);
}

/** Ids of those that are left out. */
export function unreadIn({ starts }: StartsCommand): readonly string[] {
  return starts.flatMap((one) => (isRead(one) ? [] : [one.id]));
}

/** Why the start of that id could not be read from this message. */
export function whyUnread(data: Uint8Array, id: string): string {
  const message = JSON.parse(new TextDecoder().decode(data)) as { data: StartsCommand };
  const read = GivenStart.safeParse(message.data.starts.find((one) => one.id === id));
  return `start ${id}: ${read.success ? 'it stands there twice' : firstIssue(read.error)}`;
}

function isRead(one: OneOfSeveral): one is GivenStart {
  return 'spec' in one;
}
