/**
 * The agent process: flags, its log, its end. One clear line on stderr and the error's exit status
 * when it cannot start; SIGTERM and SIGINT end it in order, what runs goes on (I8).
 */
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { EXIT, MeshError, toError } from '#protocol/messages/errors.ts';
import { isToken } from '#protocol/messages/ids.ts';
import { readLabels, type Labels } from '#protocol/messages/labels.ts';
import { parseDuration } from '#protocol/suite/units.ts';
import { startAgent, type RunningAgent } from './agent.ts';
import { openFileLog, type FileLog } from '#protocol/runtime/pino-log.ts';
import { openStateFolder } from './state/state-folder.ts';

const DAY_MS = 86_400_000;

interface Flags {
  readonly id: string;
  readonly state: string;
  readonly server: string;
  readonly credential?: string;
  readonly slots?: number;
  readonly rung: 'auto' | 'cgroup' | 'subreaper' | 'scan';
  readonly label: readonly string[];
  readonly refresh: number;
  readonly logFile?: string;
}

function parseFlags(argv: readonly string[]): Flags {
  const program = new Command('benchmesh-agent')
    .description('The process on a host that runs attempts and answers for them.')
    .requiredOption('--id <id>', 'agent id: 1 to 64 of A-Z a-z 0-9 _ -', parseId)
    .requiredOption('--state <dir>', "state folder, this agent's alone")
    .requiredOption('--server <url>', 'nats-server, for example nats://127.0.0.1:4222')
    .option('--credential <file>', 'file with an nkey seed or user and password')
    .option('--slots <n>', 'slots it offers (default: one for each CPU it may use)', parseSlots)
    .addOption(
      new Option('--rung <rung>', 'how processes are supervised')
        .choices(['auto', 'cgroup', 'subreaper', 'scan'])
        .default('auto'),
    )
    .option('--label <key=value>', 'a label of this agent; repeatable', collect, [])
    .option('--refresh <duration>', 'between two looks at the host', parseRefresh, 60_000)
    .option('--log-file <file>', 'its own log (default: agent.log in the state folder)');
  program.configureOutput({
    outputError: (text, write) => {
      write(text.replace(/^error: /, 'benchmesh-agent: '));
    },
  });
  program.exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage));
  return program.parse([...argv]).opts<Flags>();
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

async function main(flags: Flags): Promise<void> {
  const folder = await openStateFolder(flags.state, flags.id);
  const logFile =
    flags.logFile === undefined ? join(folder.dir, 'agent.log') : resolve(flags.logFile);
  const ownLog = openLog(logFile, flags.id);
  const { log } = ownLog;
  const abort = new AbortController();
  let agent: RunningAgent | null = null;
  const state: { ending: Promise<void> | null } = { ending: null };

  const end = async (reason: string): Promise<void> => {
    abort.abort();
    await agent?.close(reason);
    await folder.lock.release();
    ownLog.close();
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    state.ending ??= end(signal).then(() => process.exit(0), fail);
  };
  const onFatal = (error: MeshError): void => {
    log.error({ err: error }, 'agent must end');
    state.ending ??= end(error.message).finally(() => {
      fail(error);
    });
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', () => undefined);
  process.on('uncaughtException', (error) => {
    onFatal(new MeshError('internal', `a defect ended the agent: ${error.message}`, error));
  });

  const { url, credentialFile } = {
    url: flags.server,
    credentialFile: flags.credential === undefined ? null : resolve(flags.credential),
  };
  const { signal } = abort;
  const slots = flags.slots ?? null;
  const options = {
    folder,
    url,
    credentialFile,
    slots,
    rung: flags.rung,
    labels: labelsOf(flags.label),
    refreshMs: flags.refresh,
    logFile,
    log,
    signal,
    onFatal,
  };
  try {
    agent = await startAgent(options);
  } catch (error) {
    if (state.ending !== null) return;
    await folder.lock.release();
    throw error;
  }
}

/** Each was checked as it was read. */
function labelsOf(texts: readonly string[]): Labels {
  const read = readLabels(texts);
  return read.kind === 'labels' ? read.labels : {};
}

function openLog(file: string, id: string): FileLog {
  try {
    return openFileLog(file, { agent: id });
  } catch (error) {
    throw new MeshError(
      'state_unwritable',
      `the log file ${file} cannot be written: ${toError(error).message}`,
      error,
    );
  }
}

/** One line, and the exit status of the error. */
function fail(error: unknown): never {
  const { message } = toError(error);
  process.stderr.write(`benchmesh-agent: ${message.replaceAll('\n', ' ')}\n`);
  process.exit(error instanceof MeshError ? error.exit : 1);
}

main(parseFlags(process.argv)).catch(fail);
