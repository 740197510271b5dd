/**
 * A run while it runs. On a terminal a few lines that are redrawn; into a pipe one line for each
 * task that ends, so that a log of it reads well.
 */
import { pauseOf } from '#protocol/fold/pauses.ts';
import { runStateOf, type RunFold } from '#protocol/fold/run-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { runView, type RunView } from '#protocol/fold/run-view.ts';
import { taskView } from '#protocol/fold/task-view.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { Countdown } from './countdown.ts';
import { axesText, cellText, duration, plural } from './format.ts';
import { LiveScreen } from './live-screen.ts';
import { agentText, countsText, metricsText, percent, stateText } from './run-text.ts';
import { Stopwatch } from './stopwatch.ts';
import { paintState, styleFor, wantsColour, type Style } from './style.ts';
import { oneLine, truncate } from './text.ts';

export interface Progress {
  onChange(fold: RunFold, record: EventRecord | null): void;
  /** Leaves the screen clean; `end` is the run at its end, if it has come. */
  close(end: RunFold | null): void;
}

/** For stderr: results alone go to stdout. */
export function startProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  const style = styleFor(wantsColour(process.env, stream.isTTY));
  return stream.isTTY ? new Screen(stream, style) : new Lines(stream, style);
}

const MOST_TASKS = 8;

class Screen implements Progress {
  readonly #screen: LiveScreen;
  readonly #watch = new Stopwatch();
  readonly #countdown = new Countdown();
  #fold: RunFold | null = null;
  #caughtUp = false;

  constructor(stream: NodeJS.WriteStream, style: Style) {
    this.#screen = new LiveScreen(stream, (width) => this.#lines(width, style));
  }

  onChange(fold: RunFold, record: EventRecord | null): void {
    this.#fold = fold;
    if (record === null) this.#caughtUp = true;
  }

  close(_end: RunFold | null): void {
    this.#screen.close();
  }

  #lines(width: number, style: Style): string[] | null {
    const view = this.#fold === null || !this.#caughtUp ? null : runView(this.#fold);
    if (this.#fold === null || view === null) return null;
    const now = performance.now();
    const elapsed = (key: string, ownMs: number): number => this.#watch.read(key, ownMs, now);
    const leftMs = this.#countdown.read(this.#fold, now);
    return progressLines(view, { elapsed, leftMs, width, style });
  }
}

/** The lines of the screen. Pure; `elapsed` makes a time to show out of what its owner said. */
export function progressLines(
  view: RunView,
  about: {
    elapsed: (key: string, ownMs: number) => number;
    leftMs: number | null;
    width: number;
    style: Style;
  },
): string[] {
  const { elapsed: shown, leftMs, width, style } = about;
  const elapsed = view.state === 'ended' ? view.elapsedMs : shown('run', view.elapsedMs);
  const eta = leftMs === null ? '' : `, about ${duration(leftMs)} left`;
  const head = `${view.suite} ${stateText(view)}, ${duration(elapsed)}${eta}`;
  const current = view.current.slice(0, MOST_TASKS).map((task) => {
    const progress = task.progress === null ? '' : ` ${percent(task.progress)}`;
    const phase = task.phase === null ? task.state : task.phase;
    const where = `${agentText(task)}${task.unreachable ? ' unreachable' : ''}`;
    // Its time begins with its slots: what waits on the host has none yet.
    const age =
      task.state === 'accepted' ? '' : duration(shown(`${task.id}#${task.n}`, task.elapsedMs));
    const text = task.waiting === null ? task.message : `waits: ${task.waiting}`;
    const said = text === null ? '' : `  ${oneLine(text)}`;
    return `  ${cellText(task.axes, task.repeat)}  ${where}  ${phase}${progress}  ${age}${said}`;
  });
  if (view.current.length > MOST_TASKS)
    current.push(`  ... and ${view.current.length - MOST_TASKS} more`);
  return [
    style.bold(truncate(head, width)),
    truncate(`  ${countsText(view)}${cycleText(view)}`, width),
    ...current.map((line) => style.dim(truncate(line, width))),
  ];
}

function cycleText({ cycles, flaky }: RunView): string {
  const cycle = cycles === undefined ? '' : `, cycle ${cycles.begun}`;
  return flaky === undefined ? cycle : `${cycle}, ${plural(flaky.cells, 'cell')} flaky`;
}

class Lines implements Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #style: Style;
  readonly #printed = new Set<string>();
  #state = '';

  constructor(stream: NodeJS.WriteStream, style: Style) {
    this.#stream = stream;
    this.#style = style;
  }

  onChange(fold: RunFold, record: EventRecord | null): void {
    if (record === null) return;
    const paused = runStateOf(fold) === 'paused' ? pauseOf(fold.pauses, null) : null;
    const state = paused === null ? (fold.outcome ?? fold.state) : `paused by ${paused.by}`;
    if (state !== this.#state) {
      this.#state = state;
      this.#print(`run ${fold.run} ${state}`);
    }
    for (const id of endedTasks(record)) this.#printEnd(fold, id);
  }

  /** A short run is over, and out of the log, before anybody could follow it. */
  close(end: RunFold | null): void {
    if (end?.state !== 'ended') return;
    for (const id of end.tasks.keys()) this.#printEnd(end, id);
  }

  #printEnd(fold: RunFold, id: string): void {
    const task = fold.tasks.get(id);
    if (task?.state !== 'ended' || this.#printed.has(id)) return;
    this.#printed.add(id);
    const view = taskView(fold, task);
    const why = view.message === null ? '' : `: ${view.message}`;
    const metrics = metricsText(view.metrics);
    const outcome = paintState(this.#style, view.outcome ?? '');
    this.#print(
      `[${this.#printed.size}/${fold.tasks.size}] ${outcome} ${axesText(view.axes)} #${view.repeat}, ${duration(view.elapsedMs)}${metrics === '' ? '' : `, ${metrics}`}${why}`,
    );
  }

  #print(line: string): void {
    this.#stream.write(`${line.replace(/\s*\n\s*/g, ' ')}\n`);
  }
}

function endedTasks(record: EventRecord): string[] {
  const subject = parseSubject(record.subject);
  if (record.message.name === 'task.ended' && subject?.kind === 'task') return [subject.task];
  return record.message.name === 'run.tasks_ended' ? [...record.message.data.tasks] : [];
}
