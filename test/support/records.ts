/** Builds event records as the stream would hold them, for tests of folds. */
import type { EventRecord } from '#protocol/fold/record.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import type { Message } from '#protocol/messages/envelope.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { GOLDEN_RUN } from './golden-gang.ts';
import { goldenMessages, goldenSuite } from './golden-messages.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';

export const RUN = GOLDEN_RUN;

export class RecordLog {
  readonly records: EventRecord[] = [];

  add<N extends MessageName>(subject: string, name: N, data: MessageData<N>): EventRecord {
    const sequence = this.records.length + 1;
    const message = {
      name,
      data,
      id: `e${sequence}`,
      source: '/test',
      seq: null,
      instance: null,
      incarnation: null,
      epoch: null,
    } as Message;
    const record = { subject, sequence, timeMs: 1_000_000 + sequence * 10, message };
    this.records.push(record);
    return record;
  }

  submitted(suite: Partial<SuiteSpec> = {}): EventRecord {
    const spec = { ...goldenSuite, ...suite };
    return this.add(subjects.run(RUN), 'run.submitted', {
      ...goldenMessages['run.submitted'],
      suite: spec,
    });
  }

  run<N extends MessageName>(name: N, data: MessageData<N>): EventRecord {
    return this.add(subjects.run(RUN), name, data);
  }

  task<N extends MessageName>(task: string, name: N, data: MessageData<N>): EventRecord {
    return this.add(subjects.task(RUN, task), name, data);
  }

  attempt<N extends MessageName>(
    at: { task: string; n: number; agent?: string },
    name: N,
    data: MessageData<N>,
  ): EventRecord {
    const agent = at.agent ?? 'a1';
    return this.add(
      subjects.attemptEvents(agent, { run: RUN, task: at.task, n: at.n }),
      name,
      data,
    );
  }

  /** accepted, run step started, exited. */
  wholeAttempt(
    at: { task: string; n: number; agent?: string },
    exited: Partial<MessageData<'attempt.exited'>> = {},
  ): void {
    this.attempt(at, 'attempt.accepted', goldenMessages['attempt.accepted']);
    this.attempt(at, 'attempt.step_started', goldenMessages['attempt.step_started']);
    this.attempt(at, 'attempt.exited', { ...goldenMessages['attempt.exited'], ...exited });
  }
}
