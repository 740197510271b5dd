/**
 * A small agent to kill: starts one step for each request on stdin (a JSON line of folder and
 * spec) and prints a line when it has started. Run with `node --import tsx`.
 */
import { createInterface } from 'node:readline';
import { createSupervisor, type StepSpec } from '#agent/process/supervisor.ts';

const supervisor = await createSupervisor({
  rung: process.argv[2] === 'scan' ? 'scan' : 'subreaper',
});
for await (const line of createInterface({ input: process.stdin })) {
  const { dir, spec } = JSON.parse(line) as { dir: string; spec: StepSpec };
  supervisor.start(dir, spec, {
    onStarted: (pid) => process.stdout.write(`started ${pid}\n`),
    onEnd: (outcome) => process.stdout.write(`ended ${JSON.stringify(outcome)}\n`),
  });
}
