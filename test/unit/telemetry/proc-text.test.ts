/** The parsers of /proc, on what a kernel said (test/fixtures/proc) and on what it may not say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  parseChildren,
  parseCpu,
  parseDisks,
  parseIo,
  parseLoad,
  parseMemory,
  parseStat,
  parseStatm,
} from '#agent/telemetry/proc-text.ts';
import { realDisks, realProc } from '#agent/telemetry/proc-reader.ts';

const fixture = (name: string): string =>
  readFileSync(join('test/fixtures/proc', `${name}.txt`), 'utf8');

describe('the host', () => {
  it('cpu: busy is what is neither idle, waiting nor stolen', () => {
    const busy = 3_008_360 + 18_244 + 476_237 + 0 + 15_892;
    expect(parseCpu(fixture('stat'))).toEqual({
      busy,
      iowait: 6_581,
      steal: 93_479,
      total: busy + 1_508_960 + 6_581 + 93_479,
      cpus: 2,
    });
    expect(parseCpu('')).toBeNull();
    expect(parseCpu('cpu  1 2\n')).toBeNull();
  });

  it('memory', () => {
    const memory = parseMemory(fixture('meminfo'));
    expect(memory.swapUsed).toBe(0);
    expect((memory.used ?? 0) + (memory.available ?? 0)).toBe(24_682_416 * 1_024);
    expect(parseMemory('MemTotal: x kB\n')).toEqual({
      used: null,
      available: null,
      swapUsed: null,
    });
  });

  it('disks: those named, in bytes', () => {
    const { readBytes, writtenBytes, busyMs } = parseDisks(fixture('diskstats'), new Set(['vda']));
    expect(readBytes).toBe(3_679_810 * 512);
    expect(writtenBytes).toBe(147_198_496 * 512);
    expect([...busyMs]).toEqual([['vda', 355_096]]);
    expect(parseDisks(fixture('diskstats'), new Set(['sdz'])).busyMs.size).toBe(0);
  });

  it('load', () => {
    expect(parseLoad('2.84 4.43 4.18 1/87 17733\n')).toBe(2.84);
    expect(parseLoad('x')).toBeNull();
  });
});

describe('a process', () => {
  it('stat: a name with anything in it does not shift the fields', () => {
    const stat = parseStat('7 (a) b ( c) R 1 7 7 0 -1 0 0 0 0 0 11 5 300 40 20 0 9 0 12345 0 0');
    expect(stat).toEqual({
      state: 'R',
      parent: 1,
      ticks: 16,
      reapedTicks: 340,
      threads: 9,
      startTime: 12_345,
    });
    expect(parseStat(fixture('pid-stat'))).toMatchObject({ threads: 1, state: 'R' });
    expect(parseStat('')).toBeNull();
    expect(parseStat('7 (a) R 1')).toBeNull();
  });

  it('statm, io, children', () => {
    expect(parseStatm('2000 1500 1100 1 0 90 0\n')).toEqual({ resident: 1_500, shared: 1_100 });
    expect(parseStatm('')).toBeNull();
    expect(
      parseIo('rchar: 1\nread_bytes: 4096\nwrite_bytes: 12\ncancelled_write_bytes: 8\n'),
    ).toEqual({ read: 4_096, written: 12 });
    expect(parseIo('rchar: 1\n')).toBeNull();
    expect(parseChildren('10776 19475 \n')).toEqual([10_776, 19_475]);
    expect(parseChildren('0 -1 x 99999999999 ')).toEqual([]);
  });
});

it('this machine: what is read agrees with what the process knows of itself', () => {
  const stat = parseStat(realProc.read(`/proc/${process.pid}/stat`) ?? '');
  expect(stat?.threads).toBeGreaterThan(1);
  const pages = parseStatm(realProc.read('/proc/self/statm') ?? '');
  const rss = (pages?.resident ?? 0) * realProc.pageBytes;
  expect(rss / process.memoryUsage.rss()).toBeGreaterThan(0.8);
  expect(rss / process.memoryUsage.rss()).toBeLessThan(1.2);
  expect([...realDisks(realProc)].every((name) => !/^(loop|zram|ram)/.test(name))).toBe(true);
});
