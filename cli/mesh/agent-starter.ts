/**
 * Starts the supervised agent, below a process that takes in orphans where there can be one.
 *
 *   supervisor -- "start ..." --> reaper (perl, a subreaper) --fork, exec--> agent --> meshrun --> ...
 *              <- "started", "exited" --
 *
 * 1. Helpers of attempts outlive an agent that dies, and need a parent that reaps them at their end:
 *    in a container that is often a PID 1 which never does, or this program itself, and Node can wait
 *    for no process it did not start. So a few lines of perl, which Debian and Ubuntu always have, stand
 *    between. It waits for its own children only, so it never takes a status from the agent.
 * 2. Without perl the agent is started directly; that is said, and everything else is the same.
 * 3. If this program dies, the agent leaves: its end of the pipe, or of the channel, is closed.
 * 4. All of it has a session of its own: a Ctrl-C comes here only, and is passed on once.
 */
import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { MeshError } from '#protocol/messages/errors.ts';
import { programFile } from './programs.ts';
import { NODE_FLAGS } from './spawn-part.ts';

export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface StartedAgent {
  kill(name: NodeJS.Signals): void;
  readonly exited: Promise<ChildExit>;
}

export interface AgentStarter {
  /** False: orphans are left to whoever is PID 1. */
  readonly reaps: boolean;
  start(args: readonly string[]): Promise<StartedAgent>;
  close(): void;
}

/** prctl(2), by Node's name of the architecture. */
const PRCTL: Partial<Readonly<Record<string, string>>> = { x64: '157', arm64: '167' };

/** Arguments: number of prctl. Lines in: `start <hex of words, a NUL between them>`. */
const REAPER = String.raw`
use strict; use warnings; use POSIX qw(:sys_wait_h setsid);
my ($prctl) = @ARGV;
exit 1 if syscall($prctl + 0, 36, 1, 0, 0, 0) != 0;
$| = 1;
my @ignored = qw(HUP INT TERM USR2);
$SIG{$_} = 'IGNORE' for @ignored;
$SIG{CHLD} = sub { };
print "ready\n";
my ($agent, $text, $open) = (0, '', 1);
while (1) {
  while ((my $pid = waitpid(-1, WNOHANG)) > 0) {
    next if $pid != $agent;
    $agent = 0;
    print 'exited ', ($? & 127) ? '- ' . ($? & 127) : ($? >> 8) . ' -', "\n";
  }
  last if !$open && !$agent;
  my $ready = '';
  vec($ready, 0, 1) = 1 if $open;
  next if select($ready, undef, undef, 5) <= 0;
  my $count = sysread(STDIN, $text, 65536, length $text);
  next if !defined $count;
  if ($count == 0) { $open = 0; kill 'USR2', $agent if $agent; next }
  while ($text =~ s/^start (\w+)\n//) {
    my @words = split /\0/, pack('H*', $1);
    $agent = fork;
    if (!defined $agent) { $agent = 0; print "exited 1 -\n"; next }
    if ($agent == 0) {
      $SIG{$_} = 'DEFAULT' for @ignored, 'CHLD';
      open STDIN, '<', '/dev/null'; open STDOUT, '>&', \*STDERR;
      exec { $words[0] } @words or exit 127;
    }
    print "started $agent\n";
  }
}`;

export async function openStarter(): Promise<AgentStarter> {
  return (await openReaper()) ?? { reaps: false, start: startDirectly, close: () => undefined };
}

function commandOf(args: readonly string[]): string[] {
  return [process.execPath, ...NODE_FLAGS, programFile('agent'), ...args];
}

async function openReaper(): Promise<AgentStarter | null> {
  const prctl = PRCTL[process.arch];
  if (prctl === undefined || process.platform !== 'linux') return null;
  const child = spawn('perl', ['-e', REAPER, prctl], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  // Said where it matters: the reaper's end is the agent's.
  child.stdin.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const isReady = await Promise.race([
    once(child, 'error').then(() => false),
    lines.next().then(({ value }) => value === 'ready'),
  ]);
  return isReady ? new Reaper(child, lines) : null;
}

class Reaper implements AgentStarter {
  readonly reaps = true;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcessByStdio<Writable, Readable, null>, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  async start(args: readonly string[]): Promise<StartedAgent> {
    const words = Buffer.from(commandOf(args).join('\0')).toString('hex');
    this.#child.stdin.write(`start ${words}\n`);
    const [said, pid] = (await this.#line()).split(' ');
    if (said !== 'started')
      throw new MeshError('start_failed', 'the agent cannot be started: fork');
    const agent = Number(pid);
    return {
      kill: (name) => {
        sendSignal(agent, name);
      },
      exited: this.#exit(agent),
    };
  }

  close(): void {
    this.#child.stdin.end();
  }

  async #exit(agent: number): Promise<ChildExit> {
    const [said, code = '-', number = '-'] = (await this.#line()).split(' ');
    if (said !== 'exited') {
      // The reaper was killed: the agent leaves, so that the next one may have its folder.
      sendSignal(agent, 'SIGUSR2');
      throw new MeshError('start_failed', 'the process that takes in orphans was killed');
    }
    return { code: code === '-' ? null : Number(code), signal: signalName(Number(number)) };
  }

  async #line(): Promise<string> {
    const next = await this.#lines.next();
    return next.done === true ? '' : next.value;
  }
}

async function startDirectly(args: readonly string[]): Promise<StartedAgent> {
  const [program = '', ...rest] = commandOf(args);
  const child = spawn(program, rest, {
    // The agent hears by the channel when this process is gone.
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  const exited = exitOf(child);
  await Promise.race([once(child, 'spawn'), exited]);
  return {
    kill: (name) => {
      child.kill(name);
    },
    exited,
  };
}

function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      reject(new MeshError('start_failed', `the agent did not start: ${error.message}`, error));
    });
    child.on('exit', (code, signal) => {
      resolve({ code, signal });
    });
  });
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already: its exit is on the way.
  }
}

function signalName(number: number): string | null {
  const found = Object.entries(constants.signals).find(([, value]) => value === number);
  return found?.[0] ?? null;
}
