/** What a suite says of its attempts that matters to the host, beside what they need. Pure. */
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { setupOf } from '../attempt/rules/host-setup-rules.ts';
import type { LiveAttempt } from './host-state.ts';

/** Few attempts have any of it: nothing of it is in those that have none. */
export function wishesOf(spec: AttemptSpec): Pick<LiveAttempt, 'stopAfterMs' | 'setup'> {
  const { onPartition } = spec;
  const setup = setupOf(spec);
  return {
    ...(onPartition === undefined ? {} : { stopAfterMs: onPartition.stopAfterMs }),
    ...(setup === undefined ? {} : { setup }),
  };
}
