import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogItem } from '#cli/logs/log-cursor.ts';
import { LogPrinter, type PrintOptions } from '#cli/logs/log-printer.ts';

const plain: PrintOptions = { raw: false, timestamps: false, label: () => null, only: null };

function chunk(
  bytes: string | Uint8Array,
  over: { task?: string; stream?: 'stdout' | 'stderr' } = {},
): LogItem {
  return {
    kind: 'chunk',
    ref: { run: 'r', task: over.task ?? 't', n: 1 },
    stream: over.stream ?? 'stdout',
    bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes,
    arrivalMs: Date.UTC(2026, 1, 13),
  };
}

async function printed(
  options: Partial<PrintOptions>,
  items: readonly LogItem[],
): Promise<{ out: Buffer; notes: string[] }> {
  const parts: Uint8Array[] = [];
  const notes: string[] = [];
  const printer = new LogPrinter(
    { ...plain, ...options },
    {
      write: (bytes) => {
        parts.push(Uint8Array.from(bytes));
        return Promise.resolve();
      },
      flush: () => Promise.resolve(),
      note: (line) => notes.push(line),
    },
  );
  for (const item of items) await printer.print(item);
  await printer.end();
  return { out: Buffer.concat(parts), notes };
}

describe('log printer', () => {
  it('raw gives exactly the bytes, split anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 50 })), async (pieces) => {
        const { out } = await printed(
          { raw: true },
          pieces.map((piece) => chunk(piece)),
        );
        expect(out.equals(Buffer.concat(pieces))).toBe(true);
      }),
    );
  });

  it('one attempt is printed as it is, with a newline at its end only if there is none', async () => {
    expect((await printed({}, [chunk('a\nb')])).out.toString()).toBe('a\nb\n');
    expect((await printed({}, [chunk('a\n')])).out.toString()).toBe('a\n');
    expect((await printed({ raw: true }, [chunk('b')])).out.toString()).toBe('b');
  });

  it('never mixes the lines of two attempts', async () => {
    const label = (ref: { task: string }): string => ref.task;
    const { out } = await printed({ label }, [
      chunk('one', { task: 'a' }),
      chunk('two\nthree', { task: 'b' }),
      chunk(' more\n', { task: 'a' }),
    ]);
    expect(out.toString()).toBe('b | two\na | one more\nb | three\n');
  });

  it('chooses one stream', async () => {
    const items = [chunk('out'), chunk('err', { stream: 'stderr' })];
    expect((await printed({ raw: true, only: 'stderr' }, items)).out.toString()).toBe('err');
  });

  it('puts the time of arrival before each line', async () => {
    const { out } = await printed({ timestamps: true }, [chunk('a\n')]);
    expect(out.toString()).toBe('2026-02-13T00:00:00.000Z a\n');
  });

  it('says a gap aside, even in raw', async () => {
    const ref = { run: 'r', task: 't', n: 1 };
    const { out, notes } = await printed({ raw: true }, [{ kind: 'gap', ref, from: 3, to: 9 }]);
    expect(out).toHaveLength(0);
    expect(notes).toEqual([expect.stringContaining('bytes 3 to 9 of r/t#1')]);
  });
});
