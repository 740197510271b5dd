/** Does a program end with status 0 within its time? Of its output the last line is told. */
import type { CheckOf } from '#protocol/messages/attempt/check-spec.ts';
import { runHelper, type HelperEnd } from '../process/helpers/run-helper.ts';
import { failed, PASSED, type CheckContext, type CheckResult } from './types.ts';

const OUTPUT_MOST = 64 * 1024;

export async function checkExec(
  { argv }: CheckOf<'exec'>,
  { cwd, env, timeoutMs, signal }: CheckContext,
): Promise<CheckResult> {
  const [program = '', ...args] = argv;
  const { end, stdout, stderr } = await runHelper([program, ...args], {
    timeoutMs,
    maxBytes: OUTPUT_MOST,
    signal,
    cwd,
    env,
  });
  if (end.kind === 'exited' && end.code === 0) return PASSED;
  const line = lastLine(stderr) ?? lastLine(stdout);
  return failed(`${program}: ${textOf(end)}${line === null ? '' : `: ${line}`}`);
}

function textOf(end: HelperEnd): string {
  switch (end.kind) {
    case 'exited':
      return `exit status ${end.code}`;
    case 'signaled':
      return `killed by ${end.signal}`;
    case 'timed_out':
      return `no end within ${end.afterMs} ms`;
    case 'too_much_output':
      return `more than ${end.maxBytes} bytes of output`;
    case 'not_found':
      return 'program not found';
    case 'not_started':
      return end.reason;
  }
}

function lastLine(text: string): string | null {
  return text.split('\n').findLast((line) => line.trim() !== '') ?? null;
}
