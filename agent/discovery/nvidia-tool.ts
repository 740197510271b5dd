/**
 * Asks nvidia-smi, in as few calls as the host needs:
 *
 *   --query-gpu --(field refused)--> again without it --> rows, GPUs that do not answer
 *        \--(a GPU does not answer and hides the others)--> -i each of the others
 *   --query-compute-apps --> who uses them
 *   --version, else the table's head --> CUDA, once for each driver
 *   -L, -q --> MIG instances, only where a GPU is in MIG mode
 *
 * One call that does not end ends the look: what hangs once is not asked five times.
 */
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import type { HelperResult } from '../process/helpers/run-helper.ts';
import type { VendorGpus } from './gpu-facts.ts';
import { readInstances, readMigDetails, withInstances } from './mig-instances.ts';
import {
  CORE_FIELDS,
  FURTHER_FIELDS,
  PROCESS_FIELDS,
  readCuda,
  readGpus,
  readProcesses,
  refusedField,
  type ReadGpus,
} from './nvidia-gpus.ts';
import { failureOf, type RunTool, type VendorTool } from './vendor-tool.ts';

const TOOL = 'nvidia-smi';
const FORMAT = '--format=csv,nounits';
/** GPUs that are asked for one by one, where one that does not answer hides the others. */
const MOST_SINGLE = 16;

export class NvidiaTool implements VendorTool {
  readonly tool = TOOL;
  readonly #run: RunTool;
  /** Fields this nvidia-smi has refused; forgotten when it fails, for it may be another one then. */
  #refused = new Set<string>();
  #cuda: { readonly driver: string | null; readonly version: string | null } | null = null;

  constructor(run: RunTool) {
    this.#run = run;
  }

  async look(busIds: readonly string[]): Promise<VendorGpus> {
    const asked = await this.#query([]);
    if (asked.result.end.kind === 'not_found') return none('absent', 'it is not installed');
    const failure = failureOf(TOOL, asked.result);
    let { gpus } = asked.read;
    if (failure !== null) {
      this.#refused = new Set();
      this.#cuda = null;
      if (asked.result.end.kind !== 'exited' || gpus.length === 0) return none('failed', failure);
      gpus = await this.#others(gpus, busIds);
    }
    const problems = [failure, asked.read.note];
    if (gpus.length === 0) {
      const said = asked.read.note === null ? '' : `: ${asked.read.note}`;
      return none('failed', `nvidia-smi lists no GPU${said}`);
    }
    gpus = await this.#furnish(gpus, problems);
    const reason = problems.filter((problem) => problem !== null).join('; ');
    const state = reason === '' ? 'ready' : 'degraded';
    return { probe: { tool: TOOL, state, reason: reason === '' ? null : reason }, gpus };
  }

  /** With every field it knows. */
  async #query(
    which: readonly string[],
  ): Promise<{ readonly result: HelperResult; readonly read: ReadGpus }> {
    for (;;) {
      const further = FURTHER_FIELDS.filter((field) => !this.#refused.has(field));
      const fields = [...CORE_FIELDS, ...further].join(',');
      const result = await this.#run([TOOL, `--query-gpu=${fields}`, FORMAT, ...which]);
      const text = `${result.stdout}\n${result.stderr}`;
      const isRefusal = result.end.kind === 'exited' && /not a valid field/i.test(text);
      if (!isRefusal || further.length === 0) return { result, read: readGpus(text) };
      const refused = refusedField(text);
      // One it does not name: all but those that every one knows.
      if (refused !== null && further.some((field) => field === refused)) {
        this.#refused.add(refused);
      } else for (const field of further) this.#refused.add(field);
    }
  }

  /** Of `gpus`, one does not answer: those on the bus that it hides are asked for one by one. */
  async #others(gpus: readonly Gpu[], busIds: readonly string[]): Promise<Gpu[]> {
    const known = new Set(gpus.map(({ busId }) => busId));
    const hidden = busIds.filter((busId) => !known.has(busId)).slice(0, MOST_SINGLE);
    const found = [...gpus];
    for (const busId of hidden) {
      const { result, read } = await this.#query(['-i', busId]);
      if (result.end.kind !== 'exited') break;
      found.push(...read.gpus.filter((gpu) => gpu.busId === busId));
    }
    return found;
  }

  /** Adds what takes further calls; what cannot be told is null, and a problem. */
  async #furnish(gpus: readonly Gpu[], problems: (string | null)[]): Promise<Gpu[]> {
    const look = { isLost: false };
    const ask = async (...args: string[]): Promise<string | null> => {
      if (look.isLost) return null;
      const result = await this.#run([TOOL, ...args]);
      const failure = failureOf(TOOL, result);
      look.isLost = result.end.kind !== 'exited';
      if (failure !== null) problems.push(`${args[0]?.split('=')[0] ?? ''}: ${failure}`);
      return failure === null ? result.stdout : null;
    };
    const used = await ask(`--query-compute-apps=${PROCESS_FIELDS.join(',')}`, FORMAT);
    const processes = used === null ? null : readProcesses(used);
    const cuda = look.isLost ? null : await this.#readCuda(gpus[0]?.driver ?? null);
    const known = gpus.map((gpu) => {
      if (gpu.uuid === null) return gpu;
      return {
        ...gpu,
        cuda,
        processes: processes === null ? null : (processes.get(gpu.uuid) ?? []),
      };
    });
    if (!known.some(({ mig }) => mig === true)) return known;
    const list = await ask('-L');
    const details = list === null ? null : await ask('-q');
    const instances = list === null ? null : readInstances(list);
    return withInstances(known, instances, readMigDetails(details ?? ''));
  }

  async #readCuda(driver: string | null): Promise<string | null> {
    if (this.#cuda !== null && this.#cuda.driver === driver) return this.#cuda.version;
    let version: string | null = null;
    // `--version` is unknown to older ones; their table's head says it.
    for (const args of [['--version'], []]) {
      const { end, stdout } = await this.#run([TOOL, ...args]);
      version = readCuda(stdout);
      if (version !== null || end.kind !== 'exited') break;
    }
    this.#cuda = { driver, version };
    return version;
  }
}

function none(state: 'absent' | 'failed', reason: string): VendorGpus {
  return { probe: { tool: TOOL, state, reason }, gpus: [] };
}
