import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeRecord, readRecord, type JournalRecord } from '#protocol/nats/outbox/journal-format.ts';
import { Journal } from '#protocol/nats/outbox/journal.ts';
import { silentLog } from '#protocol/runtime/log.ts';

const anyRecord: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({
    kind: fc.constant('message' as const),
    subject: fc.string({ maxLength: 80 }),
    seq: fc.nat(),
    payload: fc.uint8Array({ maxLength: 300 }),
  }),
  fc.record({
    kind: fc.constant('stored' as const),
    subject: fc.string({ maxLength: 80 }),
    seq: fc.nat(),
    streamSequence: fc.maxSafeNat(),
  }),
  fc.record({ kind: fc.constant('dropped' as const), prefix: fc.string({ maxLength: 80 }) }),
);

function plain(record: JournalRecord | undefined): unknown {
  return record?.kind === 'message' ? { ...record, payload: [...record.payload] } : record;
}

describe('journal records', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const bytes = Buffer.from(encodeRecord(record));
        const found = readRecord(bytes, 0);
        expect(plain(found?.record)).toEqual(plain(record));
        expect(found?.length).toBe(bytes.length);
      }),
    );
  });

  it('are not read when cut anywhere or with any bit of them flipped', () => {
    fc.assert(
      fc.property(anyRecord, fc.nat(), fc.nat(7), (record, at, bit) => {
        const bytes = Buffer.from(encodeRecord(record));
        const index = at % bytes.length;
        expect(readRecord(bytes.subarray(0, index), 0)).toBeNull();
        bytes.writeUInt8(bytes.readUInt8(index) ^ (1 << bit), index);
        expect(readRecord(bytes, 0)).toBeNull();
      }),
    );
  });
});

describe('journal', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'benchmesh-journal-'));
  });
  afterEach(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  const open = async (segmentBytes = 1024): Promise<{ journal: Journal; seqs: number[] }> => {
    const seqs: number[] = [];
    const journal = await Journal.open({ dir, segmentBytes, log: silentLog }, ({ record }) => {
      if (record.kind === 'message') seqs.push(record.seq);
    });
    return { journal, seqs };
  };
  const message = (seq: number): Uint8Array =>
    encodeRecord({ kind: 'message', subject: 's', seq, payload: new Uint8Array(100) });

  it('keeps every record over segments, in order', async () => {
    const { journal } = await open();
    for (let seq = 1; seq <= 50; seq += 1)
      expect(journal.append(message(seq)).kind).toBe('written');
    expect(journal.segments().length).toBeGreaterThan(3);
    await journal.close();
    const again = await open();
    expect(again.seqs).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    await again.journal.close();
  });

  it.each([1, 7, 8, 40, 127])(
    'cuts a torn end of %i bytes off and goes on after what is good',
    async (keep) => {
      const { journal } = await open(1 << 20);
      journal.append(message(1));
      journal.append(message(2));
      await journal.close();
      const [file] = await readdir(dir);
      const path = join(dir, file ?? '');
      const good = (await readFile(path)).length;
      await appendFile(path, message(3));
      await truncate(path, good + keep);
      const second = await open(1 << 20);
      expect(second.seqs).toEqual([1, 2]);
      second.journal.append(message(3));
      await second.journal.close();
      const third = await open(1 << 20);
      expect(third.seqs).toEqual([1, 2, 3]);
      await third.journal.close();
    },
  );

  it('does not bring back a record that stood behind a torn one', async () => {
    const { journal } = await open(1 << 20);
    for (const seq of [1, 2, 3]) journal.append(message(seq));
    await journal.close();
    const [name = ''] = await readdir(dir);
    const bytes = await readFile(join(dir, name));
    const length = message(2).length;
    bytes.writeUInt8(bytes.readUInt8(length + 50) ^ 1, length + 50);
    await writeFile(join(dir, name), bytes);
    const second = await open(1 << 20);
    expect(second.seqs).toEqual([1]);
    second.journal.append(message(2));
    await second.journal.close();
    const third = await open(1 << 20);
    expect(third.seqs).toEqual([1, 2]);
    await third.journal.close();
  });
});
