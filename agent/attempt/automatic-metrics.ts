/** What is measured of every attempt without being declared. Pure. */
import { HOST_SETUP_STEP, STEPS } from '#protocol/messages/attempt/attempt-spec.ts';
import type { Metric } from '#protocol/messages/attempt/outcome.ts';
import type { AttemptState } from './attempt-state.ts';

/** `step.run.duration`: all commands of a step together; a step that did not run has none. */
export function automaticMetrics({
  steps,
  measured = [],
}: Pick<AttemptState, 'steps' | 'measured'>): Metric[] {
  const durations = [HOST_SETUP_STEP, ...STEPS].flatMap((name): Metric[] => {
    const own = steps.filter(({ step, id }) => (id === HOST_SETUP_STEP ? id : step) === name);
    if (own.length === 0) return [];
    const ms = own.reduce((sum, { durationMs }) => sum + durationMs, 0);
    return [{ name: `step.${name}.duration`, value: ms / 1000, unit: 's', direction: 'lower' }];
  });
  return [...durations, ...measured];
}
