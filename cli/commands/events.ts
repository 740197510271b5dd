/** `benchmesh events [RUN]`: the log everything shown is folded from. */
import type { Command } from 'commander';
import type { EventRecord } from '#protocol/fold/record.ts';
import { EXIT } from '#protocol/messages/errors.ts';
import { filters, subjects } from '#protocol/messages/subjects.ts';
import { readAll, tail } from '#protocol/nats/streams/tail.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import {
  integerOption,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import { openMesh, type OpenMesh } from '../mesh/find-mesh.ts';
import { eventLine } from '../output/event-text.ts';
import { terminal } from '../output/terminal.ts';
import { archivedEvents } from '../runs/archive.ts';
import { withRun } from '../runs/find-run.ts';
import { recordOf } from '../runs/record.ts';

interface EventsFlags extends MeshFlags, JsonFlag {
  readonly follow?: boolean;
  readonly after: number;
}

export function build(command: Command): void {
  withMesh(withJson(command.argument('[run]', 'only of this run'), true))
    .option('-f, --follow', 'go on until Ctrl-C')
    .addOption(integerOption('--after <sequence>', 'only events after this one', 0).default(0));
  withExamples(command, ['benchmesh events latest', 'benchmesh events --follow --json']);
  command.action(async (run: string | undefined, flags: EventsFlags) => {
    if (run === undefined) {
      const mesh = await openMesh(flags, 'events');
      try {
        await print(mesh, [`${subjects.run('*').split('.evt.')[0] ?? ''}.evt.>`], flags);
      } finally {
        await mesh.close();
      }
      return;
    }
    await withRun(flags, run, async (found) => {
      if (found.kind === 'live') await print(found.mesh, filters.runEvents(found.run), flags);
      else {
        for await (const record of archivedEvents(found.directory)) {
          if (record.sequence > flags.after) printRecord(record, flags);
        }
      }
    });
  });
}

async function print(mesh: OpenMesh, wanted: string[], flags: EventsFlags): Promise<void> {
  const query = { stream: STREAMS.events, filters: wanted, fromSequence: flags.after + 1 };
  const onMessage = (message: Parameters<typeof recordOf>[0]): void => {
    const record = recordOf(message);
    if (record === null)
      terminal.note(`event ${message.sequence} on ${message.subject} cannot be read`);
    else printRecord(record, flags);
  };
  if (flags.follow !== true) {
    await readAll(mesh.connection, query, onMessage);
    return;
  }
  const follow = tail(mesh.connection, { ...query, onMessage });
  process.once('SIGINT', () => {
    process.exitCode = EXIT.interrupted;
    void follow.close();
  });
  await follow.ended;
}

function printRecord(record: EventRecord, flags: EventsFlags): void {
  if (flags.json === true) {
    const { sequence, subject, timeMs, message } = record;
    terminal.printJson('event', {
      sequence,
      subject,
      time: new Date(timeMs).toISOString(),
      message,
    });
  } else {
    terminal.print(eventLine(record, terminal.style));
  }
}
