/**
 * The scan rung: no helper, only what Node, /bin/sh, cat, wc and mkfifo can do. Where meshrun
 * cannot run. Its limits, each of which the outcome or the README says:
 * nothing is proven; `env -i` daemons escape; both streams are one; no terminal; what ends
 * while no agent lives is `lost`; the budget needs an agent.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../log.ts';
import { closeLostStep, withLiving, withoutRecordSince } from '../meshrun-client/lost-step.ts';
import { bootId, readProcess } from './proc-table.ts';
import { checkProgram } from './program-check.ts';
import { targetOf } from './scan-sweep.ts';
import { RAW_DROPPED, RAW_LOG } from './raw-log.ts';
import { makeFolder } from '../record/step-folders.ts';
import { readPlainFile } from '../plain-file.ts';
import { PIPE, isDraining, ScanStep, type ScanPlan } from './scan-step.ts';
import { COOKIE_VARIABLE, signalNumber } from '../meshrun-client/start-frame.ts';
import { limitFlags } from '../step-limits.ts';
import {
  failureOf,
  notStartedOutcome,
  outcomeOf,
  startedBeforeOutcome,
} from '../record/step-outcome.ts';
import { readRecord, type Started } from '../record/step-record.ts';
import type {
  Adoption,
  KnownStart,
  StepEvents,
  StepHandle,
  StepOutcome,
  StepSpec,
  Supervisor,
} from '../types.ts';

const DRAIN =
  'trap "" TERM HUP INT XFSZ; exec <"$1"; (ulimit -f "$2"; exec cat >>"$3"); wc -c >"$4"';
/** Nothing runs before the agent says so, with the record on disk; should it die first, nothing does. */
const MAIN = 'read -r BENCHMESH_GATE || exit 125; exec >"$1" 2>&1; shift; exec "$@" </dev/null';
const GO = 'go\n';
/** What the step was asked for; by it a step of this rung is known. */
export const SCAN_PLAN = 'scan.json';
const ULIMIT_BLOCK_BYTES = 512;
const TOOLS = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' };
const TICKS_PER_SECOND = 100;
/** It can limit nothing: the user named is the one that no limit of processes binds. */
const NO_POWERS = { controllers: [], missing: 'supervision is by scanning', uid: 0 };

export class ScanSupervisor implements Supervisor {
  readonly rung = 'scan';
  readonly degraded: string;
  readonly #log: Log;
  readonly #steps = new Set<ScanStep>();

  constructor(reason: string, log: Log) {
    this.degraded = reason;
    this.#log = log;
  }

  makeFolder(stepDir: string): void {
    makeFolder(stepDir);
  }

  /** What a step leaves here is of no use to another. */
  releaseFolder(): void {}

  start(stepDir: string, spec: StepSpec, events: StepEvents): StepHandle {
    const wrong = this.#check(stepDir, spec);
    if (wrong !== null) return endedHandle(wrong, events);
    try {
      return this.#start(stepDir, spec, events);
    } catch (error) {
      const { code = 'EIO', message } = error as NodeJS.ErrnoException;
      return endedHandle(notStarted(code, `the step could not be started: ${message}`), events);
    }
  }

  async adopt(stepDir: string, events: StepEvents, journalled?: KnownStart): Promise<Adoption> {
    const record = readRecord(stepDir);
    if (record?.started === undefined && journalled !== undefined) {
      return {
        kind: 'ended',
        outcome: await closeLostStep(stepDir, withoutRecordSince(journalled)),
      };
    }
    if (record === null) return { kind: 'not_started' };
    const known = record.gone === undefined ? null : outcomeOf(record);
    if (known !== null) return { kind: 'ended', outcome: withLiving(known, record) };
    const { started } = record;
    if (started === undefined) {
      unlinkSync(join(stepDir, 'record'));
      return { kind: 'not_started' };
    }
    const main = readProcess(started.pid);
    const isAlive = started.bootId === bootId() && main?.startTime === started.startTime;
    if (!isAlive || record.exited !== undefined) {
      isDraining(stepDir);
      const reason = 'it ended while no agent ran, on the scan rung';
      const lost = { record, target: targetOf(started), reason };
      return { kind: 'ended', outcome: await closeLostStep(stepDir, lost) };
    }
    const plan = readPlan(stepDir);
    const step = this.#stepOf({ stepDir, started, plan, events, ranMs: ageMs(started.startTime) });
    void step.watchMain();
    return { kind: 'alive', handle: step };
  }

  bind(): void {
    // There is nothing here that can (types.ts).
  }

  close(): void {
    for (const step of this.#steps) step.detach();
  }

  #check(stepDir: string, spec: StepSpec): StepOutcome | null {
    if (spec.make !== undefined) makeFolder(spec.make);
    const failed = checkProgram(spec.argv[0] ?? '', spec.cwd, spec.env['PATH']);
    if (failed.kind === 'failed') return { ...notStarted('EIO', ''), end: failureOf(failed) };
    const limits = limitFlags(spec.limits ?? {}, NO_POWERS);
    if (limits.kind === 'refused') return notStarted('EINVAL', limits.reason);
    if (limits.flags.length > 0)
      return notStarted('EINVAL', 'limits cannot be set on the scan rung');
    if (signalNumber(spec.stopSignal) === null) {
      return notStarted('EINVAL', `unknown stop signal: ${spec.stopSignal}`);
    }
    if (readRecord(stepDir) !== null) {
      return startedBeforeOutcome(`the step in ${stepDir} was started before`);
    }
    return null;
  }

  #start(stepDir: string, spec: StepSpec, events: StepEvents): StepHandle {
    const cookie = randomBytes(12).toString('hex');
    const { budgetMs, graceMs, stopSignal, stopFile } = spec;
    const plan: ScanPlan = { budgetMs, graceMs, stopSignal, stopFile };
    const [pipe, raw, dropped] = [PIPE, RAW_LOG, RAW_DROPPED].map((name) => join(stepDir, name));
    if (pipe === undefined || raw === undefined || dropped === undefined) throw new Error('paths');
    writeFileSync(join(stepDir, SCAN_PLAN), JSON.stringify(plan));
    writeFileSync(raw, '');
    tryUnlink(pipe); // of a start that came to nothing
    const made = spawnSync('/bin/sh', ['-c', 'mkfifo "$1"', 'mkfifo', pipe], { env: TOOLS });
    if (made.status !== 0) throw new Error('mkfifo failed');
    // Found by name again, in the case that PATH has one that is not the one checked.
    const main = spawn('/bin/sh', ['-c', MAIN, 'main', pipe, ...spec.argv], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { ...spec.env, [COOKIE_VARIABLE]: cookie },
      cwd: spec.cwd,
    });
    main.on('error', (error) => {
      this.#log('error', 'the step could not be started', { error: error.message });
    });
    const pid = main.pid;
    if (pid === undefined) throw new Error('/bin/sh could not be run');
    // It may be killed before it reads; its end is told by its exit.
    main.stdin.on('error', () => undefined);
    const started: Started = {
      type: 'started',
      pid,
      startTime: readProcess(pid)?.startTime ?? 0,
      bootId: bootId(),
      cookie,
    };
    try {
      writeFileSync(join(stepDir, 'record'), `${JSON.stringify(started)}\n`, { flag: 'wx' });
    } catch (error) {
      main.stdin.destroy();
      throw error;
    }
    const blocks = Math.ceil(spec.logLimitBytes / ULIMIT_BLOCK_BYTES);
    const drain = spawn('/bin/sh', ['-c', DRAIN, 'drain', pipe, String(blocks), raw, dropped], {
      detached: true,
      stdio: 'ignore',
      env: TOOLS,
    });
    const step = this.#stepOf({ stepDir, started, plan, events, ranMs: 0 });
    main.stdin.end(GO);
    setImmediate(() => events.onStarted?.(pid));
    drain.on('exit', () => {
      step.onDrained();
      tryUnlink(pipe);
    });
    main.on('exit', (code, signal) => {
      step.onMainEnd({ code, signal: signal === null ? null : constants.signals[signal] });
    });
    return step;
  }

  #stepOf(from: {
    stepDir: string;
    started: Started;
    plan: ScanPlan;
    events: StepEvents;
    ranMs: number;
  }): ScanStep {
    const { stepDir, started, plan, events, ranMs } = from;
    const step: ScanStep = new ScanStep({
      stepDir,
      plan,
      target: targetOf(started),
      events,
      ranMs,
      onOver: () => this.#steps.delete(step),
    });
    this.#steps.add(step);
    return step;
  }
}

const PLAN_MOST_BYTES = 64 * 1024;

/** What a step was asked for. One whose own processes have spoilt that is stopped as steps are. */
function readPlan(stepDir: string): ScanPlan {
  const spoilt = { budgetMs: null, graceMs: 5_000, stopSignal: 'SIGTERM', stopFile: '' };
  try {
    const text = readPlainFile(join(stepDir, SCAN_PLAN), PLAN_MOST_BYTES)?.toString('utf8') ?? '';
    const { budgetMs, graceMs, stopSignal, stopFile } = JSON.parse(text) as Record<string, unknown>;
    const isSound =
      (budgetMs === null || isMs(budgetMs)) &&
      isMs(graceMs) &&
      typeof stopSignal === 'string' &&
      typeof stopFile === 'string';
    return isSound ? { budgetMs, graceMs, stopSignal, stopFile } : spoilt;
  } catch {
    return spoilt;
  }
}

function isMs(value: unknown): value is number {
  return typeof value === 'number' && value >= 0;
}

function notStarted(errno: string, message: string): StepOutcome {
  const outcome = notStartedOutcome(errno, 'supervision', message);
  return { ...outcome, gone: { ...outcome.gone, proof: 'scan' } };
}

function endedHandle(outcome: StepOutcome, events: StepEvents): StepHandle {
  let isDetached = false;
  setImmediate(() => {
    if (!isDetached) events.onEnd(outcome);
  });
  return {
    pid: null,
    stop: () => undefined,
    detach: () => {
      isDetached = true;
    },
  };
}

/** How long a process has run, by the host's monotonic clock. */
function ageMs(startTime: number): number {
  const uptime = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
  return Math.max(0, (uptime - startTime / TICKS_PER_SECOND) * 1000);
}

function tryUnlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Removed with the folder.
  }
}
