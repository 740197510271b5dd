/** What is stored of tasks that ran: starts, events of attempts, and their ends, as agents and leader store them. */
import { encode } from '#protocol/messages/envelope.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';

const WINDOW = 500;
const AGENTS = 100;
const PER_END = 100;

export async function writeHistory(
  connection: MeshConnection,
  { run, suite, ended }: { run: string; suite: SuiteSpec; ended: number },
): Promise<void> {
  const tasks = expandTasks(suite).slice(0, ended);
  const leader = { source: '/coordinators/restart', epoch: 1 };
  const timeMs = Date.now();
  const host = {
    os: 'Debian GNU/Linux 12 (bookworm)',
    kernel: '6.1',
    cpuModel: 'Bench CPU',
    governor: null,
    maxMhz: null,
  };
  const resources = { gpus: [], cpus: [], host };
  const pending = new Set<Promise<void>>();
  const put = async (subject: string, payload: Uint8Array): Promise<void> => {
    const one = publishEvent(connection, subject, payload).then((outcome) => {
      if (outcome.kind !== 'stored') throw new Error(`${subject}: ${JSON.stringify(outcome)}`);
      pending.delete(one);
    });
    pending.add(one);
    if (pending.size >= WINDOW) await Promise.race(pending);
  };
  for (const [at, task] of tasks.entries()) {
    const agent = `a${at % AGENTS}`;
    const spec = attemptSpec(suite, { run, task, n: 1 });
    const command = `${run}_${task.id}_1`;
    await put(
      subjects.command(agent, 'start', run),
      encode({
        name: 'command.start',
        data: { spec, afterStop: 0, priority: 0 },
        id: command,
        timeMs,
        writer: leader,
      }),
    );
    const subject = subjects.attemptEvents(agent, { run, task: task.id, n: 1 });
    const writer = { source: `/agents/${agent}`, instance: `i${at % AGENTS}`, incarnation: 1 };
    const id = `${run}.${task.id}.1`;
    await put(
      subject,
      encode({
        name: 'attempt.step_started',
        data: {
          elapsedMs: 4.2,
          step: 'run',
          id: 'run',
          pid: 100,
          accepted: { command, host: 'bench', address: '192.0.2.1' },
          resources,
        },
        ...{ id: `${id}.1`, timeMs, writer, seq: 1 },
      }),
    );
    await put(
      subject,
      encode({
        name: 'attempt.exited',
        data: {
          elapsedMs: 62.5,
          outcome: 'passed',
          ...{ stage: null, class: null, reason: null, stop: null },
          steps: [
            {
              ...{ step: 'run', id: 'run', end: 'exited', code: 0, signal: null, deadline: false },
              ...{ durationMs: 50.1, userMs: 1, systemMs: 1, maxRssKiB: 1_084, logBytes: 0 },
              ...{ proof: 'cgroup', proven: true, processes: 1, survivors: [] },
            },
          ],
          ...{
            metrics: [],
            logBytes: 0,
            logGaps: [],
            teardownFailure: null,
            proven: true,
            survivors: [],
          },
          automatic: [{ name: 'step.run.duration', value: 0.0501, unit: 's', direction: 'lower' }],
          resources,
        },
        ...{ id: `${id}.2`, timeMs, writer, seq: 2 },
      }),
    );
    if ((at + 1) % PER_END !== 0 && at + 1 !== tasks.length) continue;
    const ids = tasks.slice(at - (at % PER_END), at + 1).map((one) => one.id);
    await put(
      subjects.run(run),
      encode({
        name: 'run.tasks_ended',
        data: { outcome: 'passed', reason: null, tasks: ids },
        id: `e${at}`,
        timeMs,
        writer: leader,
      }),
    );
  }
  await Promise.all(pending);
}
