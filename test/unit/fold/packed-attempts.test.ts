/** Attempts as bytes and back: nothing of them is lost, whatever they have. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AttemptFold } from '#protocol/fold/attempt-fold.ts';
import {
  addPacked,
  createPackedAttempts,
  isWasteful,
  readPacked,
  readPart,
  replacePacked,
} from '#protocol/fold/packed/packed-attempts.ts';
import { Packer } from '#protocol/fold/packed/pack-value.ts';
import { unpackValue } from '#protocol/fold/packed/unpack-value.ts';
import { createWords, textNumber } from '#protocol/fold/packed/words.ts';
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import { goldenMessages, goldenReport } from '#test/support/golden-messages.ts';

/** Of plain objects, as JSON has them. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const number = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.integer().map((value) => value / 1_000),
  fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 2 ** 53, 4.5e15, -4.5e15, 0.1 + 0.2),
);
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.stringMatching(/^[0-9a-f]{64}$/),
  fc.constantFrom('', 'a1', '__proto__', 'abcdef01', 'abc', 'é', '\ud800', 'x'.repeat(5_000)),
);
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.option(value, { nil: null });
const list = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(value, { maxLength: 3 });

const file: fc.Arbitrary<StoredFile> = record({
  kind: fc.constantFrom('checkpoint', 'result'),
  path: text,
  sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
  bytes: fc.nat(),
  chunks: fc.nat(),
});

const summary = record({
  unit: text,
  count: fc.nat(),
  ...{ min: number, mean: number, max: number, p95: number },
});

const exited: fc.Arbitrary<AttemptExited> = record({
  elapsedMs: number,
  reason: optional(text),
  stderrTail: fc.option(record({ step: text, text }), { nil: undefined }),
  survivors: fc.array(fc.nat(), { maxLength: 40, size: 'max' }),
  series: fc.dictionary(text, summary, { maxKeys: 40, noNullPrototype: true }),
  hasReport: fc.boolean(),
}).map(({ stderrTail, series, hasReport, ...rest }) => ({
  ...goldenMessages['attempt.exited'],
  ...rest,
  ...(stderrTail === undefined ? {} : { stderrTail }),
  ...(hasReport ? { report: goldenReport } : {}),
  telemetry: {
    ...{ everyMs: 1_000, samples: 3, fromMs: 0, toMs: 3, coveredMs: 2, gaps: [], dropped: 0 },
    ...{ series, problems: [], perturbed: null },
  },
}));

/** Each field: one that is new and not here does not compile. */
type Fields = {
  readonly [K in keyof AttemptFold]-?: fc.Arbitrary<Exclude<AttemptFold[K], undefined>>;
};

const fields: Omit<Fields, 'gang'> = {
  n: fc.integer({ min: 1, max: 300 }),
  agent: text,
  host: text,
  address: text,
  acceptedMs: fc.constantFrom(0, 1_770_000_000_000),
  state: fc.constantFrom('accepted', 'run', 'exited'),
  startedMs: optional(number),
  exitedMs: optional(number),
  elapsedMs: number,
  phase: optional(text),
  phaseIndex: fc.integer({ min: -1, max: 99 }),
  progress: optional(number),
  pid: optional(fc.nat()),
  adoptions: fc.nat(),
  stopping: optional(record({ command: text, by: text, reason: optional(text) })),
  malformedReport: optional(text),
  messages: list(record({ elapsedMs: number, text })),
  health: list(fc.constant(goldenMessages['attempt.health'])),
  files: list(file),
  filesLost: list(record({ path: text, reason: text })),
  collected: optional(record({ id: text, by: text, files: fc.nat(), isDone: fc.boolean() })),
  checkpoints: list(
    record({ number: fc.nat(), files: fc.array(file, { minLength: 1, maxLength: 2 }) }),
  ),
  checkpointRefused: optional(text),
  resumed: optional(
    record({
      from: optional(record({ n: fc.nat(), number: fc.nat() })),
      path: optional(text),
      ...{ files: fc.nat(), bytes: fc.nat(), problem: optional(text) },
    }),
  ),
  waiting: optional(text),
  barrier: optional(text),
  resources: optional(
    fc.constant({
      gpus: [],
      cpus: [0, 1],
      host: { os: 'o', kernel: 'k', cpuModel: 'c', governor: null, maxMhz: null },
    }),
  ),
  exited: optional(exited),
  survivorsGoneMs: number,
  superseded: fc.boolean(),
  stages: list(
    record({
      ...{ elapsedMs: number, stage: fc.nat(), isWhole: fc.boolean() },
      metrics: fc.constant(goldenMessages['attempt.exited'].metrics),
      requests: fc.constant(null),
    }),
  ),
};
const OPTIONAL = ['survivorsGoneMs', 'stages'] as const;
type Required = Exclude<keyof typeof fields, (typeof OPTIONAL)[number]>;
const requiredKeys = Object.keys(fields).filter(
  (name) => !OPTIONAL.some((one) => one === name),
) as Required[];
const single = fc.record(fields, {
  requiredKeys,
  noNullPrototype: true,
}) as fc.Arbitrary<AttemptFold>;

/** Ranks that nobody has heard of are holes. */
const gang: fc.Arbitrary<AttemptFold> = record({
  whole: single,
  ranks: fc.array(fc.option(single, { nil: undefined }), { minLength: 1, maxLength: 4 }),
  ramp: fc.boolean(),
}).map(({ whole, ranks, ramp }) => {
  const known: (AttemptFold | undefined)[] = [];
  ranks.forEach((rank, at) => {
    if (rank !== undefined) known[at] = rank;
  });
  const opened = goldenMessages['task.stage_opened'];
  return {
    ...whole,
    gang: {
      ...{ hosts: ranks.length, ranks: known, ended: [0] },
      ...(ramp ? { ramp: { stages: [opened], ended: null } } : {}),
    },
  };
});

const attempts = fc.array(fc.oneof({ weight: 3, arbitrary: single }, gang), {
  minLength: 1,
  maxLength: 12,
});

/** What is left of a value where only some properties are looked at. */
function part(value: unknown, wanted: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    list.length = value.length;
    value.forEach((item, at) => (list[at] = part(item, wanted)));
    return list;
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, one]) =>
      wanted.has(name) ? [[name, part(one, wanted)]] : [],
    ),
  );
}

describe('a packed attempt', () => {
  it('is unpacked as it was, whatever was packed before it', () => {
    fc.assert(
      fc.property(attempts, (all) => {
        const store = createPackedAttempts();
        const places = [...all, ...all].map((attempt) => addPacked(store, attempt));
        expect(places.map((at) => readPacked(store, at))).toStrictEqual([...all, ...all]);
      }),
      { numRuns: 150 },
    );
  });

  it('is looked at in part as in whole', () => {
    const names = [
      ...Object.keys(fields),
      'gang',
      'ranks',
      'sha256',
      'telemetry',
      'series',
      'mean',
    ];
    fc.assert(
      fc.property(attempts, fc.subarray(names), (all, some) => {
        const store = createPackedAttempts();
        const wanted = new Set(some);
        for (const attempt of all) {
          const at = addPacked(store, attempt);
          expect(readPart(store, at, wanted)).toStrictEqual(part(attempt, wanted));
        }
      }),
      { numRuns: 150 },
    );
  });

  it('may change, smaller or larger, and leaves the others as they are', () => {
    const changes = fc.array(fc.tuple(fc.nat(), single), { maxLength: 30 });
    fc.assert(
      fc.property(attempts, changes, (all, changed) => {
        const store = createPackedAttempts();
        const now = [...all];
        const places = all.map((attempt) => addPacked(store, attempt));
        for (const [choice, attempt] of changed) {
          const at = choice % all.length;
          now[at] = attempt;
          places[at] = replacePacked(store, places[at] ?? NaN, attempt);
        }
        expect(places.map((at) => readPacked(store, at))).toStrictEqual(now);
      }),
      { numRuns: 100 },
    );
  });
});

const bare = fc.sample(single, { numRuns: 1, seed: 1 })[0] as AttemptFold;

describe('blocks of packed attempts', () => {
  it('hold some larger than a block, and those after it', () => {
    const store = createPackedAttempts();
    const large = { ...bare, phase: '\u2603'.repeat(700_000) };
    const places = [bare, large, bare, large].map((attempt) => addPacked(store, attempt));
    expect(places.map((at) => readPacked(store, at))).toStrictEqual([bare, large, bare, large]);
  });

  it('say when more is left behind than in use', () => {
    const store = createPackedAttempts();
    let at = addPacked(store, bare);
    for (let length = 1_000; !isWasteful(store); length += 1_000)
      at = replacePacked(store, at, { ...bare, phase: 'p'.repeat(length) });
    expect(store.wasted).toBeGreaterThan(store.blocks.length << 19);
    expect(readPacked(store, at).agent).toBe(bare.agent);
  });
});

describe('words', () => {
  it('are limited: what finds no room is written out', () => {
    const words = createWords();
    const texts = Array.from({ length: 70_000 }, (_, at) => `text ${at}`);
    for (const one of texts) for (let times = 0; times < 2; times += 1) textNumber(words, one);
    for (let at = 0; at < 20_000; at += 1) textNumber(words, `once ${at}`);
    expect([words.texts.length, words.once.size <= 16_384]).toEqual([65_536, true]);
    const packer = new Packer();
    const shapes = Array.from({ length: 5_000 }, (_, at) => ({ [`name ${at}`]: texts[at] }));
    const packed = shapes.map((shape) => Uint8Array.from(packer.pack(shape, words)));
    expect(words.shapes).toHaveLength(4_096);
    expect(packed.map((bytes) => unpackValue(bytes, words))).toEqual(shapes);
  });

  it('tell names apart that are the same when they are joined', () => {
    const words = createWords();
    const packer = new Packer();
    const values = [
      { 'a\nb': 1, c: 2 },
      { a: 1, 'b\nc': 2 },
      { a: 1, b: 1, c: 2 },
    ];
    const packed = values.map((value) => Uint8Array.from(packer.pack(value, words)));
    expect(packed.map((bytes) => unpackValue(bytes, words))).toStrictEqual(values);
  });
});
