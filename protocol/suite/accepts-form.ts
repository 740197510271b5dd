/** What the config of an agent says of `accepts`: its form, and from there to the wire form. Pure. */
import { z } from 'zod';
import type { Accepts } from '../messages/agent/accepts.ts';
import { readNumberRule } from '../messages/agent/label-rules.ts';
import { explainIssues } from './explain.ts';
import { filled } from './form-parts.ts';
import { LabelsForm, labelRulesOf } from './needs-form.ts';
import { pathText } from './problem.ts';
import { readYaml } from './read-yaml.ts';
import { textify } from './textify.ts';
import { toPlain, type Tree } from './tree.ts';

const PRIORITY = 'must be a number, or one after >=, >, <= or <, such as ">=10"';

export const AcceptsForm = z.strictObject({
  priority: z
    .union(
      [
        z.number(),
        z.string().refine((text) => readNumberRule(text) !== null, {
          error: ({ input }) => `${PRIORITY}, not ${JSON.stringify(input)}`,
        }),
      ],
      { error: PRIORITY },
    )
    .optional()
    .meta({ description: 'Of a task, such as ">=10"' }),
  labels: LabelsForm.optional().meta({ description: 'Labels of the run' }),
  suites: z
    .array(filled)
    .min(1, 'must not be empty')
    .optional()
    .meta({ description: 'Globs of names of suites' }),
});

export type ReadAccepts =
  | { readonly kind: 'accepts'; readonly accepts: Accepts }
  | { readonly kind: 'wrong'; readonly reason: string };

/** Of a flag or a variable: a map in one line, of YAML or JSON. */
export function readAccepts(text: string): ReadAccepts {
  const { tree: written, findings } = readYaml(text);
  const [broken] = findings;
  if (written?.kind !== 'map' || broken !== undefined)
    return wrong('must be a map of priority, labels and suites, such as {priority: ">=10"}');
  const tree = asText(written);
  const form = AcceptsForm.safeParse(toPlain(tree), { reportInput: true });
  if (form.success) return { kind: 'accepts', accepts: acceptsOf(form.data) };
  const [first] = explainIssues(form.error, AcceptsForm, tree);
  return wrong(`${pathText(first?.path ?? [])} ${first?.message ?? 'is wrong'}`.trim());
}

/** Values of labels, as in `needs`. */
function asText(tree: Tree): Tree {
  const entries = new Map([['accepts', { keyAt: tree.at, value: tree }]]);
  const whole = textify({ kind: 'map', at: tree.at, entries });
  return (whole.kind === 'map' ? whole.entries.get('accepts')?.value : undefined) ?? tree;
}

function acceptsOf({ priority, labels, suites }: z.infer<typeof AcceptsForm>): Accepts {
  const rule = priority === undefined ? null : readNumberRule(String(priority));
  return {
    ...(rule === null ? {} : { priority: rule }),
    ...(labels === undefined ? {} : { labels: labelRulesOf(labels) }),
    ...(suites === undefined ? {} : { suites }),
  };
}

function wrong(reason: string): ReadAccepts {
  return { kind: 'wrong', reason };
}
