/**
 * The services of an attempt: steps that live beside others. Pure, as attempt-reducer.ts.
 *
 *   stepping (until ready) -> live, beside load, run and collect -> closing -> gone, before the teardown
 *
 * 1. One that ends before `closing` has failed the attempt, whatever its status; what runs is stopped.
 * 2. Nothing of the attempt goes on to its measurements before every service is gone (I9).
 * 3. A stop goes to all of them and to the running step at once.
 */
import type { AttemptMessage, AttemptState, LiveService } from '../attempt-state.ts';
import type { StopOrder } from '../stop-order.ts';
import { decide, decideFailed, decideStopped, settle } from './end-rules.ts';
import { serviceVerdictOf } from './step-rules.ts';
import type { Turn } from './turn.ts';

type Of<K extends AttemptMessage['kind']> = Extract<AttemptMessage, { kind: K }>;

export function isService({ services = [] }: AttemptState, index: number): boolean {
  return services.some((service) => service.index === index);
}

/** True when it became one that lives beside the next step. */
export function onServiceReady(turn: Turn, { index, afterMs }: Of<'service_ready'>): boolean {
  const { life, spec, verdict, stop, services = [], measured = [] } = turn.state;
  if (life.kind !== 'stepping' || life.index !== index) return false;
  if (verdict !== null || stop !== null) return false;
  const metric = {
    name: `step.${spec.steps[index]?.id ?? 'service'}.ready`,
    value: afterMs / 1000,
    unit: 's',
    direction: 'lower',
  } as const;
  const service: LiveService = { index, pid: life.pid ?? null };
  turn.keep({ services: [...services, service], measured: [...measured, metric] });
  return true;
}

export function onServiceUnready(turn: Turn, { index, reason }: Of<'service_unready'>): void {
  const { life, spec, stop } = turn.state;
  const step = spec.steps[index];
  if (life.kind !== 'stepping' || life.index !== index || step === undefined) return;
  if (stop !== null) return;
  const said = `${step.id}: not ready within ${step.service?.readyMs ?? 0} ms: ${reason}`;
  decide(turn, { outcome: 'timed_out', stage: step.step, class: 'timeout', reason: said });
  stopStep(turn, index);
}

/** True when it was the last that `closing` waited for. */
export function onServiceEnded(turn: Turn, message: Of<'step_ended'>): boolean {
  const { life, spec, services = [] } = turn.state;
  const { index, outcome, lastLine, stderrTail } = message;
  const step = spec.steps[index];
  if (step === undefined) return false;
  settle(turn, step, outcome);
  const left = services.filter((service) => service.index !== index);
  turn.keep({ services: left });
  if (life.kind === 'closing') return left.length === 0;
  if (turn.state.stop !== null) {
    decideStopped(turn);
    return false;
  }
  const verdict = serviceVerdictOf(step, outcome, { when: 'while it was needed', lastLine });
  decideFailed(turn, verdict, { step: step.id, text: stderrTail });
  if (life.kind === 'stepping') stopStep(turn, life.index);
  return false;
}

/** True when there are services to wait for. */
export function closeServices(turn: Turn): boolean {
  const { services = [], stop } = turn.state;
  if (services.length === 0) return false;
  turn.keep({ life: { kind: 'closing' } });
  for (const { index } of services) {
    if (stop === null) stopStep(turn, index);
    else turn.effect({ kind: 'stop_step', index, graceMs: stop.graceMs, now: stop.now });
  }
  return true;
}

/** A stop reached the attempt: the running step and the services, each with its own grace. */
export function stopAll(turn: Turn, order: StopOrder): void {
  for (const index of runningIn(turn.state)) {
    const graceMs = order.now ? 0 : (order.graceMs ?? graceOf(turn.state, index));
    turn.effect({ kind: 'stop_step', index, graceMs, now: order.now });
  }
}

/** Positions of what runs; the step first. */
export function runningIn({ life, services = [] }: AttemptState): number[] {
  return [...(life.kind === 'stepping' ? [life.index] : []), ...services.map(({ index }) => index)];
}

export function graceOf({ spec }: Pick<AttemptState, 'spec'>, index: number): number {
  return spec.steps[index]?.graceMs ?? spec.graceMs;
}

/** Not by anybody's stop: because it is not wanted any more. */
function stopStep(turn: Turn, index: number): void {
  turn.effect({ kind: 'stop_step', index, graceMs: graceOf(turn.state, index), now: false });
}
