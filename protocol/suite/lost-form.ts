/** `onLost` and `crashLimit`: what becomes of a task whose host is lost. */
import { z } from 'zod';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';
import { duration } from './form-parts.ts';
import { parseDuration } from './units.ts';

const FORMS = 'must be wait, or how long to wait: { requeueAfter: 60s }';

export const OnLostForm = z.union(
  [
    z.literal('wait'),
    z.strictObject({
      requeueAfter: duration.meta({
        description: 'Try again elsewhere once the host has been unreachable for so long',
      }),
    }),
  ],
  { error: FORMS },
);

export const CrashLimitForm = z.number().int().positive().max(100);

interface Written {
  readonly onLost?: z.infer<typeof OnLostForm> | undefined;
  readonly crashLimit?: number | undefined;
}

export function lostOf({ onLost, crashLimit }: Written): Pick<SuiteSpec, 'onLost' | 'crashLimit'> {
  const requeueAfterMs =
    onLost === undefined || onLost === 'wait' ? null : parseDuration(onLost.requeueAfter);
  return {
    ...(onLost === undefined ? {} : { onLost: { requeueAfterMs } }),
    ...(crashLimit === undefined ? {} : { crashLimit }),
  };
}
