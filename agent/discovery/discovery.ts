/**
 * Looks at the host, once at the start and then at intervals, and tells when it is not what it was.
 *
 *   begin() --(first look, waited for a moment)--> hardware
 *      every interval, or when asked: look --> roster (with what was known) --> onLook --> changes? --> onChange
 *
 * 1. Its own looks never overlap: the next is due an interval after the end of the last, and who asks for
 *    one while one is on its way gets that one. Those of `now` are shared, beside them.
 * 2. Nothing here rejects or ends the agent: what goes wrong is the state of a GPU or of its tool.
 * 3. A tool that has not answered when the agent must go on is `waiting`; what it finds is a change.
 */
import { toError } from '#protocol/messages/errors.ts';
import type { Gpu, Hardware } from '#protocol/messages/agent/hardware.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { changesBetween } from './change-policy.ts';
import type { VendorGpus } from './gpu-facts.ts';
import type { GpuMemory } from './gpu-memory.ts';
import { rosterOf } from './gpu-roster.ts';
import type { HostFacts } from './host-facts.ts';
import type { PciGpu } from './pci-gpus.ts';
import type { VendorTool } from './vendor-tool.ts';

export interface DiscoveryOptions {
  readonly tools: readonly VendorTool[];
  readonly readFacts: () => HostFacts;
  readonly readPci: () => readonly PciGpu[];
  readonly memory: GpuMemory;
  readonly everyMs: number;
  /** How long `begin` waits for the tools. */
  readonly firstWaitMs: number;
  /** Aborted when this closes: ends the tools that run. */
  readonly abort: AbortController;
  readonly log: Log;
}

/** Told of every look; gives back what was found with what it knows of it (a fence). */
export type OnLook = (found: Hardware) => Hardware;
export type OnChange = (hardware: Hardware, changes: readonly string[]) => void;

export class Discovery {
  readonly #options: DiscoveryOptions;
  #known: readonly Gpu[];
  #hardware: Hardware | null = null;
  #looking: Promise<Hardware> | null = null;
  #asked: Promise<Hardware> | null = null;
  #onChange: OnChange | null = null;
  #onLook: OnLook = (found) => found;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#known = options.memory.read();
  }

  /** Resolves with what is known after the first look, or after `firstWaitMs` of it. */
  async begin(): Promise<Hardware> {
    const looking = this.#start();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, this.#options.firstWaitMs, null);
    });
    const found = await Promise.race([looking, late]);
    clearTimeout(timer);
    this.#hardware = found ?? this.#join(this.#options.tools.map(waiting));
    return this.#hardware;
  }

  /** A look of this moment, for who cannot go by the last one; shared by all who ask meanwhile. */
  now(): Promise<Hardware> {
    this.#asked ??= this.#look().finally(() => {
      this.#asked = null;
    });
    return this.#asked;
  }

  /** From now on looks and changes are told. */
  follow(onChange: OnChange, onLook: OnLook = this.#onLook): void {
    this.#onChange = onChange;
    this.#onLook = onLook;
    void (this.#looking ?? this.#start()).then((found) => {
      this.#settle(found);
    });
  }

  /** Looks now, once it is followed. */
  look(): void {
    if (this.#isClosed || this.#onChange === null || this.#looking !== null) return;
    clearTimeout(this.#timer);
    void this.#start().then((found) => {
      this.#settle(found);
    });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#options.abort.abort();
  }

  #start(): Promise<Hardware> {
    this.#looking = this.#look();
    return this.#looking;
  }

  #settle(found: Hardware): void {
    this.#looking = null;
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.look();
    }, this.#options.everyMs);
    this.tell(this.#onLook(found));
  }

  /** Tells what is different by what else is known of the last look. */
  tell(hardware: Hardware): void {
    if (this.#isClosed) return;
    const changes = changesBetween(this.#hardware ?? hardware, hardware);
    if (changes.length === 0) return;
    this.#hardware = hardware;
    this.#onChange?.(hardware, changes);
  }

  async #look(): Promise<Hardware> {
    const { tools, log } = this.#options;
    const looks = await Promise.all(
      tools.map(async (tool): Promise<VendorGpus> => {
        try {
          return await tool.look(this.#placesFor(tool));
        } catch (error) {
          log.error({ err: toError(error), tool: tool.tool }, 'defect while looking for GPUs');
          const reason = `a defect of benchmesh: ${toError(error).message}`;
          return { probe: { tool: tool.tool, state: 'failed', reason }, gpus: [] };
        }
      }),
    );
    const hardware = this.#join(looks);
    // What was found while the tools were being ended is no finding.
    if (!this.#isClosed) this.#remember(hardware.gpus);
    return hardware;
  }

  #placesFor({ tool }: VendorTool): string[] {
    const vendor = tool === 'nvidia-smi' ? 'nvidia' : 'amd';
    const all = [...this.#options.readPci(), ...this.#known];
    const own = all.filter((gpu) => gpu.vendor === vendor);
    return [...new Set(own.flatMap(({ busId }) => busId ?? []))];
  }

  #join(looks: readonly VendorGpus[]): Hardware {
    const facts = this.#options.readFacts();
    const pci = this.#options.readPci();
    const isContainer = facts.container !== null;
    const { gpus, probes } = rosterOf(this.#known, { looks, pci, isContainer });
    return { ...facts, gpus: [...gpus], gpuProbes: [...probes] };
  }

  #remember(gpus: readonly Gpu[]): void {
    const isSame = idsOf(gpus) === idsOf(this.#known);
    this.#known = gpus;
    if (isSame) return;
    try {
      this.#options.memory.write(gpus);
    } catch (error) {
      this.#options.log.warn({ err: toError(error) }, 'the GPUs seen could not be written down');
    }
  }
}

function idsOf(gpus: readonly Gpu[]): string {
  return gpus.map(({ id }) => id).join('\n');
}

function waiting({ tool }: VendorTool): VendorGpus {
  const reason = 'it has not answered yet';
  return { probe: { tool, state: 'waiting', reason }, gpus: [] };
}
