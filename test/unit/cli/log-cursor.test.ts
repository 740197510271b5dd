/** I7 at the reader: every byte once, at its offset, however messages repeat and overlap. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogCursors, type LogItem, type LogMessage } from '#cli/logs/log-cursor.ts';
import { formatChunks, LOG_HEADERS, type LogChunk } from '#protocol/messages/attempt/log.ts';

const ref = { run: 'r', task: 't', n: 1 };

function message(offset: number, data: Uint8Array, chunks: readonly LogChunk[]): LogMessage {
  const headers: Record<string, string> = {
    [LOG_HEADERS.offset]: String(offset),
    [LOG_HEADERS.chunks]: formatChunks(chunks),
  };
  return { data, header: (name) => headers[name] ?? null };
}

function gapMessage(offset: number, to: number): LogMessage {
  const headers: Record<string, string> = {
    [LOG_HEADERS.offset]: String(offset),
    [LOG_HEADERS.gapTo]: String(to),
  };
  return { data: new Uint8Array(), header: (name) => headers[name] ?? null };
}

const whole = (offset: number, text: string): LogMessage =>
  message(offset, Buffer.from(text), [{ stream: 'stdout', bytes: text.length, arrivalMs: 5 }]);

const textOf = (items: readonly LogItem[]): string =>
  items
    .map((item) =>
      item.kind === 'chunk' ? Buffer.from(item.bytes).toString() : `<${item.from}-${item.to}>`,
    )
    .join('');

describe('log cursor', () => {
  it('splits a message into the chunks of its streams, in order', () => {
    const items = new LogCursors().take(
      ref,
      message(0, Buffer.from('outerr'), [
        { stream: 'stdout', bytes: 3, arrivalMs: 1 },
        { stream: 'stderr', bytes: 3, arrivalMs: 2 },
      ]),
    );
    expect(items).toMatchObject([
      { stream: 'stdout', arrivalMs: 1 },
      { stream: 'stderr', arrivalMs: 2 },
    ]);
    expect(textOf(items)).toBe('outerr');
  });

  it('drops repeats and the overlapping part', () => {
    const cursors = new LogCursors();
    expect(textOf(cursors.take(ref, whole(0, 'hello')))).toBe('hello');
    expect(textOf(cursors.take(ref, whole(0, 'hello')))).toBe('');
    expect(textOf(cursors.take(ref, whole(3, 'lo world')))).toBe(' world');
    expect(cursors.next(ref)).toBe(11);
  });

  it('tells a hole from what comes next, from repeats and from a recorded gap', () => {
    const cursors = new LogCursors();
    cursors.take(ref, whole(0, 'hello'));
    expect(cursors.isAhead(ref, whole(6, 'x'))).toBe(true);
    expect(cursors.isAhead(ref, whole(5, 'x'))).toBe(false);
    expect(cursors.isAhead(ref, whole(0, 'hello'))).toBe(false);
    expect(cursors.isAhead(ref, gapMessage(5, 100))).toBe(false);
    expect(cursors.next(ref)).toBe(5);
  });

  it('says what is not there, once', () => {
    const cursors = new LogCursors();
    expect(textOf(cursors.take(ref, gapMessage(0, 7)))).toBe('<0-7>');
    expect(textOf(cursors.take(ref, gapMessage(0, 7)))).toBe('');
    expect(textOf(cursors.take(ref, whole(10, 'x')))).toBe('<7-10>x');
  });

  it('keeps attempts apart', () => {
    const cursors = new LogCursors();
    cursors.take(ref, whole(0, 'abc'));
    expect(textOf(cursors.take({ ...ref, n: 2 }, whole(0, 'abc')))).toBe('abc');
  });

  it('gives exactly the bytes, whatever is repeated', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        fc.array(fc.tuple(fc.nat(199), fc.nat(60)), { maxLength: 40 }),
        (log, pieces) => {
          const cursors = new LogCursors();
          const got: number[] = [];
          // Each piece begins at or before the end of what was sent, as an at-least-once writer sends.
          let sent = 0;
          for (const [at, length] of [...pieces, [0, log.length] as const]) {
            const from = Math.min(at, sent);
            const data = log.subarray(from, from + length);
            const half = Math.floor(data.length / 2);
            const chunks: LogChunk[] = [
              { stream: 'stdout', bytes: half, arrivalMs: 0 },
              { stream: 'stderr', bytes: data.length - half, arrivalMs: 0 },
            ];
            for (const item of cursors.take(ref, message(from, data, chunks))) {
              if (item.kind === 'chunk') got.push(...item.bytes);
              else throw new Error('there is no gap');
            }
            sent = Math.max(sent, from + data.length);
          }
          expect(got).toEqual([...log]);
        },
      ),
    );
  });
});
