/** `benchmesh watch RUN`: follows a run until it ends. */
import type { Command } from 'commander';
import { runStateOf, type RunFold } from '#protocol/fold/run-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { EXIT } from '#protocol/messages/errors.ts';
import {
  exitWith,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import { exitOfRun, printEnd } from '../output/run-end.ts';
import { startProgress } from '../output/progress.ts';
import { terminal } from '../output/terminal.ts';
import { readRun, withRun, type FoundRun } from '../runs/find-run.ts';
import { followToEnd } from '../runs/follow-run.ts';

interface WatchFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run>', 'id, a unique part of it, or latest'), true));
  command.addHelpText(
    'after',
    `
Ends with the status that benchmesh run would have: 0 passed, 3 a benchmark failed, 1 stopped.
Ctrl-C ends the watching, not the run.`,
  );
  withExamples(command, ['benchmesh watch latest', 'benchmesh watch k3f9 --json']);
  command.action(async (text: string, flags: WatchFlags) => {
    await withRun(flags, text, (found) => watch(found, flags.json === true));
  });
}

async function watch(found: FoundRun, json: boolean): Promise<void> {
  if (found.kind === 'archived') {
    const fold = await readRun(found);
    if (json) printView(fold);
    else printEnd(fold, found.directory);
    exitWith(exitOfRun(fold));
    return;
  }
  const interrupted = new AbortController();
  process.once('SIGINT', () => {
    interrupted.abort();
  });
  const display = json ? new JsonDisplay() : startProgress();
  const { fold, directory, notice } = await followToEnd(found.mesh.connection, {
    run: found.run,
    resultsDir: found.resultsDir,
    signal: interrupted.signal,
    onChange: (changed, record) => {
      display.onChange(changed, record);
    },
  });
  display.close(fold);
  if (interrupted.signal.aborted) {
    terminal.note(`the run goes on: benchmesh watch ${found.run}`);
    process.exitCode = EXIT.interrupted;
    return;
  }
  if (json) printView(fold);
  else printEnd(fold, directory);
  exitWith(exitOfRun(fold, notice));
}

/** A line for what has changed, at most so often; a change of the run's state always. */
const LEAST_MS = 50;

class JsonDisplay {
  #last = -Infinity;
  #state = '';
  #caughtUp = false;

  onChange(fold: RunFold, record: unknown): void {
    if (record === null) this.#caughtUp = true;
    if (!this.#caughtUp) return;
    const now = performance.now();
    const state = runStateOf(fold);
    if (state === this.#state && now - this.#last < LEAST_MS) return;
    this.#last = now;
    this.#state = state;
    printView(fold);
  }

  close(): void {
    // The caller prints the last view.
  }
}

function printView(fold: RunFold): void {
  const run = runView(fold);
  if (run !== null) terminal.printJson('run', { sequence: fold.sequence, run });
}
