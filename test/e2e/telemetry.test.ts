/** What the CLI and the run's directory have of what was measured. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TaskView } from '#protocol/fold/task-view.ts';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import {
  AttemptSample,
  HostSample,
  type AttemptTelemetry,
} from '#protocol/messages/agent/telemetry.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

let mesh: TestMesh;
let run: string;
let task: string;

const linesOf = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .filter((line) => line !== '');

beforeAll(async () => {
  mesh = await TestMesh.create();
  await mesh.up();
  run = await mesh.submit(await mesh.file('nap.yaml', 'name: nap\nrun: [sleep, "7"]\n'));
  const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', run);
  task = tasks[0]?.id ?? '';
});
afterAll(async () => {
  await mesh.dispose();
});

it('samples are followed while the attempt runs, to its end', async () => {
  await until(async () => {
    const { attempts } = await mesh.json<{ attempts: AttemptView[] }>('show', `${run}/${task}`);
    return attempts[0]?.state === 'run';
  }, 'the step');
  const following = await mesh.cli(['metrics', `${run}/${task}`, '--follow', '--json']);
  expect(following.status, following.stderr).toBe(0);
  const samples = linesOf(following.stdout).map((line) => {
    const value = JSON.parse(line) as { kind: string; task: string; sample: unknown };
    expect(value).toMatchObject({ version: 1, kind: 'attempt_sample', run, task, n: 1 });
    return AttemptSample.parse(value.sample);
  });
  expect(samples.length).toBeGreaterThanOrEqual(5);
  const times = samples.map(({ timeMs }) => timeMs);
  expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
  expect(samples.every(({ processes }) => processes === 1)).toBe(true);
});

it('its directory has every sample, those of its host, and the summary', async () => {
  const directory = await mesh.archived(run);
  const rows = async (...name: string[]): Promise<unknown[]> =>
    linesOf(await readFile(join(directory, 'telemetry', ...name), 'utf8')).map((line): unknown =>
      JSON.parse(line),
    );
  const { attempts } = await mesh.json<{ attempts: AttemptView[] }>('show', `${run}/${task}`);
  const telemetry = attempts[0]?.telemetry;
  const own = (await rows('attempts', task, '1.ndjson')).map((row) => AttemptSample.parse(row));
  expect(own).toHaveLength(telemetry?.samples ?? -1);
  const host = (await rows('hosts', 'local-1.ndjson')).map((row) => HostSample.parse(row));
  expect(host.map(({ timeMs }) => timeMs)).toEqual(own.map(({ timeMs }) => timeMs));
  const self = JSON.parse(await readFile(join(directory, 'benchmesh.json'), 'utf8')) as unknown;
  expect(self).toMatchObject({ complete: true, missingSamples: [] });
});

it('metrics, show and tasks say it, of a run that is over', async () => {
  await mesh.archived(run);
  const { telemetry } = await mesh.json<{ telemetry: AttemptTelemetry }>('metrics', run);
  expect(telemetry.series['cpu']).toMatchObject({ unit: 'cores', count: telemetry.samples });
  const table = await mesh.cli(['metrics', `${run}/${task}/1`]);
  expect(table.stdout).toMatch(/^series +mean +p95 +max +min +unit +samples\ncpu +0/);
  expect(table.stdout).toContain('host.cpu.other');
  expect(table.stderr).toContain(`${telemetry.samples} samples of`);
  const samples = linesOf(await mesh.ok('metrics', run, '--samples'));
  expect(samples).toHaveLength(telemetry.samples);
  expect(samples[0]).toMatch(/cpu 0\.0\d +memory .* 1 process$/);
  const host = linesOf(await mesh.ok('metrics', run, '--host'));
  expect(host).toHaveLength(telemetry.samples);
  expect(host[0]).toMatch(/busy \d+% .* other [\d.]+ .* agent [\d.]+/);
  expect(await mesh.ok('show', `${run}/${task}`)).toContain('measured: cpu 0');
  const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', run);
  expect(tasks[0]?.perturbed).toEqual((telemetry.perturbed ?? []).map(({ reason }) => reason));
  const audit = await mesh.cli(['audit', run]);
  expect(audit.status, audit.stdout).toBe(0);
});

it('says what there is not', async () => {
  const short = await mesh.submit(await mesh.file('short.yaml', "name: short\nrun: ['true']\n"));
  await mesh.archived(short);
  const none = await mesh.cli(['metrics', short]);
  expect(none.status).toBe(0);
  expect(none.stderr).toContain('was not measured: it took less than a sample');
  expect((await mesh.cli(['metrics', `${short}/zzz`])).status).toBe(5);
  expect((await mesh.cli(['metrics', `${run}/${task}/7`])).status).toBe(5);
  const shown = await mesh.json<{ attempts: AttemptView[] }>(
    'show',
    `${short}/${(await mesh.json<{ tasks: TaskView[] }>('tasks', short)).tasks[0]?.id ?? ''}`,
  );
  expect(shown.attempts[0]?.telemetry).toBeNull();
});
