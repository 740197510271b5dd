/** What an attempt remembers and tells of its files. Pure; part of attempt-reducer.ts. */
import { DEFAULT_CHECKPOINT_RULES } from '#protocol/messages/attempt/checkpoint.ts';
import type { AttemptMessage } from '../attempt/attempt-state.ts';
import type { CollectedPart } from './collected-parts.ts';
import type { Turn } from '../attempt/rules/turn.ts';

export type FileMessage = Extract<
  AttemptMessage,
  { kind: 'file_stored' | 'collected' | 'checkpointed' | 'checkpoint_refused' | 'resumed' }
>;

export function onFileMessage(turn: Turn, message: FileMessage): void {
  const { life } = turn.state;
  if (life.kind === 'queued' || life.kind === 'new') return;
  switch (message.kind) {
    case 'file_stored':
      onFileStored(turn, message);
      return;
    case 'collected':
      for (const part of message.parts) onCollected(turn, part);
      return;
    case 'checkpointed':
      onCheckpointed(turn, message);
      return;
    case 'checkpoint_refused':
      turn.emit('attempt.checkpoint_refused', {
        elapsedMs: turn.elapsedMs(),
        reason: message.reason,
      });
      return;
    case 'resumed':
      if (turn.state.resumed !== undefined) return;
      turn.keep({ resumed: { path: message.placed.path } });
      turn.emit('attempt.resumed', { elapsedMs: turn.elapsedMs(), ...message.placed });
      return;
  }
}

function onFileStored(turn: Turn, { file }: Extract<FileMessage, { kind: 'file_stored' }>): void {
  const { files } = turn.state;
  if (files.some((known) => known.path === file.path && known.sha256 === file.sha256)) return;
  turn.keep({ files: [...files.filter((known) => known.path !== file.path), file] });
  turn.emit('attempt.file_stored', { elapsedMs: turn.elapsedMs(), file });
}

/** Somebody asked for them, also after the end. */
function onCollected(turn: Turn, part: CollectedPart): void {
  const stored = new Set(part.files.map(({ path }) => path));
  const others = turn.state.files.filter(({ path }) => !stored.has(path));
  turn.keep({ files: [...others, ...part.files] });
  turn.emit('attempt.collected', { elapsedMs: turn.elapsedMs(), ...part });
}

function onCheckpointed(turn: Turn, message: Extract<FileMessage, { kind: 'checkpointed' }>): void {
  const { checkpoints = [], spec } = turn.state;
  const { keep } = spec.checkpointRules ?? DEFAULT_CHECKPOINT_RULES;
  const checkpoint = { number: (checkpoints.at(-1)?.number ?? 0) + 1, files: [...message.files] };
  turn.keep({ checkpoints: [...checkpoints, checkpoint].slice(-keep) });
  turn.emit('attempt.checkpointed', { elapsedMs: turn.elapsedMs(), keep, ...checkpoint });
}
