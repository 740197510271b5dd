/** The reader over segments written by hand: what is certain is read, what is not is not. */
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ENTRY_BYTES,
  KIND_GAP,
  KIND_STDERR,
  KIND_STDOUT,
  segmentName,
} from '#agent/process/spool/log-format.ts';
import { LogSegments } from '#agent/process/spool/log-segments.ts';
import { outputOf } from '#test/support/process-step.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bm-segments-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

interface Entry {
  readonly offset: number;
  readonly length: number;
  readonly kind: number;
  readonly reason?: number;
}

function entryBytes({ offset, length, kind, reason = 0 }: Entry): Buffer {
  const bytes = Buffer.alloc(ENTRY_BYTES);
  bytes.writeBigUInt64LE(BigInt(offset), 0);
  bytes.writeBigUInt64LE(BigInt(length), 8);
  bytes.writeBigUInt64LE(1000n + BigInt(offset), 16);
  bytes.writeUInt8(kind, 24);
  bytes.writeUInt8(reason, 25);
  return bytes;
}

function segment(number: number, entries: readonly Entry[], bytes: string): void {
  writeFileSync(join(dir, segmentName('log', number)), bytes);
  writeFileSync(join(dir, segmentName('index', number)), Buffer.concat(entries.map(entryBytes)));
}

const text = (kind = KIND_STDOUT, offset = 0, length = 0): Entry => ({ kind, offset, length });

describe('the log reader', () => {
  it('finds nothing where nothing was written', () => {
    expect(new LogSegments(dir).readFrom(0, 100)).toEqual({
      offset: 0,
      nextOffset: 0,
      chunks: [],
      gaps: [],
    });
    expect(new LogSegments(dir).extent()).toBe(0);
  });

  it('tells a refusal of the disk from the limit of the spool', () => {
    const gap = (reason: number): Entry => ({ kind: KIND_GAP, offset: 3, length: 9, reason });
    const log = new LogSegments(dir);
    expect(log.isRefused()).toBe(false);
    segment(0, [text(KIND_STDOUT, 0, 3), gap(1)], 'abc');
    log.finish(12);
    expect(log.isRefused()).toBe(false);
    // Not even the index took what came then.
    log.finish(20);
    expect(log.isRefused()).toBe(true);
    log.finish(12);
    segment(0, [text(KIND_STDOUT, 0, 3), gap(2)], 'abc');
    expect(log.isRefused()).toBe(true);
  });

  it('gives both streams in order, over segments, from any offset', () => {
    segment(0, [text(KIND_STDOUT, 0, 3), text(KIND_STDERR, 3, 2)], 'abcde');
    segment(1, [text(KIND_STDOUT, 5, 4)], 'fghi');
    const all = 'abcdefghi';
    const log = new LogSegments(dir);
    for (let from = 0; from <= all.length; from++) {
      for (const size of [1, 2, 100]) {
        const { chunks, nextOffset } = log.readFrom(from, size);
        const got = chunks.map(({ bytes }) => bytes.toString()).join('');
        expect(got).toBe(all.slice(from, from + size));
        expect(nextOffset).toBe(from + got.length);
      }
    }
    expect(outputOf(dir).stderr.toString()).toBe('de');
    expect(log.readFrom(4, 2).chunks[0]).toMatchObject({
      offset: 4,
      stream: 'stderr',
      arrivalMs: 1003,
    });
    log.close();
  });

  it('trusts an entry as far as there are bytes, and reads on when they come', () => {
    segment(0, [text(KIND_STDOUT, 0, 5)], 'ab');
    const log = new LogSegments(dir);
    expect(log.readFrom(0, 100).nextOffset).toBe(2);
    expect(log.extent()).toBe(2);
    expect(log.readFrom(2, 100)).toMatchObject({ nextOffset: 2, chunks: [] });
    appendFileSync(join(dir, segmentName('log', 0)), 'cde');
    expect(log.readFrom(2, 100).chunks[0]?.bytes.toString()).toBe('cde');
    log.close();
  });

  it('follows an entry that grows, and one that is taken back', () => {
    segment(0, [text(KIND_STDOUT, 0, 2)], 'ab');
    const log = new LogSegments(dir);
    expect(log.readFrom(0, 100).nextOffset).toBe(2);
    segment(0, [text(KIND_STDOUT, 0, 4), text(KIND_STDERR, 4, 9)], 'abcd');
    expect(log.readFrom(2, 100).nextOffset).toBe(4);
    segment(
      0,
      [text(KIND_STDOUT, 0, 4), { kind: KIND_GAP, offset: 4, length: 9, reason: 2 }],
      'abcd',
    );
    expect(log.readFrom(4, 100).gaps).toEqual([
      { offset: 4, length: 9, reason: 'write-failed', arrivalMs: 1004 },
    ]);
    log.close();
  });

  it.each([1, 8, 31])('ignores a last entry of which %i bytes were written', (size) => {
    segment(0, [text(KIND_STDOUT, 0, 2), text(KIND_STDERR, 2, 2)], 'abcd');
    truncateSync(join(dir, segmentName('index', 0)), ENTRY_BYTES + size);
    expect(outputOf(dir)).toMatchObject({ end: 2, gaps: [] });
  });

  it('ignores zeros after the last entry', () => {
    segment(0, [text(KIND_STDOUT, 0, 2)], 'ab');
    appendFileSync(join(dir, segmentName('index', 0)), Buffer.alloc(ENTRY_BYTES * 3));
    expect(outputOf(dir)).toMatchObject({ end: 2, gaps: [] });
  });

  it('reports gaps with their range, from within them too', () => {
    segment(
      0,
      [
        text(KIND_STDOUT, 0, 1),
        { kind: KIND_GAP, offset: 1, length: 9, reason: 1 },
        text(KIND_STDERR, 10, 1),
      ],
      'ab',
    );
    expect(outputOf(dir).gaps).toEqual([
      { offset: 1, length: 9, reason: 'limit', arrivalMs: 1001 },
    ]);
    expect(new LogSegments(dir).readFrom(4, 100)).toMatchObject({
      nextOffset: 11,
      gaps: [{ offset: 4, length: 6 }],
      chunks: [{ offset: 10, stream: 'stderr' }],
    });
  });

  it('says what a finished step lost', () => {
    segment(0, [text(KIND_STDOUT, 0, 2)], 'ab');
    const { gaps, end } = outputOf(dir, 7);
    expect({ gaps, end }).toEqual({
      gaps: [{ offset: 2, length: 5, reason: 'write-failed', arrivalMs: null }],
      end: 7,
    });
  });

  it('releases whole segments before an offset, never the newest, and says what is missing then', () => {
    segment(0, [text(KIND_STDOUT, 0, 2)], 'ab');
    segment(1, [text(KIND_STDOUT, 2, 2)], 'cd');
    segment(2, [text(KIND_STDOUT, 4, 2)], 'ef');
    const log = new LogSegments(dir);
    const left = (): string[] => readdirSync(dir).filter((name) => name.startsWith('log.'));
    log.release(1);
    expect(left()).toHaveLength(3);
    log.readFrom(0, 1);
    log.release(3);
    expect(left()).toEqual(['log.000001', 'log.000002']);
    log.release(100);
    expect(left()).toEqual(['log.000002']);
    expect(existsSync(join(dir, 'index.000001'))).toBe(false);
    expect(log.readFrom(0, 100)).toMatchObject({
      nextOffset: 6,
      gaps: [{ offset: 0, length: 4, reason: 'missing' }],
      chunks: [{ offset: 4 }],
    });
    log.close();
  });

  it('goes past a segment of which only the index is left', () => {
    segment(0, [text(KIND_STDOUT, 0, 2)], 'ab');
    segment(1, [text(KIND_STDOUT, 2, 2)], 'cd');
    rmSync(join(dir, segmentName('log', 0)));
    expect(new LogSegments(dir).readFrom(2, 100).chunks[0]?.bytes.toString()).toBe('cd');
    new LogSegments(dir).release(4);
    expect(readdirSync(dir)).toEqual(['index.000001', 'log.000001']);
  });

  it('gives each byte once whatever is written, read and released', () => {
    const run = fc.array(
      fc.tuple(
        fc.constantFrom(KIND_STDOUT, KIND_STDERR, KIND_GAP),
        fc.integer({ min: 1, max: 30 }),
        fc.boolean(),
      ),
      { minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(run, fc.integer({ min: 1, max: 50 }), (entries, piece) => {
        for (const name of readdirSync(dir)) rmSync(join(dir, name));
        const log = new LogSegments(dir);
        let number = 0;
        let part: Entry[] = [];
        let bytes = '';
        let offset = 0;
        let at = 0;
        let expected = '';
        let got = '';
        const read = (): void => {
          for (;;) {
            const { chunks, gaps, nextOffset } = log.readFrom(at, piece);
            const items = [...chunks, ...gaps].toSorted((a, b) => a.offset - b.offset);
            for (const item of items)
              got += 'bytes' in item ? item.bytes.toString() : '-'.repeat(item.length);
            if (nextOffset === at) break;
            at = nextOffset;
          }
          log.release(at);
        };
        for (const [kind, length, turn] of entries) {
          const content =
            kind === KIND_GAP ? '' : String.fromCharCode(97 + (offset % 26)).repeat(length);
          part.push({ kind, offset, length, reason: 1 });
          bytes += content;
          expected += kind === KIND_GAP ? '-'.repeat(length) : content;
          offset += length;
          segment(number, part, bytes);
          if (length % 3 === 0) read();
          if (turn) {
            number += 1;
            part = [];
            bytes = '';
          }
        }
        read();
        log.close();
        expect(got).toBe(expected);
        expect(at).toBe(offset);
      }),
      { numRuns: 60 },
    );
  });
});
