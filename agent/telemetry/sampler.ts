/**
 * Looks at the host and at each attempt's processes once a second, while attempts run and for a moment
 * after; at rest there is no timer, no process and no read (I10).
 *
 *   off --begin of a step--> sampling --(no step for 3 s)--> off
 *            every second: counters, trees, GPUs -> one host sample, one sample for each attempt
 *                              -> summaries (results) and batches (BM_METRICS)
 *
 * 1. What is used by nobody we know is `other`: the host's busy time without the trees of all attempts,
 *    without the agent. The time of a step that ended within the second is known from its end.
 * 2. Nothing here ends an attempt or the agent: a defect ends the sampling, and each result says so.
 */
import { toError } from '#protocol/messages/errors.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { AttemptTelemetry, GpuSample, HostSample } from '#protocol/messages/agent/telemetry.ts';
import type { Writer } from '#protocol/messages/envelope.ts';
import type { Clock, Now, Timer } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { GpuFeed, GpuTake } from './gpu-feed.ts';
import { ratesBetween, readCounters, readLevels, type HostCounters } from './host-meter.ts';
import { AttemptEntry, milli, sumOf, type AttemptUse } from './measured-attempt.ts';
import { locateRoot, MeasuredStep, type LocateRoot, type StepUse } from './measured-step.ts';
import type { MetricOutbox } from './metric-outbox.ts';
import { readOwn, type OwnUse } from './own-cost.ts';
import { realDisks, type ProcFiles } from './proc-reader.ts';
import { SampleSeries } from './sample-batch.ts';
import type { GpuView, MeasuredAttempt, Telemetry } from './telemetry.ts';

export const EVERY_MS = 1_000;
/** The next attempt often follows at once. */
const LINGER_TICKS = 3;
/** A second that took so much longer has hidden what happened in it. */
const LATE = 2.5;
const FOREIGN_MOST = 8;

export interface SamplerOptions {
  readonly agent: string;
  readonly writer: Writer;
  readonly files: ProcFiles;
  readonly gpus: GpuFeed;
  readonly outbox: MetricOutbox;
  readonly clock: Clock;
  readonly log: Log;
  readonly locate?: LocateRoot;
}

/** One look at all attempts. */
interface Looked {
  readonly uses: ReadonlyMap<AttemptEntry, AttemptUse>;
  readonly cpuMs: number;
  readonly helperMs: number;
  readonly helperRssBytes: number;
  readonly pids: ReadonlySet<number>;
  /** Of some attempt not all CPU time is known: then nobody knows what others used. */
  readonly isCpuCut: boolean;
}

interface Baseline {
  readonly counters: HostCounters;
  readonly own: OwnUse;
}

interface Taken {
  readonly before: Baseline;
  readonly after: Baseline;
  readonly looked: Looked;
  readonly now: Now;
}

export class Sampler implements Telemetry {
  readonly #options: SamplerOptions;
  readonly #entries = new Map<string, AttemptEntry>();
  readonly #host: SampleSeries<'host.sampled'>;
  #timer: Timer | null = null;
  #dueMs = 0;
  #idleTicks = 0;
  #disks: ReadonlySet<string> = new Set();
  #before: Baseline | null = null;
  /** CPU time of steps that ended since the last look, beyond what was seen of them; null: not known. */
  #endedMs: number | null = 0;
  #defect: string | null = null;
  #lastGpus: GpuView | null = null;
  /** Pids of other pid namespaces mean nothing here: then nobody is called foreign. */
  #seesAllPids = false;

  constructor(options: SamplerOptions) {
    this.#options = options;
    const { agent, writer, clock, outbox } = options;
    const subject = subjects.hostMetrics(agent);
    this.#host = new SampleSeries('host.sampled', { subject, writer, clock, outbox });
  }

  begin(attempt: MeasuredAttempt, stepDir: string): void {
    this.#guard(() => {
      const { clock, files, locate = locateRoot } = this.#options;
      this.#start();
      const entry = this.#entryOf(attempt);
      const step = new MeasuredStep(files, locate, stepDir);
      // What it used before is of no sample.
      if (attempt.isResumed) step.look();
      entry.addStep(stepDir, step, clock.now().monotonicMs);
    });
  }

  end(key: string, stepDir: string, usedMs: number | null): void {
    const entry = this.#entries.get(key);
    const step = entry?.steps.get(stepDir);
    if (entry === undefined || step === undefined) return;
    entry.steps.delete(stepDir);
    if (usedMs === null) this.#endedMs = null;
    else if (this.#endedMs !== null) this.#endedMs += Math.max(0, usedMs - step.cpuMs);
  }

  summary(key: string): AttemptTelemetry | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    // The host's first: whoever has an attempt's samples finds those of its host.
    this.#host.flush();
    entry.series.flush();
    if (this.#defect !== null) entry.summary.problem(this.#defect);
    return entry.summary.result(entry.series.dropped);
  }

  gpus(): GpuView | null {
    return this.#lastGpus;
  }

  forget(key: string): void {
    this.#entries.get(key)?.series.flush();
    this.#entries.delete(key);
  }

  close(): void {
    for (const { series } of this.#entries.values()) series.flush();
    this.#stop();
  }

  #entryOf(attempt: MeasuredAttempt): AttemptEntry {
    const key = attemptKey(attempt.ref);
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const { agent, writer, clock, outbox } = this.#options;
    const subject = subjects.metrics(agent, attempt.ref);
    const series = new SampleSeries('attempt.sampled', { subject, writer, clock, outbox });
    const entry = new AttemptEntry(attempt, series, EVERY_MS);
    this.#entries.set(key, entry);
    return entry;
  }

  #start(): void {
    this.#idleTicks = 0;
    if (this.#timer !== null || this.#defect !== null) return;
    const { clock, files, gpus } = this.#options;
    const now = clock.now();
    this.#disks = realDisks(files);
    this.#seesAllPids = files.read('/proc/2/comm')?.trim() === 'kthreadd';
    gpus.begin(now.monotonicMs);
    this.#endedMs = 0;
    this.#before = this.#baseline(now);
    this.#dueMs = now.monotonicMs + EVERY_MS;
    this.#schedule(now);
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#before = null;
    this.#lastGpus = null;
    this.#options.gpus.end();
    this.#host.flush();
  }

  #schedule({ monotonicMs }: Now): void {
    // After a late one the next is not close behind: a tenth of a second is mostly rounding.
    while (this.#dueMs <= monotonicMs + EVERY_MS / 2) this.#dueMs += EVERY_MS;
    this.#timer = this.#options.clock.after(this.#dueMs - monotonicMs, () => {
      this.#guard(() => {
        this.#tick();
      });
    });
  }

  /** A defect here must cost nobody a benchmark (2). */
  #guard(work: () => void): void {
    if (this.#defect !== null) return;
    try {
      work();
    } catch (error) {
      const { message } = toError(error);
      this.#options.log.error({ err: toError(error) }, 'defect: telemetry is off from here on');
      this.#defect = `a defect of benchmesh ended the sampling: ${message}`.slice(0, 200);
      this.#stop();
    }
  }

  #baseline(now: Now): Baseline {
    const { files, gpus } = this.#options;
    return {
      counters: readCounters(files, this.#disks, now.monotonicMs),
      own: readOwn(files, process.pid, gpus.pid),
    };
  }

  #tick(): void {
    const now = this.#options.clock.now();
    const before = this.#before;
    const after = this.#baseline(now);
    this.#before = after;
    const isIdle = [...this.#entries.values()].every(({ steps }) => steps.size === 0);
    this.#idleTicks = isIdle ? this.#idleTicks + 1 : 0;
    if (this.#idleTicks >= LINGER_TICKS) {
      this.#stop();
      return;
    }
    const looked = this.#look();
    if (before !== null && looked.uses.size > 0) this.#take({ before, after, looked, now });
    this.#endedMs = 0;
    this.#schedule(this.#options.clock.now());
  }

  #look(): Looked {
    const uses = new Map<AttemptEntry, AttemptUse>();
    const pids = new Set<number>();
    let [cpuMs, helperMs, helperRssBytes] = [0, 0, 0];
    for (const entry of this.#entries.values()) {
      const steps: StepUse[] = [];
      for (const step of entry.steps.values()) {
        const use = step.look();
        if (use === null) continue;
        steps.push(use);
        helperMs += use.helperMs;
        helperRssBytes += use.helperRssBytes;
        for (const pid of use.pids) pids.add(pid);
      }
      const sum = sumOf(steps);
      if (sum === null) continue;
      uses.set(entry, sum);
      cpuMs += sum.cpuMs;
    }
    const isCpuCut = [...uses.values()].some((use) => use.isCpuCut);
    return { uses, cpuMs, helperMs, helperRssBytes, pids, isCpuCut };
  }

  #take(at: Taken): void {
    const { looked, now } = at;
    const taken = this.#options.gpus.take(now.monotonicMs);
    const host = this.#hostSample(at, taken);
    this.#host.add(host);
    const isLate = host.spanMs > EVERY_MS * LATE;
    for (const [entry, use] of looked.uses) {
      const own = entry.sample(use, now);
      if (own === null) continue;
      if (isLate) {
        const reason = 'the agent was held up: one sample for all of it';
        entry.summary.gap(own.elapsedMs - own.spanMs, own.elapsedMs, reason);
      }
      const neighbourCores = milli((looked.cpuMs - use.cpuMs) / host.spanMs);
      entry.take(own, host, {
        neighbourCores,
        isCut: use.isCut,
        // Of one that has more processes than are looked at it is not known whose the others are.
        foreignTo: ({ id, foreign }) => (use.isCut ? foreign : this.#foreign(id, taken, use)),
      });
    }
  }

  #hostSample({ before, after, looked, now }: Taken, taken: GpuTake): HostSample {
    const { files } = this.#options;
    const spanMs = after.counters.atMs - before.counters.atMs;
    const { busyCores, ...rates } = ratesBetween(before.counters, after.counters);
    const ownMs = after.own.cpuMs - before.own.cpuMs;
    // More than there is: the spawner has ended, and handed on the time of steps long over.
    const agentMs = ownMs < 0 || ownMs > spanMs * rates.cpus ? null : ownMs + looked.helperMs;
    const known =
      agentMs === null || this.#endedMs === null || looked.isCpuCut
        ? null
        : looked.cpuMs + agentMs + this.#endedMs;
    const isTold = busyCores !== null && known !== null;
    const samples = taken.gpus.map((gpu) => ({
      ...gpu,
      foreign: this.#foreign(gpu.id, taken, looked),
    }));
    // One that is asked seldom has nothing new each second.
    if (samples.length > 0 || taken.reason !== null) {
      this.#lastGpus = { samples, users: taken.users, reason: taken.reason };
    }
    return {
      timeMs: Math.round(now.wallMs),
      spanMs: Math.round(spanMs),
      attempts: looked.uses.size,
      ...rates,
      otherCores: isTold ? milli(Math.max(0, busyCores - known / spanMs)) : null,
      ...readLevels(files),
      agentCores: agentMs === null ? null : milli(agentMs / spanMs),
      agentRssBytes: after.own.rssBytes + looked.helperRssBytes,
      gpus: samples,
      gpuReason: taken.reason,
    };
  }

  /** Those on the GPU that live, and are none of these. */
  #foreign(gpu: string, { users }: GpuTake, { pids }: Pick<Looked, 'pids'>): GpuSample['foreign'] {
    const on = users === null ? null : users.get(gpu);
    if (on === null || !this.#seesAllPids) return null;
    const { read } = this.#options.files;
    return (on ?? [])
      .filter(({ pid }) => !pids.has(pid) && read(`/proc/${pid}/comm`) !== null)
      .slice(0, FOREIGN_MOST)
      .map(({ pid, name }) => ({ pid, name }));
  }
}
