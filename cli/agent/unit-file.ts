/**
 * The systemd unit of the agent, as lines. Pure.
 *
 * 1. systemd never ends an attempt: only the agent gets the signal, and none is ever killed for
 *    taking its time. What the agent leaves running is adopted when it starts again (I8).
 * 2. `stop` drains. `reload` is how a new version or config is taken: the agent ends at once, is
 *    started again, and adopts.
 */
import { EXIT } from '#protocol/messages/errors.ts';

export interface UnitInput {
  /** Absolute paths: systemd has no PATH of a login. */
  readonly node: string;
  readonly program: string;
  readonly config: string | null;
  readonly isUser: boolean;
}

/** Waiting mends neither a wrong command line or config, nor a credential that is refused. */
export const NOT_MENDED: readonly number[] = [EXIT.usage, EXIT.notPermitted];

export function unitFile({ node, program, config, isUser }: UnitInput): string[] {
  const command = [
    ...[node, '--max-semi-space-size=2', program, 'agent', 'run'],
    ...(config === null ? [] : ['--config', config]),
  ];
  return [
    '# Printed by: benchmesh agent unit. stop drains, reload starts it again and adopts what runs.',
    '[Unit]',
    'Description=benchmesh agent',
    ...(isUser ? [] : ['Wants=network-online.target', 'After=network-online.target']),
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    `ExecStart=${command.map(quoted).join(' ')}`,
    'ExecReload=/bin/kill -USR2 $MAINPID',
    ...(isUser
      ? ['EnvironmentFile=-%E/benchmesh/agent.env']
      : [
          'EnvironmentFile=-/etc/default/benchmesh-agent',
          'Environment=BENCHMESH_HOME=/var/lib/benchmesh',
          'StateDirectory=benchmesh',
        ]),
    'Restart=always',
    'RestartSec=2',
    `RestartPreventExitStatus=${NOT_MENDED.join(' ')}`,
    '# Benchmarks outlive the agent: only the agent is signalled, and nothing is killed for being slow.',
    'KillMode=process',
    'KillSignal=SIGTERM',
    'TimeoutStopSec=infinity',
    'SendSIGKILL=no',
    'Delegate=yes',
    'OOMPolicy=continue',
    'TasksMax=infinity',
    'LimitNOFILE=1048576',
    '',
    '[Install]',
    `WantedBy=${isUser ? 'default.target' : 'multi-user.target'}`,
  ];
}

/** A word of ExecStart: % and $ mean something there, and so do spaces, quotes and backslashes. */
function quoted(word: string): string {
  const escaped = word
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('%', '%%')
    .replaceAll('$', '$$$$');
  return /^[\w@+=:,./%-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}
