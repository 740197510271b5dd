import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuthorizationError } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAuthError, isNewEnough } from '#protocol/nats/connection.ts';
import { createNkeyFile, parseCredential, readCredential } from '#protocol/nats/credential.ts';
import { tryLock } from '#protocol/runtime/folder-lock.ts';
import { streamConfigs } from '#protocol/nats/streams/stream-configs.ts';
import { compareConfig } from '#protocol/nats/streams/streams.ts';
import { filters, subjects } from '#protocol/messages/subjects.ts';

describe('server version', () => {
  it.each(['2.11.0', '2.11.6', 'v2.12.1', '2.14.3-beta', '3.0.0'])(
    '%s is new enough',
    (version) => {
      expect(isNewEnough(version)).toBe(true);
    },
  );
  it.each(['2.10.27', '2.9.10', '1.99.0', 'unknown', ''])('%s is not', (version) => {
    expect(isNewEnough(version)).toBe(false);
  });
});

describe('in a folder', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'benchmesh-pieces-'));
  });
  afterEach(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  it('an nkey file is read back, a wrong file is named without its content', async () => {
    const file = join(dir, 'credential');
    await createNkeyFile(file);
    expect((await readCredential(file)).kind).toBe('nkey');
    await writeFile(file, 'secret nonsense');
    await expect(readCredential(file)).rejects.toMatchObject({ code: 'config_invalid' });
    await expect(readCredential(file)).rejects.not.toThrow('secret');
    expect(parseCredential('{"user":"u","password":"p"}')).toEqual({
      kind: 'password',
      user: 'u',
      password: 'p',
    });
  });

  it('a lock has one holder, however many ask at once, and is free when released', async () => {
    for (let round = 0; round < 20; round += 1) {
      const attempts = await Promise.all(Array.from({ length: 8 }, () => tryLock(dir, 'lock')));
      const held = attempts.flatMap((attempt) => (attempt.kind === 'held' ? [attempt.lock] : []));
      expect(held.length).toBe(1);
      expect((await tryLock(dir, 'lock')).kind).toBe('busy');
      await held[0]?.release();
    }
  });

  it('the lock of a dead process is overtaken', async () => {
    await writeFile(
      join(dir, 'lock.7'),
      JSON.stringify({ pid: 999_999_999, startTime: 'x', released: false }),
    );
    await writeFile(join(dir, 'lock.8'), '{"torn');
    expect((await tryLock(dir, 'lock')).kind).toBe('held');
  });

  it('the lock of another process that got the same pid is overtaken', async () => {
    await writeFile(
      join(dir, 'lock.1'),
      JSON.stringify({ pid: process.pid, startTime: 'earlier', released: false }),
    );
    expect((await tryLock(dir, 'lock')).kind).toBe('held');
  });
});

describe('stream configs', () => {
  const configs = streamConfigs({ totalBytes: 1e9 });

  it('ask for no more than there is', () => {
    const sum = configs.reduce((total, config) => total + (config.max_bytes ?? 0), 0);
    expect(sum).toBeLessThanOrEqual(1e9);
  });

  it('take every subject the mesh publishes, each in one stream', () => {
    const ref = { run: 'r', task: 't', n: 1 };
    const stored = [
      subjects.command('a', 'start', 'r'),
      subjects.stop(),
      subjects.commandEpoch(),
      subjects.attemptEvents('a', ref),
      subjects.hostEvents('a'),
      subjects.ack('a', 'c'),
      subjects.run('r'),
      subjects.task('r', 't'),
      subjects.fleet('a'),
      subjects.eventEpoch(),
      subjects.log('a', ref),
      subjects.metrics('a', ref),
      subjects.file('a', { run: 'r', sha256: 'f'.repeat(64) }, 0),
    ];
    for (const subject of stored) {
      const takers = configs.filter((config) =>
        config.subjects.some((pattern) => matches(pattern, subject)),
      );
      expect(
        takers.map(({ name }) => name),
        subject,
      ).toHaveLength(1);
    }
    expect(filters.mailbox('a')).toHaveLength(2);
  });

  it('differ where a field differs, and only there', () => {
    const asked = { name: 'S', subjects: ['a', 'b'], allow_direct: true, max_bytes: 5 };
    expect(compareConfig(asked, { ...asked, subjects: ['b', 'a'], max_msgs: 7 })).toEqual([]);
    expect(compareConfig(asked, { ...asked, allow_direct: false, max_bytes: 6 })).toEqual([
      { stream: 'S', field: 'allow_direct', asked: true, got: false, breaks: true },
      { stream: 'S', field: 'max_bytes', asked: 5, got: 6, breaks: false },
    ]);
  });
});

describe('what a server says of a credential', () => {
  it('is a refusal when it has looked at it, and none when it had no time to', () => {
    expect(isAuthError(new AuthorizationError("'Authorization Violation'"))).toBe(true);
    expect(isAuthError(new AuthorizationError("'Authentication Timeout'"))).toBe(false);
    expect(isAuthError(new Error('connection refused'))).toBe(false);
  });
});

function matches(pattern: string, subject: string): boolean {
  const want = pattern.split('.');
  const have = subject.split('.');
  const open = want.at(-1) === '>';
  if (open ? have.length < want.length : have.length !== want.length) return false;
  return want.every((token, index) => token === '*' || token === '>' || token === have[index]);
}
