/** Asks rocm-smi, in one call. Untested on hardware. Who uses a GPU it does not tell by GPU. */
import { readCards, ROCM_SMI } from './amd-gpus.ts';
import type { VendorGpus } from './gpu-facts.ts';
import { failureOf, type RunTool, type VendorTool } from './vendor-tool.ts';

const TOOL = ROCM_SMI;
const QUESTIONS = [
  '--showproductname',
  '--showuniqueid',
  '--showbus',
  '--showdriverversion',
  '--showmaxpower',
  '--showmeminfo',
  'vram',
  '--json',
] as const;

export class AmdTool implements VendorTool {
  readonly tool = TOOL;
  readonly #run: RunTool;

  constructor(run: RunTool) {
    this.#run = run;
  }

  async look(): Promise<VendorGpus> {
    const result = await this.#run([TOOL, ...QUESTIONS]);
    if (result.end.kind === 'not_found') return none('absent', 'it is not installed');
    const failure = failureOf(TOOL, result);
    const read = readCards(result.stdout);
    if (read.kind === 'unreadable') return none('failed', failure ?? `rocm-smi: ${read.reason}`);
    if (read.gpus.length === 0) return none('failed', failure ?? 'rocm-smi lists no GPU');
    const state = failure === null ? 'ready' : 'degraded';
    return { probe: { tool: TOOL, state, reason: failure }, gpus: read.gpus };
  }
}

function none(state: 'absent' | 'failed', reason: string): VendorGpus {
  return { probe: { tool: TOOL, state, reason }, gpus: [] };
}
