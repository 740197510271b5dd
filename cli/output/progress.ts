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
import { createLogUpdate } from 'log-update';
import { axesText, cellText, duration } from './format.ts';
import { countsText, metricsText, percent, stateText } from './run-text.ts';
import { Stopwatch } from './stopwatch.ts';
import { paintState, styleFor, wantsColour, type Style } from './style.ts';
import { guardNotes } from './terminal.ts';
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

const FRAME_MS = 100;
const MOST_TASKS = 8;

class Screen implements Progress {
  readonly #update: ReturnType<typeof createLogUpdate>;
  readonly #stream: NodeJS.WriteStream;
  readonly #style: Style;
  readonly #timer: NodeJS.Timeout;
  #fold: RunFold | null = null;
  readonly #watch = new Stopwatch();
  #caughtUp = false;

  constructor(stream: NodeJS.WriteStream, style: Style) {
    this.#stream = stream;
    this.#style = style;
    this.#update = createLogUpdate(stream);
    guardNotes(() => {
      this.#update.clear();
    });
    this.#timer = setInterval(() => {
      this.#draw();
    }, FRAME_MS);
  }

  onChange(fold: RunFold, record: EventRecord | null): void {
    this.#fold = fold;
    if (record === null) this.#caughtUp = true;
  }

  close(_end: RunFold | null): void {
    clearInterval(this.#timer);
    guardNotes(null);
    this.#update.clear();
    this.#update.done();
  }

  #draw(): void {
    const view = this.#fold === null || !this.#caughtUp ? null : runView(this.#fold);
    if (view === null) return;
    const now = performance.now();
    const elapsed = (key: string, ownMs: number): number => this.#watch.read(key, ownMs, now);
    const width = Math.max(20, this.#stream.columns - 1);
    const lines = progressLines(view, { elapsed, width, style: this.#style });
    this.#update(lines.join('\n'));
  }
}

/** The lines of the screen. Pure; `elapsed` makes a time to show out of what its owner said. */
export function progressLines(
  view: RunView,
  about: { elapsed: (key: string, ownMs: number) => number; width: number; style: Style },
): string[] {
  const { elapsed: shown, width, style } = about;
  const elapsed = view.state === 'ended' ? view.elapsedMs : shown('run', view.elapsedMs);
  const left = etaMs(view, elapsed - view.elapsedMs);
  const eta = left === null ? '' : `, about ${duration(left)} left`;
  const head = `${view.suite} ${stateText(view)}, ${duration(elapsed)}${eta}`;
  const current = view.current.slice(0, MOST_TASKS).map((task) => {
    const progress = task.progress === null ? '' : ` ${percent(task.progress)}`;
    const phase = task.phase === null ? task.state : task.phase;
    const where = task.unreachable ? `${task.agent} unreachable` : task.agent;
    // Its time begins with its slots: what waits on the host has none yet.
    const age =
      task.state === 'accepted' ? '' : duration(shown(`${task.id}#${task.n}`, task.elapsedMs));
    const said = task.message === null ? '' : `  ${oneLine(task.message)}`;
    return `  ${cellText(task.axes, task.repeat)}  ${where}  ${phase}${progress}  ${age}${said}`;
  });
  if (view.current.length > MOST_TASKS)
    current.push(`  ... and ${view.current.length - MOST_TASKS} more`);
  return [
    style.bold(truncate(head, width)),
    truncate(`  ${countsText(view)}`, width),
    ...current.map((line) => style.dim(truncate(line, width))),
  ];
}

/** Time left at the rate so far; null before two tasks have ended. */
export function etaMs(view: RunView, sinceMs: number): number | null {
  const { ended } = view.states;
  const left = view.tasks - ended;
  if (view.started === null || ended < 2 || left === 0 || view.state !== 'running') return null;
  const worked = Date.parse(view.submitted) + view.elapsedMs - Date.parse(view.started) + sinceMs;
  return (worked / ended) * left;
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
