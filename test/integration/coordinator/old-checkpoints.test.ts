/**
 * Checkpoints in BM_FILES, with a real agent: what newer ones have replaced is removed, what is still
 * referred to stays, also where a later checkpoint has the content of an earlier one again.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { filters, parseSubject } from '#protocol/messages/subjects.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import { parseSuite } from '#protocol/suite/parse-suite.ts';
import { spawnAgent, type AgentProcess } from '#test/integration/agent/support/agent-process.ts';
import { until } from '#test/support/until.ts';
import { openBench, type CoordinatorBench } from './bench.ts';

const AGENT = 'a1';
/** Contents in their order; each is stored before the next is written. */
const CONTENTS = ['one', 'two', 'three', 'one', 'four', 'five', 'six', 'five'];
const KEPT = 2;

let bench: CoordinatorBench;
let dir: string;
let agent: AgentProcess;
beforeAll(async () => {
  bench = await openBench();
  await bench.coordinator();
  dir = await mkdtemp(join(tmpdir(), 'benchmesh-old-checkpoints-'));
  const { url, credentialFile } = bench.server;
  const flags = ['--id', AGENT, '--state', join(dir, 'state'), '--server', url];
  agent = spawnAgent([...flags, '--credential', credentialFile]);
});
afterAll(async () => {
  agent.child.kill('SIGKILL');
  await agent.exited;
  await bench.close();
  await rm(dir, { recursive: true, force: true });
});

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Hashes of what is stored of a run. */
async function storedOf(run: string): Promise<string[]> {
  const found = new Set<string>();
  await readAll(bench.connection, { stream: 'BM_FILES', filters: ['bm.v1.file.>'] }, (message) => {
    const parsed = parseSubject(message.subject);
    if (parsed?.kind === 'file' && parsed.run === run) found.add(parsed.sha256);
  });
  return [...found].sort();
}

it('keeps the last two of them and no other', async () => {
  // It writes the next content when it is told to.
  const script = `for content in ${CONTENTS.join(' ')}; do
  until [ -e ${dir}/go-$content-$((i=i+1)) ]; do i=$((i-1)); sleep 0.02; done
  printf %s "$content" > state.new; mv state.new state
done
until [ -e ${dir}/end ]; do sleep 0.02; done`;
  const text = JSON.stringify({
    name: 'kept',
    run: { shell: script },
    checkpoint: { files: ['state'], every: '100ms', keep: KEPT },
  });
  const parsed = parseSuite({ text, file: 'kept.json', dir });
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems));
  const { run } = await bench.submit(parsed.suite);

  const taken: string[] = [];
  for (const [at, content] of CONTENTS.entries()) {
    await writeFile(join(dir, `go-${content}-${at + 1}`), '');
    const records = await until(
      async () => {
        const found = (await bench.events([filters.attemptEventsOf(run)])).filter(
          ({ message }) => message.name === 'attempt.checkpointed',
        );
        return found.length > at ? found : null;
      },
      `checkpoint ${at + 1}`,
    );
    const { message } = records[at] ?? {};
    if (message?.name === 'attempt.checkpointed')
      taken.push(...message.data.files.map(({ sha256 }) => sha256));
  }
  expect(taken).toEqual(CONTENTS.map(hashOf));

  const last = CONTENTS.slice(-KEPT).map(hashOf).sort();
  await until(
    async () => (await storedOf(run)).join() === last.join(),
    'the last two and no other',
  );
  await writeFile(join(dir, 'end'), '');
});
