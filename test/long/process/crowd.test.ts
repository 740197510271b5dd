/**
 * 5,000 other processes on the host: on each rung a tree that tries to escape is found, killed and told
 * of as in an empty host, no other process is touched, and a step that runs costs no look at them (I10).
 * Prints what a stop costs in CPU.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readProcesses } from '#agent/process/scan/proc-table.ts';
import { createSupervisor } from '#agent/process/supervisor.ts';
import { NO_CGROUPS } from '#test/support/cgroups.ts';
import { StepBench } from '#test/support/process-step.ts';
import { processesMarked } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

const CROWD = 5_000;
const CROWD_MARK = `bm-crowd-${process.pid}`;
/** They end with this test, however it ends: their standard input is a pipe from it. */
const FORKS = `$SIG{CHLD} = 'IGNORE';
my @pids;
for (1 .. ${CROWD}) { my $pid = fork; last unless defined $pid; if (!$pid) { sleep 3600; exit 0; } push @pids, $pid; }
print scalar(@pids), "\\n"; close STDOUT;
<STDIN>;
kill 'KILL', @pids;
`;
const TREE = resolve('test/fixtures/process-tree.pl');
const RUNGS = ['cgroup', 'subreaper', 'scan'] as const;

let crowd: ChildProcess;
beforeAll(async () => {
  crowd = spawn('perl', ['-e', FORKS, CROWD_MARK], { stdio: ['pipe', 'pipe', 'inherit'] });
  await until(() => processesMarked(CROWD_MARK).length === CROWD + 1, 'the crowd', 100_000);
});
afterAll(async () => {
  crowd.stdin?.end();
  await until(() => processesMarked(CROWD_MARK).length === 0, 'the crowd to be gone', 60_000);
});

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

it.each(RUNGS)('%s', async (rung) => {
  if (rung === 'cgroup' && NO_CGROUPS !== null) {
    process.stdout.write(`skipped: cgroup: ${NO_CGROUPS}\n`);
    return;
  }
  const bench = new StepBench(await createSupervisor({ rung }));
  try {
    let from = cpuMs();
    expect(readProcesses().length).toBeGreaterThan(CROWD);
    const scanMs = cpuMs() - from;

    const mark = `bm-in-crowd-${process.pid}-${rung}`;
    const dir = bench.dir();
    const ready = `${dir}.ready`;
    // A scan cannot find all of them, crowd or not: see the escape matrix.
    const kinds = ['setsid=3', 'daemon=3', 'stubborn=2', ...(rung === 'scan' ? [] : ['envless=2'])];
    const step = bench.start(['perl', TREE, mark, ready, ...kinds], { graceMs: 200 }, dir);
    await until(() => existsSync(ready) && processesMarked(mark).length >= 9, 'the tree');

    from = cpuMs();
    await setTimeout(3_000);
    expect(cpuMs() - from, 'no scan while it runs').toBeLessThan(scanMs);

    from = cpuMs();
    step.handle.stop();
    const { gone } = await step.ended;
    const stopMs = cpuMs() - from;
    expect(processesMarked(mark)).toEqual([]);
    expect(gone).toMatchObject({ proof: rung, empty: rung !== 'scan', survivors: [] });
    expect(processesMarked(CROWD_MARK)).toHaveLength(CROWD + 1);
    process.stdout.write(
      `${rung}: a stop costs ${stopMs.toFixed(0)} ms of CPU among ${CROWD} processes; a scan of them ${scanMs.toFixed(0)} ms\n`,
    );
  } finally {
    bench.dispose();
  }
});
