/**
 * Samples of a run's attempts and of their hosts, from BM_METRICS into its directory, one sample a line:
 *
 *   telemetry/attempts/<task>/<n>.ndjson     telemetry/hosts/<agent>.ndjson
 *   telemetry/reported/<task>/<n>.ndjson     values of metrics, as the benchmark reported them
 *
 * Of a rank of a gang `<n>-<rank>`.
 *
 * Those of a host are those taken together with an attempt's: they have the same `timeMs`. The stream
 * drops its oldest, so a long run's may be gone; what is missing is counted, and makes no run incomplete:
 * the results stand in `attempt.exited`.
 */
import { appendFileSync, closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SampleCursor } from '#protocol/fold/sample-series.ts';
import { decode, type Message } from '#protocol/messages/envelope.ts';
import { attemptName, type AttemptRef } from '#protocol/messages/ids.ts';
import { filters, parseSubject, subjects } from '#protocol/messages/subjects.ts';
import { pause, type MeshConnection } from '#protocol/nats/connection.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';

export interface ExpectedSamples {
  /** What was sampled of its processes, or what its benchmark reported. */
  readonly of: 'attempts' | 'reported';
  readonly task: string;
  readonly n: number;
  readonly agent: string;
  /** Of a gang. */
  readonly rank?: number | undefined;
  readonly since?: number | undefined;
  /** What its result was summed up from, without what was never sent. */
  readonly samples: number;
}

export interface MissingSamples extends ExpectedSamples {
  readonly stored: number;
}

export interface CollectSamples {
  readonly connection: MeshConnection;
  readonly run: string;
  /** `telemetry` in the run's directory; made where there is something for it. */
  readonly folder: string;
  readonly expected: readonly ExpectedSamples[];
  readonly signal: AbortSignal;
}

/** The last samples of an attempt come beside its last event, not before it. */
const TRIES = 4;
const AGAIN_MS = 500;
const BUFFER_BYTES = 1024 * 1024;
/** Messages of a host that may lie between one of its own and the attempt's of the same time. */
const BEFORE = 1_000;

/** Resolves with what is missing. Rejects on a disk error, or when aborted. */
export async function collectSamples(options: CollectSamples): Promise<MissingSamples[]> {
  const { folder, expected, signal } = options;
  if (expected.length === 0) return [];
  for (let tries = 1; ; tries += 1) {
    if (signal.aborted) throw new Error('not leading any more');
    await rm(folder, { recursive: true, force: true });
    const files = new RowFiles(folder);
    const hosts = await readAttempts(options, files);
    for (const [agent, span] of hosts) await readHost(options, files, { agent, ...span });
    files.close();
    const missing = expected.flatMap((one) => {
      const stored = files.rowsOf(fileOf(one.of, one));
      return stored < one.samples ? [{ ...one, stored }] : [];
    });
    if (missing.length === 0 || tries === TRIES) return missing;
    await pause(AGAIN_MS, signal);
  }
}

function fileOf(
  of: ExpectedSamples['of'],
  at: Pick<AttemptRef, 'task' | 'n' | 'rank' | 'since'>,
): string {
  return join(of, at.task, `${attemptName(at)}.ndjson`);
}

/** When an agent has sampled for this run, and where in the stream that begins. */
interface Span {
  readonly sequence: number;
  readonly fromMs: number;
  readonly toMs: number;
}

async function readAttempts(
  { connection, run, expected }: CollectSamples,
  files: RowFiles,
): Promise<Map<string, Span>> {
  const hosts = new Map<string, Span>();
  const cursors = new Map<string, SampleCursor>();
  const placeOf = ({ task, n, agent }: Pick<ExpectedSamples, 'task' | 'n' | 'agent'>): string =>
    `${task}#${n}@${agent}`;
  const known = new Map(expected.map((one) => [placeOf(one), one]));
  const query = { stream: STREAMS.metrics, filters: [filters.metricsOf(run)] };
  await readAll(connection, query, ({ subject, sequence, data }) => {
    const at = parseSubject(subject);
    const message = messageOf(data);
    if (at?.kind !== 'metrics' || message === null) return;
    const key = placeOf({ ...at.ref, agent: at.agent });
    const { rank, since } = known.get(key) ?? {};
    const ref = { ...at.ref, rank, since };
    const cursor = cursors.get(key) ?? new SampleCursor();
    cursors.set(key, cursor);
    files.write(fileOf('reported', ref), cursor.reported(message));
    const samples = cursor.attempt(message);
    const [first, last] = [samples[0], samples.at(-1)];
    if (first === undefined || last === undefined) return;
    files.write(fileOf('attempts', ref), samples);
    const span = hosts.get(at.agent);
    hosts.set(at.agent, {
      sequence: span?.sequence ?? sequence,
      fromMs: Math.min(span?.fromMs ?? first.timeMs, first.timeMs),
      toMs: Math.max(span?.toMs ?? last.timeMs, last.timeMs),
    });
  });
  return hosts;
}

async function readHost(
  { connection }: CollectSamples,
  files: RowFiles,
  { agent, sequence, fromMs, toMs }: Span & { readonly agent: string },
): Promise<void> {
  const cursor = new SampleCursor();
  const query = {
    stream: STREAMS.metrics,
    filters: [subjects.hostMetrics(agent)],
    fromSequence: Math.max(1, sequence - BEFORE),
  };
  await readAll(connection, query, ({ data }) => {
    const message = messageOf(data);
    if (message === null) return;
    const samples = cursor.host(message);
    const within = samples.filter(({ timeMs }) => timeMs >= fromMs && timeMs <= toMs);
    files.write(join('hosts', `${agent}.ndjson`), within);
  });
}

/** Null for what cannot be read: of a later version, or of somebody else. */
function messageOf(data: Uint8Array): Message | null {
  const decoded = decode(data);
  return decoded.kind === 'ok' ? decoded.message : null;
}

/** Rows for many files, written in large pieces. */
class RowFiles {
  readonly #folder: string;
  readonly #waiting = new Map<string, string>();
  readonly #rows = new Map<string, number>();
  #bytes = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  rowsOf(name: string): number {
    return this.#rows.get(name) ?? 0;
  }

  write(name: string, rows: readonly unknown[]): void {
    if (rows.length === 0) return;
    const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    this.#waiting.set(name, (this.#waiting.get(name) ?? '') + text);
    this.#rows.set(name, this.rowsOf(name) + rows.length);
    this.#bytes += text.length;
    if (this.#bytes > BUFFER_BYTES) this.#flush();
  }

  close(): void {
    this.#flush();
    for (const name of this.#rows.keys()) {
      const file = openSync(join(this.#folder, name), 'r');
      try {
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    }
  }

  #flush(): void {
    for (const [name, text] of this.#waiting) {
      const path = join(this.#folder, name);
      mkdirSync(dirname(path), { recursive: true });
      appendFileSync(path, text);
    }
    this.#waiting.clear();
    this.#bytes = 0;
  }
}
