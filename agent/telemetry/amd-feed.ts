/**
 * What AMD's GPUs do, from one call of rocm-smi after the other: it cannot loop, and is a Python program whose
 * start costs much of what it measures. So it is asked seldom, and more seldom the longer it takes (I10).
 * Who uses a GPU it does not tell. Untested on hardware.
 */
import { ROCM_SMI } from '../discovery/amd-gpus.ts';
import { failureOf, type RunTool } from '../discovery/vendor-tool.ts';
import { QUESTIONS, readReadings } from './amd-readings.ts';
import { isOnPath, NOTHING, type GpuFeed, type GpuReading, type GpuTake } from './gpu-feed.ts';

const EVERY_MS = 5_000;
/** Of its duration: from one call to the next, so that it runs for no more than a fiftieth of the time. */
const LEAST_REST = 50;
const RETRY_MS = 60_000;

export interface AmdFeedOptions {
  readonly run: RunTool;
  readonly isInstalled?: () => boolean;
  readonly nowMs: () => number;
}

type Mode = { readonly kind: 'off' | 'absent' } | { readonly kind: 'asking'; dueMs: number };

export class AmdFeed implements GpuFeed {
  readonly #options: AmdFeedOptions;
  #mode: Mode = { kind: 'off' };
  /** One call at a time, also over an end and a new begin. */
  #isBusy = false;
  #fresh: readonly GpuReading[] = [];
  #reason: string | null = null;

  /** Its calls end by themselves. */
  readonly pid = null;

  constructor(options: AmdFeedOptions) {
    this.#options = options;
  }

  begin(nowMs: number): void {
    if (this.#mode.kind !== 'off') return;
    const { isInstalled = () => isOnPath(ROCM_SMI) } = this.#options;
    this.#reason = `${ROCM_SMI} has not answered yet`;
    this.#mode = isInstalled() ? { kind: 'asking', dueMs: nowMs } : { kind: 'absent' };
    this.#ask(nowMs);
  }

  end(): void {
    this.#mode = { kind: 'off' };
    this.#fresh = [];
  }

  take(nowMs: number): GpuTake {
    if (this.#mode.kind !== 'asking') return NOTHING;
    this.#ask(nowMs);
    const gpus = this.#fresh;
    this.#fresh = [];
    const users = new Map(gpus.map(({ id }) => [id, null]));
    return { gpus, reason: this.#reason, users };
  }

  #ask(nowMs: number): void {
    if (this.#mode.kind !== 'asking' || this.#isBusy || nowMs < this.#mode.dueMs) return;
    this.#isBusy = true;
    void this.#options.run([ROCM_SMI, ...QUESTIONS]).then((result) => {
      this.#isBusy = false;
      if (this.#mode.kind !== 'asking') return;
      const read = readReadings(result.stdout);
      const readings = read.kind === 'read' ? read.readings : [];
      const failure = failureOf(ROCM_SMI, result);
      const now = this.#options.nowMs();
      this.#reason = null;
      this.#fresh = readings;
      this.#mode.dueMs = now + Math.max(EVERY_MS, (now - nowMs) * LEAST_REST);
      if (readings.length > 0) return;
      const said = read.kind === 'read' ? 'it lists no GPU' : read.reason;
      this.#reason = failure ?? `${ROCM_SMI}: ${said}`;
      this.#mode.dueMs = now + RETRY_MS;
    });
  }
}
