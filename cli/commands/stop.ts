/** `benchmesh stop RUN[/TASK]`: stop means dead (I5), and needs no coordinator (I6). */
import { Option, type Command } from 'commander';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { EXIT, MeshError } from '#protocol/messages/errors.ts';
import { newId } from '#protocol/messages/ids.ts';
import { pause, type MeshConnection } from '#protocol/nats/connection.ts';
import {
  durationOption,
  exitWith,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import { terminal } from '../output/terminal.ts';
import { archivedDirectory } from '../runs/archive.ts';
import { readRun, withRun, type FoundRun } from '../runs/find-run.ts';
import { readLiveRun } from '../runs/live-run.ts';
import { matchTask, parseTarget } from '../runs/match.ts';
import { hasCoordinator } from '../runs/uncoordinated.ts';
import { resultsDirOf } from '../mesh/find-mesh.ts';
import { performStop, publishStop, type StopRequest } from '../stop/perform-stop.ts';
import { ackLine, exitOf, openLine, verdictLine } from '../stop/stop-text.ts';

interface StopFlags extends MeshFlags, JsonFlag {
  readonly grace?: number;
  readonly now?: boolean;
  readonly reason?: string;
  /** Commander: false for --no-wait, true without either, ms with --wait. */
  readonly wait: number | boolean;
}

const WAIT_BEYOND_GRACE_MS = 60_000;

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run[/task]>', 'id, a unique part of it, or latest')))
    .addOption(
      durationOption('--grace <duration>', "time between TERM and KILL; default the suite's"),
    )
    .addOption(new Option('--now', 'kill at once, no grace').conflicts('grace'))
    .option('--reason <text>', 'recorded with the stop')
    .addOption(
      durationOption(
        '--wait <duration>',
        'how long to wait for the proof; default the grace and 60s',
      ),
    )
    .option('--no-wait', 'return as soon as the stop is stored');
  command.addHelpText(
    'after',
    `
Ends with 0 only when every process is proven gone; 8 if the stop is still open, unproven or a
process cannot be killed; 9 if the run or task had ended already. Ctrl-C ends the waiting, not
the stop.`,
  );
  withExamples(command, [
    'benchmesh stop latest --reason "wrong branch"',
    'benchmesh stop k3f9/d2xq --now',
  ]);
  command.action(async (text: string, flags: StopFlags) => {
    const target = parseTarget(text);
    if (target.n !== null)
      throw new MeshError('usage', 'a stop is of a run or a task, not of one attempt');
    await withRun(flags, target.run, (found) => stop(found, target.task, flags));
  });
}

async function stop(found: FoundRun, taskText: string | null, flags: StopFlags): Promise<void> {
  const fold = await readRun(found);
  const task = taskText === null ? null : matchTask(taskText, fold.tasks.keys());
  const name = task === null ? `run ${found.run}` : `task ${found.run}/${task}`;
  refuseEnded(fold, task, name);
  if (found.kind === 'archived') throw new MeshError('already_ended', `${name} has ended already`);
  const { connection } = found.mesh;
  const request: StopRequest = {
    run: found.run,
    task,
    graceMs: flags.grace ?? null,
    now: flags.now === true,
    reason: flags.reason ?? null,
  };
  if (flags.wait === false) {
    const command = newId();
    await publishStop(connection, request, command);
    const { run } = request;
    if (flags.json === true)
      terminal.printJson('stop', {
        command,
        run,
        task,
        verdict: 'open',
        agents: [],
        unreachable: [],
      });
    else terminal.print(`the stop of ${name} is stored (${command})`);
    return;
  }
  const leads = hasCoordinator(connection);
  const grace = request.now ? 0 : (request.graceMs ?? fold.submitted?.suite.graceMs ?? 0);
  const waitMs = typeof flags.wait === 'number' ? flags.wait : grace + WAIT_BEYOND_GRACE_MS;
  const told = new Set<string>();
  const interrupted = onInterrupt();
  const { view, silent } = await performStop(connection, request, {
    waitMs,
    signal: interrupted,
    onView: ({ agents }) => {
      for (const agent of agents.filter((one) => one.done && !told.has(one.agent))) {
        told.add(agent.agent);
        if (flags.json !== true) terminal.print(ackLine(agent));
      }
    },
  });
  if (interrupted.aborted) {
    process.exitCode = EXIT.interrupted;
    terminal.note(
      `\nthe stop of ${name} stays stored and is obeyed: benchmesh show ${found.run} says how it stands`,
    );
  } else {
    exitWith(exitOf(view.verdict));
  }
  if (flags.json === true) {
    terminal.printJson('stop', { ...view, unreachable: silent });
    return;
  }
  for (const agent of view.verdict === 'open' ? view.agents.filter((one) => one.open) : []) {
    terminal.print(openLine(agent, silent.includes(agent.agent)));
  }
  const line = verdictLine(view, name);
  const { style } = terminal;
  terminal.print(view.verdict === 'dead' ? style.good(line) : style.warn(line));
  if (interrupted.aborted) return;
  if (!(await leads)) {
    terminal.note('no coordinator leads: what was pending ends when one returns (benchmesh up)');
  } else if (task === null && view.verdict !== 'open') {
    await untilEnded(connection, found.run, flags);
  }
}

/** Ends the waiting, once the stop is stored; a second Ctrl-C does not wait for that either. */
function onInterrupt(): AbortSignal {
  const abort = new AbortController();
  process.on('SIGINT', () => {
    if (abort.signal.aborted) process.exit(EXIT.interrupted);
    abort.abort();
  });
  return abort.signal;
}

function refuseEnded(fold: RunFold, task: string | null, name: string): void {
  const state = task === null ? fold.state : fold.tasks.get(task)?.state;
  if (state !== 'ended' && fold.state !== 'ended') return;
  const outcome = task === null ? fold.outcome : fold.tasks.get(task)?.outcome;
  throw new MeshError('already_ended', `${name} has ended already (${outcome ?? 'ended'})`);
}

/** The coordinator closes the run moments after the last proof: what is shown next says so. */
async function untilEnded(
  connection: MeshConnection,
  run: string,
  flags: StopFlags,
): Promise<void> {
  const deadline = performance.now() + 3_000;
  const resultsDir = await resultsDirOf(flags);
  while (performance.now() < deadline) {
    if ((await archivedDirectory(resultsDir, run)) !== null) return;
    const fold = await readLiveRun(connection, run);
    if (fold === null || fold.state === 'ended') return;
    await pause(50);
  }
}
