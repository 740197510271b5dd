/**
 * The config file of `benchmesh agent run`: what may be written. docs/agent.md documents every key of
 * it, and agent.schema.json is made from it for editors. Pure.
 */
import { z } from 'zod';
import { EXEC_OFF, ruleProblem } from '#protocol/messages/agent/exec-policy.ts';
import { AcceptsForm } from '#protocol/suite/accepts-form.ts';
import { SETTINGS, type SettingKey } from './agent-settings.ts';

const text = (key: SettingKey): z.ZodString =>
  z.string().superRefine((value, context) => {
    const problem = SETTINGS[key].problem(value);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  });

const described = <S extends z.ZodType>(key: SettingKey, schema: S): z.ZodOptional<S> =>
  schema.optional().meta({ description: SETTINGS[key].description });

const rule = z.string().superRefine((value, context) => {
  const problem = ruleProblem(value);
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
});

const EXEC_FORMS = `must be ${EXEC_OFF}, or a map such as allow: [uptime]`;
const off = z
  .string()
  .superRefine((value, context) => {
    if (value !== EXEC_OFF) context.addIssue({ code: 'custom', message: EXEC_FORMS });
  })
  .meta({ const: EXEC_OFF });
const exec = z.union([off, z.strictObject({ allow: z.array(rule).max(200) })], {
  error: EXEC_FORMS,
});

export const AgentForm = z.strictObject({
  id: described('id', text('id')),
  state: described('state', text('state')),
  server: described('server', text('server')),
  credential: described('credential', text('credential')),
  slots: described('slots', z.number().int().min(1).max(4096)),
  // One CPU is a number in YAML.
  reservedCpus: described(
    'reservedCpus',
    text('reservedCpus').meta({ type: ['string', 'integer'] }),
  ),
  rung: described('rung', z.enum(['auto', 'cgroup', 'subreaper', 'scan'])),
  labels: z
    .record(z.string(), z.string())
    .optional()
    .meta({ description: 'What people know of the host and the host does not: key: value' }),
  refresh: described('refresh', text('refresh')),
  connectTimeout: described('connectTimeout', text('connectTimeout')),
  logFile: described('logFile', text('logFile')),
  onTerm: described('onTerm', z.enum(['drain', 'leave'])),
  spoolLimit: described('spoolLimit', text('spoolLimit')),
  journalLimit: described('journalLimit', text('journalLimit')),
  keepDays: described('keepDays', z.number().int().min(1).max(3650)),
  exec: described('exec', exec),
  accepts: described('accepts', AcceptsForm),
});
export type AgentForm = z.infer<typeof AgentForm>;

export function agentJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(AgentForm, { target: 'draft-7', io: 'input' });
  return { title: 'benchmesh agent', ...schema };
}
