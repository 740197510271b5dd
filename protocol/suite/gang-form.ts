/** The `gang` of a suite: how the ranks of a task with several hosts go together. */
import { z } from 'zod';
import type { GangRules } from '../messages/attempt/gang.ts';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';
import type { PlannedTask } from './expand.ts';
import type { Finding } from './problem.ts';
import { someDuration } from './form-parts.ts';
import { checkRamp, RampForm, rampOf } from './ramp-form.ts';
import { child, type Tree } from './tree.ts';
import { parseDuration } from './units.ts';

/** Steps that may begin on all hosts at once. */
const BARRIERS = ['setup', 'service', 'load', 'run', 'collect'] as const;
const DEFAULT_BARRIERS: readonly string[] = ['run'];

/** What ranks may meet at by default: below the ports that systems give away by themselves. */
const FIRST_PORT = 20_000;
const PORTS = 10_000;

const ON_RANK_LOST = 'must be end, or how long to look for another host: { replaceWithin: 2m }';

const OnRankLostForm = z.union(
  [
    z.literal('end'),
    z.strictObject({
      replaceWithin: someDuration.meta({
        description: 'The rank begins anew on another host, if one is found in that time',
      }),
    }),
  ],
  { error: ON_RANK_LOST },
);

export const GangForm = z.strictObject({
  barriers: z
    .array(z.enum(BARRIERS))
    .optional()
    .meta({ description: 'Steps that begin on all hosts at once; default: run' }),
  port: z
    .number()
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .meta({ description: 'MASTER_PORT of every gang; default: another one for each attempt' }),
  ramp: RampForm.optional().meta({ description: 'The ranks begin their run in steps' }),
  onRankLost: OnRankLostForm.optional().meta({
    description: 'What becomes of the gang when the host of one rank is lost; default: end',
  }),
});
export type GangForm = z.infer<typeof GangForm>;

export function gangOf(form: GangForm): GangRules {
  const { barriers, port, ramp, onRankLost } = form;
  return {
    ...(barriers === undefined ? {} : { barriers }),
    ...(port === undefined ? {} : { port }),
    ...(ramp === undefined ? {} : { ramp: rampOf(ramp) }),
    ...(onRankLost === undefined || onRankLost === 'end'
      ? {}
      : { onRankLost: { replaceWithinMs: parseDuration(onRankLost.replaceWithin) ?? 0 } }),
  };
}

/** A gang of one host has nobody to wait for; and a barrier needs its step. */
export function checkGang(tree: Tree): Finding[] {
  const gang = child(tree, 'gang');
  if (gang?.kind !== 'map') return [];
  const hosts = child(child(tree, 'needs'), 'hosts');
  const isOne = hosts === null || (hosts.kind === 'scalar' && hosts.value === 1);
  if (isOne)
    return [
      { at: gang.at, path: ['gang'], message: 'belongs to needs.hosts of 2 or more; remove it' },
    ];
  const barriers = child(gang, 'barriers');
  const others = [...checkRamp(tree), ...checkRankLost(tree, gang)];
  if (barriers?.kind !== 'list') return others;
  const named = new Set<unknown>();
  const unknown = barriers.items.flatMap((node, i) => {
    if (node.kind !== 'scalar' || !BARRIERS.some((step) => step === node.value)) return [];
    const path = ['gang', 'barriers', i];
    const step = String(node.value);
    if (named.has(step))
      return [{ at: node.at, path, message: `step ${step} is named twice; remove it` }];
    named.add(step);
    if (child(tree, step) !== null) return [];
    return [{ at: node.at, path, message: `the suite has no step ${step} to wait before` }];
  });
  return [...unknown, ...others];
}

/** A rank that begins anew is none of those that a stage was to measure; and one must be given up first. */
function checkRankLost(tree: Tree, gang: Tree): Finding[] {
  const rule = child(gang, 'onRankLost');
  if (rule?.kind !== 'map') return [];
  const path = ['gang', 'onRankLost'];
  const onLost = child(tree, 'onLost');
  if (child(gang, 'ramp') !== null)
    return [
      { at: rule.at, path, message: 'a gang with a ramp cannot replace its ranks; remove it' },
    ];
  if (onLost?.kind === 'scalar' && onLost.value === 'wait')
    return [
      { at: rule.at, path, message: 'with onLost: wait no rank is ever given up; remove it' },
    ];
  return [];
}

/** What every rank of an attempt has in common; the port is the same for whoever works it out. */
export function gangRulesOf(
  suite: Pick<SuiteSpec, 'gang' | 'steps'>,
  { task, n }: { readonly task: Pick<PlannedTask, 'index'>; readonly n: number },
): { readonly barriers: string[]; readonly port: number } {
  const { barriers = DEFAULT_BARRIERS, port } = suite.gang ?? {};
  return {
    barriers: suite.steps.flatMap(({ id }) => (barriers.includes(id) ? [id] : [])),
    port: port ?? FIRST_PORT + ((task.index * 101 + n) % PORTS),
  };
}
