/**
 * A small agent to kill: does what each line on stdin says (`AgentRequest`, a JSON line), and prints a
 * line for what it hears. Ends, in order, with stdin. Run with `node --import tsx`.
 */
import { createInterface } from 'node:readline';
import {
  createSupervisor,
  type StepHandle,
  type StepSpec,
  type SupervisorOptions,
} from '#agent/process/supervisor.ts';

export type AgentRequest =
  { readonly dir: string; readonly spec: StepSpec } | { readonly dir: string; readonly stop: true };

const options = JSON.parse(process.argv[2] ?? '{}') as SupervisorOptions;
const supervisor = await createSupervisor(options);
const handles = new Map<string, StepHandle>();
process.stdout.write(`begun ${supervisor.rung} ${supervisor.degraded ?? ''}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as AgentRequest;
  if ('stop' in request) {
    handles.get(request.dir)?.stop();
    continue;
  }
  const { dir, spec } = request;
  const handle = supervisor.start(dir, spec, {
    onStarted: (pid) => process.stdout.write(`started ${pid}\n`),
    onEnd: (outcome) => process.stdout.write(`ended ${JSON.stringify({ dir, outcome })}\n`),
  });
  handles.set(dir, handle);
}
supervisor.close();
