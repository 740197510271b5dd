/** One task with its attempts and their steps, in words. Pure. */
import type { TaskView } from '#protocol/fold/task-view.ts';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import type { HostSnapshot } from '#protocol/messages/agent/resources.ts';
import { amountsText } from '#protocol/suite/raised-needs.ts';
import { axesText, bytes, dash, date, duration, plural } from './format.ts';
import { isOfRequests, reportLines, requestsText } from './report-text.ts';
import { metricsText, noteText, percent, sofar, taskStateText } from './run-text.ts';
import { paintState, type Style } from './style.ts';
import { telemetryLines } from './telemetry-text.ts';
import { oneLine } from './text.ts';

export function taskLines(
  run: string,
  of: { task: TaskView; attempts: readonly AttemptView[] },
  style: Style,
): string[] {
  const { task, attempts } = of;
  const state = task.outcome ?? taskStateText(task);
  const said = task.message ?? task.paused?.reason ?? null;
  const failure = [task.stage, task.class, said].filter((part) => part !== null).join(', ');
  const fields: [string, string][] = [
    ['axes', `${axesText(task.axes)} #${task.repeat}`],
    ['state', `${paintState(style, state)}${failure === '' ? '' : `: ${failure}`}`],
    ...(task.needs === undefined
      ? []
      : [
          ['needs', `${amountsText(task.needs)}, raised after a failure`] satisfies [
            string,
            string,
          ],
        ]),
    ['started', date(task.started)],
    ['ended', date(task.ended)],
    ['elapsed', sofar(task.elapsedMs, task.state === 'ended')],
    // The figures of requests stand on a line of their own.
    ['metrics', dash(metricsText(task.metrics.filter(({ name }) => !isOfRequests(name))))],
  ];
  return [
    style.bold(`task ${run}/${task.id}`),
    ...fields.map(([name, value]) => `  ${style.dim(name.padEnd(8))}  ${value}`),
    ...task.notes.map(
      (note) => `  ${style.dim('note'.padEnd(8))}  ${noteText({ ...note, task: null })}`,
    ),
    ...attempts.flatMap((attempt) => attemptLines(attempt, style)),
  ];
}

function attemptLines(attempt: AttemptView, style: Style): string[] {
  const { ranks } = attempt;
  if (ranks === undefined) return ownLines(attempt, `attempt ${attempt.n}`, style);
  const [head = ''] = ownLines(attempt, `attempt ${attempt.n}`, style);
  return [
    head,
    ...(attempt.waiting === null ? [] : [`    ${oneLine(`waits: ${attempt.waiting}`)}`]),
    ...(attempt.report?.requests ? [`    ${oneLine(requestsText(attempt.report.requests))}`] : []),
    ...rampLines(attempt).map((line) => `    ${oneLine(line)}`),
    ...ranks.flatMap((rank) =>
      ownLines(rank, `rank ${rank.rank}`, style).map((line) => `  ${line}`),
    ),
    ...replacedLines(attempt, style).map((line) => `  ${line}`),
  ];
}

/** Ranks that were given up on a lost host, and who has them since. */
function replacedLines(whole: AttemptView, style: Style): string[] {
  const { replaced = [], outcome, superseded, stop } = whole;
  const isOver = outcome !== null || superseded || stop !== null;
  const none = isOver ? 'no other host' : 'another host is waited for';
  return replaced.flatMap(({ rank, agent, lost, by, attempt }) => {
    const since = by === null ? none : `begun anew on ${by}`;
    const head = `  rank ${rank} was lost with ${agent} at ${date(lost)}: ${since}`;
    const name = `rank ${rank} before`;
    return [head, ...(attempt === null ? [] : ownLines(attempt, name, style))];
  });
}

/** A line for each stage, and why it was the last. */
function rampLines({ ramp }: AttemptView): string[] {
  if (ramp === undefined) return [];
  const lines = ramp.stages.map(({ stage, ranks, whole, metrics, requests }) => {
    const own = metricsText(metrics.filter(({ name }) => !isOfRequests(name)));
    const all = [own, ...(requests === null ? [] : [requestsText(requests)])];
    const said = all.filter((text) => text !== '').join(', ');
    const state = whole === null ? ', being measured' : whole ? '' : ', not whole';
    return `stage ${stage}, ${plural(ranks, 'rank')}${state}: ${said === '' ? 'nothing was reported' : said}`;
  });
  const { ended } = ramp;
  return ended === null ? lines : [...lines, `ramp ended at stage ${ended.stage}: ${ended.reason}`];
}

/** Of an attempt that has an agent of its own: a rank, or the only one. */
function ownLines(attempt: AttemptView, name: string, style: Style): string[] {
  const outcome = paintState(style, attempt.outcome ?? attempt.state);
  const phase = attempt.phase === null ? '' : `, ${attempt.phase} ${percent(attempt.progress)}`;
  const why = attempt.reason === null ? '' : `: ${attempt.reason}`;
  // Its reason says who paused it.
  const isPaused = attempt.class === 'paused';
  const stop = attempt.stop === null || isPaused ? '' : `, stopped by ${attempt.stop.by}`;
  const at =
    attempt.ranks === undefined
      ? `${attempt.agent} (${attempt.host})`
      : plural(attempt.ranks.length, 'host');
  const left = attempt.superseded ? ', superseded' : '';
  const head = `  ${name} on ${at}: ${outcome}${left}${why}${phase}${stop}, ${sofar(attempt.elapsedMs, attempt.state === 'exited')}`;
  return [
    head,
    ...givenLines(attempt).map((line) => `    ${oneLine(line)}`),
    ...attempt.steps.map((step) => {
      if (step.check !== undefined)
        return `    ${step.id}: check ${step.check} ${step.code === 0 ? 'passed' : 'failed'}, ${duration(step.durationMs)}`;
      const end = step.signal ?? (step.code === null ? step.end : `exit ${step.code}`);
      const proof = `${step.proof}${step.proven ? '' : ' (unproven)'}`;
      const cpu = `cpu ${duration(step.userMs + step.systemMs)}, ${bytes(step.maxRssKiB * 1_024)} peak`;
      return `    ${step.id}: ${end}${step.deadline ? ' at its time limit' : ''}, ${duration(step.durationMs)}, ${cpu}, log ${bytes(step.logBytes)}, proof ${proof}`;
    }),
    ...stderrLines(attempt),
    ...automaticLines(attempt),
    ...attempt.files.map((file) => `    ${file.kind} ${file.path} (${bytes(file.bytes)})`),
    ...(attempt.collected === null
      ? []
      : [`    files taken once more by ${oneLine(attempt.collected.by)}`]),
    ...checkpointLines(attempt).map((line) => `    ${oneLine(line)}`),
    ...reportLines(attempt).map((line) => `    ${line}`),
    ...telemetryLines(attempt.telemetry).map((line) => `    ${line}`),
    ...problemLines(attempt),
    ...survivorLines(attempt),
  ];
}

function survivorLines({ survivors, survivorsGone }: AttemptView): string[] {
  if (survivors.length === 0) return [];
  const since = survivorsGone === null ? '' : `, gone at ${survivorsGone}`;
  return [`    ${plural(survivors.length, 'survivor')}: ${survivors.join(', ')}${since}`];
}

/** What it began with, and what is stored of it. */
function checkpointLines({ resumed, checkpoint, checkpointRefused }: AttemptView): string[] {
  const lines: string[] = [];
  if (resumed?.from) {
    const { n, number } = resumed.from;
    lines.push(`resumed with checkpoint ${number} of attempt ${n} (${bytes(resumed.bytes)})`);
  }
  if (resumed?.problem) lines.push(`checkpoint: ${resumed.problem}`);
  if (checkpoint !== null) {
    const size = checkpoint.files.reduce((sum, file) => sum + file.bytes, 0);
    const paths = checkpoint.files.map(({ path }) => path).join(', ');
    lines.push(`checkpoint ${checkpoint.number}: ${paths} (${bytes(size)})`);
  }
  if (checkpointRefused !== null) lines.push(`checkpoint not stored: ${checkpointRefused}`);
  return lines;
}

/** What it waits for, or what it was given. */
function givenLines({ waiting, barrier, resources }: AttemptView): string[] {
  const { gpus = [], cpus = [], host } = resources ?? {};
  const [first] = gpus;
  const toolkit =
    first === undefined ? '' : `, driver ${dash(first.driver)}, CUDA ${dash(first.cuda)}`;
  const names = gpus.map(({ index, name, id }) => `${index ?? '?'} (${name ?? 'unknown'}, ${id})`);
  return [
    ...(waiting === null ? [] : [`waits: ${waiting}`]),
    ...(barrier === undefined ? [] : [`waits: the other ranks, to begin ${barrier}`]),
    ...(gpus.length === 0 ? [] : [`gpus: ${names.join(', ')}${toolkit}`]),
    ...(cpus.length === 0 ? [] : [`cpus: ${cpus.join(',')}`]),
    ...(host === undefined ? [] : [`host: ${hostText(host)}`]),
  ];
}

function hostText({ os, kernel, cpuModel, governor, maxMhz }: HostSnapshot): string {
  const clock = maxMhz === null ? '' : ` up to ${maxMhz} MHz`;
  return `${os}, kernel ${kernel}, ${cpuModel}${clock}${governor === null ? '' : `, governor ${governor}`}`;
}

function stderrLines({ stderrTail }: AttemptView): string[] {
  if (stderrTail === null) return [];
  const lines = stderrTail.text.split('\n').map((line) => `      | ${oneLine(line)}`);
  return [`    stderr of ${stderrTail.step}, its end:`, ...lines];
}

/** Durations of steps stand with the steps. */
function automaticLines({ automatic }: AttemptView): string[] {
  const shown = automatic.filter(({ name }) => !name.endsWith('.duration'));
  return shown.length === 0 ? [] : [`    automatic: ${metricsText(shown)}`];
}

const MOST = 10;

/** What went wrong beside the outcome. */
function problemLines(attempt: AttemptView): string[] {
  const { missingFiles, logGaps, teardownFailure } = attempt;
  const dropped = logGaps.reduce((sum, { from, to }) => sum + to - from, 0);
  const files = missingFiles
    .slice(0, MOST)
    .map(({ path, reason }) => `not kept: ${path}: ${reason}`);
  const more = missingFiles.length - files.length;
  return [
    ...files,
    ...(more > 0 ? [`not kept: ${plural(more, 'more file')}`] : []),
    ...(dropped > 0
      ? [`log: ${bytes(dropped)} were dropped, in ${plural(logGaps.length, 'gap')}`]
      : []),
    ...(teardownFailure === null ? [] : [`teardown failed: ${teardownFailure}`]),
  ].map((line) => `    ${oneLine(line)}`);
}
