/**
 * Attempts that print all the time on a host that is cut off for a while; then every byte, every event,
 * each once and in its place (I7, I8), and an agent that stayed small meanwhile (I12).
 */
import { writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'vitest';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import {
  AGENT,
  attemptSpec,
  startTestMesh,
  step,
  type TestMesh,
} from '#test/integration/agent/support/agent-process.ts';
import type { CutLink } from './cut-link.ts';
import { peakResidentBytes, processesMarked, residentBytes } from './processes.ts';
import { until } from './until.ts';

export interface PartitionOptions {
  readonly attempts: number;
  readonly cutMs: number;
}

const LINES_PER_S = 1_000;
/** What is allowed to grow: queues of events and samples, one batch of each log (docs/agent.md). */
const GROWTH_BYTES = 64 * 1024 * 1024;

/** Prints numbered lines at an even rate until its file of gates is there, and reports as it goes. */
const PRINTER = `
use Time::HiRes qw(time sleep);
$| = 1;
my ($gate, $name) = @ARGV;
open(my $report, '>>', $ENV{BENCHMESH_REPORT}) or die;
$report->autoflush(1);
use IO::Handle;
print $report "phase warmup\\n";
my ($i, $from, $told) = (0, time, 0);
until (-e $gate) {
  my $due = int((time - $from) * ${LINES_PER_S});
  my $text = '';
  while ($i < $due) { $text .= "$name line $i of a benchmark that goes on\\n"; $i++; }
  print $text;
  if ($told == 0 && $i > 1500) { print $report "phase measure\\n"; $told = 1; }
  sleep 0.02;
}
print $report "phase done\\n";
print STDERR "$i\\n";
`;

const phases = ['warmup', 'measure', 'done'];

/** Throws unless all is there. Answers figures for people. */
export async function expectWholeAfterCut(
  link: CutLink,
  { attempts, cutMs }: PartitionOptions,
): Promise<string> {
  const mesh = await startTestMesh();
  try {
    const url = await link.serve(mesh.server.url);
    const extra = ['--server', url, '--slots', String(attempts)];
    const agent = await mesh.start(extra, link.prefix);
    const gate = `${mesh.dir}/gate`;
    const specs = Array.from({ length: attempts }, (_, i) =>
      attemptSpec([step('', { argv: ['perl', '-e', PRINTER, gate, `a${i}`] })], { phases }),
    );
    for (const spec of specs) await mesh.startAttempt(spec);
    for (const spec of specs) await measuring(mesh, spec);
    const before = residentBytes(agent.pid);
    link.cut();
    const from = performance.now();
    const stored = await settledBytes(mesh, specs);
    await until(() => performance.now() - from >= cutMs, 'the end of the cut', cutMs + 10_000);
    expect(await storedBytes(mesh, specs), 'nothing passes the cut').toBe(stored);
    const grown = peakResidentBytes(agent.pid) - before;
    // They end while they are cut off: what is said then is said later.
    await writeFile(gate, '');
    await until(() => processesMarked(gate).length === 0, 'the attempts to end');
    link.mend();
    let lines = 0;
    for (const spec of specs) lines += await expectWhole(mesh, spec);
    expect(mesh.find('agent.started')).toHaveLength(1);
    expect(grown).toBeLessThan(GROWTH_BYTES);
    return `${lines} lines of ${attempts} attempts, cut for ${cutMs} ms: the agent grew by ${Math.round(grown / 1e6)} MB`;
  } finally {
    await mesh.close();
  }
}

async function storedBytes(mesh: TestMesh, specs: readonly AttemptSpec[]): Promise<number> {
  const logs = await Promise.all(specs.map((spec) => mesh.log(spec)));
  return logs.reduce((sum, { both }) => sum + both.length, 0);
}

/** What had passed the link when it was cut is on its way into the streams for a moment more. */
async function settledBytes(mesh: TestMesh, specs: readonly AttemptSpec[]): Promise<number> {
  let last = await storedBytes(mesh, specs);
  await until(async () => {
    await setTimeout(500);
    const before = last;
    last = await storedBytes(mesh, specs);
    return last === before;
  }, 'what had passed to be stored');
  return last;
}

async function measuring(mesh: TestMesh, spec: AttemptSpec): Promise<void> {
  await until(
    () => mesh.of(spec, 'attempt.phase').some(({ data }) => data.phase === 'measure'),
    'the phase of the measurement',
  );
}

/** Resolves with the number of lines it has printed. */
async function expectWhole(mesh: TestMesh, spec: AttemptSpec): Promise<number> {
  const { data } = await mesh.exited(spec);
  expect(data).toMatchObject({ outcome: 'passed', logGaps: [], proven: true });
  await until(async () => (await mesh.log(spec)).both.length === data.logBytes, 'the whole log');
  const { stdout, stderr } = await mesh.log(spec);
  const count = Number(stderr.toString());
  const name = spec.steps[0]?.argv.at(-1) ?? '';
  const lines = Array.from(
    { length: count },
    (_, i) => `${name} line ${i} of a benchmark that goes on\n`,
  );
  expect(stdout.equals(Buffer.from(lines.join('')))).toBe(true);
  const own = mesh.events.filter(({ subject }) => subject === subjects.attemptEvents(AGENT, spec));
  expect(own.map(({ message }) => message.seq)).toEqual(own.map((_, i) => i + 1));
  expect(mesh.namesOf(spec)).toEqual([
    'attempt.step_started',
    'attempt.phase',
    'attempt.phase',
    'attempt.phase',
    'attempt.exited',
  ]);
  return count;
}
