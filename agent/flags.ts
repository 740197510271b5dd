/** The flags of the agent's program. `benchmesh agent run` makes them from its config file and more. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Accepts } from '#protocol/messages/agent/accepts.ts';
import { isCpuList } from '#protocol/messages/agent/cpu-list.ts';
import { EXIT } from '#protocol/messages/errors.ts';
import { DEFAULT_EXEC_RULES, readExecPolicy } from '#protocol/messages/agent/exec-policy.ts';
import { isToken } from '#protocol/messages/ids.ts';
import { readLabels, type Labels } from '#protocol/messages/agent/labels.ts';
import { readAccepts } from '#protocol/suite/accepts-form.ts';
import { parseDuration, parseSize } from '#protocol/suite/units.ts';
import type { OnTerm } from './end-policy.ts';

const DAY_MS = 86_400_000;
const LIMIT_LEAST_BYTES = 16 * 1024 ** 2;

export interface Flags {
  readonly id: string;
  readonly state: string;
  readonly server: string;
  readonly credential?: string;
  readonly slots?: number;
  readonly reservedCpus?: string;
  readonly rung: 'auto' | 'cgroup' | 'subreaper' | 'scan';
  readonly label: readonly string[];
  readonly exec?: string;
  readonly accepts?: Accepts;
  readonly refresh: number;
  readonly logFile?: string;
  readonly connectTimeout?: number;
  readonly onTerm: OnTerm;
  /** In bytes, as the next. */
  readonly spoolLimit?: number;
  readonly journalLimit?: number;
  readonly keepDays: number;
  readonly stderrLog?: boolean;
}

export function parseFlags(argv: readonly string[]): Flags {
  const program = new Command('benchmesh-agent')
    .description('The process on a host that runs attempts and answers for them.')
    .requiredOption('--id <id>', 'agent id: 1 to 64 of A-Z a-z 0-9 _ -', parseId)
    .requiredOption('--state <dir>', "state folder, this agent's alone")
    .requiredOption('--server <url>', 'nats-server, for example nats://127.0.0.1:4222')
    .option('--credential <file>', 'file with an nkey seed or user and password')
    .option('--slots <n>', 'slots it offers (default: one for each CPU it may use)', parseSlots)
    .option('--reserved-cpus <list>', 'CPUs for itself alone, such as 0-1,8', parseCpus)
    .addOption(
      new Option('--rung <rung>', 'how processes are supervised')
        .choices(['auto', 'cgroup', 'subreaper', 'scan'])
        .default('auto'),
    )
    .option('--label <key=value>', 'a label of this agent; repeatable', collect, [])
    .option('--exec <rules>', 'commands it runs for whoever asks, or off', parseExec)
    .option('--accepts <rules>', 'what it takes at all, as a map', parseAccepts)
    .option('--refresh <duration>', 'between two looks at the host', parseRefresh, 60_000)
    .option('--log-file <file>', 'its own log (default: agent.log in the state folder)')
    .option('--connect-timeout <duration>', 'give a silent server up after this', parseTimeout)
    .addOption(
      new Option('--on-term <what>', 'on the first SIGTERM or SIGINT: wait for what runs, or not')
        .choices(['drain', 'leave'])
        .default('leave'),
    )
    .option('--spool-limit <size>', 'undelivered log bytes of the whole host', parseBytes)
    .option('--journal-limit <size>', 'the journal of events on disk', parseBytes)
    .option('--keep-days <n>', 'folders of a run that nobody released', parseDays, 7)
    .option('--stderr-log', 'its log on standard error too, to be read by people');
  program.configureOutput({
    outputError: (text, write) => {
      write(text.replace(/^error: /, 'benchmesh-agent: '));
    },
  });
  program.exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage));
  return program.parse([...argv]).opts<Flags>();
}

/** Each was checked as it was read. */
export function labelsOf(texts: readonly string[]): Labels {
  const read = readLabels(texts);
  return read.kind === 'labels' ? read.labels : {};
}

/** It was checked as it was read. */
export function execRulesOf(text: string | undefined): readonly string[] {
  if (text === undefined) return DEFAULT_EXEC_RULES;
  const read = readExecPolicy(text);
  return read.kind === 'rules' ? read.rules : [];
}

function parseExec(text: string): string {
  const read = readExecPolicy(text);
  if (read.kind === 'rules') return text;
  throw new InvalidArgumentError(read.reason);
}

function parseAccepts(text: string): Accepts {
  const read = readAccepts(text);
  if (read.kind === 'accepts') return read.accepts;
  throw new InvalidArgumentError(read.reason);
}

function parseId(text: string): string {
  if (isToken(text)) return text;
  throw new InvalidArgumentError('it must be 1 to 64 of A-Z a-z 0-9 _ - and not "all"');
}

function parseSlots(text: string): number {
  const slots = Number(text);
  if (Number.isInteger(slots) && slots >= 1 && slots <= 4096) return slots;
  throw new InvalidArgumentError('it must be a whole number from 1 to 4096');
}

function parseCpus(text: string): string {
  if (isCpuList(text)) return text;
  throw new InvalidArgumentError('it must be a list of CPUs such as 0-1,8');
}

function collect(text: string, before: readonly string[]): string[] {
  const all = [...before, text];
  const read = readLabels(all);
  if (read.kind === 'wrong') throw new InvalidArgumentError(read.reason);
  return all;
}

function parseRefresh(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null && ms >= 1_000 && ms <= DAY_MS) return ms;
  throw new InvalidArgumentError('it must be a duration from 1s to 24h');
}

function parseBytes(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== null && bytes >= LIMIT_LEAST_BYTES) return bytes;
  throw new InvalidArgumentError('it must be a size of at least 16MiB');
}

function parseDays(text: string): number {
  const days = Number(text);
  if (Number.isInteger(days) && days >= 1 && days <= 3650) return days;
  throw new InvalidArgumentError('it must be a whole number from 1 to 3650');
}

function parseTimeout(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null && ms > 0 && ms <= DAY_MS) return ms;
  throw new InvalidArgumentError('it must be a duration of more than 0 and up to 24h');
}
