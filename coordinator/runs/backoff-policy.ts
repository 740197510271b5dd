/** How long a failed task waits before it is tried again. Pure: chance comes from the task's own id. */
import type { RetryRule } from '#protocol/messages/run/suite-spec.ts';

/**
 * The wait before one more attempt, in ms: at least 1, at most `maxMs` and the jitter.
 * `used`: how many attempts after failures of this class the task has had. `salt`: the same gives the same.
 */
export function backoffMs(rule: RetryRule, used: number, salt: string): number {
  const wait = Math.min(rule.maxMs, rule.backoffMs * rule.factor ** used);
  return Math.max(1, Math.round(wait * (1 + rule.jitter * shareOf(salt))));
}

/** A number in [0, 1), spread evenly over texts. */
function shareOf(text: string): number {
  let mixed = 0x9e3779b9;
  for (let at = 0; at < text.length; at += 1)
    mixed = Math.imul(mixed ^ text.charCodeAt(at), 0x85ebca6b) ^ (mixed >>> 15);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
}
