/** Samples of an attempt or of its host: from the run's directory, or from BM_METRICS as they come. */
import { join } from 'node:path';
import { createRunFold } from '#protocol/fold/run-fold.ts';
import { attemptOf } from '#protocol/fold/task-attempts.ts';
import { SampleCursor } from '#protocol/fold/sample-series.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { attemptName, type AttemptRef } from '#protocol/messages/ids.ts';
import { ReportedSample } from '#protocol/messages/attempt/report.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { AttemptSample, HostSample } from '#protocol/messages/agent/telemetry.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { tail } from '#protocol/nats/streams/tail.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { reportedSampleText } from '../output/report-text.ts';
import { attemptSampleText, hostSampleText } from '../output/telemetry-text.ts';
import { terminal } from '../output/terminal.ts';
import { archivedDirectory, isThere, linesOf } from './archive.ts';
import { followRun } from './live-run.ts';

/** `reported`: of the metrics that the benchmark reports. */
export type SampleKind = 'attempt' | 'host' | 'reported';

export interface SampleTarget {
  readonly kind: SampleKind;
  readonly ref: AttemptRef;
  readonly agent: string;
  readonly json: boolean;
  /** Lines say whose they are: of several ranks. */
  readonly isLabelled?: boolean;
}

export class SamplePrinter {
  readonly target: SampleTarget;
  readonly #cursor = new SampleCursor();
  count = 0;
  #lastMs = -Infinity;

  constructor(target: SampleTarget) {
    this.target = target;
  }

  /** What is new in a stored message; others say nothing of it. */
  take(data: Uint8Array): void {
    const decoded = decode(data);
    if (decoded.kind === 'rejected') return;
    const { kind } = this.target;
    const { message } = decoded;
    if (kind === 'host') for (const one of this.#cursor.host(message)) this.host(one);
    else if (kind === 'attempt') for (const one of this.#cursor.attempt(message)) this.attempt(one);
    else for (const one of this.#cursor.reported(message)) this.reported(one);
  }

  attempt(sample: AttemptSample): void {
    if (this.#isNew(sample)) this.#print(sample, attemptSampleText(sample));
  }

  host(sample: HostSample): void {
    if (this.#isNew(sample)) this.#print(sample, hostSampleText(sample));
  }

  reported(sample: ReportedSample): void {
    this.#print(sample, reportedSampleText(sample));
  }

  /** Of what was followed to its end in the stream, the directory has the rest. */
  #isNew({ timeMs }: { readonly timeMs: number }): boolean {
    if (timeMs <= this.#lastMs) return false;
    this.#lastMs = timeMs;
    return true;
  }

  #print(sample: AttemptSample | HostSample | ReportedSample, text: string): void {
    this.count += 1;
    const { json, kind, ref, agent, isLabelled = false } = this.target;
    const label = isLabelled ? `rank ${ref.rank ?? 0} | ` : '';
    if (!json) terminal.print(`${label}${text}`);
    else terminal.printJson(`${kind}_sample`, { ...ref, agent, sample });
  }
}

/** Keeps what was reported instead of printing it. */
export class SampleCollector extends SamplePrinter {
  readonly samples: ReportedSample[] = [];

  override reported(sample: ReportedSample): void {
    this.samples.push(sample);
  }
}

/** A row that cannot be read is damage: throws. */
export async function archivedSamples(directory: string, printer: SamplePrinter): Promise<void> {
  const { kind, ref, agent } = printer.target;
  const attempts = kind === 'reported' ? 'reported' : 'attempts';
  const name =
    kind === 'host'
      ? ['hosts', `${agent}.ndjson`]
      : [attempts, ref.task, `${attemptName(ref)}.ndjson`];
  const file = join(directory, 'telemetry', ...name);
  if (!(await isThere(file))) return;
  let known = kind === 'reported' ? printer.count : 0;
  for await (const line of linesOf(file)) {
    const row: unknown = JSON.parse(line);
    // Those that were followed in the stream come first, in the same order.
    if (known > 0) known -= 1;
    else if (kind === 'reported') printer.reported(ReportedSample.parse(row));
    else if (kind === 'host') printer.host(HostSample.parse(row));
    else printer.attempt(AttemptSample.parse(row));
  }
}

const LOOK_MS = 250;

export interface TailSamples {
  readonly connection: MeshConnection;
  readonly resultsDir: string;
  readonly printer: SamplePrinter;
  /** Messages stored before are of before the attempt; the stream's clock. */
  readonly fromMs: number;
  /** Goes on until the attempt has ended; null: only what is there. */
  readonly follow: AbortSignal | null;
}

/**
 * One filter a reader, always, in BM_METRICS: the run's purge covers one, and must not cost another its
 * place; and a server (2.11.6, measured) skips messages of a reader that has `met.*.RUN...` beside
 * `met.AGENT.host`, a wildcard where the other filter has a word.
 */
export async function tailSamples(options: TailSamples): Promise<void> {
  const { connection, resultsDir, printer, fromMs, follow } = options;
  const { kind, ref, agent } = printer.target;
  const fold = createRunFold(ref.run);
  const state = { caughtUp: false };
  const samples = tail(connection, {
    stream: STREAMS.metrics,
    filters: [kind === 'host' ? subjects.hostMetrics(agent) : subjects.metrics(agent, ref)],
    onMessage: ({ timeMs, data }) => {
      if (timeMs >= fromMs) printer.take(data);
    },
    onCaughtUp: () => {
      state.caughtUp = true;
    },
  });
  const events =
    follow === null ? null : followRun(connection, { fold, onChange: () => undefined });
  const hasEnded = (): boolean => {
    const task = fold.tasks.get(ref.task);
    const attempt = task === undefined ? null : attemptOf(task, ref.n);
    return attempt?.state === 'exited' || fold.state === 'ended';
  };
  try {
    for (let quiet = 0; !state.caughtUp || follow !== null;) {
      if (connection.isClosed() || follow?.aborted === true) return;
      const directory = await archivedDirectory(resultsDir, ref.run);
      if (directory !== null && follow !== null) {
        await samples.close();
        await archivedSamples(directory, printer);
        return;
      }
      // Its last samples come beside its end: a moment later all are there.
      quiet = hasEnded() ? quiet + 1 : 0;
      if (quiet > 4) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  } finally {
    await Promise.all([samples.close(), events?.close()]);
  }
}
