/** What is sent to the spawner, and what is refused before. */
import { describe, expect, it } from 'vitest';
import { COOKIE_VARIABLE, startFrame } from '#agent/process/meshrun-client/start-frame.ts';
import type { StepSpec } from '#agent/process/types.ts';

const SPEC: StepSpec = {
  argv: ['prog', 'a b', ''],
  env: { A: '1' },
  cwd: '/work',
  stdio: 'pty',
  budgetMs: 1000.4,
  graceMs: 50,
  stopSignal: 'SIGINT',
  stopFile: '/stop',
  logLimitBytes: 4096,
};
const frameOf = (changes: Partial<StepSpec>): ReturnType<typeof startFrame> =>
  startFrame({
    id: 7,
    stepDir: '/step',
    cookie: 'c0',
    spec: { ...SPEC, ...changes },
    cgroup: '/cg/base',
    powers: { controllers: ['pids'], missing: 'no memory controller', uid: 0 },
    unbound: null,
  });

describe('a start frame', () => {
  it('holds length, id, counts and strings', () => {
    const frame = frameOf({ limits: { pids: 64 } });
    if (frame.kind !== 'frame') throw new Error('refused');
    const { bytes } = frame;
    expect(bytes.readUInt32LE(0)).toBe(bytes.length - 4);
    expect(bytes.readBigInt64LE(4)).toBe(7n);
    const strings = bytes.toString('utf8', 20).split('\0');
    expect(strings.pop()).toBe('');
    expect(bytes.readUInt32LE(12) + bytes.readUInt32LE(16)).toBe(strings.length);
    expect(strings).toEqual([
      '--step=/step',
      '--cookie=c0',
      '--cwd=/work',
      '--stop-file=/stop',
      '--grace-ms=50',
      '--limit-bytes=4096',
      '--stop-signal=2',
      '--budget-ms=1000',
      '--pty',
      '--cgroup=/cg/base',
      '--limit=pids.max=64',
      '--',
      'prog',
      'a b',
      '',
      `${COOKIE_VARIABLE}=c0`,
      'A=1',
    ]);
  });

  it('names no budget where there is none', () => {
    const frame = frameOf({ budgetMs: null, stdio: 'pipe' });
    expect(frame.kind === 'frame' && frame.bytes.includes('--budget-ms')).toBe(false);
  });

  it.each([
    ['an unknown signal', { stopSignal: 'TERM' }, 'EINVAL'],
    ['a limit that cannot be enforced', { limits: { memoryBytes: 1 << 30 } }, 'EINVAL'],
    ['no program', { argv: [] }, 'EINVAL'],
    ['a NUL in an argument', { argv: ['a', 'b\0c'] }, 'EINVAL'],
    ['a NUL in a variable', { env: { A: '\0' } }, 'EINVAL'],
    ['more than fits', { argv: ['a', 'x'.repeat(5_000_000)] }, 'E2BIG'],
    ['more strings than fit', { argv: Array.from({ length: 70_000 }, () => 'x') }, 'E2BIG'],
  ])('is refused: %s', (_, changes, errno) => {
    expect(frameOf(changes)).toMatchObject({ kind: 'refused', errno });
  });
});
