import { chmodSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { removeTree } from '#agent/state/remove-tree.ts';

/** Root may remove anything: as root this drops its rights for the call. */
async function unprivileged(work: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) {
    await work();
    return;
  }
  process.seteuid?.(65534);
  try {
    await work();
  } finally {
    process.seteuid?.(0);
  }
}

it('removes what a benchmark has made read-only', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'remove-tree-'));
  chmodSync(folder, 0o777);
  await unprivileged(async () => {
    const run = join(folder, 'run');
    mkdirSync(join(run, 'cache', 'deep'), { recursive: true });
    writeFileSync(join(run, 'cache', 'deep', 'file'), 'x');
    chmodSync(join(run, 'cache', 'deep'), 0o555);
    chmodSync(join(run, 'cache'), 0o555);
    await removeTree(run);
    expect(existsSync(run)).toBe(false);
  });
  await removeTree(folder);
});
