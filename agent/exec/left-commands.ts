/**
 * Commands whose agent died in the middle: ended, and told, by the next one of the state folder.
 *
 *   exec/<id>.json   from before a command begins until its end has been told
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { subjects } from '#protocol/messages/subjects.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { toError } from '#protocol/messages/errors.ts';
import { killProcesses } from '../process/scan/scan-sweep.ts';
import type { EventSink } from '../state/event-sink.ts';
import { EXEC_MARK } from './exec-command.ts';

const Note = z.object({ id: z.string(), by: z.string(), argv: z.array(z.string()) });
type Note = z.infer<typeof Note>;

const folderOf = (stateDir: string): string => join(stateDir, 'exec');
const fileOf = (stateDir: string, id: string): string => join(folderOf(stateDir), `${id}.json`);

/** Where it cannot be written (a full disk) the command runs without: it may be what finds out why. */
export function note(stateDir: string, command: Note, log: Log): void {
  try {
    mkdirSync(folderOf(stateDir), { recursive: true, mode: 0o700 });
    writeFileSync(fileOf(stateDir, command.id), JSON.stringify(command));
  } catch (error) {
    log.warn({ id: command.id, err: toError(error).message }, 'command not noted');
  }
}

export function forget(stateDir: string, id: string): void {
  try {
    rmSync(fileOf(stateDir, id), { force: true });
  } catch {
    // Told once more by the next agent.
  }
}

interface LeftOptions {
  readonly stateDir: string;
  readonly agent: string;
  readonly sink: EventSink;
  readonly log: Log;
}

/** Never rejects. */
export async function endLeftCommands(options: LeftOptions): Promise<void> {
  const { stateDir, agent, sink, log } = options;
  for (const left of leftIn(stateDir)) {
    const target = { mark: { name: EXEC_MARK, value: left.id }, main: null };
    const { processes, survivors } = await killProcesses(target);
    log.warn({ ...left, processes, survivors }, 'command of an agent that died ended');
    sink.tell(subjects.hostEvents(agent), 'agent.exec_ended', {
      ...left,
      end:
        processes > 0
          ? { kind: 'signaled', code: null, signal: 'SIGKILL' }
          : { kind: 'exited', code: null, signal: null },
      durationMs: 0,
      stdoutBytes: 0,
      stderrBytes: 0,
      survivors: [...survivors],
    });
    forget(stateDir, left.id);
  }
}

function leftIn(stateDir: string): Note[] {
  let names: string[];
  try {
    names = readdirSync(folderOf(stateDir));
  } catch {
    return []; // None has ever run here.
  }
  return names.flatMap((name) => {
    const read = readNote(join(folderOf(stateDir), name));
    if (read === null) rmSync(join(folderOf(stateDir), name), { recursive: true, force: true });
    return read === null ? [] : [read];
  });
}

function readNote(file: string): Note | null {
  try {
    return Note.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null; // Cut short by a crash: nothing had begun.
  }
}
