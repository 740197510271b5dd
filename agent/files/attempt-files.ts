/**
 * The files of one attempt with their I/O: the checkpoint it begins with, those it makes, and its
 * results. What is told of them goes through the attempt's reducer (file-rules.ts).
 */
import { join } from 'node:path';
import type { LostFile } from '#protocol/messages/attempt/attempt.ts';
import { toError } from '#protocol/messages/errors.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { AttemptDeps } from '../attempt/attempt-deps.ts';
import type { AttemptMessage, AttemptState } from '../attempt/attempt-state.ts';
import { writePeersFile } from '../attempt/peers-file.ts';
import { FileKeeper } from '../attempt/file-keeper.ts';
import type { AttemptPaths } from '../state/state-folder.ts';
import { CheckpointKeeper } from './checkpoint-keeper.ts';
import { writerAfter } from './checkpoint-policy.ts';
import { missingResults } from './missing-results.ts';
import { withoutSchemas } from './result-rules.ts';
import { placeCheckpoint } from './place-checkpoint.ts';

export interface AttemptFilesOptions {
  readonly deps: AttemptDeps;
  readonly paths: AttemptPaths;
  readonly log: Log;
  readonly state: () => AttemptState;
  readonly post: (message: AttemptMessage) => void;
}

export class AttemptFiles {
  readonly #options: AttemptFilesOptions;
  #checkpoints: CheckpointKeeper | null = null;

  constructor(options: AttemptFilesOptions) {
    this.#options = options;
  }

  /** There is a checkpoint to begin with, and it has not been put in place. */
  hasToPlace(): boolean {
    const { spec, resumed } = this.#options.state();
    return (spec.resume?.length ?? 0) > 0 && resumed === undefined;
  }

  /** The file that was put in place, for `$BENCHMESH_CHECKPOINT`; null for none. */
  checkpoint(): string | null {
    const path = this.#options.state().resumed?.path ?? null;
    return path === null ? null : join(this.#options.paths.work, path);
  }

  /** For what runs. The next step tries again what the disk has refused. */
  writePeers(): void {
    const { paths, state, log } = this.#options;
    try {
      writePeersFile(paths, state().spec);
    } catch (error) {
      log.warn({ err: toError(error).message }, 'the file of the peers could not be written');
    }
  }

  /** Never rejects. */
  async place(): Promise<void> {
    const { deps, state, post, log } = this.#options;
    const { spec } = state();
    const { stateDir, fileStore: source, clock } = deps;
    const isCancelled = (): boolean => state().stop !== null || source.isClosed();
    const placed = await placeCheckpoint({ spec, stateDir, source, clock, isCancelled });
    if (placed.problem !== null) log.warn({ problem: placed.problem }, 'checkpoint not in place');
    post({ kind: 'resumed', placed });
  }

  /** A step runs. */
  watch(): void {
    this.#keeper().watch();
  }

  close(): void {
    this.#checkpoints?.close();
  }

  /** Results that are not there, or not as they should be. Never rejects. */
  async missing(): Promise<LostFile[]> {
    const { paths, state } = this.#options;
    return missingResults(paths.work, state().spec);
  }

  /** The processes are gone: stores what is there, and resolves with what could not be. Never rejects. */
  async finish(): Promise<LostFile[]> {
    const { deps, paths, log, state, post } = this.#options;
    const { spec, steps } = state();
    await this.#keeper().finish(writerAfter(steps.filter(({ step }) => step !== 'teardown')));
    const results = new FileKeeper({
      spec,
      paths,
      store: storeOf(deps),
      log,
      onStored: (file) => {
        post({ kind: 'file_stored', file });
      },
    });
    try {
      const lost = await results.finish();
      // A teardown may have removed what was there before it.
      const isPassed = state().verdict?.outcome === 'passed';
      const missing = isPassed ? await missingResults(paths.work, withoutSchemas(spec)) : [];
      return [...lost, ...missing.filter(({ path }) => lost.every((one) => one.path !== path))];
    } catch (error) {
      const reason = toError(error).message;
      log.error({ err: reason }, 'result files could not be stored');
      return spec.files.map((path) => ({ path, reason }));
    }
  }

  #keeper(): CheckpointKeeper {
    const { deps, paths, log, state, post } = this.#options;
    this.#checkpoints ??= new CheckpointKeeper({
      spec: state().spec,
      paths,
      store: storeOf(deps),
      log,
      known: () => state().checkpoints ?? [],
      onTaken: (files) => {
        post({ kind: 'checkpointed', files });
      },
      onRefused: (reason) => {
        post({ kind: 'checkpoint_refused', reason });
      },
    });
    return this.#checkpoints;
  }
}

function storeOf({ agent, fileStore: store, clock }: AttemptDeps): {
  agent: string;
  store: AttemptDeps['fileStore'];
  clock: AttemptDeps['clock'];
} {
  return { agent, store, clock };
}
