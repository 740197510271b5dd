/**
 * From a message of the mailbox to a command, or to the reason why it is none. Pure. What cannot be
 * read is answered, never dropped (design section 3); a command for another agent, or one that does
 * not stand on its own subject, is not obeyed (I11).
 */
import { decode, type MessageOf } from '#protocol/messages/envelope.ts';
import type { GivenStart } from '#protocol/messages/run/command.ts';
import { startsIn, unreadIn, whyUnread } from '#protocol/messages/run/starts.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';

/** Several in one command: those that are obeyed, and why others are not. */
export interface Starts {
  readonly name: 'command.starts';
  readonly id: string;
  readonly starts: readonly GivenStart[];
  readonly refused: readonly string[];
}

export type Command =
  | MessageOf<
      | 'command.start'
      | 'command.revoke'
      | 'command.go'
      | 'command.peers'
      | 'command.stop'
      | 'command.release'
      | 'command.drain'
      | 'command.undrain'
    >
  | Starts;

export type ReadCommand =
  | { readonly kind: 'command'; readonly command: Command }
  | { readonly kind: 'rejected'; readonly type: string | null; readonly reason: string };

export function readCommand(agent: string, subject: string, data: Uint8Array): ReadCommand {
  const decoded = decode(data);
  if (decoded.kind === 'rejected') return decoded;
  const { message } = decoded;
  const reject = (reason: string): ReadCommand => ({
    kind: 'rejected',
    type: message.name,
    reason,
  });
  const parsed = parseSubject(subject);
  if (parsed?.kind === 'stop') {
    if (message.name !== 'command.stop') return reject(`${message.name} is not a stop`);
    return { kind: 'command', command: message };
  }
  if (parsed?.kind !== 'command') return reject('not a subject of commands');
  if (parsed.agent !== agent) return reject(`for agent ${parsed.agent}, not for ${agent}`);
  const of = message.name === 'command.starts' ? 'command.start' : message.name;
  if (of !== `command.${parsed.command}`) {
    return reject(`${message.name} on the subject of ${parsed.command}`);
  }
  switch (message.name) {
    case 'command.start':
      if (message.data.spec.run !== parsed.run) return reject('the run differs from the subject');
      return { kind: 'command', command: message };
    case 'command.starts':
      return { kind: 'command', command: readStarts(message, data, parsed.run) };
    case 'command.revoke':
    case 'command.go':
    case 'command.peers':
    case 'command.stop':
    case 'command.release':
      if (message.data.run !== parsed.run) return reject('the run differs from the subject');
      return { kind: 'command', command: message };
    case 'command.drain':
    case 'command.undrain':
      return { kind: 'command', command: message };
    default:
      return reject(`${message.name} is no command`);
  }
}

function readStarts(message: MessageOf<'command.starts'>, data: Uint8Array, run: string): Starts {
  const refused = unreadIn(message.data).map((id) => whyUnread(data, id));
  const starts = startsIn(message).filter(({ id, spec }) => {
    if (spec.run === run) return true;
    refused.push(`start ${id}: the run differs from the subject`);
    return false;
  });
  return { name: message.name, id: message.id, starts, refused };
}
