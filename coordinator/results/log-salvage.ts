/**
 * Makes room in a full BM_LOGS without losing a byte: log messages of a run that has ended are
 * copied beside the results as they are, and purged once the copy is on the disk. Whoever archives
 * the run, now or after a crash, reads the copies first, then what the stream still has (I7).
 *
 *   BM_LOGS --copy--> .salvage-<run>/<first>-<last> --synced, renamed--> purge up to last
 *
 * 1. Copies are immutable and named by their sequences: one that a deposed leader makes is the same.
 * 2. Of a log that is not whole the last message stays in the stream: by it its shipper knows, after
 *    a restart of the agent, how far the log is.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#protocol/messages/errors.ts';
import { LOG_HEADERS } from '#protocol/messages/attempt/log.ts';
import { filters, parseSubject } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { purgeSubject } from '#protocol/nats/streams/stream-purge.ts';
import { readAll, type TailMessage } from '#protocol/nats/streams/tail.ts';
import { eachOf, syncFolder } from './durable-files.ts';
import type { StoredPiece } from './log-archive.ts';

export interface SalvageOptions {
  readonly connection: MeshConnection;
  readonly resultsDir: string;
  readonly run: string;
  readonly signal: AbortSignal;
  /** The archive has all of this log. */
  readonly isWhole: (of: { task: string; n: number; agent: string }) => boolean;
}

export interface LogSalvage {
  /** Hands over what was salvaged before, in order. Rejects on a disk error. */
  read(onPiece: (piece: StoredPiece) => Promise<void>): Promise<void>;
  /**
   * Salvages and purges what the archive has read: up to this sequence. Rejects on a disk error, when
   * aborted, and with MeshError where the server does not answer: repeat then.
   */
  save(upToSequence: number): Promise<void>;
  /** Rejects where another has salvaged meanwhile: what it purged may not have been read here. */
  check(): Promise<void>;
}

/** Of one copy: read back whole. */
const PART_BYTES = 8 * 1024 * 1024;
/** Bound on a server that does not answer: then it is tried again. */
const READ_MS = 30_000;
const PURGES_AT_A_TIME = 16;
const NEWLINE = 10;

interface Head {
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: number;
}

function folderOf(resultsDir: string, run: string): string {
  return join(resultsDir, `.salvage-${run}`);
}

/** The run's directory is there: nobody needs the copies. */
export async function removeSalvaged(resultsDir: string, run: string): Promise<void> {
  await rm(folderOf(resultsDir, run), { recursive: true, force: true });
}

export function createLogSalvage(options: SalvageOptions): LogSalvage {
  const folder = folderOf(options.resultsDir, options.run);
  const known = new Set<string>();
  let savedTo = 0;

  const read: LogSalvage['read'] = async (onPiece) => {
    for (const name of await partsIn(folder)) {
      known.add(name);
      for (const piece of piecesIn(await readFile(join(folder, name)))) await onPiece(piece);
    }
  };

  const saveSome = async (upToSequence: number): Promise<void> => {
    const { messages, sequence } = await nextMessages(options, savedTo + 1, upToSequence);
    const [first, last] = [messages[0], messages.at(-1)];
    if (first !== undefined && last !== undefined) {
      const name = `${first.sequence}-${last.sequence}`;
      await mkdir(folder, { recursive: true });
      await writePart(folder, name, messages);
      await syncFolder(options.resultsDir);
      known.add(name);
      if (options.signal.aborted) throw new Error('not leading any more');
      await purge(options, messages);
    }
    savedTo = sequence;
  };

  return {
    read,
    save: async (upToSequence) => {
      while (savedTo < upToSequence) await saveSome(upToSequence);
    },
    check: async () => {
      const strange = (await partsIn(folder)).find((name) => !known.has(name));
      if (strange !== undefined) throw new Error('another coordinator has salvaged logs meanwhile');
    },
  };
}

/** As many as one copy holds, and the sequence that they reach. */
async function nextMessages(
  { connection, run }: SalvageOptions,
  fromSequence: number,
  upToSequence: number,
): Promise<{ messages: TailMessage[]; sequence: number }> {
  const messages: TailMessage[] = [];
  const query = {
    stream: STREAMS.logs,
    filters: [filters.logsOf(run)],
    fromSequence,
    upToSequence,
    upToBytes: PART_BYTES,
    timeoutMs: READ_MS,
  };
  const { sequence } = await readAll(connection, query, (message) => messages.push(message));
  return { messages, sequence };
}

async function writePart(
  folder: string,
  name: string,
  messages: readonly TailMessage[],
): Promise<void> {
  const partial = join(folder, `.${name}`);
  const file = await open(partial, 'w');
  try {
    for (const message of messages) {
      const { subject, data } = message;
      const headers = Object.values(LOG_HEADERS).flatMap((key): [string, string][] => {
        const value = message.header(key);
        return value === null ? [] : [[key, value]];
      });
      const head: Head = { subject, headers: Object.fromEntries(headers), bytes: data.length };
      await file.writeFile(Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), data]));
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, join(folder, name));
  await syncFolder(folder);
}

async function purge(options: SalvageOptions, messages: readonly TailMessage[]): Promise<void> {
  const last = new Map(messages.map(({ subject, sequence }) => [subject, sequence]));
  await eachOf(last, PURGES_AT_A_TIME, async ([subject, sequence]) => {
    const parsed = parseSubject(subject);
    if (parsed?.kind !== 'log') return;
    const isWhole = options.isWhole({ ...parsed.ref, agent: parsed.agent });
    const seq = isWhole ? sequence + 1 : sequence;
    await purgeSubject(options.connection, STREAMS.logs, subject, { seq });
  });
}

/** Names of whole copies, in the order of their messages. */
async function partsIn(folder: string): Promise<string[]> {
  const first = (name: string): number => Number.parseInt(name, 10);
  try {
    const names = await readdir(folder);
    return names.filter((name) => !name.startsWith('.')).sort((a, b) => first(a) - first(b));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function* piecesIn(content: Buffer): Generator<StoredPiece> {
  for (let at = 0; at < content.length;) {
    const end = content.indexOf(NEWLINE, at);
    const head = JSON.parse(content.toString('utf8', at, end)) as Head; // written whole or not at all
    at = end + 1 + head.bytes;
    const subject = parseSubject(head.subject);
    if (subject?.kind !== 'log') continue;
    const { task, n } = subject.ref;
    const { agent } = subject;
    const data = content.subarray(end + 1, at);
    yield { task, n, agent, data, header: (name) => head.headers[name] ?? null };
  }
}
