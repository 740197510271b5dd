/**
 * What NVIDIA's GPUs do, from one nvidia-smi that loops as long as samples are taken: starting one a second
 * would load the driver's library anew each time, on the benchmark's host (I10).
 *
 *   absent (not on PATH)      looping --dies, or is silent--> waiting --(longer each time)--> looping
 *                                \--twice nothing at all--> asking: a call a second, within a time
 *
 * Nothing here rejects: whatever the tool does, the samples have no GPU values and say why. It ends with
 * the sampler, and with the agent however that ends (line-helper.ts).
 */
import type { GpuProcess } from '#protocol/messages/agent/hardware.ts';
import { PROCESS_FIELDS, readProcesses, refusedField } from '../discovery/nvidia-gpus.ts';
import { failureOf, type RunTool } from '../discovery/vendor-tool.ts';
import { LineHelper, type LineHelperEvents } from '../process/helpers/line-helper.ts';
import { isOnPath, NOTHING, type GpuFeed, type GpuReading, type GpuTake } from './gpu-feed.ts';
import { joinReadings, SAMPLE_CORE, SAMPLE_FIELDS, SmiLines } from './smi-lines.ts';

const TOOL = 'nvidia-smi';
const FORMAT = '--format=csv,nounits';
/** Without persistence mode the driver is loaded first, GPU by GPU. */
const FIRST_MS = 20_000;
const SILENT_MS = 5_000;
const RETRY_MS = [2_000, 10_000, 60_000] as const;
/** Loops that told nothing before calls are made one by one. */
const LOOPS_MOST = 2;
const USERS_EVERY_MS = 10_000;
const MOST_GPUS = 64;

export interface NvidiaFeedOptions {
  readonly run: RunTool;
  /** Between two readings. */
  readonly everyMs: number;
  readonly isInstalled?: () => boolean;
  readonly startLoop?: StartLoop;
  readonly nowMs: () => number;
}

type StartLoop = (argv: readonly [string, ...string[]], on: LineHelperEvents) => LineHelper;

const newLoop: StartLoop = (argv, on) => new LineHelper(argv, on);

type Mode =
  | { readonly kind: 'off' | 'absent' }
  | { readonly kind: 'looping'; readonly helper: LineHelper; heardMs: number; hasRead: boolean }
  | { readonly kind: 'waiting'; readonly untilMs: number; readonly reason: string }
  | { readonly kind: 'asking'; isBusy: boolean; reason: string | null };

export class NvidiaFeed implements GpuFeed {
  readonly #options: NvidiaFeedOptions;
  #mode: Mode = { kind: 'off' };
  #last: LineHelper | null = null;
  readonly #refused = new Set<string>();
  readonly #readings = new Map<string, GpuReading>();
  #note: string | null = null;
  #failures = 0;
  #silentLoops = 0;
  #users: ReadonlyMap<string, readonly GpuProcess[]> | null = null;
  #usersDueMs = 0;
  #isAskingUsers = false;

  constructor(options: NvidiaFeedOptions) {
    this.#options = options;
  }

  /** Of the process that reads the GPUs; null for none. */
  get pid(): number | null {
    return this.#mode.kind === 'looping' ? this.#mode.helper.pid : null;
  }

  begin(nowMs: number): void {
    if (this.#mode.kind !== 'off') return;
    const { isInstalled = () => isOnPath(TOOL) } = this.#options;
    this.#failures = 0;
    this.#silentLoops = 0;
    this.#usersDueMs = 0;
    if (isInstalled()) this.#loop(nowMs);
    else this.#mode = { kind: 'absent' };
  }

  end(): void {
    if (this.#mode.kind === 'looping') this.#mode.helper.end();
    this.#mode = { kind: 'off' };
    this.#readings.clear();
    this.#users = null;
  }

  /** What was read since the last call. */
  take(nowMs: number): GpuTake {
    this.#look(nowMs);
    const mode = this.#mode;
    if (mode.kind === 'off' || mode.kind === 'absent') return NOTHING;
    const gpus = [...this.#readings.values()];
    this.#readings.clear();
    if (gpus.length > 0) this.#askUsers(nowMs);
    return { gpus, reason: gpus.length > 0 ? null : this.#reason(), users: this.#users };
  }

  #reason(): string {
    const mode = this.#mode;
    if (mode.kind === 'waiting') return mode.reason;
    if (mode.kind === 'asking' && mode.reason !== null) return mode.reason;
    return this.#note ?? `${TOOL} has not answered yet`;
  }

  #look(nowMs: number): void {
    const mode = this.#mode;
    if (mode.kind === 'waiting' && nowMs >= mode.untilMs) this.#loop(nowMs);
    else if (mode.kind === 'asking') this.#ask(mode);
    else if (mode.kind === 'looping') {
      const patienceMs = mode.hasRead ? SILENT_MS : FIRST_MS;
      if (nowMs - mode.heardMs < patienceMs) return;
      mode.helper.end();
      this.#onLoopOver(nowMs, mode.hasRead, `${TOOL} hangs: nothing for ${patienceMs / 1_000} s`);
    }
  }

  #loop(nowMs: number): void {
    if (this.#last !== null && !this.#last.isGone) {
      const reason = `${TOOL} hangs and cannot be killed: the driver holds it`;
      this.#mode = { kind: 'waiting', untilMs: nowMs + RETRY_MS[1], reason };
      return;
    }
    const { everyMs, startLoop = newLoop } = this.#options;
    const lines = new SmiLines();
    this.#note = null;
    const helper = startLoop([TOOL, this.#query(), FORMAT, '-lms', String(everyMs)], {
      onLine: (line) => {
        if (this.#mode.kind === 'looping') this.#onLine(lines, line);
      },
      onEnd: (status, reason) => {
        if (this.#mode.kind !== 'looping' || this.#mode.helper !== helper) return;
        this.#onEnd(status, reason, this.#mode);
      },
    });
    this.#last = helper;
    this.#mode = { kind: 'looping', helper, heardMs: nowMs, hasRead: false };
  }

  #query(): string {
    const further = SAMPLE_FIELDS.filter((field) => !this.#refused.has(field));
    return `--query-gpu=${[...SAMPLE_CORE, ...further].join(',')}`;
  }

  #onLine(lines: SmiLines, line: string): void {
    const read = lines.read(line);
    if (read === null || read.kind === 'header') return;
    if (read.kind === 'note') {
      this.#note = `${TOOL}: ${read.text}`;
      return;
    }
    const { reading } = read;
    if (this.#readings.size >= MOST_GPUS && !this.#readings.has(reading.id)) return;
    this.#readings.set(reading.id, joinReadings(this.#readings.get(reading.id), reading));
    if (this.#mode.kind !== 'looping') return;
    this.#mode.hasRead = true;
    this.#mode.heardMs = this.#options.nowMs();
    this.#failures = 0;
  }

  #onEnd(
    status: number | null,
    reason: string | null,
    mode: Extract<Mode, { kind: 'looping' }>,
  ): void {
    const nowMs = this.#options.nowMs();
    const refused = refusedField(this.#note ?? '');
    if (refused !== null && !this.#refused.has(refused) && isAsked(refused)) {
      this.#refused.add(refused);
      this.#loop(nowMs);
      return;
    }
    const how = reason ?? (status === null ? 'was killed' : `ended with status ${status}`);
    const said = this.#note === null ? '' : ` (${this.#note})`;
    this.#onLoopOver(nowMs, mode.hasRead, `${TOOL} ${how}${said}`);
  }

  #onLoopOver(nowMs: number, hasRead: boolean, reason: string): void {
    if (!hasRead) this.#silentLoops += 1;
    if (this.#silentLoops >= LOOPS_MOST) {
      this.#mode = { kind: 'asking', isBusy: false, reason };
      return;
    }
    const waitMs = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)] ?? RETRY_MS[0];
    this.#failures += 1;
    this.#mode = { kind: 'waiting', untilMs: nowMs + waitMs, reason };
  }

  /** A tool that cannot loop, or does not flush what it prints, may still answer a single call. */
  #ask(mode: Extract<Mode, { kind: 'asking' }>): void {
    if (mode.isBusy) return;
    mode.isBusy = true;
    void this.#options.run([TOOL, this.#query(), FORMAT]).then((result) => {
      mode.isBusy = false;
      mode.reason = failureOf(TOOL, result);
      const refused = refusedField(`${result.stdout}\n${result.stderr}`);
      if (refused !== null && isAsked(refused)) this.#refused.add(refused);
      if (this.#mode !== mode || mode.reason !== null) return;
      const lines = new SmiLines();
      for (const line of result.stdout.split('\n')) this.#onLine(lines, line);
    });
  }

  #askUsers(nowMs: number): void {
    if (this.#isAskingUsers || nowMs < this.#usersDueMs) return;
    this.#isAskingUsers = true;
    this.#usersDueMs = nowMs + USERS_EVERY_MS;
    const query = `--query-compute-apps=${PROCESS_FIELDS.join(',')}`;
    void this.#options.run([TOOL, query, FORMAT]).then((result) => {
      this.#isAskingUsers = false;
      if (this.#mode.kind === 'off') return;
      this.#users = failureOf(TOOL, result) === null ? readProcesses(result.stdout) : null;
    });
  }
}

function isAsked(field: string): boolean {
  return SAMPLE_FIELDS.some((asked) => asked === field);
}
