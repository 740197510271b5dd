/** Discovery of this very host: real tools from PATH, /proc, /sys and the state folder. */
import type { Log } from '#protocol/runtime/log.ts';
import { AmdTool } from './amd-tool.ts';
import { Discovery } from './discovery.ts';
import { GpuMemory } from './gpu-memory.ts';
import { readHostFacts } from './host-facts.ts';
import { NvidiaTool } from './nvidia-tool.ts';
import { readPciGpus } from './pci-gpus.ts';
import { createToolRunner } from './tool-runner.ts';

/** A call of a tool; without persistence mode the driver is loaded anew for each, GPU by GPU. */
const TOOL_TIMEOUT_MS = 20_000;
/** The agent must be heard before its lease is over, whatever a driver does. */
const FIRST_WAIT_MS = 3_000;

export interface HostDiscoveryOptions {
  readonly stateDir: string;
  readonly everyMs: number;
  readonly log: Log;
}

export function discoveryOfHost({ stateDir, everyMs, log }: HostDiscoveryOptions): Discovery {
  const abort = new AbortController();
  const run = createToolRunner(Math.min(TOOL_TIMEOUT_MS, everyMs), abort.signal);
  return new Discovery({
    tools: [new NvidiaTool(run), new AmdTool(run)],
    readFacts: () => readHostFacts(stateDir),
    readPci: () => readPciGpus(),
    memory: new GpuMemory(stateDir),
    everyMs,
    firstWaitMs: FIRST_WAIT_MS,
    abort,
    log,
  });
}
