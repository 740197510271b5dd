/** Between an attempt and its report: when it is read, and what becomes of it. */
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { Timer } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { HealthWatch } from '../health/health-watch.ts';
import { AttemptReport } from '../report/attempt-report.ts';
import type { StageWindow } from '../report/stage-report.ts';
import type { AttemptDeps } from './attempt-deps.ts';
import type { AttemptMessage } from './attempt-state.ts';

export interface ReportLinkOptions {
  readonly deps: Pick<AttemptDeps, 'agent' | 'reports' | 'metricSink' | 'clock'>;
  readonly spec: AttemptSpec;
  readonly file: string;
  /** An agent process before this one may have read it. */
  readonly isResumed: boolean;
  readonly elapsedMs: () => number;
  readonly log: Log;
  readonly post: (message: AttemptMessage) => void;
  /** Hears what is reported. */
  readonly health: HealthWatch;
}

export class ReportLink {
  readonly #options: ReportLinkOptions;
  /** Made when the first step begins: what never runs reports nothing. */
  #report: AttemptReport | null = null;
  /** Of the end of a stage. */
  #stage: Timer | null = null;

  constructor(options: ReportLinkOptions) {
    this.#options = options;
  }

  /** A step runs: what it appends is read as it comes. */
  follow(): void {
    this.#options.deps.reports.add(this.#open());
  }

  /** An agent that came back: the attempt must know what was reported before it goes on. */
  catchUp(isStepping: boolean): void {
    if (isStepping) this.#open().poll();
    else this.#finish(this.#open());
  }

  /** Of a ramp: from now on, what is read in its time counts for it. */
  beginStage(stage: StageWindow, forMs: number | null = null): void {
    this.#open().beginStage(stage);
    if (forMs === null) return;
    this.#stage?.cancel();
    this.#stage = this.#options.deps.clock.after(forMs, () => {
      this.#endStage(true);
    });
  }

  /** Told once, where one was begun: at its end, or because the run has ended. */
  #endStage(isWhole: boolean): void {
    this.#stage?.cancel();
    const ended = this.#report?.endStage();
    if (ended) this.#options.post({ kind: 'stage_measured', isWhole, ...ended });
  }

  /** The writers are gone. */
  endStep(): void {
    this.#endStage(false);
    const report = this.#open();
    this.#finish(report);
    this.#options.deps.reports.remove(report);
  }

  /** No step comes any more. */
  end(): void {
    this.#report?.end();
  }

  close(): void {
    this.#stage?.cancel();
    if (this.#report === null) return;
    this.#options.deps.reports.remove(this.#report);
    this.#report.close();
  }

  #finish(report: AttemptReport): void {
    const reported = report.finish();
    if (reported !== null) this.#options.post({ kind: 'reported', reported });
  }

  #open(): AttemptReport {
    const { deps, post, health, ...options } = this.#options;
    this.#report ??= new AttemptReport({
      ...options,
      series: { ...deps.metricSink, subject: subjects.metrics(deps.agent, options.spec) },
      clock: deps.clock,
      onFacts: (facts) => {
        post({ kind: 'report', facts });
      },
      onHeard: (samples) => {
        health.see({ kind: 'activity' });
        for (const { name: metric, value, phase } of samples)
          health.see({ kind: 'value', metric, value, phase });
      },
    });
    return this.#report;
  }
}
