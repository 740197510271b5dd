/** What a report's lines do to their attempt: forward only (I3), bounded (I12). Pure. */
import type { Metric } from '#protocol/messages/outcome.ts';
import type { AttemptState } from './attempt-state.ts';
import type { ReportLine } from './report-lines.ts';
import type { Turn } from './turn.ts';

const METRICS_MOST = 10_000;
/** Progress is told when it moved this much, and not more often than this. */
const PROGRESS_STEP = 0.005;
const PROGRESS_EVERY_MS = 200;

export function onReport(turn: Turn, lines: readonly ReportLine[]): void {
  const metrics: Metric[] = [];
  for (const line of lines) {
    switch (line.kind) {
      case 'phase':
        onPhase(turn, line.phase);
        break;
      case 'progress':
        if (line.progress > turn.state.progress) turn.set({ progress: line.progress });
        break;
      case 'metric':
        metrics.push(metricOf(turn.state, line));
        break;
      case 'malformed':
        onMalformed(turn, line.line, line.reason);
        break;
    }
  }
  tellProgress(turn);
  if (metrics.length > 0) addMetrics(turn, metrics);
}

function onPhase(turn: Turn, phase: string): void {
  const index = turn.state.spec.phases.indexOf(phase);
  if (index < 0) {
    onMalformed(turn, `phase ${phase}`, 'the suite declares no such phase');
  } else if (index > turn.state.phase) {
    turn.set({ phase: index });
    turn.emit('attempt.phase', { elapsedMs: turn.elapsedMs(), phase, index });
  }
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

function addMetrics(turn: Turn, metrics: readonly Metric[]): void {
  const room = METRICS_MOST - turn.state.metrics.length;
  if (metrics.length > room) {
    onMalformed(
      turn,
      `metric ${metrics[room]?.name ?? ''}`,
      `more than ${METRICS_MOST} metrics; the rest is dropped`,
    );
  }
  turn.set({ metrics: [...turn.state.metrics, ...metrics.slice(0, room)] });
}

/** Unit and direction come from the suite where it names the metric. */
function metricOf(state: AttemptState, line: Extract<ReportLine, { kind: 'metric' }>): Metric {
  const declared = state.spec.metrics.find((metric) => metric.name === line.name);
  const unit = line.unit === '' ? (declared?.unit ?? '') : line.unit;
  return { name: line.name, value: line.value, unit, direction: declared?.direction ?? 'none' };
}

/** Said once per attempt, with the first such line. */
function onMalformed(turn: Turn, line: string, reason: string): void {
  if (turn.state.malformed) return;
  turn.set({ malformed: true });
  turn.emit('attempt.report_malformed', { elapsedMs: turn.elapsedMs(), line, reason });
}
