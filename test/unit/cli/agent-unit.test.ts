/** The systemd unit, and what the supervisor does where there is no systemd. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { afterExit, type Asked } from '#cli/agent/restart-policy.ts';
import { unitFile } from '#cli/agent/unit-file.ts';

const INPUT = { node: process.execPath, program: '/opt/b/benchmesh.js', config: null };

describe('the unit', () => {
  it('starts the program as it is installed, with words that mean something to systemd quoted', () => {
    const config = '/etc/my "files"/100% $HOME/agent.yaml';
    const exec = (isUser: boolean): string | undefined =>
      unitFile({ ...INPUT, node: '/usr/bin/node', config, isUser }).find((line) =>
        line.startsWith('ExecStart='),
      );
    expect(exec(false)).toBe(
      'ExecStart=/usr/bin/node --max-semi-space-size=2 /opt/b/benchmesh.js agent run --config "/etc/my \\"files\\"/100%% $$HOME/agent.yaml"',
    );
  });

  it('never ends an attempt, and gives up only what waiting cannot mend', () => {
    for (const isUser of [false, true]) {
      expect(unitFile({ ...INPUT, isUser })).toEqual(
        expect.arrayContaining([
          'KillMode=process',
          'TimeoutStopSec=infinity',
          'SendSIGKILL=no',
          'Delegate=yes',
          'Restart=always',
          'RestartPreventExitStatus=2 4',
          'ExecReload=/bin/kill -USR2 $MAINPID',
          `WantedBy=${isUser ? 'default.target' : 'multi-user.target'}`,
        ]),
      );
    }
  });

  const isThere = spawnSync('systemd-analyze', ['--version']).error === undefined;
  it.skipIf(!isThere).each([false, true])(
    `systemd-analyze verify finds nothing${isThere ? '' : ' (skipped: no systemd-analyze here)'}, for a user: %s`,
    (isUser) => {
      const dir = mkdtempSync(join(tmpdir(), 'benchmesh-unit-'));
      try {
        const file = join(dir, 'benchmesh-agent.service');
        const config = resolve('examples/agent.yaml');
        writeFileSync(file, `${unitFile({ ...INPUT, config, isUser }).join('\n')}\n`);
        const level = isUser ? ['--user'] : [];
        const { status, stderr } = spawnSync('systemd-analyze', [...level, 'verify', file], {
          encoding: 'utf8',
          // Else it looks for the runtime folder of a login.
          env: { ...process.env, XDG_RUNTIME_DIR: dir },
        });
        expect([status, stderr]).toEqual([0, '']);
      } finally {
        rmSync(dir, { recursive: true });
      }
    },
  );
});

describe('a supervised agent that has ended', () => {
  const next = (
    exit: { code?: number; signal?: string; livedMs?: number },
    asked: Asked = 'nothing',
    failures = 0,
  ): string => {
    const { code = null, signal = null, livedMs = 1_000 } = exit;
    const decided = afterExit(
      { exit: { code, signal, livedMs }, asked, failures },
      constants.signals,
    );
    return decided.kind === 'end'
      ? `end ${decided.status}`
      : `again ${decided.afterMs} ${decided.failures}`;
  };

  it.each([
    [{ signal: 'SIGKILL' }, 'nothing', 0, 'again 1000 1'],
    [{ code: 1 }, 'nothing', 3, 'again 8000 4'],
    [{ code: 1 }, 'nothing', 60, 'again 30000 61'],
    [{ code: 1, livedMs: 60_000 }, 'nothing', 7, 'again 1000 1'],
    [{ code: 0 }, 'nothing', 0, 'again 1000 1'],
    [{ code: 0 }, 'renew', 5, 'again 0 0'],
    [{ code: 2 }, 'nothing', 0, 'end 2'],
    [{ code: 4 }, 'nothing', 0, 'end 4'],
    [{ code: 0 }, 'end', 0, 'end 0'],
    [{ code: 8 }, 'end', 0, 'end 8'],
    [{ signal: 'SIGKILL' }, 'end', 0, 'end 137'],
  ] as const)('%j, asked for %s, %d before: %s', (exit, asked, failures, wanted) => {
    expect(next(exit, asked, failures)).toBe(wanted);
  });
});
