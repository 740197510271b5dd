/**
 * Runs one check to its answer: within its time, never rejecting. A check that hangs has failed, and
 * what it waits for is let go of.
 */
import { toError } from '#protocol/messages/errors.ts';
import type { CheckSpec } from '#protocol/messages/attempt/check-spec.ts';
import { checkDisk } from './disk-check.ts';
import { checkExec } from './exec-check.ts';
import { checkFile } from './file-check.ts';
import { checkGpu } from './gpu-check.ts';
import { checkHttp } from './http-check.ts';
import { checkPort } from './port-check.ts';
import { failed, type CheckContext, type CheckResult } from './types.ts';

/** A check without a `timeout` of its own. */
export const DEFAULT_CHECK_TIMEOUT_MS = 10_000;

/** Never rejects. The reason is one line and begins with the kind: `http: ...`. */
export async function runCheck(check: CheckSpec, context: CheckContext): Promise<CheckResult> {
  const { timeoutMs, signal: given } = context;
  const own = new AbortController();
  const signal = AbortSignal.any([given, own.signal]);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<CheckResult>((resolve) => {
    timer = setTimeout(() => {
      resolve(failed(`no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    signal.addEventListener(
      'abort',
      () => {
        resolve(failed('it was ended before its answer'));
      },
      { once: true },
    );
  });
  // A system call that hangs (a dead NFS mount) is not waited for.
  const result = await Promise.race([answer(check, { ...context, signal }), late]);
  clearTimeout(timer);
  own.abort();
  return result.ok ? result : failed(oneLine(`${check.kind}: ${result.reason}`));
}

async function answer(check: CheckSpec, context: CheckContext): Promise<CheckResult> {
  try {
    context.signal.throwIfAborted();
    return await evaluate(check, context);
  } catch (error) {
    return failed(toError(error).message);
  }
}

function evaluate(check: CheckSpec, context: CheckContext): Promise<CheckResult> {
  switch (check.kind) {
    case 'gpu':
      return checkGpu(check, context);
    case 'http':
      return checkHttp(check, context);
    case 'exec':
      return checkExec(check, context);
    case 'disk':
      return checkDisk(check, context);
    case 'file':
      return checkFile(check, context);
    case 'port':
      return checkPort(check, context);
  }
}

const REASON_MOST = 500;

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, REASON_MOST);
}
