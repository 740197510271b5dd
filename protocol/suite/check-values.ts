/**
 * Checks and conditions of readiness: from the form to named texts with templates, and from their
 * expanded texts to what the agent evaluates. Pure.
 */
import { CheckSpec, ReadySpec, type CheckTemplate } from '../messages/attempt/check-spec.ts';
import type { CommandForm } from './form.ts';

type AskedForm = Pick<CommandForm, 'gpu' | 'http' | 'contains' | 'disk' | 'file' | 'port'>;

const LOCALHOST = '127.0.0.1';

export function checkTemplateOf(form: AskedForm): { check?: CheckTemplate } {
  const { gpu, http, contains, disk, file, port } = form;
  if (gpu !== undefined) return { check: { kind: 'gpu', values: textsOf(gpu) } };
  if (http !== undefined)
    return { check: { kind: 'http', values: textsOf({ url: http, contains }) } };
  if (disk !== undefined) return { check: { kind: 'disk', values: textsOf(disk) } };
  if (file !== undefined) return { check: { kind: 'file', values: { path: file } } };
  if (port !== undefined) return { check: { kind: 'port', values: textsOf(port) } };
  return {};
}

export function readyTemplateOf({ ready }: CommandForm): { ready?: CheckTemplate } {
  if (ready === undefined) return {};
  const { http, contains, port, host, line } = ready;
  if (http !== undefined)
    return { ready: { kind: 'http', values: textsOf({ url: http, contains }) } };
  if (port !== undefined) return { ready: { kind: 'port', values: textsOf({ port, host }) } };
  return { ready: { kind: 'line', values: textsOf({ text: line }) } };
}

function textsOf(values: Readonly<Record<string, unknown>>): Record<string, string> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([key, value]) => [key, String(value)]));
}

type Values = Readonly<Record<string, string>>;

/** Throws where a text is none of what its place takes: parsing has seen all values of a suite. */
export function checkSpecOf(kind: CheckTemplate['kind'], values: Values): CheckSpec {
  return CheckSpec.parse({
    kind,
    ...typed(kind, values),
    ...(kind === 'port' ? { free: values['free'] === 'true' } : {}),
  });
}

/** Throws as `checkSpecOf`. */
export function readySpecOf(kind: CheckTemplate['kind'], values: Values): ReadySpec {
  return ReadySpec.parse({ kind, ...typed(kind, values) });
}

function typed(kind: CheckTemplate['kind'], values: Values): Record<string, unknown> {
  const { url, contains = null } = values;
  switch (kind) {
    case 'gpu': {
      const { name = null, driver = null } = values;
      return { name, driver, minFreeVramMiB: numberOf(values['minFreeVramMiB']) };
    }
    case 'http':
      return { url: urlOf(url), contains };
    case 'disk':
      return { path: values['path'] ?? null, minFreeMiB: numberOf(values['minFreeMiB']) };
    case 'port':
      return { host: values['host'] ?? LOCALHOST, port: numberOf(values['port']) };
    case 'file':
    case 'exec':
    case 'line':
      return { ...values };
  }
}

/** Digits only, as in the form: `Number` would read `1e3` and blanks. */
function numberOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

function urlOf(text: string | undefined): string | null {
  return text !== undefined && /^https?:\/\/\S+$/.test(text) && URL.canParse(text) ? text : null;
}
