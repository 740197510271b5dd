/**
 * Runs on a fleet while its coordinator is killed and replaced: at a moment of each stage that a run goes
 * through, and a look at whether what is left is exact.
 *
 *   passing run:  submit *  assignment * * *         archive *    simulated agents
 *   stopped run:  submit *  assignment      stop *   archive *    a real agent, trees of real processes
 *
 * A moment is so long after the first sign of its stage; of the assignment so many starts after the submit.
 * What the mesh does after a run, its release and purge, goes on during the next one, whose kills meet it.
 */
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { canonicalJson } from '#protocol/fold/canonical-json.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { filters, parseSubject, subjects } from '#protocol/messages/subjects.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import { FleetMesh } from '#test/bench/fleet/fleet-mesh.ts';
import { parseFleetOptions } from '#test/bench/fleet/options.ts';
import { watchEvents, watchStarts, watchSubject, type EventWatch } from './event-watch.ts';
import { processesMarked } from './processes.ts';
import { startRealAgent, type RealAgent } from './real-agent.ts';
import { taskEnds } from './task-ends.ts';
import { until } from './until.ts';

type Stage = 'submit' | 'assignment' | 'stop' | 'archive';
/** When it is killed: ms after the first sign of the stage; of the assignment after so many starts, each time. */
export interface Moments extends Readonly<Partial<Record<'submit' | 'stop' | 'archive', number>>> {
  /** Rising. */
  readonly assignment?: readonly number[];
}
/** ms from the first sign of a stage to its end. */
export type Lengths = Readonly<Record<'submit' | 'stop' | 'archive', number>>;

const REAL_SLOTS = 4;
const TREE = resolve('test/fixtures/process-tree.pl');
const KINDS = 'plain=2, setsid=1, stubborn=1';
const LONGEST_MS = 300_000;

export interface KillMeshOptions {
  /** Of each run; a multiple of 10. */
  readonly tasks: number;
  readonly agents: number;
  readonly slots: number;
}

export class KillMesh {
  readonly #fleet: FleetMesh;
  readonly #agent: RealAgent;
  readonly #events: EventWatch;
  readonly #tasks: number;
  readonly #mark = `mark-${process.pid}-${Date.now()}`;
  readonly #runs: string[] = [];
  readonly #landed = new Map<string, number>();

  private constructor(fleet: FleetMesh, agent: RealAgent, tasks: number) {
    this.#fleet = fleet;
    this.#agent = agent;
    this.#tasks = tasks;
    this.#events = watchEvents(fleet.connection);
  }

  static async start({ tasks, agents, slots }: KillMeshOptions): Promise<KillMesh> {
    const flags = `--agents ${agents} --slots ${slots} --processes 1`.split(' ');
    const fleet = await FleetMesh.start(parseFleetOptions(flags));
    const { folder, server } = fleet;
    const { url, credentialFile } = server;
    const agent = startRealAgent({
      ...{ id: 'real', folder, url, credentialFile, slots: REAL_SLOTS, labels: ['real=yes'] },
    });
    return new KillMesh(fleet, agent, tasks);
  }

  /** How often a kill came before what ends its stage was stored, and how often after. */
  landed(): string {
    return [...this.#landed]
      .sort()
      .map(([what, times]) => `${what}: ${times}`)
      .join(', ');
  }

  /** How many there were. */
  runs(): number {
    return this.#runs.length;
  }

  /** A passing run; every task ends once by one attempt, whoever was killed. Resolves with the lengths of its stages. */
  async pass(kill: Moments): Promise<Omit<Lengths, 'stop'>> {
    const { connection } = this.#fleet;
    await this.#fleet.reports();
    const starts = await Promise.all(
      (kill.assignment ?? [1]).map((count) => watchStarts(connection, count)),
    );
    const { run, submitMs } = await this.#submit(passingSuite(this.#tasks), kill.submit);
    for (const { passed } of starts) {
      await passed;
      if (kill.assignment !== undefined)
        await this.#kill('assignment', () => has(this.#events.recordsOf(run), 'run.ended'));
    }
    // Folded by the CLI and by whoever leads now, in the midst of it.
    await this.#auditLive(run);
    const archiveMs = await this.#ended(run, kill.archive);
    const begun = (await this.#fleet.reports()).flatMap((report) => report.begun);
    expect(begun.length, 'attempts that began').toBe(this.#tasks);
    expect(new Set(begun).size, 'attempts that began, each once').toBe(this.#tasks);
    await this.#expectExact(run, { passed: this.#tasks });
    return { submit: submitMs, archive: archiveMs };
  }

  /** A run that is stopped while trees of processes run. Resolves with the length of the stop. */
  async stop(kill: Moments): Promise<Lengths> {
    const { connection } = this.#fleet;
    const ready = join(this.#fleet.folder, `ready-${this.#runs.length}-`);
    const suite = stoppedSuite(this.#tasks, [TREE, this.#mark, ready]);
    const { run, submitMs } = await this.#submit(suite, kill.submit);
    await until(
      async () => (await filesFrom(ready)).length === REAL_SLOTS,
      'the trees to stand',
      LONGEST_MS,
    );
    expect(processesMarked(this.#mark).length).toBeGreaterThan(3 * REAL_SLOTS);
    const stored = await watchSubject(connection, subjects.stop());
    const stopping = this.#fleet.cli('stop', run, '--json', '--wait', '120s');
    await stored.passed;
    const beganMs = performance.now();
    const over = this.#events.until(isOf(run, 'run.ended')).then(() => performance.now() - beganMs);
    if (kill.stop !== undefined) {
      await sleep(kill.stop);
      await this.#kill('stop', () => has(this.#events.recordsOf(run), 'run.ended'));
    }
    // Ends with another status than 0, which `cli` does not take, unless every death is proven.
    const { verdict } = JSON.parse(await stopping) as { verdict: string };
    expect(verdict).toBe('dead');
    expect(processesMarked(this.#mark), 'processes of a run that was stopped').toEqual([]);
    const stopMs = await over;
    const archiveMs = await this.#ended(run, kill.archive);
    await this.#expectExact(run, { stopped: this.#tasks });
    return { submit: submitMs, stop: stopMs, archive: archiveMs };
  }

  /** After the last run: each is archived once, purged, and neither run nor attempt is known any more (I12). */
  async expectNothingLeft(): Promise<void> {
    await until(
      async () => (await this.#stored()).length === 0,
      'streams without runs',
      LONGEST_MS,
    );
    const { liveRuns, pending, assigned, notices } = await this.#fleet.info();
    expect({ liveRuns, pending, assigned }).toEqual({ liveRuns: [], pending: 0, assigned: 0 });
    expect(notices ?? []).toEqual([]);
    // Neither a second run nor what a leader had begun and not finished.
    expect((await readdir(this.#fleet.results)).sort()).toEqual(this.#runs.toSorted());
    expect(this.#events.submitted()).toEqual(this.#runs);
  }

  async close(): Promise<void> {
    await this.#events.close();
    await this.#agent.close();
    await this.#fleet.close();
    for (const pid of processesMarked(this.#mark)) process.kill(pid, 'SIGKILL');
  }

  async #submit(
    suite: string,
    killAfterMs: number | undefined,
  ): Promise<{ run: string; submitMs: number }> {
    const before = this.#events.submitted().length;
    const asked = await watchSubject(this.#fleet.connection, subjects.api('submit'));
    const submitting = this.#fleet.submit(suite);
    await asked.passed;
    const beganMs = performance.now();
    if (killAfterMs !== undefined) {
      await sleep(killAfterMs);
      await this.#kill('submit', () => this.#events.submitted().length > before);
    }
    const run = await submitting;
    this.#runs.push(run);
    return { run, submitMs: performance.now() - beganMs };
  }

  async #kill(stage: Stage, isStored: () => boolean): Promise<void> {
    await this.#fleet.replaceCoordinator();
    const what =
      `${stage} ${stage === 'assignment' ? '' : isStored() ? 'stored' : 'not stored'}`.trim();
    this.#landed.set(what, (this.#landed.get(what) ?? 0) + 1);
  }

  async #auditLive(run: string): Promise<void> {
    await until(() => this.#fleet.info(), 'the coordinator', LONGEST_MS);
    await this.#fleet.cli('audit', run);
  }

  /** Resolves when the directory is there: with how long it took from the end of the run. */
  async #ended(run: string, killAfterMs: number | undefined): Promise<number> {
    await this.#events.until(isOf(run, 'run.ended'));
    const beganMs = performance.now();
    if (killAfterMs !== undefined) {
      await sleep(killAfterMs);
      await this.#kill('archive', () => has(this.#events.recordsOf(run), 'run.archived'));
    }
    await until(() => this.#fleet.archivedLines(run, 'run.json'), 'the directory', LONGEST_MS);
    return performance.now() - beganMs;
  }

  /** Subjects of runs, starts and stops that are stored. */
  async #stored(): Promise<string[]> {
    const left: string[] = [];
    const read = (stream: string, wanted: readonly string[]): Promise<unknown> =>
      readAll(this.#fleet.connection, { stream, filters: wanted }, ({ subject }) =>
        left.push(subject),
      );
    await read(STREAMS.events, filters.ownEvents('*'));
    await read(STREAMS.commands, [filters.startsOf('*'), subjects.stop()]);
    return left;
  }

  async #expectExact(run: string, outcomes: Readonly<Record<string, number>>): Promise<void> {
    const seen = this.#events.recordsOf(run);
    const count = (name: string): number => seen.filter((one) => one.message.name === name).length;
    const once = ['run.submitted', 'run.ended'].map((name) => [name, count(name)]);
    expect(once).toEqual([
      ['run.submitted', 1],
      ['run.ended', 1],
    ]);
    const ends = taskEnds(seen);
    expect([ends.length, new Set(ends).size], 'tasks that ended, each once').toEqual([
      this.#tasks,
      this.#tasks,
    ]);
    expectOneAtATime(seen);

    const rows = (await this.#lines(run, 'tasks.ndjson')).map(
      (line) => JSON.parse(line) as { id: string; outcome: string },
    );
    expect(new Set(rows.map(({ id }) => id))).toEqual(new Set(ends));
    expect(rows.length).toBe(this.#tasks);
    const counted: Record<string, number> = {};
    for (const { outcome } of rows) counted[outcome] = (counted[outcome] ?? 0) + 1;
    expect(counted).toEqual(outcomes);
    // The directory has every record that was ever stored of the run, as it was stored.
    const archived = (await this.#lines(run, 'events.ndjson'))
      .map((line) => JSON.parse(line) as EventRecord)
      .filter(({ subject }) => isOwn(subject, run));
    const stored = seen.filter(({ message }) => message.name !== 'run.archived');
    expect(archived.length).toBe(stored.length);
    expect(archived.map(canonicalJson)).toEqual(plain(stored).map(canonicalJson));
    const self = JSON.parse((await this.#lines(run, 'benchmesh.json')).join('\n')) as unknown;
    expect(self).toMatchObject({ complete: true, missingLogs: [], unreadableEvents: 0 });
    await this.#fleet.cli('audit', run);
    this.#events.forget(run);
  }

  async #lines(run: string, name: string): Promise<string[]> {
    return (await this.#fleet.archivedLines(run, name)) ?? [];
  }
}

/** I4: of a task only one attempt is open, each begins once and ends once, and the next comes after. */
function expectOneAtATime(records: readonly EventRecord[]): void {
  const open = new Map<string, number>();
  const ended = new Set<string>();
  for (const { subject, message } of records) {
    const parsed = parseSubject(subject);
    if (parsed?.kind !== 'attempt') continue;
    const { task, n } = parsed.ref;
    const before = open.get(task);
    if (before !== undefined && before !== n)
      throw new Error(`attempts ${before} and ${n} of ${task} are open at once`);
    if (ended.has(`${task}#${n}`)) throw new Error(`${message.name} after the end of ${task}#${n}`);
    open.set(task, n);
    if (message.name !== 'attempt.exited') continue;
    open.delete(task);
    ended.add(`${task}#${n}`);
  }
  expect([...open.keys()], 'attempts without an end').toEqual([]);
}

function isOf(run: string, name: string): (record: EventRecord) => boolean {
  return ({ subject, message }) => subject === subjects.run(run) && message.name === name;
}

function has(records: readonly EventRecord[], name: string): boolean {
  return records.some(({ message }) => message.name === name);
}

function isOwn(subject: string, run: string): boolean {
  const parsed = parseSubject(subject);
  if (parsed?.kind === 'attempt') return parsed.ref.run === run;
  return (parsed?.kind === 'run' || parsed?.kind === 'task') && parsed.run === run;
}

/** As it looks after a file: without what JSON drops. */
function plain(records: readonly EventRecord[]): EventRecord[] {
  return JSON.parse(JSON.stringify(records)) as EventRecord[];
}

async function filesFrom(prefix: string): Promise<string[]> {
  const folder = resolve(prefix, '..');
  const name = prefix.slice(folder.length + 1);
  return (await readdir(folder)).filter((file) => file.startsWith(name) && !file.endsWith('.tmp'));
}

function passingSuite(tasks: number): string {
  return suite('passing', tasks, 'labels: { real: { exists: false } }', `[sleep, '{{seconds}}']`);
}

function stoppedSuite(
  tasks: number,
  [tree = '', mark = '', ready = '']: readonly string[],
): string {
  const words = `[perl, '${tree}', '${mark}', '${ready}{{item}}-{{seconds}}', ${KINDS}]`;
  return suite('stopped', tasks, 'labels: { real: "yes" }', words);
}

function suite(name: string, tasks: number, needs: string, run: string): string {
  const items = Array.from({ length: tasks / 10 }, (_, at) => at).join(', ');
  const seconds = [0.02, 0.11, 0.05, 0.2, 0.08, 0.15, 0.03, 0.1, 0.06, 0.12].join(', ');
  const axes = `axes:\n  item: [${items}]\n  seconds: [${seconds}]`;
  return `name: ${name}\ngrace: 300ms\n${axes}\nneeds:\n  exclusive: false\n  ${needs}\nrun: ${run}\n`;
}
