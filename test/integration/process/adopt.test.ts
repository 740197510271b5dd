/**
 * I8: steps outlive the agent. An agent is killed with -9 at different moments; another takes
 * up what it left, and learns how it ended, also while nobody was there.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createSupervisor } from '#agent/process/supervisor.ts';
import type { StepOutcome } from '#agent/process/types.ts';
import { ProcessAgent } from '#test/support/process-agent-client.ts';
import { goneLine, outputOf, StepBench } from '#test/support/process-step.ts';
import { isRunning, processesMarked } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

interface StartedLine {
  readonly pid: number;
  readonly meshrun: number;
}

const startedLine = (dir: string): StartedLine =>
  JSON.parse(readFileSync(join(dir, 'record'), 'utf8').split('\n')[0] ?? '') as StartedLine;

describe('adopting on the subreaper rung', () => {
  let bench: StepBench;
  let agent: ProcessAgent;
  beforeAll(async () => {
    bench = new StepBench(await createSupervisor({ rung: 'subreaper' }));
  });
  afterEach(async () => {
    await agent.kill();
  });
  afterAll(() => {
    bench.dispose();
  });
  const gated = (gate: string, code: number): string[] => [
    'sh',
    '-c',
    `echo "began $$"; until [ -e "${gate}" ]; do sleep 0.02; done; echo "went on"; exit ${code}`,
  ];

  it('takes up three steps: one goes on, one was stopped, one ended with nobody there', async () => {
    agent = new ProcessAgent();
    const gates = [1, 2, 3].map((n) => join(bench.root, `gate-${n}`));
    const dirs = gates.map(() => bench.dir());
    dirs.forEach((dir, n) => {
      agent.ask(dir, bench.spec(gated(gates[n] ?? '', 40 + n)));
    });
    const pids = await agent.pids(3);
    await agent.kill();
    writeFileSync(gates[2] ?? '', '');
    await until(
      () => readFileSync(join(dirs[2] ?? '', 'record'), 'utf8').includes('"gone"'),
      'the third to end',
    );

    const [first, second, third] = await Promise.all(dirs.map((dir) => bench.adopt(dir)));
    expect([first?.kind, second?.kind, third?.kind]).toEqual(['alive', 'alive', 'ended']);
    expect(pids.toSorted()).toEqual(dirs.map((dir) => startedLine(dir).pid).toSorted());
    expect(first?.step?.handle.pid).toBe(startedLine(dirs[0] ?? '').pid);
    expect(third).toMatchObject({
      outcome: { end: { kind: 'exited', code: 42 }, gone: { empty: true } },
    });

    second?.step?.handle.stop();
    writeFileSync(gates[0] ?? '', '');
    expect(await first?.step?.ended).toMatchObject({ end: { kind: 'exited', code: 40 } });
    expect(await second?.step?.ended).toMatchObject({
      end: { kind: 'signaled', signal: 'SIGTERM' },
      stopRequested: true,
    });
    const { stdout } = outputOf(dirs[0] ?? '');
    expect(stdout.toString()).toBe(`began ${startedLine(dirs[0] ?? '').pid}\nwent on\n`);
  });

  it('enforces the budget with the agent dead', async () => {
    agent = new ProcessAgent();
    const dir = bench.dir();
    agent.ask(dir, bench.spec(['sleep', '60'], { budgetMs: 1500 }));
    const [pid = 0] = await agent.pids(1);
    await agent.kill();
    await until(() => !isRunning(pid), 'the budget to end it');
    await until(
      () => readFileSync(join(dir, 'record'), 'utf8').includes('"gone"'),
      'its end on disk',
    );
    expect(await bench.adopt(dir)).toMatchObject({
      kind: 'ended',
      outcome: {
        deadline: true,
        stopRequested: false,
        end: { kind: 'signaled', signal: 'SIGTERM' },
      },
    });
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7])(
    'never starts a step twice, killed while it starts them (round %i)',
    async (round) => {
      agent = new ProcessAgent();
      const log = join(bench.root, `starts-${round}`);
      const dirs = Array.from({ length: 12 }, () => bench.dir());
      const spec = bench.spec(['sh', '-c', `echo $$ >> "${log}"; sleep 0.05`]);
      agent.ask(bench.dir(), bench.spec(['true']));
      await agent.pids(1);
      for (const dir of dirs) agent.ask(dir, spec);
      if (round > 0) await agent.pids(round + 1);
      await agent.kill();
      for (const dir of dirs) {
        const found = await bench.adopt(dir);
        const outcome =
          found.kind === 'ended'
            ? found.outcome
            : await (found.step ?? bench.start(spec.argv, {}, dir)).ended;
        expect(outcome.end).toEqual({ kind: 'exited', code: 0 });
      }
      expect(readFileSync(log, 'utf8').trim().split('\n')).toHaveLength(dirs.length);
    },
  );

  it('says not_started of a record of another step, and can start there', async () => {
    const dir = bench.dir();
    const foreign = {
      type: 'started',
      pid: 7,
      startTime: 1,
      bootId: 'b',
      cookie: 'c',
      step: 'x/y',
    };
    writeFileSync(join(dir, 'record'), `${JSON.stringify(foreign)}\n`);
    expect(await bench.adopt(dir)).toEqual({ kind: 'not_started' });
    const { end } = await bench.start(['true'], {}, dir).ended;
    expect(end).toEqual({ kind: 'exited', code: 0 });
  });

  it('says not_started of an empty folder, as often as it is asked', async () => {
    agent = new ProcessAgent();
    const dir = bench.dir();
    writeFileSync(join(dir, 'record.late'), '');
    expect(await bench.adopt(dir)).toEqual({ kind: 'not_started' });
    expect(readdirSync(dir)).toEqual([]); // so that a late start finds no token
    expect(await bench.adopt(dir)).toEqual({ kind: 'not_started' });
    expect(await bench.start(['true'], {}, dir).ended).toMatchObject({
      end: { kind: 'exited', code: 0 },
    });
  });

  it.each(['followed', 'adopted'])(
    'calls a step lost whose meshrun is killed, and ends its orphans (%s)',
    async (how) => {
      agent = new ProcessAgent();
      const mark = `bm-lost-${process.pid}-${how}`;
      const script = '(setsid perl -e "sleep 60" "$1" &); perl -e "sleep 60" "$1" & echo hi; wait';
      const step = bench.start(['sh', '-c', script, 'sh', mark]);
      const pid = await step.started;
      await until(
        () => processesMarked(mark).length === 3 && outputOf(step.dir).end === 3,
        'the tree and its output',
      );
      if (how === 'adopted') step.handle.detach();
      process.kill(startedLine(step.dir).meshrun, 'SIGKILL');
      if (how === 'adopted') await until(() => !isRunning(pid), 'the main process to die with it');
      const found = how === 'adopted' ? await bench.adopt(step.dir) : null;
      const outcome = found?.kind === 'ended' ? found.outcome : await step.ended;
      expect(processesMarked(mark)).toEqual([]);
      expect(outcome).toMatchObject({
        end: { kind: 'lost' },
        durationMs: null,
        gone: { proof: 'scan', empty: false, survivors: [] },
        logBytes: 3,
      });
      const again = await bench.adopt(step.dir);
      expect(again).toMatchObject({ kind: 'ended', outcome: { end: outcome.end, logBytes: 3 } });
    },
  );

  it('knows that a restart of the host leaves nothing', async () => {
    agent = new ProcessAgent();
    const dir = bench.dir();
    const started = {
      type: 'started',
      pid: process.pid,
      startTime: 1,
      bootId: 'another',
      cookie: 'c',
    };
    writeFileSync(join(dir, 'record'), `${JSON.stringify(started)}\n{"type":"exi`);
    expect(await bench.adopt(dir)).toMatchObject({
      kind: 'ended',
      outcome: { end: { kind: 'lost' }, gone: { empty: true, survivors: [] } },
    });
    expect(isRunning(process.pid)).toBe(true);
  });

  it('goes on when the spawner is killed, with steps under way', async () => {
    agent = new ProcessAgent();
    const dir = bench.dir();
    const step = bench.start(['sleep', '0.2'], {}, dir);
    await step.started;
    const parent = Number(
      /PPid:\s+(\d+)/.exec(readFileSync(`/proc/${startedLine(dir).meshrun}/status`, 'utf8'))?.[1],
    );
    process.kill(parent, 'SIGKILL');
    const others = Array.from({ length: 5 }, () => bench.start(['true']));
    for (const each of [step, ...others]) {
      expect(await each.ended).toMatchObject({
        end: { kind: 'exited', code: 0 },
        gone: { empty: true },
      });
    }
  });
});

describe('a step with survivors', () => {
  it('has its output in the end that names them, and tells when they are gone', async () => {
    const bench = new StepBench(await createSupervisor({ rung: 'subreaper' }));
    const first = bench.start(['sh', '-c', 'echo one; sleep 60']);
    const pid = await first.started;
    await until(() => outputOf(first.dir).end === 4, 'the output');
    first.handle.detach();
    // As meshrun writes it when what it killed does not end.
    const line = `{"type":"survivors","count":1,"pids":[${pid}]}\n`;
    appendFileSync(join(first.dir, 'record'), line);
    const told: [string, StepOutcome][] = [];
    const found = await bench.supervisor.adopt(first.dir, {
      onEnd: (outcome) => told.push(['end', outcome]),
      onGone: (outcome) => told.push(['gone', outcome]),
    });
    if (found.kind !== 'alive') throw new Error(found.kind);
    await until(() => told.length === 1, 'the end');
    expect(told[0]).toMatchObject(['end', { logBytes: 4, gone: { survivors: [pid] } }]);
    found.handle.stop({ now: true });
    await until(() => told.length === 2, 'that they are gone');
    expect(told[1]).toMatchObject(['gone', { logBytes: 4, gone: { survivors: [], empty: true } }]);
    bench.dispose();
  });

  it('is asked again, after a scan, for those that still live', async () => {
    const bench = new StepBench(await createSupervisor({ rung: 'scan' }));
    const first = bench.start(['sleep', '60']);
    const pid = await first.started;
    first.handle.detach();
    const gone = goneLine({ empty: false, proof: 'scan', survivors: [pid, 2 ** 22 + 1] });
    appendFileSync(join(first.dir, 'record'), `${JSON.stringify(gone)}\n`);
    const survivors = async (): Promise<unknown> => {
      const found = await bench.adopt(first.dir);
      return found.kind === 'ended' ? found.outcome.gone.survivors : found.kind;
    };
    expect(await survivors()).toEqual([pid]);
    process.kill(pid, 'SIGKILL');
    await until(() => !isRunning(pid), 'its death');
    expect(await survivors()).toEqual([]);
    bench.dispose();
  });
});

describe('a step whose record is gone', () => {
  it.each(['subreaper', 'scan'] as const)(
    'on the %s rung costs nobody their life who has its pid by now',
    async (rung) => {
      const bench = new StepBench(await createSupervisor({ rung }));
      const other = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
      const pid = other.pid ?? 0;
      const variable = { name: 'BENCHMESH_STOP', value: join(bench.root, 'stop') };
      const found = await bench.adopt(bench.dir(), { pid, variable });
      expect(found).toMatchObject({
        kind: 'ended',
        outcome: { end: { kind: 'lost' }, gone: { proof: 'scan', empty: false, processes: 0 } },
      });
      expect(isRunning(pid)).toBe(true);
      other.kill('SIGKILL');
      bench.dispose();
    },
  );
});

describe('the gate of a start on the scan rung', () => {
  it('runs nothing before the record is written, and never what has none', async () => {
    const bench = new StepBench(await createSupervisor({ rung: 'scan' }));
    const [dir, ran] = [bench.dir(), join(bench.root, 'ran')];
    // Not there for who reads it, in the way of who makes it.
    symlinkSync(join(dir, 'nowhere'), join(dir, 'record'));
    const { end } = await bench.start(['touch', ran], {}, dir).ended;
    expect(end).toMatchObject({ kind: 'exec_failed', reason: 'supervision' });
    // A drain to write to, should anything write.
    const pipe = spawn('cat', [join(dir, 'pipe')], { stdio: 'ignore' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    pipe.kill();
    expect(existsSync(ran)).toBe(false);
    expect((await bench.adopt(dir)).kind).toBe('not_started');
    bench.dispose();
  });

  it('is not hindered by the pipe of a start that came to nothing', async () => {
    const bench = new StepBench(await createSupervisor({ rung: 'scan' }));
    const dir = bench.dir();
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    const { end } = await bench.start(['sh', '-c', 'read x; echo $?; exit 7'], {}, dir).ended;
    expect(end).toEqual({ kind: 'exited', code: 7 });
    expect(outputOf(dir).stdout.toString()).toBe('1\n'); // its stdin is empty
    bench.dispose();
  });
});

describe('adopting on the scan rung', () => {
  it('follows what lives, and calls lost what ended with nobody there', async () => {
    const bench = new StepBench(await createSupervisor({ rung: 'scan' }));
    const agent = new ProcessAgent({ rung: 'scan' });
    const [alive, ended] = [bench.dir(), bench.dir()];
    const gate = join(bench.root, 'gate');
    agent.ask(alive, bench.spec(['sh', '-c', 'echo one; sleep 60']));
    agent.ask(
      ended,
      bench.spec(['sh', '-c', `until [ -e "${gate}" ]; do sleep 0.02; done; exit 3`]),
    );
    const pids = await agent.pids(2);
    await agent.kill();
    writeFileSync(gate, '');
    await until(() => !isRunning(pids[1] ?? 0), 'the second to end');
    const found = await bench.adopt(alive);
    expect(found.kind).toBe('alive');
    expect(found.step?.handle.pid).toBe(pids[0]);
    // No change of the file tells of it any more.
    await until(() => (found.step?.calls.output ?? 0) > 0, 'what it said before to be told');
    expect(await bench.adopt(ended)).toMatchObject({
      kind: 'ended',
      outcome: { end: { kind: 'lost' } },
    });
    found.step?.handle.stop();
    expect(await found.step?.ended).toMatchObject({
      stopRequested: true,
      gone: { proof: 'scan', empty: false },
    });
    expect(outputOf(alive).stdout.toString()).toBe('one\n');
    bench.dispose();
  });
});
