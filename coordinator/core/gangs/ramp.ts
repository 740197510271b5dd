/**
 * A gang whose ranks begin their run in steps: who goes when, and when it is over.
 *
 *   all ranks ready -> stage opened (stored) -> go, to its ranks -> measured, by each -> the next stage, or
 *                                                                                     -> ramp ended (stored) -> go (over), to all
 *
 * 1. All hosts are there from the begin: placed all or none, as every gang, so no ramp waits for a host that
 *    another one holds.
 * 2. What follows is decided from what is stored alone, when the last rank of a stage has measured it: there
 *    is no timer here, and whoever leads next decides the same.
 * 3. The end of the ramp ends no attempt: ranks end their run, measure, tear down, and pass as any rank. One
 *    that fails, or is stopped, ends the gang as always (gang.ts): until its ranks have heard of a stop the ramp
 *    goes on, and to its end where a run is over its budget and finishes what it has begun.
 */
import { attemptOf } from '#protocol/fold/task-attempts.ts';
import { measuredIn, stageMetrics, type RampFold } from '#protocol/fold/ramp-fold.ts';
import type { GangFold } from '#protocol/fold/gang-fold.ts';
import type { Metric } from '#protocol/messages/attempt/outcome.ts';
import { RAMP_STEP, stagesOf, type RampRules } from '#protocol/messages/attempt/ramp.ts';
import type {
  AttemptStageMeasured,
  TaskRampEnded,
  TaskStageOpened,
} from '#protocol/messages/attempt/ramp-events.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { gangOf, isFailing, isReady, type Gang } from '../../runs/gang-state.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { publish, type Context } from '../core-state.ts';
import { LEAD_MS, rankId, TTL_SECONDS } from './gang.ts';

interface Of {
  readonly run: RunEntry;
  readonly task: TaskEntry;
}

/** What is to be stored next; null while something is waited for. */
export type RampTurn =
  | { readonly kind: 'open'; readonly stage: number; readonly ranks: number }
  | ({ readonly kind: 'end' } & Pick<TaskRampEnded, 'stage' | 'why' | 'reason'>);

/** Pure: from what the ranks have said. */
export function rampTurn(
  rules: RampRules,
  { hosts, ranks, ramp }: Pick<GangFold, 'hosts' | 'ranks' | 'ramp'>,
): RampTurn | null {
  const stages = stagesOf(rules, hosts);
  const last = ramp?.stages.at(-1);
  if (last === undefined) return { kind: 'open', stage: 1, ranks: stages[0] ?? hosts };
  if (ramp === undefined || ramp.ended !== null) return null;
  const measured = measuredIn({ ranks }, last);
  const hasEnded = (place: number): boolean => ranks[place]?.exited !== null;
  if (measured.some((one, place) => one === undefined && !hasEnded(place))) return null;
  const { stage } = last;
  const early = measured.findIndex((one, place) => one?.isWhole !== true || hasEnded(place));
  if (early >= 0) {
    const reason = `the run of rank ${early} ended by itself in stage ${stage}`;
    return { kind: 'end', stage, why: 'rank_ended', reason };
  }
  const little = rules.until === undefined ? null : tooLittle(rules.until, { ranks, ramp });
  if (little !== null) return { kind: 'end', stage, why: 'gain', reason: little };
  const next = stages[stage];
  if (next !== undefined) return { kind: 'open', stage: stage + 1, ranks: next };
  const reason = `all ${stages.length} stages were measured`;
  return { kind: 'end', stage, why: 'steps', reason };
}

/** Why the last stage is enough; null where it is not, or there is none to compare it with. */
function tooLittle(
  { metric, gain }: NonNullable<RampRules['until']>,
  { ranks, ramp }: { readonly ranks: GangFold['ranks']; readonly ramp: RampFold },
): string | null {
  const [before, last] = ramp.stages
    .slice(-2)
    .map((stage) => valueOf(metric, measuredIn({ ranks }, stage)));
  const count = ramp.stages.at(-1)?.ranks ?? 0;
  if (ramp.stages.length < 2) return null;
  if (before === undefined || last === undefined)
    return `${metric} was not reported in ${last === undefined ? 'the last stage' : 'the stage before'}`;
  const more = last.direction === 'lower' ? before.value - last.value : last.value - before.value;
  const share = before.value === 0 ? (more > 0 ? Infinity : 0) : more / Math.abs(before.value);
  if (share >= gain) return null;
  const better = share < 0 ? 'worse' : 'better';
  const unit = last.unit === '' ? '' : ` ${last.unit}`;
  return (
    `${metric} was ${brief(last.value)}${unit} with ${count} ranks, ` +
    `${brief(Math.abs(share) * 100)} % ${better} than ${brief(before.value)}: a gain of less than ${brief(gain * 100)} %`
  );
}

function valueOf(
  metric: string,
  measured: readonly (AttemptStageMeasured | undefined)[],
): Metric | undefined {
  return stageMetrics(measured).find(({ name }) => name === metric);
}

const brief = (value: number): number => Number(value.toPrecision(4));

/** After anything that a rank of it has said. Nothing for a gang that has no ramp. */
export function advanceRamp(context: Context, { run, task }: Of): void {
  const rules = run.suite.gang?.ramp;
  const gang = gangOf(run, task);
  if (rules === undefined || gang === null || !context.state.acting) return;
  if (task.phase !== 'assigned' || isFailing(gang)) return;
  const fold = foldOf(run, task, gang);
  if (fold === undefined) return;
  if (fold.ramp === undefined && !isReady(gang, RAMP_STEP)) return;
  const turn = rampTurn(rules, fold);
  if (turn === null) return;
  const asked = turn.kind === 'open' ? `stage ${turn.stage}` : 'end';
  // On its way: it is read when it is stored.
  if (gang.opened.has(asked)) return;
  gang.opened.set(asked, null);
  const subject = subjects.task(run.id, task.id);
  const { n } = gang;
  if (turn.kind === 'end') {
    const { stage, why, reason } = turn;
    publish(context, { subject, name: 'task.ramp_ended', data: { n, stage, why, reason } });
    return;
  }
  const { stage, ranks } = turn;
  const startMs = context.now.wallMs + LEAD_MS;
  const data = { n, stage, ranks, startMs, measureMs: rules.everyMs };
  publish(context, { subject, name: 'task.stage_opened', data });
}

function foldOf(run: RunEntry, { id }: TaskEntry, { n }: Gang): GangFold | undefined {
  const fold = run.fold.tasks.get(id);
  return fold === undefined ? undefined : attemptOf(fold, n)?.gang;
}

/** It was stored: every rank of it is told, those that joined before too, since all of them measure it. */
export function onStageOpened(
  context: Context,
  of: Of,
  { n, stage, ranks, startMs, measureMs }: TaskStageOpened,
): void {
  const gang = gangOf(of.run, of.task);
  if (gang?.n !== n || !context.state.acting) return;
  tell(context, of, gang, {
    ...{ what: `stage${stage}-`, ranks, startMs, withinMs: LEAD_MS },
    stage: { number: stage, measureMs },
  });
}

export function onRampEnded(context: Context, of: Of, { n, reason }: TaskRampEnded): void {
  const gang = gangOf(of.run, of.task);
  if (gang?.n !== n || !context.state.acting) return;
  const at = { startMs: context.now.wallMs, withinMs: 0 };
  tell(context, of, gang, { what: 'over', ranks: gang.ranks.length, ...at, over: { reason } });
}

interface Word {
  readonly what: string;
  /** To so many, from rank 0 on. */
  readonly ranks: number;
  readonly startMs: number;
  readonly withinMs: number;
  readonly stage?: { readonly number: number; readonly measureMs: number };
  readonly over?: { readonly reason: string };
}

function tell(
  context: Context,
  { run, task }: Of,
  gang: Gang,
  { what, ranks, ...word }: Word,
): void {
  gang.ranks.slice(0, ranks).forEach(({ agent, end }, rank) => {
    if (agent === null || end !== null) return;
    publish(context, {
      subject: subjects.command(agent, 'go', run.id),
      name: 'command.go',
      data: { run: run.id, task: task.id, n: gang.n, barrier: RAMP_STEP, ...word },
      id: rankId(run, task, { rank, what }),
      ttl: TTL_SECONDS,
      unordered: true,
    });
  });
}

/** A new leader says again what the last one may not have said to all, and goes on. */
export function resumeRamps(context: Context, run: RunEntry): void {
  if (run.suite.gang?.ramp === undefined || run.ended === 'stored') return;
  for (const id of run.gangs.keys()) {
    const task = run.tasks.get(id);
    const gang = task === undefined ? null : gangOf(run, task);
    if (task?.phase !== 'assigned' || gang === null) continue;
    const ramp = foldOf(run, task, gang)?.ramp;
    const last = ramp?.stages.at(-1);
    if (ramp?.ended) onRampEnded(context, { run, task }, { n: gang.n, ...ramp.ended });
    else if (last !== undefined) onStageOpened(context, { run, task }, last);
    advanceRamp(context, { run, task });
  }
}
