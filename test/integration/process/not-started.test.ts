import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createSupervisor } from '#agent/process/supervisor.ts';

it('a step whose folder was never made has not started (I8)', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'not-started-'));
  const supervisor = await createSupervisor({ rung: 'subreaper' });
  try {
    const adoption = await supervisor.adopt(join(folder, 'run'), { onEnd: () => undefined });
    expect(adoption).toEqual({ kind: 'not_started' });
  } finally {
    supervisor.close();
    await rm(folder, { recursive: true });
  }
});
