/**
 * A benchmark that talks to benchmesh without a library: lines appended to the file
 * $BENCHMESH_REPORT, a checkpoint file in its work folder, a result file. It also runs by itself:
 *
 *   node node-sort.mjs quicksort 100000 10 42
 */
import { appendFileSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [algorithm = 'builtin', sizeText = '100000', roundsText = '10', seedText = '1'] =
  process.argv.slice(2);
const size = Number(sizeText);
const rounds = Number(roundsText);
const reportFile = process.env.BENCHMESH_REPORT;
const CHECKPOINT = 'checkpoint.json';

const ALGORITHMS = { builtin: (values) => values.sort(), quicksort };
const sort = ALGORITHMS[algorithm];
if (sort === undefined) {
  console.error(`unknown algorithm ${algorithm}; known: ${Object.keys(ALGORITHMS).join(', ')}`);
  process.exit(2);
}

report('phase generate');
const input = generate(size, Number(seedText));

report('phase warmup');
for (let i = 0; i < 2; i += 1) sort(input.slice());

report('phase measure');
const times = resume();
if (times.length > 0) console.log(`resumed after ${times.length} of ${rounds} rounds`);
while (times.length < rounds) {
  const values = input.slice();
  const start = process.hrtime.bigint();
  sort(values);
  times.push(Number(process.hrtime.bigint() - start) / 1e6);
  if (!isSorted(values)) throw new Error('the result is not sorted');
  checkpoint(times);
  report(`progress ${times.length / rounds}`);
  console.log(`round ${times.length} of ${rounds}: ${times.at(-1).toFixed(2)} ms`);
}

const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)];
report(`metric elements_per_second ${Math.round(size / (median / 1000))} 1/s`);
writeFileSync(
  'result.json',
  JSON.stringify({ algorithm, size, rounds: { median_ms: median, times } }),
);

function report(line) {
  if (reportFile !== undefined) appendFileSync(reportFile, `${line}\n`);
}

/** Written beside and renamed, so that a kill in the middle leaves the last whole one. */
function checkpoint(done) {
  writeFileSync(`${CHECKPOINT}.new`, JSON.stringify({ algorithm, size, times: done }));
  renameSync(`${CHECKPOINT}.new`, CHECKPOINT);
}

/** The rounds an earlier attempt has finished: $BENCHMESH_CHECKPOINT is its file, or their folder. */
function resume() {
  const place = process.env.BENCHMESH_CHECKPOINT;
  if (place === undefined || place === '') return [];
  try {
    const file = statSync(place).isDirectory() ? join(place, CHECKPOINT) : place;
    const saved = JSON.parse(readFileSync(file, 'utf8'));
    return saved.algorithm === algorithm && saved.size === size ? saved.times : [];
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

/** The same numbers for the same seed (mulberry32). */
function generate(length, seed) {
  let state = seed >>> 0;
  return Float64Array.from({ length }, () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  });
}

function quicksort(values, from = 0, to = values.length - 1) {
  let [low, high] = [from, to];
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i] < pivot) i += 1;
      while (values[j] > pivot) j -= 1;
      if (i > j) break;
      [values[i], values[j]] = [values[j], values[i]];
      i += 1;
      j -= 1;
    }
    // The smaller part by recursion, the larger by iteration: the stack stays logarithmic.
    if (j - low < high - i) {
      quicksort(values, low, j);
      low = i;
    } else {
      quicksort(values, i, high);
      high = j;
    }
  }
}

function isSorted(values) {
  for (let i = 1; i < values.length; i += 1) if (values[i - 1] > values[i]) return false;
  return true;
}
