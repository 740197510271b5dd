/**
 * Ends what runs of a run or a task with an operator's stop, pause or requeue, and tells what comes of it: the
 * proof (I5) needs no coordinator (I6).
 */
import type { RunFold } from '#protocol/fold/run-fold.ts';
import type { StopView } from '#protocol/fold/stop-fold.ts';
import { pauseOf } from '#protocol/fold/pauses.ts';
import { EXIT, MeshError } from '#protocol/messages/errors.ts';
import { newId } from '#protocol/messages/ids.ts';
import { pause, type MeshConnection } from '#protocol/nats/connection.ts';
import { exitWith, type JsonFlag, type MeshFlags } from '../command.ts';
import { resultsDirOf } from '../mesh/find-mesh.ts';
import { terminal } from '../output/terminal.ts';
import { archivedDirectory } from '../runs/archive.ts';
import { readHead, readRun, type FoundRun } from '../runs/find-run.ts';
import { readLiveRun } from '../runs/live-run.ts';
import { matchTask } from '../runs/match.ts';
import { hasCoordinator } from '../runs/uncoordinated.ts';
import { performStop, publishStop, type StopRequest } from './perform-stop.ts';
import {
  ackLine,
  exitOf,
  idleLine,
  isIdle,
  openLine,
  staysPaused,
  staysPausedLine,
  verdictLine,
  type StopVerb,
} from './stop-text.ts';

export interface EndFlags extends MeshFlags, JsonFlag {
  readonly grace?: number;
  readonly now?: boolean;
  readonly reason?: string;
  /** Commander: false for --no-wait, true without either, ms with --wait. */
  readonly wait: number | boolean;
}

const WAIT_BEYOND_GRACE_MS = 60_000;
/** The coordinator records what was told moments later. */
const RECORDED_MS = 3_000;

export interface EndTarget {
  readonly found: FoundRun;
  /** As typed; null for the whole run. */
  readonly task: string | null;
  readonly verb: StopVerb;
}

/** Sets the exit status: 0 only where every process is proven gone. */
export async function endTarget(
  { found, task: taskText, verb }: EndTarget,
  flags: EndFlags,
): Promise<void> {
  const fold = await (taskText === null ? readHead(found) : readRun(found));
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
    ...(verb === 'stop' ? {} : { pause: true }),
    ...(verb === 'requeue' ? { requeue: true } : {}),
  };
  const paused = verb === 'requeue' && task !== null ? staysPaused(fold.pauses, task) : null;
  const ofPause = verb === 'requeue' ? { paused } : {};
  const notePause = (): void => {
    if (paused !== null && task !== null)
      terminal.note(staysPausedLine(paused, { run: found.run, task }));
  };
  if (flags.wait === false) {
    const command = newId();
    await publishStop(connection, request, command);
    const { run } = request;
    if (flags.json === true)
      terminal.printJson(verb, {
        command,
        run,
        task,
        verdict: 'open',
        agents: [],
        unreachable: [],
        ...ofPause,
      });
    else terminal.print(`the ${verb} of ${name} is stored (${command})`);
    notePause();
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
        if (flags.json !== true && !isIdle(agent)) terminal.print(ackLine(agent));
      }
    },
  });
  if (interrupted.aborted) {
    process.exitCode = EXIT.interrupted;
    terminal.note(
      `\nthe ${verb} of ${name} stays stored and is obeyed: benchmesh show ${found.run} says how it stands`,
    );
  } else {
    exitWith(exitOf(view.verdict));
  }
  if (flags.json === true) {
    terminal.printJson(verb, { ...view, unreachable: silent, ...ofPause });
    notePause();
    return;
  }
  for (const agent of view.verdict === 'open' ? view.agents.filter((one) => one.open) : []) {
    terminal.print(openLine(agent, silent.includes(agent.agent)));
  }
  const idle = idleLine(view);
  if (idle !== null) terminal.print(idle);
  const line = verdictLine(view, name, verb);
  const { style } = terminal;
  terminal.print(view.verdict === 'dead' ? style.good(line) : style.warn(line));
  notePause();
  if (interrupted.aborted) return;
  if (verb !== 'stop' && fold.submitted?.suite.checkpoints.length === 0 && endedAny(view))
    terminal.note(ANEW[verb]);
  if (!(await leads)) {
    terminal.note(NOT_LED[verb]);
  } else if (verb === 'pause') {
    await untilFold(connection, found.run, (now) => pauseOf(now.pauses, task) !== null);
  } else if (verb === 'requeue') {
    const { command } = view;
    await untilFold(connection, found.run, ({ requeues }) =>
      requeues.some((one) => one.command === command),
    );
  } else if (task === null && view.verdict !== 'open') {
    await untilEnded(connection, found.run, flags);
  }
}

const ANEW: Readonly<Record<Exclude<StopVerb, 'stop'>, string>> = {
  pause: 'the suite names no checkpoints: what ran begins anew when it is resumed',
  requeue: 'the suite names no checkpoints: the next attempt begins anew',
};

const NOT_LED: Readonly<Record<StopVerb, string>> = {
  stop: 'no coordinator leads: what was pending ends when one returns (benchmesh up)',
  requeue: 'no coordinator leads: the task goes on when one returns (benchmesh up)',
  pause: 'no coordinator leads: the pause is recorded when one returns (benchmesh up)',
};

function endedAny({ agents }: StopView): boolean {
  return agents.some(({ attempts }) => attempts.length > 0);
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
async function untilEnded(connection: MeshConnection, run: string, flags: EndFlags): Promise<void> {
  const resultsDir = await resultsDirOf(flags);
  await untilFold(
    connection,
    run,
    async (fold) => fold.state === 'ended' || (await archivedDirectory(resultsDir, run)) !== null,
  );
}

/** For a moment, or until the log says so or has nothing of the run any more. */
async function untilFold(
  connection: MeshConnection,
  run: string,
  isSo: (fold: RunFold) => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + RECORDED_MS;
  while (performance.now() < deadline) {
    const fold = await readLiveRun(connection, run);
    if (fold === null || (await isSo(fold))) return;
    await pause(50);
  }
}
