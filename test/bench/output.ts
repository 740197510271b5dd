/**
 * What it costs to ship output: 64 children that write 1,000 lines a second each, one write a line, in
 * bursts and evenly. The CPU of the agent, of its meshruns and of the server as the kernel counts it,
 * beside a floor of the same run: a bare Node program that has the same children write into pipes and
 * appends what comes to files.
 */
import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { TestMesh } from '#test/support/mesh.ts';
import {
  cpuSeconds,
  parentOf,
  processesMarked,
  residentBytes,
  writtenBytes,
} from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import { printRows } from './figures.ts';

const CHILDREN = 64;
const LINES_PER_S = 1_000;
const SECONDS = 10;
const SETTLE_MS = 4_000;
const LINE_BYTES = 'step 00000000 loss=0.123456 tokens=8192 tok/s=812\n'.length;
/** So many lines at once, then a rest: programs that print a block of progress, and one line after another. */
const PACES = [
  ['20 lines each 20 ms', 20],
  ['a line each ms', 1],
] as const;

const PRINTER = `use Time::HiRes qw(time sleep);
my ($mark, $burst, $gate) = @ARGV;
sleep 0.1 until -e $gate;
my ($from, $i) = (time, 0);
while (1) {
  my $due = int((time - $from) * ${LINES_PER_S} / $burst) * $burst;
  for (; $i < $due; $i++) { syswrite STDOUT, sprintf("step %08d loss=0.123456 tokens=8192 tok/s=812\\n", $i); }
  my $next = $from + ($i + $burst) / ${LINES_PER_S} - time;
  sleep $next if $next > 0;
}
`;

const FLOOR = `import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
const [, , script, mark, burst, gate, dir] = process.argv;
for (let i = 0; i < ${CHILDREN}; i += 1) {
  const child = spawn('perl', [script, mark, burst, gate], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.on('data', (bytes) => appendFileSync(dir + '/floor.' + i, bytes));
}
`;

export async function output(): Promise<void> {
  const mesh = await TestMesh.create();
  try {
    await mesh.up('--slots', String(CHILDREN));
    const script = await mesh.file('printer.pl', PRINTER);
    const floorScript = await mesh.file('floor.mjs', FLOOR);
    for (const [pace, burst] of PACES) {
      const own = await ofMesh(mesh, script, burst);
      const floor = await ofFloor(mesh, { script, floorScript, burst });
      printRows([
        [`agent, ${pace}`, own],
        ['  floor: node, pipes to files', floor],
      ]);
    }
    console.log(
      `  ${CHILDREN} children, ${LINES_PER_S} lines/s each; target: agent under 25% of a core`,
    );
  } finally {
    await mesh.dispose();
  }
}

async function ofMesh(mesh: TestMesh, script: string, burst: number): Promise<string> {
  const mark = `benchmesh-output-${burst}`;
  const cells = Array.from({ length: CHILDREN }, (_, at) => at).join(', ');
  const suite = await mesh.file(
    'print.yaml',
    `name: print
axes:
  cell: [${cells}]
needs: {exclusive: false}
logLimit: 1GiB
run: [perl, "${script}", "${mark}", "${burst}", "${join(mesh.home, mark)}"]
`,
  );
  const run = await mesh.submit(suite);
  await until(() => processesMarked(mark).length === CHILDREN, 'the children', 120_000);
  await mesh.file(mark, '');
  await setTimeout(SETTLE_MS);
  const [agent, server] = [await mesh.pid('agent'), await mesh.pid('server')];
  const children = processesMarked(mark);
  const helpers = children.map(parentOf);
  const { cores, lines } = await measured([agent, server, ...helpers], children);
  const [own = NaN, nats = NaN, ...rest] = cores;
  const meshruns = rest.reduce((sum, each) => sum + each, 0);
  const size = (residentBytes(agent) / 2 ** 20).toFixed(0);
  await mesh.ok('stop', run, '--now');
  await mesh.archived(run, 300_000);
  return `${rowOf(own, lines)}, ${size} MiB; server ${percent(nats)}, meshruns ${percent(meshruns)} together`;
}

async function ofFloor(
  mesh: TestMesh,
  { script, floorScript, burst }: { script: string; floorScript: string; burst: number },
): Promise<string> {
  const mark = `benchmesh-floor-${burst}`;
  const argv = [floorScript, script, mark, String(burst), join(mesh.home, mark), mesh.home];
  const floor = spawn(process.execPath, argv, { stdio: 'inherit' });
  const pid = floor.pid ?? NaN;
  const children = (): number[] => processesMarked(mark).filter((each) => each !== pid);
  try {
    await until(() => children().length === CHILDREN, 'the children of the floor', 120_000);
    await mesh.file(mark, '');
    await setTimeout(SETTLE_MS);
    const { cores, lines } = await measured([pid], children());
    return rowOf(cores[0] ?? NaN, lines);
  } finally {
    for (const each of processesMarked(mark)) process.kill(each, 'SIGKILL');
    await until(() => processesMarked(mark).length === 0, 'the floor to end', 10_000);
    for (let i = 0; i < CHILDREN; i += 1) await rm(join(mesh.home, `floor.${i}`), { force: true });
  }
}

interface Measured {
  /** Of a core, each. */
  readonly cores: readonly number[];
  /** A second, of all children: a busy machine lets them write less than they would. */
  readonly lines: number;
}

async function measured(pids: readonly number[], children: readonly number[]): Promise<Measured> {
  const written = (): number => children.reduce((sum, pid) => sum + writtenBytes(pid), 0);
  const [cpu, bytes, begun] = [pids.map(cpuSeconds), written(), performance.now()];
  await setTimeout(SECONDS * 1_000);
  const seconds = (performance.now() - begun) / 1_000;
  return {
    cores: pids.map((pid, at) => (cpuSeconds(pid) - (cpu[at] ?? 0)) / seconds),
    lines: (written() - bytes) / LINE_BYTES / seconds,
  };
}

function rowOf(cores: number, lines: number): string {
  const rate = `${(lines / 1_000).toFixed(0)},000 lines/s`;
  return `${percent(cores)} of a core for ${rate}: ${((cores / lines) * 1e6).toFixed(1)} us a line`;
}

function percent(cores: number): string {
  return `${(cores * 100).toFixed(1)}%`;
}
