/**
 * Result files taken once more, because somebody asks for it: of an attempt that runs, and of one that
 * has ended and whose folder is still there.
 *
 *   request --> collection begins --> files stored one after the other --> told --> answered
 *      \--> the same again, by its id: how far it is, or what it came to
 *
 * 1. What is stored is told, also where a collection is cut short: only what is told of is purged with
 *    its run (I12).
 * 2. An attempt that this process has tells it itself, numbered as all it says; of one that it has
 *    forgotten nothing else will ever be said on its subject (I1).
 * 3. A run is not dropped before its collections are over, and their events stored.
 */
import { statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { CollectReply, CollectRequest } from '#protocol/messages/agent/agent-api.ts';
import type { LostFile } from '#protocol/messages/attempt/attempt.ts';
import { MeshError, toError } from '#protocol/messages/errors.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { AttemptDeps } from '../attempt/attempt-deps.ts';
import { isFenced, type AttemptMessage, type AttemptState } from '../attempt/attempt-state.ts';
import { bounded, FileKeeper } from '../attempt/file-keeper.ts';
import { attemptPaths } from '../state/state-folder.ts';
import { collectedParts } from './collected-parts.ts';
import { missingResults } from './missing-results.ts';
import { withoutSchemas, onlySchemas } from './result-rules.ts';

const AT_A_TIME = 4;
/** Ended ones whose answer is kept for who asks again. */
const KEPT = 32;
/** Below the time in which whoever asks wants an answer. */
const ANSWER_MS = 4_000;
const STORED_WITHIN_MS = 5_000;

/** An attempt that this process has. */
export interface CollectedAttempt {
  state(): AttemptState;
  post(message: AttemptMessage): void;
}

export interface CollectionsOptions {
  readonly deps: Pick<
    AttemptDeps,
    'agent' | 'stateDir' | 'fileStore' | 'sink' | 'clock' | 'log' | 'proof'
  >;
  readonly attempt: (key: string) => CollectedAttempt | undefined;
  /** Resolves when what was told so far is stored. */
  readonly flush: () => Promise<unknown>;
}

type Done = Extract<CollectReply, { state: 'done' }>;

interface Collection {
  readonly request: CollectRequest;
  readonly files: StoredFile[];
  /** How many of them were told. */
  told: number;
  /** Why it goes no further. */
  cut: string | null;
  /** Null while it runs. */
  result: Done | MeshError | null;
  /** Never rejects. */
  over: Promise<void>;
}

export class Collections {
  readonly #options: CollectionsOptions;
  /** The last of each attempt. */
  readonly #all = new Map<string, Collection>();

  constructor(options: CollectionsOptions) {
    this.#options = options;
  }

  /** Rejects with `not_found`, `busy`, `already_ended`, or what kept it from being done. */
  async ask(request: CollectRequest): Promise<CollectReply> {
    const key = attemptKey(request);
    const known = this.#all.get(key);
    const isSame = known?.request.id === request.id;
    if (known?.result === null && !isSame)
      throw new MeshError('busy', `the files of ${key} are being collected already: ask again`);
    const collection = isSame ? known : this.#begin(key, request);
    await this.#within(ANSWER_MS, collection.over);
    const { result, files } = collection;
    if (result instanceof Error) throw result;
    return result ?? { state: 'running', files: files.length };
  }

  /** Whether a collection of the run goes on. */
  isCollecting(run: string): boolean {
    return this.#running().some(({ request }) => request.run === run);
  }

  /** The run goes: what is being collected of it is cut short. Resolves when that is told and stored. */
  async drop(run: string): Promise<void> {
    const running = this.#running().filter(({ request }) => request.run === run);
    for (const collection of running) collection.cut = `run ${run} was released meanwhile`;
    await Promise.all(running.map(({ over }) => over));
    for (const [key, { request }] of this.#all) if (request.run === run) this.#all.delete(key);
  }

  /** The agent ends: what is stored so far is told; who asks again begins anew. */
  close(): void {
    for (const collection of this.#running()) {
      collection.cut = 'the agent is ending';
      this.#tell(collection, null);
    }
  }

  #running(): Collection[] {
    return [...this.#all.values()].filter(({ result }) => result === null);
  }

  #begin(key: string, request: CollectRequest): Collection {
    const { deps, attempt } = this.#options;
    const { agent } = deps;
    if (this.#running().length >= AT_A_TIME)
      throw new MeshError('busy', `agent ${agent} collects of ${AT_A_TIME} attempts: ask again`);
    const { work } = attemptPaths(deps.stateDir, request);
    // Not asked for in the background: who comes meanwhile must find this one.
    const isThere = statSync(work, { throwIfNoEntry: false })?.isDirectory() === true;
    const life = attempt(key)?.state().life.kind;
    if (!isThere || life === 'new' || life === 'queued') {
      const why = life === undefined ? 'it never began there, or was released' : 'it has not begun';
      throw new MeshError('not_found', `agent ${agent} has no files of attempt ${key}: ${why}`);
    }
    const collection: Collection = {
      request,
      files: [],
      told: 0,
      cut: null,
      result: null,
      over: Promise.resolve(),
    };
    this.#all.delete(key);
    this.#all.set(key, collection);
    this.#forgetOld();
    collection.over = this.#collect(collection).then(
      (result) => {
        collection.result = result;
      },
      (error: unknown) => {
        const { message } = toError(error);
        deps.log.error({ attempt: key, err: message }, 'files could not be collected again');
        collection.result = error instanceof MeshError ? error : new MeshError('internal', message);
      },
    );
    return collection;
  }

  #forgetOld(): void {
    const over = [...this.#all].filter(([, { result }]) => result !== null);
    for (const [key] of over.slice(0, Math.max(0, over.length - KEPT))) this.#all.delete(key);
  }

  async #collect(collection: Collection): Promise<Done> {
    const { deps, attempt, flush } = this.#options;
    const { agent, fileStore, clock, log, stateDir } = deps;
    const { request, files } = collection;
    const key = attemptKey(request);
    const { work } = attemptPaths(stateDir, request);
    const known = attempt(key)?.state();
    const spec = known?.spec ?? request;
    const copies = `${work}.collect`;
    const store = {
      publish: fileStore.publish.bind(fileStore),
      whenReachable: fileStore.whenReachable.bind(fileStore),
      isClosed: () => collection.cut !== null || fileStore.isClosed(),
    };
    log.info({ attempt: key, by: request.by }, 'files are collected again');
    const keeper = new FileKeeper({
      spec,
      paths: { work },
      ...(this.#mayBeWritten(known) ? { copies } : {}),
      store: { agent, store, clock },
      log,
      onStored: (file) => files.push(file),
    });
    let kept: LostFile[];
    try {
      kept = await keeper.finish();
    } finally {
      await rm(copies, { recursive: true, force: true });
    }
    const missing = await missingResults(work, withoutSchemas(spec));
    const unfit = bounded(await missingResults(work, onlySchemas(spec)));
    const isNew = ({ path }: LostFile): boolean => kept.every((one) => one.path !== path);
    const lost = bounded([...kept, ...missing.filter(isNew)]);
    this.#tell(collection, collection.cut === null ? lost : null);
    await this.#within(STORED_WITHIN_MS, flush());
    if (collection.cut !== null) throw new MeshError('already_ended', collection.cut);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    log.info({ attempt: key, files: files.length, lost: lost.length }, 'files collected again');
    return { state: 'done', files: files.length, bytes, lost, unfit };
  }

  /** Of one that this process has forgotten it knows that it was proven dead, unless nothing proves that. */
  #mayBeWritten(state: AttemptState | undefined): boolean {
    if (this.#options.deps.proof === 'scan') return true;
    return state !== undefined && (state.life.kind !== 'exited' || isFenced(state));
  }

  #tell(collection: Collection, lost: readonly LostFile[] | null): void {
    const { request, files, told } = collection;
    const { deps, attempt } = this.#options;
    const { id, by, run, task, n } = request;
    const rest = files.slice(told);
    collection.told = files.length;
    if (lost === null && rest.length === 0) return;
    const parts = collectedParts({ id, by, files: rest, lost });
    const live = attempt(attemptKey(request));
    if (live !== undefined) {
      live.post({ kind: 'collected', parts });
      return;
    }
    const subject = subjects.attemptEvents(deps.agent, { run, task, n });
    for (const part of parts)
      deps.sink.tell(subject, 'attempt.collected', { elapsedMs: 0, ...part });
  }

  async #within(ms: number, done: Promise<unknown>): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#options.deps.clock.after(ms, resolve);
      const end = (): void => {
        timer.cancel();
        resolve();
      };
      void done.then(end, end);
    });
  }
}
