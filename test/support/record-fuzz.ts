/** Mutations of what a step leaves on the disk: its record, and the segments of its output. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { resultOf } from '#agent/attempt/rules/step-rules.ts';
import { outcomeOf } from '#agent/process/record/step-outcome.ts';
import { parseRecord, readRecord } from '#agent/process/record/step-record.ts';
import { ENTRY_BYTES, segmentName } from '#agent/process/spool/log-format.ts';
import { LogSegments } from '#agent/process/spool/log-segments.ts';
import type { StepOutcome } from '#agent/process/types.ts';
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { StepResult } from '#protocol/messages/attempt/attempt.ts';

const CAUSE = '"stopRequested":true,"deadline":false';
const LINES = [
  '{"type":"started","atMs":1,"pid":700,"startTime":12,"meshrun":699,"meshrunStartTime":11,"bootId":"b-1","cookie":"c1","step":"r/t.1.step.run","cgroup":"/cg/step.699.11"}',
  '{"type":"exec_failed","atMs":1,"errno":2,"stage":"exec","reason":"not-found","path":"/a/\\u00c3\\u00a4"}',
  `{"type":"exited","atMs":2,"code":3,"durationUs":1500,"userUs":1000,"systemUs":500,"maxRssKiB":64,${CAUSE}}`,
  `{"type":"exited","atMs":2,"signal":9,"core":true,"durationUs":1500,"userUs":1,"systemUs":5,"maxRssKiB":64,${CAUSE}}`,
  `{"type":"stopping","atMs":2,${CAUSE},"signal":15,"graceMs":100}`,
  '{"type":"survivors","atMs":2,"count":2,"pids":[700,701]}',
  `{"type":"gone","atMs":3,"empty":true,"proof":"cgroup","oomKills":1,"reaped":2,"processes":4,"waves":1,"signal":9,"goneUs":2500,${CAUSE},"logBytes":10,"droppedStdout":1,"droppedStderr":2}`,
  `{"type":"gone","empty":false,"proof":"scan","reaped":0,"processes":4,"waves":1,"signal":9,"goneUs":-1,${CAUSE},"logBytes":10,"droppedStdout":0,"droppedStderr":0,"survivors":[700],"reason":"why"}`,
];
const CHUNKS = [
  ...[
    '\n',
    '\0',
    ' ',
    '{',
    '}',
    '"',
    ':',
    ',',
    '-',
    '[',
    ']',
    '1e999',
    'null',
    'true',
    '{}',
    '\\u',
  ],
  ...['"type":', '"pid":0', '"pids":', '99999999999999999999', '-1', '.5', 'gone', 'started'],
  ...['7,'.repeat(5_000), 'x'.repeat(70_000), '['.repeat(3_000)],
];

const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  drop: fc.oneof(fc.constant(0), fc.nat(6), fc.nat(200)),
  put: fc.oneof(fc.constantFrom(...CHUNKS), fc.string({ maxLength: 8, unit: 'binary' })),
});

/** What may stand for a field; undefined: it is missing. */
const ODD: readonly unknown[] = [
  ...[undefined, null, true, false, 0, 1, -1, 0.5, 1e300, 2 ** 53, '', '7', 'scan', [], {}],
  ...[[0], [-1], [1], ['700'], [700, 0.5], [[]], Array.from({ length: 3_000 }, () => 700)],
  ...['x'.repeat(10_000), '\u00c3\u00a4'.repeat(3_000), { toString: 1 }],
];

const line = fc
  .tuple(
    fc.constantFrom(...LINES),
    fc.array(fc.tuple(fc.nat(20), fc.constantFrom(...ODD)), { maxLength: 2 }),
  )
  .map(([text, changes]) => {
    const fields = Object.entries(JSON.parse(text) as object);
    for (const [at, odd] of changes) {
      const field = fields[at % fields.length];
      // Its type stays, or there is nothing to read.
      if (field !== undefined && field[0] !== 'type') field[1] = odd;
    }
    return `${JSON.stringify(Object.fromEntries(fields))}\n`;
  });

/** Lines of records in any order and number, some with odd values; now and then with edits of their text. */
export const mutatedRecord: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(line, { maxLength: 6 }),
    fc.oneof(fc.constant([]), fc.array(edit, { maxLength: 4 })),
  )
  .map(([lines, edits]) =>
    edits.reduce((text, { at, drop, put }) => {
      const from = Math.floor(at * text.length);
      return text.slice(0, from) + put + text.slice(from + drop);
    }, lines.join('')),
  );

const STEP: StepSpec = {
  ...{ step: 'run', id: 'run', argv: ['/a'], env: {}, cwd: null, stdio: 'pipe' },
  ...{ timeoutMs: null, onFail: 'fail', message: null },
};
/** Most that one step may bring into the attempt's events. */
const MOST_CHARACTERS = 8_000;

/** Whatever a record says: nobody else's processes are named, and the outcome can be sent. */
export function checkRecord(text: string): void {
  const record = parseRecord(text);
  const { started, survivors, gone } = record;
  const pids = [started?.pid, started?.meshrun, survivors?.pids, gone?.survivors].flat();
  for (const pid of pids) {
    if (pid !== undefined && !(Number.isSafeInteger(pid) && pid > 1)) {
      throw new Error(`a pid that is none: ${pid}`);
    }
  }
  if (started?.cookie === '') throw new Error('a cookie that others have too');
  const outcome = outcomeOf(record);
  if (outcome !== null) checkOutcome(outcome);
}

function checkOutcome(outcome: StepOutcome): void {
  StepResult.parse(JSON.parse(JSON.stringify(resultOf(STEP, outcome))));
  if (JSON.stringify(outcome).length > MOST_CHARACTERS) throw new Error('an outcome has no bound');
  const { droppedBytes, oomKills, gone, durationMs } = outcome;
  for (const number of [droppedBytes, oomKills, gone.reaped, gone.waves, gone.goneMs, durationMs]) {
    if (number !== null && !(number >= 0)) throw new Error(`not a number: ${number}`);
  }
}

/** Entries of an index, most of them sound, and where bytes of it are another's. */
export const mutatedSegments = fc.record({
  entries: fc.array(
    fc.record({
      length: fc.oneof(fc.nat(40), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
      skip: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.integer({ min: -30, max: 30 })),
      kind: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) }, fc.nat(255)),
      reason: fc.nat(3),
    }),
    { maxLength: 8 },
  ),
  torn: fc.nat(ENTRY_BYTES),
  bytes: fc.nat(200),
  edits: fc.array(fc.record({ at: fc.nat(8 * ENTRY_BYTES), byte: fc.nat(255) }), { maxLength: 4 }),
  pieces: fc.integer({ min: 1, max: 100 }),
  end: fc.option(fc.nat(400)),
  raw: fc.option(fc.record({ bytes: fc.nat(100), dropped: fc.string({ maxLength: 30 }) }), {
    freq: 20,
  }),
});

type Segments = typeof mutatedSegments extends fc.Arbitrary<infer T> ? T : never;

/** Folders for all rounds: making one each time is most of the time. */
export class StepFolderFuzz {
  readonly #dir = mkdtempSync(join(tmpdir(), 'bm-record-'));

  /** As `checkRecord`, and the file is read as the text is. */
  record(text: string): void {
    checkRecord(text);
    const bytes = Buffer.from(text, 'utf8');
    writeFileSync(join(this.#dir, 'record'), bytes);
    const read = readRecord(this.#dir);
    if (read !== null && outcomeOf(read) !== null) checkOutcome(outcomeOf(read) as StepOutcome);
  }

  /** What is read is in order, without a hole that is no gap, and comes to an end. */
  segments(given: Segments): void {
    const file = (name: string): string => join(this.#dir, name);
    for (const name of ['raw', 'raw.dropped']) rmSync(file(name), { force: true });
    writeFileSync(file(segmentName('log', 0)), 'x'.repeat(given.bytes));
    writeFileSync(file(segmentName('index', 0)), indexOf(given));
    if (given.raw !== null) {
      writeFileSync(file('raw'), 'y'.repeat(given.raw.bytes));
      writeFileSync(file('raw.dropped'), given.raw.dropped);
    }
    const log = new LogSegments(this.#dir);
    if (given.end !== null) log.finish(given.end);
    let at = 0;
    for (let reads = 0; ; reads += 1) {
      if (reads > 10_000) throw new Error('reading comes to no end');
      const read = log.readFrom(at, given.pieces);
      let next = at;
      const parts = [
        ...read.chunks.map(({ offset, bytes }) => ({ offset, length: bytes.length })),
        ...read.gaps,
      ].sort((a, b) => a.offset - b.offset);
      for (const { offset, length } of parts) {
        if (offset !== next || length <= 0) throw new Error(`a part at ${offset}, not at ${next}`);
        next += length;
      }
      if (next !== read.nextOffset || !Number.isSafeInteger(next)) throw new Error('a hole');
      if (next === at) break;
      at = next;
    }
    if (!Number.isSafeInteger(log.extent())) throw new Error('no extent');
    log.isRefused();
    log.close();
  }

  close(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function indexOf({ entries, torn, edits }: Segments): Buffer {
  const index = Buffer.alloc(entries.length * ENTRY_BYTES);
  let offset = 0n;
  for (const [i, { length, skip, kind, reason }] of entries.entries()) {
    const at = i * ENTRY_BYTES;
    index.writeBigUInt64LE(BigInt.asUintN(64, offset + BigInt(skip)), at);
    index.writeBigUInt64LE(BigInt(length), at + 8);
    index.writeUInt8(kind, at + 24);
    index.writeUInt8(reason, at + 25);
    offset += BigInt(length);
  }
  for (const { at, byte } of edits) if (at < index.length) index.writeUInt8(byte, at);
  return index.subarray(0, Math.max(0, index.length - (torn % ENTRY_BYTES)));
}
