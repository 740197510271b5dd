/** `ramp` of a suite's gang: its ranks begin their run in steps. */
import { z } from 'zod';
import { RAMP_STEP, type RampRules } from '../messages/attempt/ramp.ts';
import { someDuration } from './form-parts.ts';
import type { Finding } from './problem.ts';
import { child, items, type Tree } from './tree.ts';
import { parseDuration } from './units.ts';

const GAIN = 'must be a share in percent, such as 5%';
const PERCENT = /^(\d+(?:\.\d+)?)%$/;

export const RampForm = z.strictObject({
  steps: z
    .array(z.number().int().positive())
    .min(1)
    .meta({ description: 'How many ranks run in each stage, fewer first; the last: needs.hosts' }),
  every: someDuration.meta({ description: 'How long each stage is measured' }),
  until: z
    .strictObject({
      metric: z.string().min(1).meta({ description: 'A metric with report, or one of requests' }),
      gain: z
        .string({ error: GAIN })
        .regex(PERCENT, GAIN)
        .meta({ description: 'It ends with the stage that gains less than this share' }),
    })
    .optional()
    .meta({ description: 'When it ends before its last stage' }),
});
export type RampForm = z.infer<typeof RampForm>;

export function rampOf({ steps, every, until }: RampForm): RampRules {
  const percent = Number(PERCENT.exec(until?.gain ?? '')?.[1] ?? 0);
  return {
    steps,
    everyMs: parseDuration(every) ?? 0,
    ...(until === undefined ? {} : { until: { metric: until.metric, gain: percent / 100 } }),
  };
}

/** Of requests there are metrics without the suite naming them. */
const OF_REQUESTS = ['rate', 'tokens_per_second', 'latency_p50', 'latency_p95', 'latency_p99'];

export function checkRamp(tree: Tree): Finding[] {
  const gang = child(tree, 'gang');
  const ramp = child(gang, 'ramp');
  if (ramp?.kind !== 'map') return [];
  return [...checkSteps(tree, ramp), ...checkRun(tree, ramp), ...checkMetric(tree, ramp)];
}

function checkSteps(tree: Tree, ramp: Tree): Finding[] {
  const steps = child(ramp, 'steps');
  const values = items(steps).flatMap((node) =>
    node.kind === 'scalar' && typeof node.value === 'number' ? [node.value] : [],
  );
  const hosts = child(child(tree, 'needs'), 'hosts');
  if (steps === null || values.length === 0) return [];
  const at = { at: steps.at, path: ['gang', 'ramp', 'steps'] };
  if (values.some((value, i) => i > 0 && value <= (values[i - 1] ?? 0)))
    return [{ ...at, message: 'must grow from one to the next' }];
  const all = hosts?.kind === 'scalar' && typeof hosts.value === 'number' ? hosts.value : null;
  if (all !== null && values.at(-1) !== all)
    return [{ ...at, message: `must end with all ranks, ${all} (needs.hosts)` }];
  return [];
}

/** What the ranks share out is the begin of one command. */
function checkRun(tree: Tree, ramp: Tree): Finding[] {
  const run = child(tree, RAMP_STEP);
  const isMany = run?.kind === 'list' && run.items.length > 1 && run.items[0]?.kind !== 'scalar';
  if (isMany)
    return [{ at: ramp.at, path: ['gang', 'ramp'], message: 'needs run to be one command' }];
  const barriers = child(child(tree, 'gang'), 'barriers');
  if (barriers === null) return [];
  if (items(barriers).some((node) => node.kind === 'scalar' && node.value === RAMP_STEP)) return [];
  const message = 'must hold run, which the ramp begins in steps';
  return [{ at: barriers.at, path: ['gang', 'barriers'], message }];
}

function checkMetric(tree: Tree, ramp: Tree): Finding[] {
  const node = child(child(ramp, 'until'), 'metric');
  if (node?.kind !== 'scalar') return [];
  const name = String(node.value);
  if (OF_REQUESTS.some((one) => name === `requests.${one}`)) return [];
  const declared = items(child(tree, 'metrics')).find((metric) => {
    const own = child(metric, 'name');
    return own?.kind === 'scalar' && own.value === name;
  });
  const at = { at: node.at, path: ['gang', 'ramp', 'until', 'metric'] };
  const known = `a metric with report, or requests.${OF_REQUESTS.join(', requests.')}`;
  if (declared === undefined) return [{ ...at, message: `the suite has no such metric: ${known}` }];
  if (child(declared, 'report') === null)
    return [{ ...at, message: `is read at the end of the run, not while it lasts: name ${known}` }];
  const direction = child(declared, 'direction');
  if (direction?.kind === 'scalar' && direction.value !== 'none') return [];
  return [{ ...at, message: 'needs a direction, higher or lower, to be better or worse' }];
}
