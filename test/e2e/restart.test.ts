/**
 * I8: attempts survive the death of agent, coordinator and server; nothing is started twice.
 * test/long does it at random moments.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestMesh } from '#test/support/mesh.ts';
import { isRunning } from '#test/support/processes.ts';
import { RestartRound } from '#test/support/restart-round.ts';

describe('kill -9 while three attempts run', () => {
  let mesh: TestMesh;
  beforeEach(async () => {
    mesh = await TestMesh.create();
    await mesh.up('--slots', '3');
  });
  afterEach(async () => {
    await mesh.dispose();
  });

  it.each([
    ['agent', 'all three are adopted, with the exit status of one that ended while no agent lived'],
    ['coordinator', 'the children go on, and their ends arrive'],
    ['server', 'the children go on, and their ends arrive'],
  ] as const)('%s: %s', async (part, _what) => {
    const round = await RestartRound.create(mesh, 'round');
    const run = await round.submit();
    const children = await round.children();
    await mesh.kill9(part);
    await round.open('3');
    await round.ended('3');
    expect([...children.values()].filter(isRunning)).toHaveLength(2);
    await mesh.up();
    await round.open('0', '7');
    await round.expectRightEnds(run);
    expect(new Map(await round.starts())).toEqual(children);
  });
});
