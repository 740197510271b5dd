/**
 * The coordinator's process. A fatal error at start is one line on stderr and the exit status of
 * its code; everything else goes to the log file. SIGTERM gives the lease back and ends with 0.
 */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { EXIT, MeshError, toError } from '#protocol/messages/errors.ts';
import { connect } from '#protocol/nats/connection.ts';
import { readCredential } from '#protocol/nats/credential.ts';
import { systemClock } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { startCoordinator } from './coordinator.ts';
import { CORE_TIMING } from './core/core-state.ts';
import { watchIdle } from './idle-exit.ts';
import { contendInThread } from './lease/lease-thread.ts';
import { parseFlags, type CoordinatorFlags } from './options.ts';
import { openLog } from './own-log.ts';
import { snapshotsInThread } from './snapshot/snapshot-thread.ts';
import { VERSION } from './version.ts';

/** A server that was never there is reported; one that goes away later is waited for. */
const FIRST_CONNECT_MS = 10_000;

/**
 * By how much more than what lives the heap of the process, and of each of its threads, grows before it is
 * collected. V8 alone lets it grow to four times as much while there is memory (I12).
 */
const HEAP_GROWTH_PERCENT = 50;

async function main(argv: readonly string[]): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
  const flags = parseFlags(argv);
  const log = openLog(flags.logFile, flags.id);
  const onBug = (error: unknown): void => {
    log.error({ err: toError(error).stack ?? toError(error).message }, 'defect, ending');
    fail(error);
  };
  process.on('uncaughtException', onBug);
  process.on('unhandledRejection', onBug);
  log.info(
    { version: VERSION, server: flags.server, results: flags.results },
    'coordinator starts',
  );
  try {
    await run(flags, log, onBug);
  } catch (error) {
    log.error({ err: toError(error).message }, 'start failed');
    throw error;
  }
}

async function run(
  flags: CoordinatorFlags,
  log: Log,
  onBug: (error: unknown) => void,
): Promise<void> {
  const connection = await connect({
    url: flags.server,
    credential: flags.credential === null ? null : await readCredential(flags.credential),
    name: `coordinator ${flags.id}`,
    log,
    deadlineMs: FIRST_CONNECT_MS,
  });
  const coordinator = await startCoordinator({
    connection,
    id: flags.id,
    host: hostname(),
    pid: process.pid,
    version: VERSION,
    resultsDir: resolve(flags.results),
    logFile: flags.logFile === null ? '' : resolve(flags.logFile),
    log,
    clock: systemClock,
    timing: {
      ...CORE_TIMING,
      ...(flags.purgeAfterMs === null ? {} : { purgeAfterMs: flags.purgeAfterMs }),
      ...(flags.cordonAfter === null ? {} : { cordonAfter: flags.cordonAfter }),
    },
    contend: (lease) => {
      const { server: url, credential } = flags;
      return contendInThread({ ...lease, url, credential, log, onBug });
    },
    snapshots: snapshotsInThread({
      ...{ connection, log, url: flags.server, credential: flags.credential },
    }),
    onStandby: ({ description }) => {
      process.stderr.write(
        `benchmesh-coordinator: another coordinator (${description}) leads; standing by\n`,
      );
    },
    onBug,
  });
  const stop = async (): Promise<void> => {
    await coordinator.stop();
    await connection.close();
  };
  // Timers of the clock do not hold the process: a standby behind a broken link must stay.
  const alive = setInterval(() => undefined, 1 << 30);
  const end = (): void => {
    clearInterval(alive);
    log.info({}, 'coordinator ended');
    process.exit(EXIT.ok);
  };
  if (flags.idleExitMs !== null && flags.home !== null) {
    const { home, idleExitMs: idleMs } = flags;
    watchIdle({
      home,
      idleMs,
      clock: systemClock,
      log,
      term: () => coordinator.term(),
      stop,
      onEnded: end,
    });
  }
  let ending = false;
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (ending) return;
      ending = true;
      log.info({ signal: name }, 'coordinator ends');
      void stop().then(end, fail);
    });
  }
}

function fail(error: unknown): never {
  const line = toError(error).message.split('\n')[0] ?? '';
  process.stderr.write(`benchmesh-coordinator: ${line}\n`);
  process.exit(error instanceof MeshError ? error.exit : EXIT.failed);
}

main(process.argv.slice(2)).catch(fail);
