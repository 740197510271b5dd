/** The helper is used only if it is the committed one. */
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { findMeshrun } from '#agent/process/meshrun-client/meshrun-binary.ts';
import { createSupervisor } from '#agent/process/supervisor.ts';

const dir = mkdtempSync(join(tmpdir(), 'bm-binary-'));
afterAll(() => {
  rmSync(dir, { recursive: true });
});

function committed(): string {
  const found = findMeshrun();
  if (found.kind !== 'usable') throw new Error(found.reason);
  return found.path;
}

it('accepts the committed build', () => {
  expect(findMeshrun()).toMatchObject({ kind: 'usable' });
});

it('refuses one that is changed, missing, not listed or not executable, and degrades to scanning', async () => {
  const original = committed();
  const path = join(dir, basename(original));
  expect(findMeshrun(path)).toEqual({ kind: 'unusable', reason: `there is no ${basename(path)}` });
  copyFileSync(original, path);
  expect(findMeshrun(path)).toMatchObject({ kind: 'unusable' });
  copyFileSync(join(dirname(original), 'SHA256SUMS'), join(dir, 'SHA256SUMS'));
  expect(findMeshrun(path)).toEqual({ kind: 'usable', path });
  chmodSync(path, 0o644);
  expect(findMeshrun(path)).toMatchObject({ kind: 'unusable' });
  writeFileSync(path, 'other');
  const found = findMeshrun(path);
  const reason = found.kind === 'unusable' ? found.reason : '';
  expect(reason).toContain('not the committed build');

  const supervisor = await createSupervisor({ meshrunPath: path });
  expect({ rung: supervisor.rung, degraded: supervisor.degraded }).toEqual({
    rung: 'scan',
    degraded: reason,
  });
  supervisor.close();
  await expect(createSupervisor({ meshrunPath: path, rung: 'subreaper' })).rejects.toThrow(
    'not the committed build',
  );
});
