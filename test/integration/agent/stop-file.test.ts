/** `$BENCHMESH_STOP`: a file of each step, there when it is to end, for programs that heed no signal. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { until } from '#test/support/until.ts';
import { attemptSpec, RUN, startTestMesh, step, type TestMesh } from './support/agent-process.ts';

/** Longer than the test: a step that waits it out is killed, and has not seen the file. */
const graceMs = 120_000;

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await startTestMesh();
  await mesh.start(['--slots', '4']);
});
afterAll(async () => {
  await mesh.close();
});

/** Heeds no signal but KILL; says its file, and that it has seen it. */
const heeding = (name: string): string =>
  [
    'trap "" TERM',
    `echo "${name} $BENCHMESH_STOP"`,
    `while [ -d ${mesh.dir} ] && ! [ -e "$BENCHMESH_STOP" ]; do sleep 0.05; done`,
    `echo "${name} saw it"`,
  ].join('; ');
/** Says its file, and whether that is there. */
const looking = (name: string): string =>
  `echo "${name} $BENCHMESH_STOP"; [ -e "$BENCHMESH_STOP" ] && echo "${name} saw it" || true`;

async function linesOf(spec: AttemptSpec): Promise<string[]> {
  return (await mesh.log(spec)).stdout.toString().trim().split('\n');
}

/** The path each step said, by its name. */
const filesIn = (lines: readonly string[]): Map<string, string> =>
  new Map(
    lines.flatMap((line) => {
      const [, name, path] = /^(\w+) (\/\S+)$/.exec(line) ?? [];
      return name === undefined || path === undefined ? [] : [[name, path]];
    }),
  );

describe('the file appears', { timeout: 60_000 }, () => {
  it('by a stop, for the step that runs; each step has its own, of which others see nothing', async () => {
    const spec = attemptSpec(
      [
        step(looking('setup'), { step: 'setup' }),
        step(heeding('service'), {
          step: 'service',
          service: { ready: { kind: 'line', text: 'service /' }, readyMs: 30_000 },
        }),
        step(heeding('run')),
        step(looking('teardown'), { step: 'teardown' }),
      ],
      { graceMs },
    );
    await mesh.startAttempt(spec);
    await until(() => mesh.of(spec, 'attempt.step_started').length === 3, 'its run step');
    const stopFiles = (): string[] =>
      readdirSync(join(mesh.state, 'attempts', RUN)).filter((name) => name.includes('.stop.'));
    expect(stopFiles()).toEqual([]);
    await mesh.stop(RUN, spec.task);
    const { data } = await mesh.exited(spec);
    expect(data).toMatchObject({ outcome: 'stopped', proven: true, survivors: [] });
    const lines = await linesOf(spec);
    expect(lines.filter((line) => line.endsWith('saw it')).toSorted()).toEqual([
      'run saw it',
      'service saw it',
    ]);
    const files = filesIn(lines);
    expect([...files.keys()].toSorted()).toEqual(['run', 'service', 'setup', 'teardown']);
    expect(new Set(files.values()).size).toBe(4);
  });

  it('with the time limit of a step', async () => {
    const spec = attemptSpec([step(heeding('run'), { timeoutMs: 300 })], { graceMs });
    await mesh.startAttempt(spec);
    expect((await mesh.exited(spec)).data).toMatchObject({ outcome: 'timed_out', proven: true });
    expect(await linesOf(spec)).toContain('run saw it');
  });

  it('because its service has failed', async () => {
    const spec = attemptSpec(
      [
        step('echo up; sleep 1; exit 3', {
          step: 'service',
          service: { ready: { kind: 'line', text: 'up' }, readyMs: 30_000 },
        }),
        step(heeding('run')),
      ],
      { graceMs },
    );
    await mesh.startAttempt(spec);
    expect((await mesh.exited(spec)).data).toMatchObject({ outcome: 'failed', stage: 'service' });
    expect(await linesOf(spec)).toContain('run saw it');
  });

  it('not where a step ends by itself', async () => {
    const spec = attemptSpec([step(`${looking('run')}; echo end`)], { graceMs });
    await mesh.startAttempt(spec);
    expect((await mesh.exited(spec)).data.outcome).toBe('passed');
    const [file] = filesIn(await linesOf(spec)).values();
    expect(existsSync(file ?? '/')).toBe(false);
  });
});
