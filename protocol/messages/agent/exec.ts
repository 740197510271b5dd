/** Commands that an agent ran, or did not run, for somebody: recorded on its host subject. */
import { z } from 'zod';

/** Longer ones belong into a suite. */
export const EXEC_MOST_MS = 60_000;

/**
 * - exited, signaled: by itself.
 * - timed_out, too_much_output: it was ended.
 * - not_found, not_started: it never ran.
 */
export const ExecEnd = z.object({
  kind: z.enum(['exited', 'signaled', 'timed_out', 'too_much_output', 'not_found', 'not_started']),
  code: z.number().int().nullable(),
  signal: z.string().nullable(),
});
export type ExecEnd = z.infer<typeof ExecEnd>;

const asked = {
  /** `user@host`, as who asked has said it: what the mesh knows of them is their credential. */
  by: z.string(),
  argv: z.array(z.string()),
};

/** Before it begins. */
export const AgentExecStarted = z.object({ id: z.string(), ...asked });

export const AgentExecEnded = z.object({
  id: z.string(),
  ...asked,
  end: ExecEnd,
  durationMs: z.number().nonnegative(),
  stdoutBytes: z.number().int().nonnegative(),
  stderrBytes: z.number().int().nonnegative(),
  survivors: z.array(z.number().int()),
});
export type AgentExecEnded = z.infer<typeof AgentExecEnded>;

/** The agent's policy does not permit it. */
export const AgentExecRefused = z.object({ ...asked, reason: z.string() });
