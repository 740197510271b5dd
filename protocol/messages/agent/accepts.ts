/** What an agent takes at all, as its config says. Absent from a registration: everything. */
import { z } from 'zod';
import { LabelRules, NumberRule } from '../attempt/needs.ts';
import { matchesGlob } from '../name-glob.ts';
import type { Labels } from './labels.ts';
import { labelRuleText, numberHolds, numberRuleText, wrongLabel } from './label-rules.ts';

export const Accepts = z.object({
  /** Of the task. */
  priority: NumberRule.optional(),
  /** Labels that its run was submitted with. */
  labels: LabelRules.optional(),
  /** Globs of the names of suites. */
  suites: z.array(z.string()).optional(),
});
export type Accepts = z.infer<typeof Accepts>;

/** What of a task decides whether an agent accepts it. */
export interface Offer {
  readonly priority: number;
  readonly suite: string;
  readonly labels: Labels;
}

/** What it takes instead, in words; null where it takes that. */
export function refusalOf(accepts: Accepts, offer: Offer): string | null {
  const { priority, labels, suites } = accepts;
  if (priority !== undefined && !numberHolds(priority, offer.priority))
    return `priority ${numberRuleText(priority)}`;
  if (suites?.some((suite) => matchesGlob(suite, offer.suite)) === false)
    return `suite ${suites.join(' or ')}`;
  const wrong = labels === undefined ? null : wrongLabel(labels, offer.labels);
  return wrong === null ? null : `runs with label ${labelRuleText(wrong, labels?.[wrong] ?? {})}`;
}
