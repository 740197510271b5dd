/**
 * Runs one command to its end and leaves nothing of it: its process group is killed with it, then what
 * carries its mark, wherever it went. A scan is behind that, so it is no proof against a program that
 * hides; only what the policy permits is run at all.
 */
import type { ExecEnd } from '#protocol/messages/agent/exec.ts';
import { runHelper, type HelperEnd } from '../process/helpers/run-helper.ts';
import { killProcesses } from '../process/scan/scan-sweep.ts';
import { realProc } from '../telemetry/proc-reader.ts';
import { parseUptime, TICKS_PER_SECOND } from '../telemetry/proc-text.ts';

/** Of each stream; with base64 both fit into one message. */
export const OUTPUT_MOST_BYTES = 256 * 1024;
/** In the environment of its processes, and of no others. */
const MARK = 'BENCHMESH_EXEC';
/** A killed process that a driver holds is not waited for any longer. */
const GONE_MS = 2_000;
/** No process has this pid: only the mark tells, and the time since the begin. */
const NO_MAIN = -1;

export interface ExecJob {
  readonly id: string;
  readonly argv: readonly string[];
  readonly timeoutMs: number;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface ExecOutcome {
  readonly end: ExecEnd;
  readonly reason: string | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly survivors: readonly number[];
}

/** Never rejects. */
export async function execCommand(job: ExecJob): Promise<ExecOutcome> {
  const { id, argv, timeoutMs, env, signal } = job;
  const [program = '', ...args] = argv;
  const startTime = ticksSinceBoot();
  const result = await runHelper([program, ...args], {
    timeoutMs,
    maxBytes: OUTPUT_MOST_BYTES,
    signal,
    env: { ...env, [MARK]: id },
    encoding: 'latin1',
  });
  const { end, stdout, stderr, pid, gone } = result;
  let survivors: readonly number[] = [];
  if (pid !== null) {
    await within(gone, GONE_MS);
    const target = { mark: { name: MARK, value: id }, main: { pid: NO_MAIN, startTime } };
    ({ survivors } = await killProcesses(target));
  }
  return {
    ...told(end, program),
    stdout: Buffer.from(stdout, 'latin1'),
    stderr: Buffer.from(stderr, 'latin1'),
    survivors,
  };
}

/** Rounded down, as the kernel's own. */
function ticksSinceBoot(): number {
  return Math.floor((parseUptime(realProc.read('/proc/uptime') ?? '') ?? 0) * TICKS_PER_SECOND);
}

async function within(done: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
}

function told(end: HelperEnd, program: string): Pick<ExecOutcome, 'end' | 'reason'> {
  const { kind } = end;
  const none = { kind, code: null, signal: null };
  switch (kind) {
    case 'exited':
      return { end: { ...none, code: end.code }, reason: null };
    case 'signaled':
      return { end: { ...none, signal: end.signal }, reason: null };
    case 'timed_out':
      return { end: none, reason: `it had not ended after ${end.afterMs / 1_000} s` };
    case 'too_much_output':
      return { end: none, reason: `it wrote more than ${end.maxBytes} bytes` };
    case 'not_found':
      return { end: none, reason: `${program}: program not found` };
    case 'not_started':
      return { end: none, reason: `${program}: ${end.reason}` };
  }
}
