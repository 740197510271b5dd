/** One round of the memory bench, `node memory-child.ts TASKS bare|measured`: prints what it measured as JSON. */
import { createCore, type CoreState } from '#coordinator/core/core-state.ts';
import { update } from '#coordinator/core/core-reducer.ts';
import { packCore } from '#coordinator/snapshot/core-snapshot.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import { decode, encode } from '#protocol/messages/envelope.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { parseSuite } from '#protocol/suite/parse-suite.ts';
import { manySuite } from '../many-suite.ts';
import { exited, stepStarted } from './ended-attempt.ts';

const RUN = '2026-02-13_14-30-45-k3f9';
const AGENTS = 100;
const PER_END = 100;
const TIME_MS = 1_770_000_000_000;
const ZERO = { monotonicMs: 0, wallMs: 0 };

export interface Held {
  readonly pendingBytes: number;
  readonly endedBytes: number;
  readonly rssMiB: number;
  /** CPU time of the leader for each task from its start to its end, reading what is stored included. */
  readonly endedMicroseconds: number;
  readonly snapshotMiB: number;
  readonly snapshotMs: number;
}

class Reader {
  state: CoreState = createCore({ epoch: 0, sequence: Infinity });
  #sequence = 0;

  read<N extends MessageName>(subject: string, name: N, data: MessageData<N>): void {
    this.#sequence += 1;
    const sequence = this.#sequence;
    const writer = { source: '/bench', instance: 'i1', incarnation: 1, epoch: 1 };
    const decoded = decode(encode({ name, data, id: `e${sequence}`, timeMs: TIME_MS, writer }));
    if (decoded.kind !== 'ok') throw new Error(decoded.reason);
    const { message } = decoded;
    const record = { subject, sequence, timeMs: TIME_MS + sequence, message };
    [this.state] = update(this.state, { kind: 'event', record }, ZERO);
  }
}

function usedBytes(): number {
  for (let round = 0; round < 3; round += 1) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function measure(count: number, isMeasured: boolean): Held {
  const parsed = parseSuite({ text: manySuite(count), file: 'many.yaml', dir: null });
  if (parsed.kind !== 'ok') throw new Error(JSON.stringify(parsed.problems[0]));
  const ids = expandTasks({ ...parsed.suite }).map(({ id }) => id);
  const reader = new Reader();
  const emptyBytes = usedBytes();
  const said = { suiteFile: null, by: 'b', behind: [], labels: {} };
  const { suite } = parsed;
  reader.read(subjects.run(RUN), 'run.submitted', { suite, suiteText: '', tasks: count, ...said });
  const pendingBytes = usedBytes();
  const cpu = process.cpuUsage();
  for (const [index, task] of ids.entries()) {
    const agent = `a${index % AGENTS}`;
    const attempt = { index, agent, command: `${RUN}_${task}_1`, isMeasured };
    const subject = subjects.attemptEvents(agent, { run: RUN, task, n: 1 });
    reader.read(subject, 'attempt.step_started', stepStarted(attempt));
    reader.read(subject, 'attempt.exited', exited(attempt));
    if ((index + 1) % PER_END !== 0) continue;
    const tasks = ids.slice(index + 1 - PER_END, index + 1);
    reader.read(subjects.run(RUN), 'run.tasks_ended', { outcome: 'passed', reason: null, tasks });
  }
  const { user, system } = process.cpuUsage(cpu);
  const endedBytes = usedBytes();
  const rssMiB = process.memoryUsage().rss / 1024 ** 2;
  const beganMs = performance.now();
  const snapshotMiB = packCore(reader.state).length / 1024 ** 2;
  return {
    pendingBytes: (pendingBytes - emptyBytes) / count,
    endedBytes: (endedBytes - pendingBytes) / count,
    rssMiB,
    endedMicroseconds: (user + system) / count,
    snapshotMiB,
    snapshotMs: performance.now() - beganMs,
  };
}

console.log(JSON.stringify(measure(Number(process.argv[2]), process.argv[3] === 'measured')));
