/**
 * The host's GPUs between discovery and the host's actor: puts fences on what a look has found, and
 * again when an attempt that holds some has ended or is gone.
 */
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { Hardware } from '#protocol/messages/agent/hardware.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { Holder } from '../gpus/fence-policy.ts';
import { GpuFences } from '../gpus/gpu-fences.ts';
import { ownerFinder } from '../gpus/own-pids.ts';
import { realProc } from '../telemetry/proc-reader.ts';
import type { GpuSight, HostMessage, LiveAttempt } from './host-state.ts';

/** Until something that waits for a fenced GPU has it looked at again, on a host where nothing runs. */
const RECHECK_MS = 5_000;

export interface HostGpusOptions {
  readonly live: () => ReadonlyMap<string, LiveAttempt>;
  readonly specOf: (key: string) => AttemptSpec | undefined;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly tell: (hardware: Hardware) => void;
  readonly post: (message: HostMessage) => void;
}

export class HostGpus {
  readonly #options: HostGpusOptions;
  readonly #fences = new GpuFences();
  #isReviewing = false;

  constructor(options: HostGpusOptions) {
    this.#options = options;
  }

  onLook(found: Hardware): Hardware {
    const { stateDir, specOf, live, post } = this.#options;
    const specs = [...live().values()].flatMap(({ key, stage }) =>
      stage === 'queued' ? [] : (specOf(key) ?? []),
    );
    const isContainer = found.container !== null;
    const ownerOf = ownerFinder({ files: realProc, stateDir, specs, isContainer });
    const claims = { holderOf: this.#holderOf, ownerOf };
    const hardware = this.#fences.onLook(found, claims, this.#now());
    post({ kind: 'gpus', ...sightOf(hardware), isLook: true });
    return hardware;
  }

  /** In a turn of its own: the actor has been told of the end by then. */
  reviewSoon(): void {
    if (this.#isReviewing) return;
    this.#isReviewing = true;
    queueMicrotask(() => {
      this.#isReviewing = false;
      const hardware = this.#fences.review(this.#holderOf, this.#now());
      if (hardware === null || hardware.gpus.length === 0) return;
      this.#options.tell(hardware);
      this.#options.post({ kind: 'gpus', ...sightOf(hardware), isLook: false });
    });
  }

  lookLater(): void {
    this.#options.clock.after(RECHECK_MS, () => {
      this.#options.post({ kind: 'recheck' });
    });
  }

  readonly #holderOf = (gpu: string): Holder | null => {
    for (const { key, stage, gpus, stopped } of this.#options.live().values()) {
      if (!gpus.includes(gpu)) continue;
      return { key, survivors: stage === 'fenced' ? (stopped?.survivors ?? []) : [] };
    }
    return null;
  };

  #now(): string {
    return new Date(this.#options.clock.now().wallMs).toISOString();
  }
}

/** Before the first look of this process is told. */
export function firstSight(hardware: Hardware): GpuSight {
  return { ...sightOf(hardware), lookedMs: null, asked: null };
}

function sightOf({ gpus, gpuProbes }: Hardware): Pick<GpuSight, 'gpus' | 'isKnown'> {
  return { gpus, isKnown: gpuProbes.every(({ state }) => state !== 'waiting') };
}
