/** A child that writes bytes worth comparing, and a reader that treats them as the shipper does. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { expect } from 'vitest';
import { LogSegments } from '#agent/process/spool/log-segments.ts';
import type { RunningStep } from '#test/support/process-step.ts';

/** Perl: writes ARGV[0] random bytes to both streams in turns, and copies to ARGV[1].0 and .1. */
export const NOISE = `
  my ($total, $copy) = @ARGV; my $seed = 7;
  my $block = ''; $block .= pack('V', $seed = ($seed * 1103515245 + 12345) & 0x7fffffff) for 1 .. 20_000;
  my @out = (\\*STDOUT, \\*STDERR); my @files = map { open my $f, '>', "$copy.$_" or die; $f } 0, 1;
  for (my $n = 0, my $i = 0; $n < $total; $i++) {
    my $part = pack('V', $i) . substr($block, $i * 31 % 40_000, 1 + $i * 7919 % 32_000);
    $n += length $part;
    for my $f ($out[$i % 2], $files[$i % 2]) { syswrite($f, $part) == length $part or die "short: $!"; }
  }`;

export interface Shipped {
  /** sha256 of each stream, hex. */
  readonly hashes: { readonly stdout: string; readonly stderr: string };
  readonly offset: number;
  /** The most segments that lay on disk at once. */
  readonly most: number;
}

/** Reads and releases a step's output while it comes; asserts that it is seamless. */
export async function shipped(step: RunningStep): Promise<Shipped> {
  const log = new LogSegments(step.dir);
  const hashes = { stdout: createHash('sha256'), stderr: createHash('sha256') };
  const over = { is: false };
  let offset = 0;
  let most = 0;
  void step.ended.then(({ logBytes }) => {
    log.finish(logBytes);
    over.is = true;
  });
  for (;;) {
    const wasOver = over.is;
    const read = log.readFrom(offset, 64 * 1024);
    expect(read.gaps).toEqual([]);
    for (const chunk of read.chunks) {
      expect(chunk.offset).toBe(offset);
      offset += chunk.bytes.length;
      hashes[chunk.stream].update(chunk.bytes);
    }
    expect(read.nextOffset).toBe(offset);
    if (read.chunks.length > 0) {
      log.release(offset);
      most = Math.max(most, readdirSync(step.dir).filter((name) => name.startsWith('log.')).length);
    } else if (wasOver) break;
    await new Promise(setImmediate);
  }
  log.close();
  const { stdout, stderr } = hashes;
  return { hashes: { stdout: stdout.digest('hex'), stderr: stderr.digest('hex') }, offset, most };
}
