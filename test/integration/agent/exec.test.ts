/** Commands on an agent's host: permitted or refused, recorded, bounded, and nothing of them left. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExecReply } from '#protocol/messages/agent/agent-api.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { call } from '#protocol/nats/rpc.ts';
import { processesWithEnvironment } from '#test/support/processes.ts';
import { AGENT, startTestMesh, type TestMesh } from './support/agent-process.ts';

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startTestMesh();
  await mesh.start(['--exec', 'sh *; nothing-of-that-name; /etc/passwd; uname -a']);
});
afterAll(async () => {
  await mesh.close();
});

async function exec(argv: readonly string[], timeoutMs = 10_000): Promise<ExecReply> {
  const body = { by: 'tester', argv, timeoutMs };
  return ExecReply.parse(await call(mesh.connection, `${AGENT}.exec`, body, 20_000));
}

async function refused(argv: readonly string[], timeoutMs?: number): Promise<MeshError> {
  const error = await exec(argv, timeoutMs).catch((thrown: unknown) => thrown);
  if (error instanceof MeshError) return error;
  throw new Error(`it was not refused: ${JSON.stringify(error)}`);
}

const bytes = (text: string): Buffer => Buffer.from(text, 'base64');

test('gives back both streams byte for byte and the exit status, and is recorded', async () => {
  const script = "printf '\\377\\0a'; echo no >&2; env | grep -c '^BENCHMESH_[^E]'; exit 7";
  const reply = await exec(['sh', '-c', script]);
  expect(reply.end).toEqual({ kind: 'exited', code: 7, signal: null });
  expect(bytes(reply.stdout)).toEqual(Buffer.from('\xff\0a0\n', 'latin1'));
  expect(bytes(reply.stderr).toString()).toBe('no\n');
  const isIt = ({ id }: { readonly id: string }): boolean => id === reply.id;
  const started = await mesh.wait('agent.exec_started', isIt);
  expect(started.data).toEqual({ id: reply.id, by: 'tester', argv: ['sh', '-c', script] });
  expect((await mesh.wait('agent.exec_ended', isIt)).data).toMatchObject({
    by: 'tester',
    end: reply.end,
    stdoutBytes: 5,
    stderrBytes: 3,
    survivors: [],
  });
});

test('refuses what no rule permits, says what is, and records it', async () => {
  const error = await refused(['uname', '-r']);
  expect(error.code).toBe('not_permitted');
  expect(error.message).toBe('agent a1 does not permit this command: it permits "uname -a"');
  const event = await mesh.wait('agent.exec_refused');
  expect(event.data).toMatchObject({ by: 'tester', argv: ['uname', '-r'] });
  expect(mesh.find('agent.exec_started', ({ argv }) => argv[0] === 'uname')).toEqual([]);
});

test.each([
  ['no words', []],
  ['a NUL', ['sh', '-c', 'a\0b']],
  ['too many characters', ['sh', '-c', 'x'.repeat(5_000)]],
])('refuses %s', async (_what, argv) => {
  expect((await refused(argv)).code).toBe('usage');
});

test('refuses more time than there is', async () => {
  expect((await refused(['sh', '-c', 'true'], 60_001)).code).toBe('usage');
});

test('says what cannot be started', async () => {
  expect((await exec(['nothing-of-that-name'])).end.kind).toBe('not_found');
  const { end, reason } = await exec(['/etc/passwd']);
  expect(end.kind).toBe('not_started');
  expect(reason).toContain('EACCES');
});

test('leaves nothing: not after its time, not in another session, not behind a double fork', async () => {
  const script = "(setsid sh -c 'sleep 321 & sleep 322' &) ; trap '' TERM; echo begun; sleep 323";
  const cut = await exec(['sh', '-c', script], 300);
  expect(cut.end).toEqual({ kind: 'timed_out', code: null, signal: null });
  expect(bytes(cut.stdout).toString()).toBe('begun\n');
  expect(cut.survivors).toEqual([]);
  expect(processesWithEnvironment('BENCHMESH_EXEC', cut.id)).toEqual([]);
  const ended = await exec(['sh', '-c', "setsid sh -c 'sleep 321 & sleep 322' & sleep 0.1"]);
  expect(ended.end.code).toBe(0);
  expect(processesWithEnvironment('BENCHMESH_EXEC', ended.id)).toEqual([]);
});

test('is ended where it writes too much', async () => {
  const { end, stdout } = await exec(['sh', '-c', 'while :; do echo 0123456789; done']);
  expect(end.kind).toBe('too_much_output');
  expect(bytes(stdout)).toHaveLength(256 * 1024);
});

test('runs a few at a time', async () => {
  const all = await Promise.allSettled(
    Array.from({ length: 6 }, () => exec(['sh', '-c', 'sleep 0.5'])),
  );
  const failed = all.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  expect(failed.map((error) => (error as MeshError).code)).toEqual(['busy', 'busy']);
});
