/** Only what may be ended for a higher priority is, and it is ended once. */
import type { StopCommand } from '#protocol/messages/run/command.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import type { Start } from './seen.ts';

interface Of {
  readonly note: (text: string) => void;
  readonly starts: ReadonlyMap<string, Start>;
  readonly suiteOf: (run: string) => SuiteSpec | undefined;
}

export class PreemptChecks {
  readonly #of: Of;
  /** By command. */
  readonly #seen = new Set<string>();
  preempted = 0;

  constructor(of: Of) {
    this.#of = of;
  }

  onStop(command: string, { run, task, preemptedBy }: StopCommand): void {
    if (preemptedBy === undefined || this.#seen.has(command)) return;
    this.#seen.add(command);
    this.preempted += 1;
    const { note, suiteOf } = this.#of;
    const [suite, by] = [suiteOf(run), suiteOf(preemptedBy.run)];
    if (suite === undefined || by === undefined) return;
    const what = `${run}/${task ?? ''} is pre-empted by ${preemptedBy.run}/${preemptedBy.task}`;
    if (suite.priority >= by.priority)
      note(`${what}, of priority ${by.priority}, its own is ${suite.priority}`);
    if (!(suite.preemptible ?? suite.checkpoints.length > 0)) note(`${what}, and cannot go on`);
    if ((suite.needs.hosts ?? 1) > 1 || (by.needs.hosts ?? 1) > 1)
      note(`${what}, and one takes several hosts`);
    if (![...this.#of.starts.values()].some((start) => isOf(start, preemptedBy)))
      note(`${what}, which was not handed out`);
  }
}

function isOf({ spec }: Start, by: { readonly run: string; readonly task: string }): boolean {
  return spec.run === by.run && spec.task === by.task;
}
