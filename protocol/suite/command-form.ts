/** The form of a suite's commands, checks and services. */
import { z } from 'zod';
import {
  argv,
  env,
  filled,
  hasOneOf,
  signal,
  stdio,
  templatedDuration,
  templatedLimit,
  word,
} from './form-parts.ts';
import { LimitsForm } from './limits-form.ts';

export const programKeys = {
  exec: argv.optional().meta({ description: 'Program and arguments, given to it as they are' }),
  shell: filled.optional().meta({ description: 'Text for /bin/sh -c' }),
};

const commandKeys = {
  ...programKeys,
  env: env
    .optional()
    .meta({ description: 'Environment of this command, over the env of the suite' }),
  cwd: filled.optional().meta({ description: 'Folder to run in; default: the work folder' }),
  timeout: templatedLimit.optional().meta({ description: 'Time limit of this command alone' }),
  grace: templatedDuration
    .optional()
    .meta({ description: 'From the stop signal to the kill; default: the grace of the suite' }),
  stopSignal: signal
    .optional()
    .meta({ description: 'Signal that asks it to end; default: that of the suite' }),
  stdio: stdio
    .optional()
    .meta({ description: 'pipe, or pty for programs that buffer by the block' }),
  limits: LimitsForm.optional().meta({
    description: 'What it may take, over the limits of the suite',
  }),
};

export const Command = z
  .strictObject(commandKeys)
  .superRefine(hasOneOf('exec', 'shell'))
  .meta({ id: 'command' });

const AMOUNT = 'must be a whole number';
/** Numbers of a step reach this as texts (textify.ts). */
const amount = z.union([z.number().int().nonnegative(), z.string().regex(/^\d+$|\{\{/, AMOUNT)], {
  error: AMOUNT,
});
const URL_FORM = 'must be a URL, such as http://127.0.0.1:8000/health';
const url = filled.regex(/^https?:\/\/\S+$|\{\{/, URL_FORM);
const PORT = 'must be a port, from 1 to 65535';
const port = z.union([z.number().int(), z.string().refine(isPort, PORT)], { error: PORT });
export const contains = filled.meta({ description: 'Text that the answer must have in it' });
const host = filled.meta({ description: 'Name or address; default 127.0.0.1' });

function isPort(value: string): boolean {
  return (
    value.includes('{{') || (/^\d{1,5}$/.test(value) && value !== '0' && Number(value) < 65_536)
  );
}

const DRIVER = 'must be a version of a driver, such as 550 or 535.104.05';
const driver = z.union([z.number(), z.string().regex(/^\d[\w.+-]*$|\{\{/, DRIVER)], {
  error: DRIVER,
});

/** Keys of a check that the agent itself makes. */
const askedKeys = {
  gpu: z
    .strictObject({
      name: word.optional().meta({ description: 'Part of the name of the GPU, any case' }),
      minFreeVramMiB: amount.optional().meta({ description: 'VRAM that must be free, in MiB' }),
      driver: driver.optional().meta({ description: 'Oldest version of the driver' }),
    })
    .meta({ description: 'A usable GPU is there' }),
  http: url.meta({ description: 'URL that answers with a status of 2xx' }),
  disk: z
    .strictObject({
      path: filled.optional().meta({ description: 'Default: the work folder' }),
      minFreeMiB: amount.meta({ description: 'Room that must be free, in MiB' }),
    })
    .meta({ description: 'The file system of a path has room' }),
  file: filled.meta({ description: 'Path of something that can be read' }),
  port: z
    .strictObject({
      host: host.optional(),
      port: port.meta({ description: 'TCP port' }),
      free: z
        .union([z.boolean(), z.enum(['true', 'false'])], { error: 'must be true or false' })
        .optional()
        .meta({ description: 'Nothing may listen there; default false: something must' }),
    })
    .meta({ description: 'Something listens on a TCP port, or nothing does' }),
} as const;
export const ASKED = ['gpu', 'http', 'disk', 'file', 'port'] as const;

export const asked = z.object(askedKeys).partial().shape;

export const Check = z
  .strictObject({
    ...commandKeys,
    ...asked,
    contains: contains.optional(),
    message: filled.optional().meta({ description: 'The line to show when the check fails' }),
    onFail: z
      .enum(['fail', 'skip'])
      .optional()
      .meta({ description: 'What a failed check makes of the task' }),
  })
  .superRefine(hasOneOf('exec', 'shell', ...ASKED))
  .superRefine((check, context) => {
    const say = (key: string, message: string) => {
      context.addIssue({ code: 'custom', path: [key], message });
    };
    if (check.contains !== undefined && check.http === undefined)
      say('contains', 'belongs to http only; remove it');
    if (!ASKED.some((key) => check[key] !== undefined)) return;
    for (const key of ['env', 'cwd', 'grace', 'stopSignal', 'stdio', 'limits'] as const)
      if (check[key] !== undefined) say(key, 'belongs to exec and shell only; remove it');
  })
  .meta({ id: 'check' });

const Ready = z
  .strictObject({
    http: url.optional().meta({ description: 'URL that answers with a status of 2xx' }),
    contains: contains.optional(),
    port: port.optional().meta({ description: 'TCP port that something listens on' }),
    host: host.optional(),
    line: filled.optional().meta({ description: 'Text in a line of its output' }),
  })
  .superRefine(hasOneOf('http', 'port', 'line'))
  .superRefine((ready, context) => {
    for (const [key, of] of [
      ['contains', 'http'],
      ['host', 'port'],
    ] as const)
      if (ready[key] !== undefined && ready[of] === undefined)
        context.addIssue({
          code: 'custom',
          path: [key],
          message: `belongs to ${of} only; remove it`,
        });
  })
  .meta({ id: 'ready' });

export const Service = z
  .strictObject({
    ...commandKeys,
    timeout: templatedLimit
      .optional()
      .meta({ description: 'Time until it must be ready; default 5m' }),
    ready: Ready.meta({ description: 'When it is ready' }),
  })
  .superRefine(hasOneOf('exec', 'shell'))
  .meta({ id: 'service' });

const HostSetup = z
  .strictObject({
    ...commandKeys,
    key: filled.optional().meta({
      description: 'Made once per host and run for each of its values; default: the command itself',
    }),
  })
  .superRefine(hasOneOf('exec', 'shell'))
  .meta({ id: 'hostSetup' });
export const hostSetup = z.union([argv, HostSetup], {
  error: 'must be a command: a list of words, such as [make, all], or {shell: "...", key: "..."}',
});

const COMMAND = {
  error:
    'must be a command: a list of words, such as [echo, hello], {shell: "..."}, or a list of commands',
};
export const step = z
  .union([argv, Command, z.array(z.union([argv, Command])).min(1, 'must not be empty')], COMMAND)
  .meta({ id: 'commands' });
export const checks = z
  .union([argv, Check, z.array(z.union([argv, Check])).min(1, 'must not be empty')], COMMAND)
  .meta({ id: 'checks' });
export const services = z
  .union([Service, z.array(Service).min(1, 'must not be empty')], {
    error: 'must be a service: {exec: [...], ready: {...}}, or a list of them',
  })
  .meta({ id: 'services' });
