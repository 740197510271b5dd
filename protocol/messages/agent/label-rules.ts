/** Whether labels are as somebody wants them, and what is wanted in words. Pure. */
import type { LabelRule, LabelRules, NumberRule } from '../attempt/needs.ts';
import type { Labels } from './labels.ts';

/** The first label that is not as wanted; null where all are. */
export function wrongLabel(rules: LabelRules, labels: Labels): string | null {
  for (const [label, rule] of Object.entries(rules)) {
    const value = Object.hasOwn(labels, label) ? labels[label] : undefined;
    if (!holds(rule, value)) return label;
  }
  return null;
}

function holds(rule: LabelRule, value: string | undefined): boolean {
  const { in: any, not, exists } = rule;
  if (exists !== undefined && exists !== (value !== undefined)) return false;
  if (any !== undefined && (value === undefined || !any.includes(value))) return false;
  if (not !== undefined && value !== undefined && not.includes(value)) return false;
  if (!hasNumbers(rule)) return true;
  const number = value === undefined || value.trim() === '' ? Number.NaN : Number(value);
  return numberHolds(rule, number);
}

/** Of NaN nothing holds that says something. */
export function numberHolds({ gte, gt, lte, lt }: NumberRule, number: number): boolean {
  return (
    (gte === undefined || number >= gte) &&
    (gt === undefined || number > gt) &&
    (lte === undefined || number <= lte) &&
    (lt === undefined || number < lt)
  );
}

function hasNumbers({ gte, gt, lte, lt }: NumberRule): boolean {
  return [gte, gt, lte, lt].some((each) => each !== undefined);
}

/** `zone eu`, `disk nvme or ssd`, `speed >=10`, `no spot`, `kind not old`. */
export function labelRuleText(label: string, rule: LabelRule): string {
  const { in: any, not, exists } = rule;
  const parts = [
    ...(any === undefined ? [] : [any.map((value) => (value === '' ? '""' : value)).join(' or ')]),
    ...(not === undefined ? [] : [`not ${not.join(', ')}`]),
    ...(hasNumbers(rule) ? [numberRuleText(rule)] : []),
  ];
  if (exists === false) return `no ${label}`;
  return [label, ...parts].join(' ');
}

/** `>=8`, `>=8 <9`, `8` for exactly that. */
export function numberRuleText({ gte, gt, lte, lt }: NumberRule): string {
  if (gte !== undefined && gte === lte) return String(gte);
  const parts = [
    ...(gte === undefined ? [] : [`>=${gte}`]),
    ...(gt === undefined ? [] : [`>${gt}`]),
    ...(lte === undefined ? [] : [`<=${lte}`]),
    ...(lt === undefined ? [] : [`<${lt}`]),
  ];
  return parts.join(' ');
}

const COMPARISON = /^(>=|<=|>|<|=)?\s*(-?\d+(?:\.\d+)?)$/;

/** `>=10`, `<2.5`, `8.0`; null for what is none. */
export function readNumberRule(text: string): NumberRule | null {
  const [, sign = '=', digits] = COMPARISON.exec(text.trim()) ?? [];
  if (digits === undefined) return null;
  const number = Number(digits);
  switch (sign) {
    case '>=':
      return { gte: number };
    case '>':
      return { gt: number };
    case '<=':
      return { lte: number };
    case '<':
      return { lt: number };
    default:
      return { gte: number, lte: number };
  }
}
