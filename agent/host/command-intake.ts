/**
 * Takes commands from the mailbox: reads each, keeps it in the ledger, hands it to the host's actor.
 *
 * A command is in the ledger before it is acknowledged and before anything is done about it, so an
 * agent killed in between does it when it is back (I8). Several starts of one command are one line of it: of a
 * torn one nothing is known, and all of them come again.
 */
import { typeOf } from '#protocol/messages/catalog.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import type { RevokeCommand } from '#protocol/messages/run/command.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { MailDecision, MailMessage } from '#protocol/nats/agents/mailbox.ts';
import type { AttemptDeps } from '../attempt/attempt-deps.ts';
import type { Ledger } from '../state/ledger.ts';
import type { LedgerEntry } from '../state/ledger-entries.ts';
import { readCommand, type Command } from './command-reader.ts';
import type { HostMessage } from './host-state.ts';
import { drainReason, undrainReason } from './waiting.ts';

type Deps = Pick<AttemptDeps, 'agent' | 'sink' | 'log'> & {
  readonly ledger: Pick<Ledger, 'fold' | 'writeCommand'>;
};

export class CommandIntake {
  readonly #deps: Deps;
  readonly #post: (message: HostMessage) => void;

  constructor(deps: Deps, post: (message: HostMessage) => void) {
    this.#deps = deps;
    this.#post = post;
  }

  /** Throws while the disk is full: the mailbox then delivers the message again. */
  onMail(mail: MailMessage): MailDecision {
    const { subject, sequence, timeMs, data } = mail;
    const { ledger, agent, log } = this.#deps;
    const read = readCommand(agent, subject, data);
    if (read.kind === 'rejected') {
      const { type, reason } = read;
      log.warn({ subject, sequence, type, reason }, 'message rejected');
      const id = `rejected-${sequence}-${timeMs}`;
      if (!ledger.fold.isRepeat(id, mail)) {
        this.#write({ t: 'rejected', id, seq: sequence, ms: timeMs });
        this.#sayRejected(mail, type, reason);
      }
      return 'term';
    }
    const { command } = read;
    if (ledger.fold.isRepeat(command.id, mail)) return 'ack';
    this.#onCommand(command, mail);
    if (command.name !== 'command.starts') return 'ack';
    for (const reason of command.refused) {
      log.warn({ subject, sequence, reason }, 'a start of several rejected');
      this.#sayRejected(mail, typeOf(command.name), reason);
    }
    return 'ack';
  }

  #sayRejected({ subject, sequence }: MailMessage, type: string | null, reason: string): void {
    const { agent, sink } = this.#deps;
    const said = { subject, sequence, type, reason };
    sink.tell(subjects.hostEvents(agent), 'message.rejected', said);
  }

  #onCommand(command: Command, { sequence, timeMs }: MailMessage): void {
    const { fold } = this.#deps.ledger;
    const entry = { id: command.id, seq: sequence, ms: timeMs };
    switch (command.name) {
      case 'command.start': {
        const { spec, afterStop, priority } = command.data;
        if (fold.known.has(attemptKey(spec))) return;
        this.#write({ t: 'start', ...entry, spec, afterStop, priority });
        this.#post({
          kind: 'start',
          command: command.id,
          era: fold.era,
          sequence,
          spec,
          afterStop,
          priority,
        });
        return;
      }
      case 'command.starts': {
        const starts = command.starts.filter(({ spec }) => !fold.known.has(attemptKey(spec)));
        this.#write({ t: 'starts', ...entry, starts });
        const { era } = fold;
        for (const [place, { id, ...start }] of starts.entries())
          this.#post({ kind: 'start', command: id, era, sequence, place, ...start });
        return;
      }
      case 'command.revoke': {
        const ref = command.data;
        const isKnown = fold.known.has(attemptKey(ref));
        this.#write({ t: 'revoke', ...entry, ref });
        this.revoke(command.id, ref, isKnown);
        return;
      }
      case 'command.go': {
        const { run, task, n, ...go } = command.data;
        const key = attemptKey({ run, task, n });
        this.#write({ t: 'go', ...entry, key, go });
        this.#post({ kind: 'go', key, ...go });
        return;
      }
      case 'command.peers': {
        const { run, task, n, ...peers } = command.data;
        const key = attemptKey({ run, task, n });
        this.#write({ t: 'peers', ...entry, key, peers });
        this.#post({ kind: 'peers', key, ...peers });
        return;
      }
      case 'command.stop': {
        this.#write({ t: 'stop', ...entry, stop: command.data });
        const { era } = fold;
        this.#post({ kind: 'stop', command: command.id, era, sequence, stop: command.data });
        return;
      }
      case 'command.release':
        this.#write({ t: 'release', ...entry, run: command.data.run });
        this.#post({ kind: 'release', run: command.data.run });
        return;
      case 'command.drain':
        this.#write({ t: 'drain', ...entry });
        this.#post({ kind: 'drain', reason: drainReason(command.data) });
        return;
      case 'command.undrain':
        this.#write({ t: 'undrain', ...entry });
        this.#post({ kind: 'undrain', reason: undrainReason(command.data) });
        return;
    }
  }

  /** Also for one of the ledger that has not been answered. */
  revoke(
    command: string,
    ref: RevokeCommand,
    isKnown = this.#deps.ledger.fold.known.has(attemptKey(ref)),
  ): void {
    this.#post({ kind: 'revoke', command, ref, isKnown });
  }

  #write(entry: Extract<LedgerEntry, { id: string }>): void {
    if (this.#deps.ledger.writeCommand(entry)) return;
    throw new Error('the disk of the state folder is full: a command waits');
  }
}
