/** What all attempts of an agent share. */
import type { Proof } from '#protocol/messages/attempt/outcome.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { LogPacer } from '../logs/log-pacer.ts';
import type { LogStore } from '../logs/log-store.ts';
import type { SpoolBudget } from '../logs/spool-budget.ts';
import type { CheckContext } from '../checks/types.ts';
import type { Supervisor } from '../process/types.ts';
import type { ReportPoller } from '../report/report-tail.ts';
import type { EventSink } from '../state/event-sink.ts';
import type { Ledger } from '../state/ledger.ts';
import type { MetricSink } from '../telemetry/metric-outbox.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { AttemptEnd, Verdict } from './attempt-state.ts';
import type { ScratchFolders } from './run-folders.ts';
import type { FileSource } from '../files/place-checkpoint.ts';
import type { FileStore } from './file-store.ts';

export interface AttemptDeps {
  readonly agent: string;
  readonly instance: string;
  readonly stateDir: string;
  readonly bootId: string;
  readonly proof: Proof;
  readonly inheritedEnv: Readonly<Record<string, string>>;
  readonly supervisor: Supervisor;
  readonly ledger: Ledger;
  readonly sink: EventSink;
  readonly logStore: LogStore;
  readonly logPacer: LogPacer;
  readonly spool: SpoolBudget;
  readonly fileStore: FileStore & FileSource;
  readonly reports: ReportPoller;
  readonly telemetry: Telemetry;
  readonly metricSink: MetricSink;
  readonly lookAtGpus: CheckContext['lookAtGpus'];
  readonly clock: Clock;
  readonly log: Log;
  readonly onBug: (error: unknown) => void;
  readonly scratch: ScratchFolders;
  readonly onFreed: (key: string) => void;
  /** It has prepared the host for others, or could not; null: it has. */
  readonly onSetUp: (key: string, failure: Verdict | null) => void;
  readonly onEnded: (key: string, end: AttemptEnd) => void;
  /** Nothing of it is left to do in this process. */
  readonly onGone: (key: string) => void;
}
