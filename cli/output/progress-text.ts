/** How far a run is, in words. Pure: from its view to lines. */
import type { ProgressView } from '#protocol/fold/progress/progress-view.ts';
import type { Recoveries } from '#protocol/fold/progress/recoveries.ts';
import type { Rate } from '#protocol/fold/progress/rate.ts';
import type { TimeLeft } from '#protocol/fold/progress/time-left.ts';
import { duration, plural, quantity } from './format.ts';
import { countsText, sofar, stateText } from './run-text.ts';
import { paintState, type Style } from './style.ts';
import { oneLine, truncate } from './text.ts';

export interface ProgressAbout {
  readonly style: Style;
  /** Columns of the terminal; null into a pipe: then nothing is cut, and there is no bar. */
  readonly width: number | null;
  /** What a screen that goes on shows instead of what was said at the last event. */
  readonly now?: { readonly elapsedMs: number; readonly sinceMs: number };
}

const LABEL = 11;
const BAR_MOST = 40;

/** The block that `progress` prints. No line is wider than `width`. */
export function progressTextLines(view: ProgressView, about: ProgressAbout): string[] {
  const { style, width, now } = about;
  const cut = (text: string, used = 0): string =>
    width === null ? oneLine(text) : truncate(oneLine(text), Math.max(1, width - used));
  const elapsed =
    now === undefined || view.state === 'ended'
      ? sofar(view.elapsedMs, view.state === 'ended')
      : duration(now.elapsedMs);
  const id = cut(`run ${view.id}`);
  const state = cut(stateText(view), id.length + 1);
  const rest = cut(`, ${view.suite}, ${elapsed}`, id.length + 1 + state.length);
  const bar = width === null ? [] : barLines(view, { style, width });
  const rows: [string, string | null][] = [
    ['tasks', `${percentText(view.endedPercent)} ended, ${passedText(view)}`],
    ['', countsText(view)],
    ['cells', cellsText(view.cells)],
    ['rate', rateText(view)],
    ['left', view.left === null ? null : leftText(view.left, now?.sinceMs ?? 0)],
    ['recoveries', recoveriesText(view)],
    ['utilisation', utilisationText(view)],
    ['hosts', hostsText(view)],
  ];
  const shown =
    width !== null && width < id.length + 12 ? [] : [`${paintState(style, state)}${rest}`];
  return [
    [style.bold(id), ...shown].join(' '),
    ...bar,
    ...rows.flatMap(([name, text]) =>
      text === null
        ? []
        : [`  ${style.dim(name.padEnd(LABEL))}  ${cut(text, LABEL + 4)}`.trimEnd()],
    ),
  ];
}

/** One line, for a log of it. */
export function progressLine(view: ProgressView): string {
  const { left } = view;
  const parts = [
    `${percentText(view.endedPercent)} ended, ${passedText(view)}`,
    countsText(view),
    ...(left === null ? [] : [`left ${leftText(left)}`]),
  ];
  return oneLine(`run ${view.id} ${stateText(view)}: ${parts.join('; ')}`);
}

function barLines(
  view: ProgressView,
  { style, width }: { readonly style: Style; readonly width: number },
): string[] {
  const cells = Math.min(BAR_MOST, width - 4);
  const passed = Math.floor((view.passedPercent / 100) * cells);
  const ended = Math.floor((view.endedPercent / 100) * cells);
  const bar = [
    style.good('█'.repeat(passed)),
    style.bad('▓'.repeat(ended - passed)),
    style.dim('░'.repeat(cells - ended)),
  ];
  return [`  ${bar.join('')}`];
}

/** Never 100 % before all of it: `99.9 %`. */
function percentText(percent: number): string {
  return percent === 100 || percent === 0 ? `${percent} %` : `${floorOf(percent, 1).toFixed(1)} %`;
}

function floorOf(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.floor(value * factor + 1e-9) / factor;
}

function passedText({ passedPercent, passedOfEndedPercent, endedPercent }: ProgressView): string {
  const ofEnded =
    passedOfEndedPercent === null || endedPercent === 100
      ? ''
      : `, ${percentText(passedOfEndedPercent)} of what has ended`;
  return `${percentText(passedPercent)} passed${ofEnded}`;
}

function cellsText({ total, covered, passed, whole }: ProgressView['cells']): string {
  const all = whole === passed ? '' : `, ${whole} in every repeat`;
  return `${covered} of ${total} covered, ${passed} passed${all}`;
}

function rateText({ rate, recent, state }: ProgressView): string {
  if (rate === null) return state === 'ended' ? 'nothing ran' : 'unknown: nothing has begun';
  const of = ({ perHour }: Rate): string => quantity(Number(perHour.toPrecision(3)));
  const lately = recent === null ? '' : `, ${of(recent)} in the last ${duration(recent.overMs)}`;
  return `${of(rate)} tasks/h${lately}`;
}

/** As `sinceMs` after it was estimated: `about 12 m 03 s (10 m 00 s to 14 m 30 s), by 20 ended tasks, 4.0 at a time`. */
export function leftText(left: TimeLeft, sinceMs = 0): string {
  if (left.kind === 'unknown') return `unknown: ${left.reason}`;
  const { ms, lowMs, highMs, basis, tasks, known, places, paused, isBudget } = left;
  const at = (valueMs: number): string => duration(Math.max(0, valueMs - sinceMs));
  const how = isBudget
    ? ['then its budget ends it']
    : [
        `by ${plural(basis, 'ended task')}`,
        ...(known === tasks
          ? []
          : [`${tasks - known} of ${tasks} left are of a cell not seen yet`]),
        `${places.toFixed(1)} at a time`,
      ];
  const without = paused === 0 ? [] : [`without ${plural(paused, 'paused task')}`];
  return [`about ${at(ms)} (${at(lowMs)} to ${at(highMs)})`, ...how, ...without].join(', ');
}

/** Null where there was none. */
function recoveriesText({ recoveries }: ProgressView): string | null {
  const { deliberate, adopted } = recoveries;
  const parts = [
    recoveries.count === 0
      ? 'none'
      : `${tallyText(recoveries)}; ${recoveries.passed} of ${plural(recoveries.tasks, 'task')} passed after it`,
    ...(deliberate.count === 0 ? [] : [`given back ${tallyText(deliberate)}`]),
    ...(adopted === 0 ? [] : [`${adopted} adopted by agents that began anew`]),
  ];
  return parts.join('; ');
}

function tallyText({ count, classes, lostMs, keptMs }: Recoveries): string {
  const why = Object.entries(classes).map(([name, times]) => `${times} ${name}`);
  const lost = [
    ...(lostMs > 0 || keptMs === 0 ? [`${duration(lostMs)} lost`] : []),
    ...(keptMs > 0 ? [`${duration(keptMs)} gone on with from a checkpoint`] : []),
  ];
  return `${count} (${why.join(', ')}), ${lost.join(', ')}`;
}

function utilisationText({ utilisation, started }: ProgressView): string {
  if (utilisation === null) return 'unknown: the directory does not say which agents there were';
  const { ratio, whileWaiting, slots, agents } = utilisation;
  if (ratio === null)
    return started === null ? 'unknown: nothing has begun' : 'unknown: there was no slot for it';
  const of = `of ${plural(slots, 'slot')} on ${plural(agents, 'agent')}`;
  const [all, waited] = [ratio, whileWaiting ?? ratio].map((share) => percentText(share * 100));
  const tail = all === waited ? '' : `, ${waited ?? ''} while tasks waited`;
  return `${all ?? ''} ${of}${tail}`;
}

function hostsText({ hosts }: ProgressView): string {
  const { cpu, gpu, measuredMs } = hosts;
  if (cpu === null && gpu === null) return 'not measured: no attempt of a second or more has ended';
  const parts = [
    ...(cpu === null ? [] : [`CPU ${percentText(cpu * 100)} busy`]),
    ...(gpu === null ? [] : [`GPU ${percentText(gpu * 100)} busy`]),
  ];
  return `${parts.join(', ')}, over ${duration(measuredMs)} of attempts`;
}
