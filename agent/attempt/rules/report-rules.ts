/** What a report's lines do to their attempt: forward only (I3), bounded (I12). Pure. */
import type { ReportFact } from '../../report/report-fold.ts';
import type { Turn } from './turn.ts';

export function onReport(turn: Turn, facts: readonly ReportFact[]): void {
  for (const fact of facts) {
    switch (fact.kind) {
      case 'phase':
        onPhase(turn, fact);
        break;
      case 'progress':
        onProgress(turn, fact.progress);
        break;
      case 'message':
        onMessage(turn, fact);
        break;
      case 'malformed':
        onMalformed(turn, fact.line, fact.reason);
        break;
    }
  }
}

function onPhase(
  turn: Turn,
  { phase, index }: { readonly phase: string; readonly index: number },
): void {
  if (index <= turn.state.phase) return;
  turn.set({ phase: index });
  turn.emit('attempt.phase', { elapsedMs: turn.elapsedMs(), phase, index });
}

/** Its pace is the report's (progress-pace.ts). */
function onProgress(turn: Turn, progress: number): void {
  if (progress <= turn.state.progress) return;
  turn.set({ progress });
  turn.emit('attempt.progress', { elapsedMs: turn.elapsedMs(), progress });
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
