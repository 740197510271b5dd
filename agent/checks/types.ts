/** The words of checks: what one is given and what it answers. */
import type { Gpu } from '#protocol/messages/agent/hardware.ts';

export type CheckResult = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** What is known of the host's GPUs, looked at for the check. */
export interface GpuLook {
  readonly gpus: readonly Gpu[];
  /** Why there may be more than these, or none: one line of each tool that failed. */
  readonly troubles: readonly string[];
}

/** Where a check looks from, and for how long. */
export interface CheckContext {
  /** Absolute: relative paths of a check begin here, and its program runs here. */
  readonly cwd: string;
  /** The whole environment of an `exec` check. */
  readonly env: Readonly<Record<string, string>>;
  /** What takes longer has failed. */
  readonly timeoutMs: number;
  /** Ends the check at once; its result is then of no interest. */
  readonly signal: AbortSignal;
  /** A fresh look. */
  readonly lookAtGpus: () => Promise<GpuLook>;
  /** UUIDs of the GPUs the attempt holds; null: any GPU of the host counts. */
  readonly gpuIds: readonly string[] | null;
}

export const PASSED: CheckResult = { ok: true };

export function failed(reason: string): CheckResult {
  return { ok: false, reason };
}
