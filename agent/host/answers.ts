/** Answers to commands: each has its fixed place on the ack subject, and the ledger has it first (I8). */
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { AttemptDeps } from '../attempt/attempt-deps.ts';
import type { Ledger } from '../state/ledger.ts';
import type { HostEffect } from './host-state.ts';

type AckName = Extract<MessageName, `command.${'received' | 'stop_done' | 'revoke_answered'}`>;

interface Answer<N extends AckName> {
  readonly name: N;
  readonly data: MessageData<N>;
  readonly seq: number;
  /** With the release of which it is dropped where it has not been sent; empty: with none. */
  readonly of: string;
}

export type AnswerEffect = Extract<
  HostEffect,
  { kind: 'stop_received' | 'stop_done' | 'revoke_answered' }
>;

type Deps = Pick<AttemptDeps, 'sink' | 'agent' | 'log'> & {
  readonly ledger: Pick<Ledger, 'write' | 'sync'>;
};

export function answer(deps: Deps, effect: AnswerEffect): void {
  const { command } = effect;
  switch (effect.kind) {
    case 'stop_received': {
      const { run, attempts } = effect;
      const data = { kind: 'stop', attempts, run } as const;
      write(deps, command, { name: 'command.received', data, seq: 1, of: run });
      return;
    }
    case 'stop_done': {
      const { run, task } = effect.stop;
      const data = { run, task, attempts: [...effect.attempts] };
      const seq = effect.isReceiptSaid ? 2 : 1;
      write(deps, command, { name: 'command.stop_done', data, seq, of: run });
      const fields = { run, task, command, attempts: effect.attempts.length };
      deps.log.info(fields, 'stop done');
      return;
    }
    case 'revoke_answered': {
      // The attempt answers it, by its exit or by having begun: an ack of each would outlive the run.
      if (effect.ref.superseded !== true) {
        deps.ledger.write({ t: 'ack', command, isDone: true, ev: [] });
        return;
      }
      const { run, task, n } = effect.ref;
      const { stopped } = effect;
      write(deps, command, {
        name: 'command.revoke_answered',
        data: { run, task, n, answer: effect.answer, ...(stopped && { stopped }) },
        seq: 1,
        of: '', // the revoke stays until it was answered
      });
      return;
    }
  }
}

function write<N extends AckName>(deps: Deps, command: string, answered: Answer<N>): void {
  const { name, data, seq, of: run } = answered;
  const { ledger, sink, agent } = deps;
  const event = { subject: subjects.ack(agent, command), run, seq, name, data };
  const isDone = name !== 'command.received';
  ledger.write({
    t: 'ack',
    command,
    isDone,
    ev: [event],
  });
  ledger.sync();
  sink.publish(event);
}
