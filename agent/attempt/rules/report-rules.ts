/** What a report's lines do to their attempt: forward only (I3), bounded (I12). Pure. */
import type { ReportFact } from '../../report/report-fold.ts';
import type { Turn } from './turn.ts';

/** Progress is told when it moved this much, and not more often than this. */
const PROGRESS_STEP = 0.005;
const PROGRESS_EVERY_MS = 200;

export function onReport(turn: Turn, facts: readonly ReportFact[]): void {
  for (const fact of facts) {
    switch (fact.kind) {
      case 'phase':
        onPhase(turn, fact);
        break;
      case 'progress':
        if (fact.progress > turn.state.progress) turn.set({ progress: fact.progress });
        break;
      case 'message':
        onMessage(turn, fact);
        break;
      case 'malformed':
        onMalformed(turn, fact.line, fact.reason);
        break;
    }
  }
  tellProgress(turn);
}

function onPhase(
  turn: Turn,
  { phase, index }: { readonly phase: string; readonly index: number },
): void {
  if (index <= turn.state.phase) return;
  turn.set({ phase: index });
  turn.emit('attempt.phase', { elapsedMs: turn.elapsedMs(), phase, index });
}

function tellProgress(turn: Turn): void {
  const { progress, progressEmitted, progressAtMs } = turn.state;
  const elapsedMs = turn.elapsedMs();
  const isDue =
    progress - progressEmitted >= PROGRESS_STEP && elapsedMs - progressAtMs >= PROGRESS_EVERY_MS;
  if (progress <= progressEmitted || (!isDue && progress < 1)) return;
  turn.set({ progressEmitted: progress, progressAtMs: elapsedMs });
  turn.emit('attempt.progress', { elapsedMs, progress });
}

/** The report is read again from its begin after a restart: what was told is not told again. */
function onMessage(
  turn: Turn,
  { index, text }: { readonly index: number; readonly text: string },
): void {
  if (index < (turn.state.messages ?? 0)) return;
  turn.set({ messages: index + 1 });
  turn.emit('attempt.message', { elapsedMs: turn.elapsedMs(), text });
}

/** Said once per attempt, with the first such line. */
function onMalformed(turn: Turn, line: string, reason: string): void {
  if (turn.state.malformed) return;
  turn.set({ malformed: true });
  turn.emit('attempt.report_malformed', { elapsedMs: turn.elapsedMs(), line, reason });
}
