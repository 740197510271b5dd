/**
 * What stands in for a step's processes on a host that is not real: a wait. Its command is
 * `sleep SECONDS`; a stop ends it at once, as a program would that obeys its signal.
 */
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { StepEnd, StepOutcome } from '#agent/process/types.ts';

export interface WaitingStep {
  stop(): void;
}

/** How long the step waits, ms. Throws for another command: the fleet runs nothing else. */
export function waitOf({ argv }: Pick<StepSpec, 'argv'>): number {
  const [program, seconds = ''] = argv;
  const waitMs = Number(seconds) * 1_000;
  if (program !== 'sleep' || !Number.isFinite(waitMs))
    throw new Error(`a simulated host only sleeps; it was asked for: ${argv.join(' ')}`);
  return waitMs;
}

export function startWaiting(
  step: StepSpec,
  events: { readonly onStarted: () => void; readonly onEnd: (outcome: StepOutcome) => void },
): WaitingStep {
  const waitMs = waitOf(step);
  const begunMs = performance.now();
  let isOver = false;
  const end = (how: StepEnd): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    events.onEnd(outcomeOf(how, performance.now() - begunMs));
  };
  const timer = setTimeout(() => {
    end({ kind: 'exited', code: 0 });
  }, waitMs);
  queueMicrotask(events.onStarted);
  return {
    stop: () => {
      queueMicrotask(() => {
        end({ kind: 'signaled', signal: 'SIGTERM', core: false });
      });
    },
  };
}

/** As a small program's that ended, or was ended, and left nothing. */
function outcomeOf(end: StepEnd, durationMs: number): StepOutcome {
  const isStopped = end.kind === 'signaled';
  return {
    end,
    deadline: false,
    stopRequested: isStopped,
    durationMs,
    usage: { userMs: 0.4, systemMs: 0.6, maxRssKiB: 1_024 },
    gone: {
      proof: 'subreaper',
      empty: true,
      processes: 1,
      reaped: 1,
      waves: isStopped ? 1 : 0,
      survivors: [],
      signal: isStopped ? 'SIGTERM' : null,
      goneMs: isStopped ? 1 : null,
    },
    oomKills: null,
    logBytes: 0,
    droppedBytes: 0,
  };
}
