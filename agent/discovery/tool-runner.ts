/** Runs vendors' tools within limits, and never a second one beside one that cannot be killed. */
import { runHelper, type HelperLimits } from '../process/helpers/run-helper.ts';
import type { RunTool } from './vendor-tool.ts';

/** `-q` of a machine with 16 GPUs is about 200 KiB. */
const MAX_BYTES = 2 * 1_024 * 1_024;

const REAP_MS = 200;

export function createToolRunner(timeoutMs: number, signal?: AbortSignal): RunTool {
  const ended = signal === undefined ? {} : { signal };
  const limits: HelperLimits = { timeoutMs, maxBytes: MAX_BYTES, ...ended };
  const stuck = new Map<string, number>();
  return async (argv) => {
    const [program] = argv;
    const pid = stuck.get(program);
    if (pid !== undefined) {
      const reason = `the one before (pid ${pid}) hangs and cannot be killed: the driver holds it`;
      return {
        end: { kind: 'not_started', reason },
        stdout: '',
        stderr: '',
        pid: null,
        gone: Promise.resolve(),
      };
    }
    const result = await runHelper(argv, limits);
    if (result.pid !== null) {
      stuck.set(program, result.pid);
      void result.gone.then(() => stuck.delete(program));
      // Its kill takes a moment: only what outlives it counts as stuck.
      await settledWithin(result.gone, REAP_MS);
    }
    return result;
  };
}

async function settledWithin(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
