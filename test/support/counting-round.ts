/**
 * A benchmark that counts with checkpoints on two agents of one mesh, killed at random points: its
 * process, its agent, all of its host, or its process while its agent drains, so that it moves on.
 * What must hold: the result is exact, no count is repeated beyond the last stored checkpoint, and the
 * result tells of each attempt.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { attemptProcesses } from '#cli/mesh/local-steps.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import type { CliProcess, TestMesh } from './mesh.ts';
import { isRunning } from './processes.ts';
import { until } from './until.ts';

export interface CountingPlan {
  readonly to: number;
  /** Of one count. */
  readonly stepMs: number;
  /** Between checkpoints. */
  readonly every: string;
}

const KILLS = ['process', 'agent', 'host', 'move'] as const;
export type Kill = (typeof KILLS)[number];

/** Says every count where the test reads it, and renames its state into place. */
const PROGRAM = `import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
const [history, to, stepMs] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const attempt = process.env.BENCHMESH_ATTEMPT;
const checkpoint = process.env.BENCHMESH_CHECKPOINT;
const from = checkpoint === undefined ? 0 : Number(readFileSync(checkpoint, 'utf8'));
if (checkpoint === undefined && existsSync('state')) throw new Error('state without being told');
appendFileSync(history, \`begin \${attempt} \${from} \${process.pid}\\n\`);
for (let count = from + 1; count <= to; count += 1) {
  appendFileSync(history, \`count \${attempt} \${count}\\n\`);
  writeFileSync('state.tmp', String(count));
  await sleep(stepMs);
  renameSync('state.tmp', 'state');
}
writeFileSync('result.json', JSON.stringify({ count: Number(readFileSync('state', 'utf8')) }));
`;

interface History {
  readonly begins: readonly { readonly n: number; readonly from: number; readonly pid: number }[];
  readonly counts: readonly { readonly n: number; readonly count: number }[];
}

export class CountingRound {
  readonly #mesh: TestMesh;
  readonly #plan: CountingPlan;
  readonly #agents = new Map<string, CliProcess>();

  constructor(mesh: TestMesh, plan: CountingPlan) {
    this.#mesh = mesh;
    this.#plan = plan;
  }

  /** These agents, and the run; its id. */
  async begin(agents: readonly string[] = ['a1', 'a2']): Promise<string> {
    const { to, stepMs, every } = this.#plan;
    await this.#mesh.up('--slots', '1');
    for (const id of agents) await this.#startAgent(id);
    const program = await this.#mesh.file('count.mjs', PROGRAM);
    // More slots than the mesh's own agent has: only the two are fit for it.
    const suite = await this.#mesh.file(
      'count.yaml',
      `name: count
run: [${process.execPath}, ${program}, ${this.#history}, ${to}, ${stepMs}]
needs: { slots: 2, exclusive: false }
retries: { signal: 100, lost: 100, exit: 100 }
checkpoint: { files: [state], every: ${every}, keep: 2 }
files: [result.json]
`,
    );
    return this.#mesh.submit(suite);
  }

  /** Lets it count on by so much in a new process, then kills. */
  async kill(kind: Kill, counts: number): Promise<void> {
    const { begins, counts: before } = await this.#read();
    const farthest = Math.max(0, ...before.map(({ count }) => count));
    const goal = Math.min(this.#plan.to - 1, farthest + counts);
    await until(
      async () => (await this.#read()).counts.some(({ count }) => count >= goal),
      `count ${goal} after ${begins.length} attempts`,
      120_000,
    );
    const { pid = 0 } = (await this.#read()).begins.at(-1) ?? {};
    const agent = [...this.#agents.keys()].find((id) =>
      attemptProcesses(this.#stateDir(id)).includes(pid),
    );
    if (agent === undefined) throw new Error(`it does not run any more, at ${goal}`);
    if (kind === 'process') await end([pid]);
    if (kind === 'agent') await end([this.#pid(agent)]);
    if (kind === 'host') await end([this.#pid(agent), ...attemptProcesses(this.#stateDir(agent))]);
    if (kind === 'move') {
      process.kill(this.#pid(agent), 'SIGTERM');
      await until(() => this.#agents.get(agent)?.stderr().includes('draining'), 'the drain');
      await end([pid]);
      await this.#agents.get(agent)?.ended;
    }
    if (kind !== 'process') await this.#startAgent(agent);
  }

  /** What the run's directory says, against what the benchmark itself said. */
  async expectExact(run: string): Promise<{ attempts: number; agents: number }> {
    const directory = await this.#mesh.archived(run, 180_000);
    const { to } = this.#plan;
    const attempts = rows<AttemptView & { task: string }>(
      await readFile(join(directory, 'attempts.ndjson'), 'utf8'),
    );
    const last = attempts.at(-1);
    expect(last?.outcome, last?.reason ?? '').toBe('passed');
    const result = join(directory, 'files', last?.task ?? '', String(last?.n), 'result.json');
    expect(JSON.parse(await readFile(result, 'utf8'))).toEqual({ count: to });
    const { begins, counts } = await this.#read();
    expect(attempts.map(({ n }) => n)).toEqual(attempts.map((_, i) => i + 1));
    for (const { outcome, n, partial } of attempts.slice(0, -1)) {
      expect(outcome, `attempt ${n}`).not.toBe('passed');
      expect(partial).toBe(true);
    }
    const stored = storedCounts(
      rows<EventRecord>(await readFile(join(directory, 'events.ndjson'), 'utf8')),
      to,
    );
    for (const { n, from } of begins) {
      const newest = stored.filter((one) => one.n < n).at(-1);
      expect(from, `attempt ${n} begins at the last stored checkpoint`).toBe(newest?.count ?? 0);
      const own = counts.filter((one) => one.n === n).map(({ count }) => count);
      expect(own).toEqual(own.map((_, i) => from + 1 + i));
    }
    const agents = new Set(attempts.map(({ agent }) => agent)).size;
    return { attempts: attempts.length, agents };
  }

  get #history(): string {
    return join(this.#mesh.home, 'history');
  }

  #stateDir(agent: string): string {
    return join(this.#mesh.home, `state-${agent}`);
  }

  #pid(agent: string): number {
    const pid = this.#agents.get(agent)?.process.pid;
    if (pid === undefined) throw new Error(`agent ${agent} does not run`);
    return pid;
  }

  async #startAgent(id: string): Promise<void> {
    const { server } = await this.#mesh.meshFile();
    const flags = ['--server', server.url, '--credential', server.credentialFile];
    const state = ['--id', id, '--state', this.#stateDir(id), '--slots', '2'];
    const deadlineMs = 1_800_000;
    this.#agents.set(id, this.#mesh.start(['agent', 'run', ...flags, ...state], { deadlineMs }));
    const agent = this.#agents.get(id);
    await until(() => agent?.stderr().includes('agent started'), `agent ${id}`);
  }

  async #read(): Promise<History> {
    const text = await readFile(this.#history, 'utf8').catch(() => '');
    const lines = text.split('\n').slice(0, -1);
    const words = lines.map((line) => line.split(' '));
    const of = (kind: string): number[][] =>
      words.filter(([first]) => first === kind).map(([, ...rest]) => rest.map(Number));
    return {
      begins: of('begin').map(([n = 0, from = 0, pid = 0]) => ({ n, from, pid })),
      counts: of('count').map(([n = 0, count = 0]) => ({ n, count })),
    };
  }
}

/** Counts of the checkpoints that were stored, in their order, known by their hash. */
function storedCounts(
  records: readonly EventRecord[],
  to: number,
): { readonly n: number; readonly count: number }[] {
  const known = new Map<string, number>();
  for (let count = 1; count <= to; count += 1)
    known.set(createHash('sha256').update(String(count)).digest('hex'), count);
  return records.flatMap(({ subject, message }) => {
    const parsed = parseSubject(subject);
    if (message.name !== 'attempt.checkpointed' || parsed?.kind !== 'attempt') return [];
    const count = known.get(message.data.files[0]?.sha256 ?? '');
    expect(count, 'a checkpoint holds a count').toBeDefined();
    return [{ n: parsed.ref.n, count: count ?? 0 }];
  });
}

function rows<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

async function end(pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // gone with another of them
    }
  }
  await until(() => pids.every((pid) => !isRunning(pid)), 'the killed to be gone');
}

/** Each kind in turn, so that a short round has all of them. */
export function killAt(index: number): Kill {
  return KILLS[index % KILLS.length] ?? 'process';
}
