/** `benchmesh progress RUN`: how far it is, how fast, what it lost, when it will end. */
import type { Command } from 'commander';
import { createPresence, type PresenceFold } from '#protocol/fold/progress/presence-fold.ts';
import { runStateOf, type RunFold } from '#protocol/fold/run-fold.ts';
import { EXIT } from '#protocol/messages/errors.ts';
import {
  exitWith,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import { LiveScreen } from '../output/live-screen.ts';
import { progressLine, progressTextLines } from '../output/progress-text.ts';
import { exitOfRun } from '../output/run-end.ts';
import { Stopwatch } from '../output/stopwatch.ts';
import { terminal } from '../output/terminal.ts';
import { readRun, withRun, type FoundRun } from '../runs/find-run.ts';
import { followToEnd } from '../runs/follow-run.ts';
import {
  followPresence,
  presenceFor,
  progressValue,
  readProgress,
  type ProgressValue,
} from '../runs/read-progress.ts';

interface ProgressFlags extends MeshFlags, JsonFlag {
  readonly watch?: boolean;
}

export function build(command: Command): void {
  withMesh(withJson(command.argument('[run]', 'id, a unique part of it, or latest', 'latest')));
  command.option('-f, --watch', 'until it ends; with --json one value a line');
  command.addHelpText(
    'after',
    `
Folded from the run's events, so times are as of its last one; docs/cli.md says what each figure is.
The time left is an estimate from tasks that have ended, with a range that holds four times of five,
or says why there is none.

With --watch it ends as benchmesh watch does: 0 passed, 3 a benchmark failed, 1 stopped. Ctrl-C ends
the watching, not the run.`,
  );
  withExamples(command, ['benchmesh progress latest', 'benchmesh progress k3f9 --json']);
  command.action(async (text: string, flags: ProgressFlags) => {
    await withRun(flags, text, async (found) => {
      const json = flags.json === true;
      if (flags.watch === true) await watch(found, json);
      else print(await readProgress(found), json);
    });
  });
}

function print(value: ProgressValue, json: boolean): void {
  const { style, width } = terminal;
  if (json) terminal.printJson('progress', { ...value });
  else terminal.printLines(progressTextLines(value.progress, { style, width }));
}

async function watch(found: FoundRun, json: boolean): Promise<void> {
  if (found.kind === 'archived') {
    const fold = await readRun(found);
    print(progressValue(fold, await presenceFor(found)), json);
    exitWith(exitOfRun(fold));
    return;
  }
  const interrupted = new AbortController();
  process.once('SIGINT', () => {
    interrupted.abort();
  });
  const { connection } = found.mesh;
  const presence = createPresence();
  const following = followPresence(connection, presence);
  const display = displayFor(presence, json);
  const { fold, notice } = await followToEnd(connection, {
    run: found.run,
    resultsDir: found.resultsDir,
    signal: interrupted.signal,
    onChange: (changed, record) => {
      display.onChange(changed, record === null);
    },
  });
  await following.close();
  display.close();
  if (interrupted.signal.aborted) {
    terminal.note(`the run goes on: benchmesh progress ${found.run} --watch`);
    process.exitCode = EXIT.interrupted;
    return;
  }
  print(progressValue(fold, await presenceFor(found)), json);
  exitWith(exitOfRun(fold, notice));
}

interface Display {
  /** `isCaughtUp`: what there was at the start has been folded. */
  onChange(fold: RunFold, isCaughtUp: boolean): void;
  close(): void;
}

function displayFor(presence: PresenceFold, json: boolean): Display {
  if (json)
    return new Lines(presence, (value) => {
      terminal.printJson('progress', { ...value });
    });
  if (process.stderr.isTTY) return new Screen(presence);
  return new Lines(presence, ({ progress }) => {
    terminal.note(progressLine(progress));
  });
}

/** A view costs by the number of tasks: it is made at most so often. */
const LEAST_MS = 1_000;

/** A line for what has changed, at most so often; a change of the run's state always. */
class Lines implements Display {
  readonly #presence: PresenceFold;
  readonly #say: (value: ProgressValue) => void;
  #atMs = -Infinity;
  #state = '';
  #isCaughtUp = false;

  constructor(presence: PresenceFold, say: (value: ProgressValue) => void) {
    this.#presence = presence;
    this.#say = say;
  }

  onChange(fold: RunFold, isCaughtUp: boolean): void {
    this.#isCaughtUp ||= isCaughtUp;
    if (!this.#isCaughtUp || fold.submitted === null) return;
    const now = performance.now();
    const state = runStateOf(fold);
    // Its end is printed by who follows it.
    if (state === 'ended' || (state === this.#state && now - this.#atMs < LEAST_MS)) return;
    this.#atMs = now;
    this.#state = state;
    this.#say(progressValue(fold, this.#presence));
  }

  close(): void {
    // What is left to say is said by who follows it.
  }
}

/** The block, drawn again and again on standard error; the last one goes to standard output. */
class Screen implements Display {
  readonly #presence: PresenceFold;
  readonly #screen: LiveScreen;
  readonly #watch = new Stopwatch();
  #fold: RunFold | null = null;
  #value: ProgressValue | null = null;
  #madeMs = -Infinity;
  #isCaughtUp = false;

  constructor(presence: PresenceFold) {
    this.#presence = presence;
    this.#screen = new LiveScreen(process.stderr, (width) => this.#lines(width));
  }

  onChange(fold: RunFold, isCaughtUp: boolean): void {
    this.#fold = fold;
    this.#isCaughtUp ||= isCaughtUp;
  }

  close(): void {
    this.#screen.close();
  }

  #lines(width: number): string[] | null {
    const fold = this.#fold;
    if (fold === null || fold.submitted === null || !this.#isCaughtUp) return null;
    const now = performance.now();
    if (fold.sequence !== this.#value?.sequence && now - this.#madeMs >= LEAST_MS) {
      this.#value = progressValue(fold, this.#presence);
      this.#madeMs = now;
    }
    if (this.#value === null) return null;
    const { progress } = this.#value;
    const elapsedMs = this.#watch.read('run', progress.elapsedMs, now);
    const style = terminal.noteStyle;
    const sinceMs = now - this.#madeMs;
    return progressTextLines(progress, { style, width, now: { elapsedMs, sinceMs } });
  }
}
