/**
 * Feeds the output of the run steps to the metric extractor, from their segments, when the steps are
 * over. Until then their segments are kept, unless they fill half the spool: then what is about to
 * be given back is fed first (I12).
 */
import { realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import {
  createExtractor,
  type Extracted,
  type Extractor,
} from '#protocol/suite/extract/create-extractor.ts';
import { readPlainFile } from '../process/plain-file.ts';
import { LogSegments } from '../process/spool/log-segments.ts';

const READ_BYTES = 1024 * 1024;
const JSON_FILE_MOST = 64 * 1024 * 1024;

interface Source {
  readonly dir: string;
  readonly segments: LogSegments;
  readonly limitBytes: number;
  fedTo: number;
}

export class MetricFeed {
  readonly #extractor: Extractor;
  readonly #readsOutput: boolean;
  readonly #sources = new Map<string, Source>();

  constructor(spec: AttemptSpec) {
    this.#extractor = createExtractor(spec.metrics);
    this.#readsOutput = spec.metrics.some(({ from }) => from.kind !== 'json_file');
  }

  /** Its spool has this limit. */
  addRunStep(dir: string, limitBytes: number): void {
    if (!this.#readsOutput) return;
    this.#sources.set(dir, { dir, segments: new LogSegments(dir), limitBytes, fedTo: 0 });
  }

  /** How far a step's output may be given back when it is delivered up to `deliveredTo`. */
  keep(dir: string, deliveredTo: number): number {
    const source = this.#sources.get(dir);
    if (source === undefined) return deliveredTo;
    if (deliveredTo - source.fedTo > source.limitBytes / 2) this.#feed(source, deliveredTo);
    return Math.min(deliveredTo, source.fedTo);
  }

  /** Everything of the steps is on disk: the measurements. Call once. */
  finish(workDir: string): Extracted {
    for (const source of this.#sources.values()) {
      this.#feed(source, Number.POSITIVE_INFINITY);
      source.segments.close();
    }
    return this.#extractor.finish((file) => readJsonFile(workDir, file));
  }

  #feed(source: Source, upTo: number): void {
    while (source.fedTo < upTo) {
      const read = source.segments.readFrom(
        source.fedTo,
        Math.min(READ_BYTES, upTo - source.fedTo),
      );
      for (const chunk of read.chunks) this.#extractor.feed(chunk.stream, chunk.bytes);
      if (read.nextOffset === source.fedTo) return;
      source.fedTo = read.nextOffset;
    }
  }
}

/** Only files in the work folder; null for what is not there or not one of them. */
function readJsonFile(workDir: string, file: string): string | null {
  try {
    const root = realpathSync(workDir);
    const path = realpathSync(join(root, file));
    if (!path.startsWith(root + sep)) return null;
    const bytes = readPlainFile(path, JSON_FILE_MOST + 1);
    return bytes === null || bytes.length > JSON_FILE_MOST ? null : bytes.toString('utf8');
  } catch {
    return null;
  }
}
