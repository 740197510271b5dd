/** From a child's write to `logs -f`: 100 lines, of Node and of Python with its own buffering. */
import { spawnSync } from 'node:child_process';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';
import { ms, printRows, summarise, type Summary } from './figures.ts';

const LINES = 100;

const PROGRAMS: Readonly<Record<string, { file: string; argv: string; text: string }>> = {
  node: {
    file: 'ticks.mjs',
    argv: '[node, ./ticks.mjs]',
    text: `import { setTimeout } from 'node:timers/promises';
await setTimeout(1500);
for (let i = 0; i < ${LINES}; i += 1) { console.log('tick ' + Date.now()); await setTimeout(40); }
`,
  },
  python: {
    file: 'ticks.py',
    argv: '[python3, ./ticks.py]',
    text: `import time
time.sleep(1.5)
for i in range(${LINES}):
    print("tick", int(time.time() * 1000))
    time.sleep(0.04)
`,
  },
};

export async function logLatency(): Promise<void> {
  const mesh = await TestMesh.create({ PYTHONUNBUFFERED: undefined });
  try {
    await mesh.up();
    for (const [name, program] of Object.entries(PROGRAMS)) {
      if (spawnSync(name === 'python' ? 'python3' : name, ['--version']).status !== 0) {
        console.log(`  (${name} is not installed)`);
        continue;
      }
      printRows([[`${name}, ${LINES} lines, write to logs -f`, ms(await latency(mesh, program))]]);
    }
  } finally {
    await mesh.dispose();
  }
}

async function latency(
  mesh: TestMesh,
  program: { file: string; argv: string; text: string },
): Promise<Summary> {
  await mesh.file(program.file, program.text);
  const run = await mesh.submit(
    await mesh.file('ticks.yaml', `name: ticks\nrun: ${program.argv}\n`),
  );
  const follow = mesh.start(['logs', run, '-f', '--raw']);
  const seen: number[] = [];
  let rest = '';
  follow.process.stdout?.on('data', (bytes: Buffer) => {
    const now = Date.now();
    const lines = (rest + bytes.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const written = /^tick (\d+)$/.exec(line)?.[1];
      if (written !== undefined) seen.push(now - Number(written));
    }
  });
  await follow.ended;
  await until(() => seen.length === LINES, `${LINES} lines, saw ${seen.length}`, 1000);
  return summarise(seen);
}
