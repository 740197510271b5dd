/** I7: every byte of a step's output, at its offset, in order; or a gap with its range. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LogSegments } from '#agent/process/spool/log-segments.ts';
import { createSupervisor } from '#agent/process/supervisor.ts';
import type { Rung } from '#agent/process/types.ts';
import { NOISE, shipped } from '#test/support/process-noise.ts';
import { outputOf, StepBench } from '#test/support/process-step.ts';
import { until } from '#test/support/until.ts';

const RUNGS: readonly Rung[] = ['subreaper', 'scan'];
const MEGABYTE = 1_000_000;

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('output on the subreaper rung', () => {
  let bench: StepBench;
  beforeAll(async () => {
    bench = new StepBench(await createSupervisor({ rung: 'subreaper' }));
  });
  afterAll(() => {
    bench.dispose();
  });

  it('is byte-exact on both streams for 20 MB, read and released while it comes', async () => {
    const copy = join(bench.root, 'copy');
    const step = bench.start(['perl', '-e', NOISE, String(20 * MEGABYTE), copy]);
    const { hashes, offset, most } = await shipped(step);
    const outcome = await step.ended;
    expect(outcome).toMatchObject({
      end: { kind: 'exited', code: 0 },
      droppedBytes: 0,
      logBytes: offset,
    });
    expect(hashes.stdout).toBe(sha256(readFileSync(`${copy}.0`)));
    expect(hashes.stderr).toBe(sha256(readFileSync(`${copy}.1`)));
    expect(readdirSync(step.dir).filter((name) => name.startsWith('log.'))).toHaveLength(1);
    expect(most).toBeGreaterThan(0);
  });

  it('keeps the order of lines that come one after the other', async () => {
    const script =
      'for i in 1 2 3 4 5; do echo "o$i"; sleep 0.02; echo "e$i" >&2; sleep 0.02; done; printf end';
    const step = bench.start(['sh', '-c', script]);
    const { logBytes } = await step.ended;
    const { chunks } = outputOf(step.dir, logBytes);
    const text = chunks.map(({ bytes }) => bytes.toString()).join('');
    expect(text).toBe('o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\nend');
    const arrivals = chunks.map(({ arrivalMs }) => arrivalMs);
    expect(arrivals).toEqual(arrivals.toSorted((a, b) => a - b));
  });

  it('loses nothing to a script that opens /dev/stderr, and nothing of what orphans still write', async () => {
    const script =
      'printf a >&2; echo x > /dev/stderr; echo y | tee /dev/stderr; printf z >&2; (sleep 0.05; printf late) &';
    const step = bench.start(['sh', '-c', script]);
    const { logBytes, end, gone } = await step.ended;
    const { stdout, stderr } = outputOf(step.dir, logBytes);
    expect({ end, empty: gone.empty }).toEqual({ end: { kind: 'exited', code: 0 }, empty: true });
    expect([stdout.toString(), stderr.toString()]).toEqual(['y\nlate', 'ax\ny\nz']);
  });

  it('gives a terminal on request, that changes no byte', async () => {
    const script =
      'import os,sys; os.write(1, b"a\\nb\\x03\\x04\\0"); os.write(2, str([os.isatty(f) for f in (0,1,2)]).encode())';
    const step = bench.start(['python3', '-c', script], { stdio: 'pty' });
    const { logBytes } = await step.ended;
    const { stdout, stderr } = outputOf(step.dir, logBytes);
    expect([stdout.toString('latin1'), stderr.toString()]).toEqual([
      'a\nb\x03\x04\0',
      '[False, True, True]',
    ]);
  });

  it('says that there is output while the step runs', async () => {
    const step = bench.start([
      'sh',
      '-c',
      'echo early; read -r _ < "$1"',
      'sh',
      join(bench.root, 'gate'),
    ]);
    await until(() => step.calls.output > 0 || outputOf(step.dir).end > 0, 'the first output');
    expect(outputOf(step.dir).stdout.toString()).toBe('early\n');
    step.handle.stop({ now: true });
    await step.ended;
  });

  it('drops beyond the limit without blocking the child, and the gap has its range', async () => {
    const limit = 1024 * 1024;
    const total = 5 * MEGABYTE;
    const step = bench.start(['perl', '-e', NOISE, String(total), join(bench.root, 'limited')], {
      logLimitBytes: limit,
    });
    const outcome = await step.ended;
    expect(outcome.end).toEqual({ kind: 'exited', code: 0 });
    const { chunks, gaps, end } = outputOf(step.dir, outcome.logBytes);
    const kept = chunks.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const missing = gaps.reduce((sum, { length }) => sum + length, 0);
    expect(gaps).toEqual([expect.objectContaining({ reason: 'limit', offset: kept })]);
    expect(missing).toBe(outcome.droppedBytes);
    expect(kept + missing).toBe(outcome.logBytes);
    expect(end).toBe(outcome.logBytes);
    expect(kept).toBeLessThanOrEqual(limit);
    expect(kept).toBeGreaterThan(limit / 2);
  });

  it('goes on keeping once segments were released, at the right offsets', async () => {
    const gate = join(bench.root, 'released');
    const script = `
      $| = 1; print 'a' x 2_000_000; select(undef, undef, undef, 0.01) until -e $ARGV[0];
      print 'b' x 100_000;`;
    const step = bench.start(['perl', '-e', script, gate], { logLimitBytes: 1024 * 1024 });
    await until(() => outputOf(step.dir).end === 2_000_000, 'the limit and the end of what came');
    const log = new LogSegments(step.dir);
    log.release(2_000_000);
    writeFileSync(gate, '');
    const { logBytes } = await step.ended;
    expect(logBytes).toBe(2_100_000);
    const { stdout, gaps } = outputOf(step.dir, logBytes);
    expect(stdout.subarray(-100_000).equals(Buffer.alloc(100_000, 'b'))).toBe(true);
    expect(gaps.map(({ reason }) => reason)).toEqual(['missing', 'limit']);
    expect(gaps[1]).toMatchObject({ length: 2_000_000 - (gaps[1]?.offset ?? 0) });
  });

  it('makes no file for a step without output', async () => {
    const step = bench.start(['true']);
    await step.ended;
    expect(readdirSync(step.dir).sort()).toEqual(['ctl', 'exit', 'record']);
  });
});

describe.each(RUNGS)('output on the %s rung', (rung) => {
  let bench: StepBench;
  beforeAll(async () => {
    bench = new StepBench(await createSupervisor({ rung }));
  });
  afterAll(() => {
    bench.dispose();
  });

  it('keeps nothing where nothing may be held, and counts it', async () => {
    const step = bench.start(['perl', '-e', "print 'a' x 100_000"], { logLimitBytes: 0 });
    const outcome = await step.ended;
    expect(outcome.end).toEqual({ kind: 'exited', code: 0 });
    const { stdout, gaps, end } = outputOf(step.dir, outcome.logBytes);
    expect({ kept: stdout.length, end }).toEqual({ kept: 0, end: outcome.logBytes });
    expect(gaps).toMatchObject([{ offset: 0, length: outcome.logBytes, reason: 'limit' }]);
    expect(outcome.logBytes).toBeGreaterThan(0);
  });

  it('keeps NULs, split UTF-8, a 10 MB line and a missing last newline', async () => {
    const script = 'print "\\0\\xc3", "x" x 10_000_000, "\\xa4 end"';
    const step = bench.start(['perl', '-e', script]);
    const { logBytes } = await step.ended;
    const expected = Buffer.concat([
      Buffer.from([0, 0xc3]),
      Buffer.alloc(10_000_000, 'x'),
      Buffer.from([0xa4]),
      Buffer.from(' end'),
    ]);
    expect(logBytes).toBe(expected.length);
    expect(sha256(outputOf(step.dir, logBytes).stdout)).toBe(sha256(expected));
  });
});
