/**
 * What the steps of one attempt write: shipped as its log, and read for its metrics. What is not used
 * is never made: no output, no shipper.
 */
import type { AttemptSpec, StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { rankName } from '#protocol/messages/ids.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { Extracted } from '#protocol/suite/extract/create-extractor.ts';
import { LogShipper } from '../logs/log-shipper.ts';
import type { AttemptDeps } from './attempt-deps.ts';
import { MetricFeed } from './metric-feed.ts';

/** How long `exited` waits for the rest of the log. */
const LOG_PATIENCE_MS = 5_000;

export interface OutputOptions {
  readonly deps: Pick<
    AttemptDeps,
    'agent' | 'instance' | 'logStore' | 'logPacer' | 'clock' | 'spool'
  >;
  readonly spec: AttemptSpec;
  readonly log: Log;
  /** The log may have messages already. */
  readonly isResumed: boolean;
}

/** A step whose output begins `before` bytes into the attempt's log. */
export interface OutputSource {
  readonly id: string;
  readonly dir: string;
  readonly before: number;
}

export class AttemptOutput {
  readonly #options: OutputOptions;
  #shipper: LogShipper | null = null;
  #feed: MetricFeed | null = null;
  /** Folders of its steps that may hold something undelivered. */
  readonly #held = new Set<string>();

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  /** The step is about to run. Answers how many bytes of its output it may hold undelivered. */
  begin(step: StepSpec, dir: string): number {
    const { spec, deps } = this.#options;
    const limitBytes = deps.spool.take(dir, spec.logLimitBytes, spec.needs.exclusive);
    this.#follow(step, dir, limitBytes);
    return limitBytes;
  }

  /** An earlier process has started it. */
  adopt(step: StepSpec, dir: string): void {
    const { spec, deps } = this.#options;
    this.#follow(step, dir, deps.spool.adopt(dir, spec.logLimitBytes));
  }

  /** Its output is kept for the metrics, if they are read from it. */
  #follow(step: StepSpec, dir: string, limitBytes: number): void {
    const { spec } = this.#options;
    this.#held.add(dir);
    if (step.step !== 'run' || spec.metrics.length === 0) return;
    this.#feed ??= new MetricFeed(spec);
    this.#feed.addRunStep(dir, limitBytes);
  }

  /** There may be new bytes of the step. */
  wake(source: OutputSource): void {
    this.#shipperOf(source).wake();
  }

  /** The step ended with this much output. Without any the shipper may still wait for some. */
  endStep(source: OutputSource, bytes: number): void {
    if (bytes > 0) this.#options.deps.spool.end(source.dir);
    else this.#release(source.dir);
    if (bytes > 0 || this.#shipper !== null) this.#shipperOf(source).endStep(source.dir, bytes);
  }

  /** The measurements; the steps that are read for them are over. */
  extract(workDir: string): Extracted {
    const feed = this.#feed ?? new MetricFeed(this.#options.spec);
    this.#feed = null;
    return feed.finish(workDir);
  }

  /** No measurement is wanted any more. */
  forgetMetrics(): void {
    this.#feed = null;
  }

  /** What is missing of the log so far. */
  get losses(): LogShipper['losses'] {
    return this.#shipper?.losses ?? { logGaps: [], isRefused: false };
  }

  /** Whether a log of `bytes` is stored. */
  isStored(bytes: number): boolean {
    return this.#shipper?.isDone() ?? bytes === 0;
  }

  /** Resolves when all of it is stored, or it was closed. */
  whenStored(): Promise<void> {
    return this.#shipper?.whenDone() ?? Promise.resolve();
  }

  /** As `whenStored`, or when patience ends. */
  whenStoredSoon(): Promise<void> {
    return this.#shipper?.doneWithin(LOG_PATIENCE_MS) ?? Promise.resolve();
  }

  close(): void {
    this.#shipper?.close();
    for (const dir of this.#held) this.#release(dir);
  }

  #release(dir: string): void {
    this.#held.delete(dir);
    this.#options.deps.spool.release(dir);
  }

  /** The shipper, with this step as its newest source. */
  #shipperOf({ id, dir, before }: OutputSource): LogShipper {
    const { deps, spec, log, isResumed } = this.#options;
    const { agent, instance, logStore: store, logPacer: pacer, clock } = deps;
    this.#shipper ??= new LogShipper({
      subject: subjects.log(agent, spec),
      instance,
      rank: spec.gang === undefined ? undefined : rankName(spec.gang),
      store,
      pacer,
      clock,
      log,
      isResumed,
      isShared: spec.steps.some(({ service }) => service !== undefined),
      onDelivered: (stepDir) => {
        this.#release(stepDir);
      },
      keep: (stepDir, deliveredTo) => this.#feed?.keep(stepDir, deliveredTo) ?? deliveredTo,
    });
    this.#shipper.addStep(id, dir, before);
    return this.#shipper;
  }
}
