import { expect, it } from 'vitest';
import { readLabels } from '#protocol/messages/agent/labels.ts';

it.each([
  [[], {}],
  [
    ['rack=r7', 'gpu.tier=a', 'example.com/zone=eu-1'],
    { rack: 'r7', 'gpu.tier': 'a', 'example.com/zone': 'eu-1' },
  ],
  [['empty='], { empty: '' }],
  [['eq=a=b'], { eq: 'a=b' }],
])('%j', (texts, labels) => {
  expect(readLabels(texts)).toEqual({ kind: 'labels', labels });
});

it.each([
  [['rack'], 'must be key=value'],
  [['=r7'], 'must be key=value'],
  [['a b=c'], 'no name of a label'],
  [['-a=c'], 'no name of a label'],
  [['__proto__=c'], 'no name of a label'],
  [[`${'k'.repeat(64)}=v`], 'no name of a label'],
  [['a=b\nc'], 'printable'],
  [[`a=${'v'.repeat(256)}`], 'printable'],
  [['a=1', 'a=2'], '"a" is given twice'],
  [Array.from({ length: 65 }, (_, n) => `k${n}=v`), '64 are the most'],
])('%j is wrong', (texts, reason) => {
  const read = readLabels(texts);
  expect(read.kind === 'wrong' && read.reason).toContain(reason);
});
