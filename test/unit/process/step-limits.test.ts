/** Limits of a step: enforced as asked, or refused with the reason. */
import { describe, expect, it } from 'vitest';
import { limitFlags, type LimitPowers } from '#agent/process/step-limits.ts';

const BOTH: LimitPowers = { controllers: ['pids', 'memory'], missing: null, uid: 0 };
const NONE: LimitPowers = { controllers: [], missing: 'no such controllers', uid: 0 };
const USER: LimitPowers = { ...NONE, uid: 7 };

describe('limits', () => {
  it.each([
    ['none', {}, NONE, []],
    ['named and none', { pids: null, memoryBytes: null }, NONE, []],
    [
      'both by cgroup',
      { pids: 64, memoryBytes: 1024 },
      BOTH,
      ['--limit=memory.max=1024', '--limit=pids.max=64'],
    ],
    ['processes of a user without a cgroup', { pids: 64 }, USER, ['--most-processes=64']],
    [
      'of each process, of root too',
      { each: { openFiles: 9, coreSize: 0, lockedMemory: 'unlimited' as const } },
      NONE,
      ['--rlimit=openFiles=9', '--rlimit=coreSize=0', '--rlimit=lockedMemory=unlimited'],
    ],
  ])('%s', (_, limits, powers, flags) => {
    expect(limitFlags(limits, powers)).toEqual({ kind: 'flags', flags });
  });

  it.each([
    ['memory without a controller', { memoryBytes: 1024 }, USER, 'memory cannot be .* controllers'],
    ['processes of root', { pids: 64 }, NONE, 'RLIMIT_NPROC does not bind root'],
    ['no number', { pids: 0 }, BOTH, 'a limit of 0 is none'],
    ['less than none', { each: { stackSize: -1 } }, BOTH, 'stackSize: a limit of -1 is none'],
    ['a part of one', { memoryBytes: 1.5 }, BOTH, 'a limit of 1.5 is none'],
  ])('refused: %s', (_, limits, powers, reason) => {
    const found = limitFlags(limits, powers);
    expect(found.kind === 'refused' && found.reason).toMatch(new RegExp(reason));
  });
});
