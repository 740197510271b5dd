/**
 * The stages of a gang that is started in steps, folded from the coordinator's word that one is open and from
 * what each of its ranks has measured in it. Pure.
 */
import type { Metric } from '../messages/attempt/outcome.ts';
import type { RequestSummary } from '../messages/attempt/report.ts';
import type {
  AttemptStageMeasured,
  TaskRampEnded,
  TaskStageOpened,
} from '../messages/attempt/ramp-events.ts';
import type { Message } from '../messages/envelope.ts';
import { metricsAcross, requestsAcross } from './across-ranks.ts';
import type { AttemptFold } from './attempt-fold.ts';
import { iso } from './stream-date.ts';

export interface RampFold {
  /** In their order, the first at 0. */
  readonly stages: TaskStageOpened[];
  ended: Pick<TaskRampEnded, 'stage' | 'why' | 'reason'> | null;
}

/** One row of the result. */
export interface StageView {
  readonly stage: number;
  readonly ranks: number;
  /** When it was to begin, by the coordinator's clock. */
  readonly start: string;
  readonly measureMs: number;
  /** Every rank of it has measured it to its end; null while it goes on. */
  readonly whole: boolean | null;
  readonly metrics: readonly Metric[];
  readonly requests: RequestSummary | null;
}

export interface RampView {
  readonly stages: readonly StageView[];
  readonly ended: RampFold['ended'];
}

type Gang = NonNullable<AttemptFold['gang']>;

/** What is said of the task; forward only. */
export function applyToRamp(attempt: AttemptFold | undefined, message: Message): void {
  const gang = attempt?.gang;
  if (gang === undefined || attempt === undefined) return;
  if (message.name === 'task.stage_opened') {
    const ramp = (gang.ramp ??= { stages: [], ended: null });
    if (ramp.ended !== null || message.data.stage !== ramp.stages.length + 1) return;
    ramp.stages.push(message.data);
    const { stage, ranks } = message.data;
    if (attempt.phaseIndex < 0) attempt.phase = `stage ${stage} (${ranks} of ${gang.hosts} ranks)`;
  } else if (message.name === 'task.ramp_ended' && gang.ramp !== undefined) {
    const { stage, why, reason } = message.data;
    gang.ramp.ended ??= { stage, why, reason };
  }
}

/** Ranks that have been let go; all of them where the gang has no ramp. */
export function joinedRanks({ ramp, hosts }: Pick<Gang, 'ramp' | 'hosts'>): number {
  return ramp === undefined ? hosts : (ramp.stages.at(-1)?.ranks ?? 0);
}

/** Of each rank of the stage what it has measured; undefined where it has not yet. */
export function measuredIn(
  { ranks }: Pick<Gang, 'ranks'>,
  { stage, ranks: count }: Pick<TaskStageOpened, 'stage' | 'ranks'>,
): (AttemptStageMeasured | undefined)[] {
  return Array.from({ length: count }, (_, place) =>
    ranks[place]?.stages?.find((one) => one.stage === stage),
  );
}

/** The stage's metrics by their operators, over the ranks that have told theirs. */
export function stageMetrics(measured: readonly (AttemptStageMeasured | undefined)[]): Metric[] {
  return metricsAcross(measured.filter((one) => one !== undefined));
}

export function rampView({ ramp, ranks }: Pick<Gang, 'ramp' | 'ranks'>): RampView | null {
  if (ramp === undefined) return null;
  const stages = ramp.stages.map((opened): StageView => {
    const all = measuredIn({ ranks }, opened);
    const told = all.filter((one) => one !== undefined);
    const isOver = told.length === all.length || ramp.ended !== null;
    return {
      stage: opened.stage,
      ranks: opened.ranks,
      start: iso(opened.startMs),
      measureMs: opened.measureMs,
      whole: isOver ? told.length === all.length && told.every(({ isWhole }) => isWhole) : null,
      metrics: stageMetrics(told),
      requests: requestsAcross(told.map(({ requests }) => requests)),
    };
  });
  return { stages, ended: ramp.ended };
}

/** Of its last stage that was measured whole: what the gang's result says. */
export function rampMetrics(gang: Pick<Gang, 'ramp' | 'ranks'>): readonly Metric[] {
  const stages = rampView(gang)?.stages ?? [];
  return (stages.findLast(({ whole }) => whole === true) ?? stages.at(-1))?.metrics ?? [];
}
