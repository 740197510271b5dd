/** Prints what a step costs: `true`, two at a time, under meshrun, in a cgroup, as a bare Node spawn. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSupervisor } from '#agent/process/supervisor.ts';
import { NO_CGROUPS } from '#test/support/cgroups.ts';
import { StepBench } from '#test/support/process-step.ts';

const STEPS = 1000;
const AT_ONCE = 2;

let bench: StepBench;
beforeAll(async () => {
  bench = new StepBench(await createSupervisor({ rung: 'subreaper' }));
});
afterAll(() => {
  bench.dispose();
});

async function measure(what: string, one: () => Promise<void>): Promise<void> {
  const [begunAt, usage] = [performance.now(), process.cpuUsage()];
  let left = STEPS;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const ms = performance.now() - begunAt;
  const { user, system } = process.cpuUsage(usage);
  const perSecond = ((STEPS / ms) * 1000).toFixed(0);
  const cpuMs = ((user + system) / 1000 / STEPS).toFixed(2);
  process.stdout.write(
    `${what}: ${perSecond} steps/s, ${cpuMs} ms of this process's CPU for each\n`,
  );
}

it('prints the rate of trivial steps', async () => {
  await measure('under meshrun', async () => {
    expect((await bench.run(['true'])).end).toEqual({ kind: 'exited', code: 0 });
  });
  if (NO_CGROUPS === null) {
    const inCgroups = new StepBench(await createSupervisor({ rung: 'cgroup' }));
    await measure('in a cgroup each', async () => {
      expect((await inCgroups.run(['true'])).gone.proof).toBe('cgroup');
    });
    inCgroups.dispose();
  }
  await measure('bare Node spawn', async () => {
    await new Promise((done) =>
      spawn('/bin/true', { stdio: 'ignore', detached: true }).on('close', done),
    );
  });
});
