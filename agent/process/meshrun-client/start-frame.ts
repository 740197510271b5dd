/** A request to start a step, as meshrun/spawner.h describes it. Pure. */
import { constants } from 'node:os';
import { formatCpuList } from '#protocol/messages/agent/cpu-list.ts';
import { limitFlags, type LimitPowers } from '../step-limits.ts';
import type { StepSpec } from '../types.ts';

const FRAME_MAX_BYTES = 4 * 1024 * 1024;
const STRINGS_MAX = 65_000;
const HEAD_BYTES = 20;

export type Frame =
  | { readonly kind: 'frame'; readonly bytes: Buffer }
  | { readonly kind: 'refused'; readonly errno: 'EINVAL' | 'E2BIG'; readonly message: string };

/** The variable by which the scan finds a step's processes; on any rung its children carry it. */
export const COOKIE_VARIABLE = 'BENCHMESH_COOKIE';

export interface StartRequest {
  readonly id: number;
  readonly stepDir: string;
  readonly cookie: string;
  readonly spec: StepSpec;
  /** The cgroup in which the step gets one of its own; null: none. */
  readonly cgroup: string | null;
  readonly powers: LimitPowers;
  /** Where a step runs that is bound to no CPUs of its own; null: where the spawner does. */
  readonly unbound: readonly number[] | null;
}

export function signalNumber(name: string): number | null {
  const known = (constants.signals as Readonly<Record<string, number>>)[name];
  return known ?? null;
}

export function startFrame(request: StartRequest): Frame {
  const { id, stepDir, cookie, spec, cgroup, powers } = request;
  const cpus = spec.cpus ?? request.unbound;
  const signal = signalNumber(spec.stopSignal);
  if (signal === null) return refused('EINVAL', `unknown stop signal: ${spec.stopSignal}`);
  if (spec.argv.length === 0) return refused('EINVAL', 'there is no program to run');
  const limits = limitFlags(spec.limits ?? {}, powers);
  if (limits.kind === 'refused') return refused('EINVAL', limits.reason);
  const flags = [
    `--step=${stepDir}`,
    `--cookie=${cookie}`,
    `--cwd=${spec.cwd}`,
    ...(spec.make === undefined ? [] : [`--make=${spec.make}`]),
    `--stop-file=${spec.stopFile}`,
    `--grace-ms=${Math.max(0, Math.round(spec.graceMs))}`,
    `--limit-bytes=${Math.max(0, Math.round(spec.logLimitBytes))}`,
    `--stop-signal=${signal}`,
    ...(spec.budgetMs === null ? [] : [`--budget-ms=${Math.max(0, Math.round(spec.budgetMs))}`]),
    ...(spec.stdio === 'pty' ? ['--pty'] : []),
    ...(cgroup === null ? [] : [`--cgroup=${cgroup}`]),
    ...(cpus === null ? [] : [`--cpus=${formatCpuList(cpus)}`]),
    ...limits.flags,
  ];
  const args = [...flags, '--', ...spec.argv];
  const env = Object.entries(spec.env).map(([name, value]) => `${name}=${value}`);
  env.unshift(`${COOKIE_VARIABLE}=${cookie}`); // the first of a name is the one that counts
  const strings = [...args, ...env];
  const nul = strings.find((text) => text.includes('\0'));
  if (nul !== undefined) return refused('EINVAL', 'an argument or a variable contains a NUL byte');
  const bytes = frameOf(id, args, env);
  if (bytes.length > FRAME_MAX_BYTES || strings.length > STRINGS_MAX) {
    return refused('E2BIG', 'arguments and environment are too long');
  }
  return { kind: 'frame', bytes };
}

/** Strings without a NUL byte, as the spawner reads them. */
export function frameOf(id: number, args: readonly string[], env: readonly string[]): Buffer {
  const text = Buffer.from([...args, ...env].join('\0') + '\0', 'utf8');
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(text.length + HEAD_BYTES - 4, 0);
  head.writeBigInt64LE(BigInt(id), 4);
  head.writeUInt32LE(args.length, 12);
  head.writeUInt32LE(env.length, 16);
  return Buffer.concat([head, text]);
}

function refused(errno: 'EINVAL' | 'E2BIG', message: string): Frame {
  return { kind: 'refused', errno, message };
}
