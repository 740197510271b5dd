/** A sampler on a host of the test's own, a second at a time. */
import { NOTHING, type GpuTake } from '#agent/telemetry/gpu-feed.ts';
import { MetricOutbox } from '#agent/telemetry/metric-outbox.ts';
import { Sampler } from '#agent/telemetry/sampler.ts';
import type { MeasuredAttempt } from '#agent/telemetry/telemetry.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import type { AttemptSample, HostSample } from '#protocol/messages/agent/telemetry.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { FakeProc } from '#test/support/fake-proc.ts';
import { ManualClock } from '#test/support/manual-clock.ts';
import { until } from '#test/support/until.ts';

/** Of the first attempt that begins, unless it says another. */
export const HELPER = 100;
export const MAIN = 101;

export class SamplerBench {
  readonly proc = new FakeProc();
  readonly clock = new ManualClock();
  readonly sent = { host: [] as HostSample[], own: new Map<string, AttemptSample[]>() };
  readonly sampler: Sampler;
  /** What the tool says at each tick. */
  gpus: GpuTake = NOTHING;

  constructor() {
    const { proc, clock, sent } = this;
    proc.processes.set(process.pid, { parent: 1, rssPages: 20_000 });
    const outbox = new MetricOutbox({
      store: {
        publish: (subject, payload) => {
          const decoded = decode(payload);
          if (decoded.kind === 'rejected') throw new Error(decoded.reason);
          const { message } = decoded;
          if (message.name === 'host.sampled') sent.host.push(...message.data.samples);
          if (message.name === 'attempt.sampled')
            sent.own.set(subject, [...(sent.own.get(subject) ?? []), ...message.data.samples]);
          return Promise.resolve({ kind: 'stored', sequence: 1, duplicate: false });
        },
        whenReachable: () => Promise.resolve(),
      },
      isBehind: () => false,
      clock,
      log: silentLog,
    });
    this.sampler = new Sampler({
      agent: 'a1',
      writer: { source: '/agents/a1', incarnation: 3 },
      files: proc,
      gpus: {
        pid: null,
        begin: () => undefined,
        end: () => undefined,
        take: () => this.gpus,
      },
      outbox,
      clock,
      log: silentLog,
      locate: (_files, stepDir) => ({ pid: Number(stepDir), startTime: 50, isHelper: true }),
    });
  }

  attempt(task: string, change: Partial<MeasuredAttempt> = {}): MeasuredAttempt {
    const { clock } = this;
    const beganMs = clock.now().monotonicMs;
    return {
      ref: { run: 'r', task, n: 1 },
      isExclusive: true,
      gpus: () => [],
      isResumed: false,
      elapsedMs: () => clock.now().monotonicMs - beganMs,
      ...change,
    };
  }

  /** With a helper of this pid, and a process of the next. */
  begin(task: string, change: Partial<MeasuredAttempt> = {}, at = HELPER): string {
    const measured = this.attempt(task, change);
    this.proc.processes.set(at, { parent: 1, rssPages: 100 });
    this.proc.processes.set(at + 1, {
      parent: at,
      rssPages: 1_000,
      sharedPages: 400,
      read: 0,
      written: 0,
    });
    this.sampler.begin(measured, String(at));
    return attemptKey(measured.ref);
  }

  /** A second in which each of these used so many ticks, and something else `other`. */
  second(used: Readonly<Record<number, number>>, other = 0): void {
    let busy = other;
    for (const [pid, ticks] of Object.entries(used)) {
      const found = this.proc.processes.get(Number(pid));
      if (found === undefined) throw new Error(`no process ${pid}`);
      found.ownTicks = (found.ownTicks ?? 0) + ticks;
      busy += ticks;
    }
    this.proc.pass(1_000, busy);
    this.clock.advance(1_000);
  }

  async hostSamples(count: number): Promise<HostSample[]> {
    const { host } = this.sent;
    return until(() => (host.length >= count ? host : null), `${count} samples of the host`);
  }
}
