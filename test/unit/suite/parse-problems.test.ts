import { describe, expect, it } from 'vitest';
import type { SuiteSource } from '#protocol/suite/parse-suite.ts';
import { problemsOf } from './suite-of.ts';

interface Bad {
  readonly what: string;
  readonly text: string;
  readonly options?: Partial<SuiteSource>;
  readonly problems: readonly string[];
}

const RUN = 'run: [echo]\n';
const KNOWN = 'suite.dir, run, task, attempt, index, repeat, seed';

const FILES: readonly Bad[] = [
  {
    what: 'nothing',
    text: '',
    problems: ['suite.yaml:1:1: a suite is a map of keys; the smallest one is: run: [echo, hello]'],
  },
  {
    what: 'a list',
    text: '\n- run\n',
    problems: ['suite.yaml:2:1: a suite is a map of keys; the smallest one is: run: [echo, hello]'],
  },
  {
    what: 'broken YAML',
    text: 'run: [a\nname: b\n',
    problems: [
      'suite.yaml:2:1: this is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
  },
  {
    what: 'two documents',
    text: 'run: [a]\n---\nrun: [b]\n',
    problems: [
      'suite.yaml:2:1: this must be one YAML document; remove the second one (after "---")',
    ],
  },
  {
    what: 'a key written twice',
    text: 'run: [a]\nname: x\nrun: [b]\n',
    problems: ['suite.yaml:3:1: this key is written twice in the same map; keep one of them'],
  },
  {
    what: 'an unknown alias',
    text: 'run: *nope\n',
    problems: [
      'suite.yaml:1:6: run: no anchor &nope before this alias',
      'suite.yaml:1:6: run: must be a command: a list of words, such as [echo, hello], {shell: "..."}, or a list of commands, not empty',
    ],
  },
  {
    what: 'a text nested beyond what can be parsed',
    text: `run: ${'['.repeat(20_000)}`,
    problems: [
      expect.stringMatching(/^suite\.yaml:1:\d+: nested deeper than 64 levels$/) as string,
    ],
  },
  {
    what: 'names that every object has',
    text: 'run: [echo, "{{__proto__}}"]\naxes:\n  __proto__: [1]\nvars: { __proto__: 2 }\n',
    problems: [
      `suite.yaml:1:13: run[1]: unknown name "{{__proto__}}"; known: ${KNOWN}.`,
      'suite.yaml:3:3: axes.__proto__: "__proto__" cannot be a name; choose another',
      'suite.yaml:4:9: vars.__proto__: "__proto__" cannot be a name; choose another',
    ],
  },
  {
    what: 'such a name on the command line',
    text: `${RUN}env: { A: b }\n`,
    options: { set: ['env.__proto__=1'] },
    problems: ['--set env.__proto__=1: "__proto__" cannot be a name'],
  },
  {
    what: 'patterns of files elsewhere',
    text: `${RUN}files: [/etc/passwd, "a/../../b", "..x", "{{suite.dir}}/c"]\ncheckpoints: [../d]\n`,
    problems: ['2:9: files[0]', '2:22: files[1]', '2:42: files[3]', '3:15: checkpoints[0]'].map(
      (place) =>
        `suite.yaml:${place}: leads out of the work folder; name files inside it, and copy others there in collect`,
    ),
  },
  {
    what: 'an alias to itself',
    text: 'run: &a [x, *a]\n',
    problems: [
      'suite.yaml:1:13: run[1]: *a contains itself',
      'suite.yaml:1:13: run[1]: must be text or a number or true or false, not empty',
    ],
  },
  {
    what: 'a merge of what is no map',
    text: `${RUN}needs:\n  <<: 3\n`,
    problems: [
      'suite.yaml:3:7: needs: << takes a map, an alias to one (*name), or a list of those',
    ],
  },
];

const SHAPES: readonly Bad[] = [
  {
    what: 'an unknown key, with the nearest known one',
    text: `${RUN}repaets: 3\n`,
    problems: ['suite.yaml:2:1: repaets: unknown key "repaets". Did you mean "repeats"?'],
  },
  {
    what: 'an unknown key in a map within',
    text: `${RUN}needs:\n  slot: 1\n`,
    problems: ['suite.yaml:3:3: needs.slot: unknown key "slot". Did you mean "slots"?'],
  },
  {
    what: 'an unknown key like no other',
    text: `${RUN}needs: { kubernetes: true }\n`,
    problems: [
      'suite.yaml:2:10: needs.kubernetes: unknown key "kubernetes". Known: slots, cpus, memory, exclusive, gpus, pin, labels, host, locks, apart, place, hosts.',
    ],
  },
  {
    what: 'an unknown key of a command',
    text: 'run:\n  exce: [a]\n  shell: x\n',
    problems: ['suite.yaml:2:3: run.exce: unknown key "exce". Did you mean "exec"?'],
  },
  {
    what: 'a key that only a check has',
    text: `${RUN}setup: { shell: x, onFail: skip }\n`,
    problems: [
      'suite.yaml:2:20: setup.onFail: unknown key "onFail". Known: exec, shell, env, cwd, timeout, grace, stopSignal, stdio, limits.',
    ],
  },
  {
    what: 'an unknown key in a profile that is not used',
    text: `${RUN}profiles:\n  quick:\n    repaets: 1\n`,
    problems: ['suite.yaml:4:5: repaets: unknown key "repaets". Did you mean "repeats"?'],
  },
  {
    what: 'no run',
    text: 'name: x\n',
    problems: ['suite.yaml:1:1: run: the key "run" is missing; add it'],
  },
  {
    what: 'run as one text',
    text: 'run: echo hello\n',
    problems: [
      'suite.yaml:1:6: run: must be a command: a list of words, such as [echo, hello], {shell: "..."}, or a list of commands, not "echo hello"',
    ],
  },
  {
    what: 'an empty command',
    text: 'run: []\n',
    problems: ['suite.yaml:1:6: run: must hold the program and its arguments; it is empty'],
  },
  {
    what: 'a command with two bodies',
    text: 'run: { exec: [a], shell: b }\n',
    problems: ['suite.yaml:1:6: run: has exec and shell; keep exactly one of exec, shell'],
  },
  {
    what: 'a command without a body',
    text: 'run: { timeout: 1s }\n',
    problems: ['suite.yaml:1:6: run: needs exactly one of exec, shell'],
  },
  {
    what: 'a list in a command',
    text: 'run:\n  - a\n  - [b]\n',
    problems: ['suite.yaml:3:5: run[1]: must be text or a number or true or false, not a list'],
  },
  {
    what: 'wrong types',
    text: `${RUN}repeats: many\npriority: 1.5\nneeds: { exclusive: "no" }\naxes: { a: 3 }\n`,
    problems: [
      'suite.yaml:2:10: repeats: must be a number, not "many"',
      'suite.yaml:3:11: priority: must be a whole number or a map, not 1.5',
      'suite.yaml:4:21: needs.exclusive: must be true or false, not "no"',
      'suite.yaml:5:12: axes.a: must be a list, not 3',
    ],
  },
  {
    what: 'numbers out of range',
    text: `${RUN}repeats: 0\nneeds: { slots: 0, cpus: -1 }\nretries: 101\n`,
    problems: [
      'suite.yaml:2:10: repeats: must be more than 0',
      'suite.yaml:3:17: needs.slots: must be more than 0',
      'suite.yaml:3:26: needs.cpus: must be at least 0',
      'suite.yaml:4:10: retries: must be at most 100',
    ],
  },
  {
    what: 'durations and sizes without a unit, or none',
    text: `${RUN}budget: 10\ngrace: 10 s\nlogLimit: 64M\n`,
    problems: [
      'suite.yaml:2:9: budget: must be a duration with a unit, such as 250ms, 10s, 1m30s or 2h, not 10',
      'suite.yaml:3:8: grace: must be a duration with a unit, such as 250ms, 10s, 1m30s or 2h',
      'suite.yaml:4:11: logLimit: must be a size with a unit, such as 500kB, 64MiB or 1GiB',
    ],
  },
  {
    what: 'a budget of nothing',
    text: `${RUN}budget: 0s\n`,
    problems: ['suite.yaml:2:9: budget: must be more than 0; leave the key out for no limit'],
  },
  {
    what: 'no time, or no entry, where one must be',
    text: `${RUN}needs: { hosts: 2 }\ngang: { ramp: { steps: [], every: 0s } }\n`,
    problems: [
      'suite.yaml:3:24: gang.ramp.steps: must have at least 1 entry',
      'suite.yaml:3:35: gang.ramp.every: must be more than 0',
    ],
  },
  {
    what: 'one of a few values, mistyped',
    text: `${RUN}order: shortest\nstdio: ptty\nstopSignal: SEGV\n`,
    problems: [
      'suite.yaml:2:8: order: must be one of listed, longest-first, failed-first, random, not "shortest"',
      'suite.yaml:3:8: stdio: must be one of pipe, pty, not "ptty". Did you mean "pty"?',
      'suite.yaml:4:13: stopSignal: must be one of TERM, INT, HUP, QUIT, USR1, USR2, KILL',
    ],
  },
  {
    what: 'an unknown failure class',
    text: `${RUN}retries: { timeuot: 1 }\n`,
    problems: ['suite.yaml:2:12: retries.timeuot: unknown key "timeuot". Did you mean "timeout"?'],
  },
  {
    what: 'names that cannot be',
    text: `${RUN}name: my suite\nenv: { "A B": x }\naxes: { 9lives: [1] }\n`,
    problems: [
      'suite.yaml:2:7: name: must start with a letter and hold up to 64 of A-Z a-z 0-9 _ -',
      'suite.yaml:3:8: env["A B"]: the name must hold letters, digits and _ only, and not begin with a digit',
      'suite.yaml:4:9: axes.9lives: the name must start with a letter and hold up to 64 of A-Z a-z 0-9 _ -',
    ],
  },
  {
    what: 'metrics',
    text: `${RUN}metrics:
  - { name: a, unit: s }
  - { name: b, unit: s, regex: 'x', json: f }
  - { name: c, unit: s, regex: '(' }
  - { name: d, unit: s, regex: '(?<val>x)' }
  - { name: e, regex: '(?<value>x)' }
  - { name: f, unit: s, lastLine: a..b, stream: stderr }
  - { name: g, unit: s, json: f }
`,
    problems: [
      'suite.yaml:3:5: metrics[0]: needs exactly one of regex, json, lastLine, report',
      'suite.yaml:4:5: metrics[1]: has regex and json; keep exactly one of regex, json, lastLine, report',
      'suite.yaml:4:32: metrics[1].regex: has no group (?<value>...) around the number',
      'suite.yaml:4:43: metrics[1].json: needs path: where the value is in the file',
      'suite.yaml:5:32: metrics[2].regex: is not a regular expression: Invalid regular expression: /(/: Unterminated group',
      'suite.yaml:6:32: metrics[3].regex: has no group (?<value>...) around the number',
      'suite.yaml:7:5: metrics[4]: needs unit ("" for none), or a group (?<unit>...) in the regex',
      'suite.yaml:8:35: metrics[5].lastLine: must look like results[0].rate or ["a key"].rate',
      'suite.yaml:8:49: metrics[5].stream: belongs to regex only; remove it',
      'suite.yaml:9:31: metrics[6].json: needs path: where the value is in the file',
    ],
  },
];

const MEANING: readonly Bad[] = [
  {
    what: 'templates',
    text: 'axes: { size: [1] }\nrun:\n  - echo\n  - "{{siez}}"\n  - "{{size"\n  - "{{a b}}"\n',
    problems: [
      `suite.yaml:4:5: run[1]: unknown name "{{siez}}"; known: size, ${KNOWN}. Did you mean "size"?`,
      `suite.yaml:5:5: run[2]: "{{" is never closed by "}}"; for the characters themselves write {{'{{'}}`,
      `suite.yaml:6:5: run[3]: "{{a b}}" is not a name; for the characters themselves write {{'{{'}}`,
    ],
  },
  {
    what: 'a template in a block text points at the text',
    text: 'run:\n  shell: |\n    echo {{nope}}\n',
    problems: [`suite.yaml:2:10: run.shell: unknown name "{{nope}}"; known: ${KNOWN}.`],
  },
  {
    what: 'templates in env, cwd, files and metrics',
    text: `${RUN}env: { A: "{{x}}" }\ncwd: "{{x}}"\nfiles: ["{{x}}"]\nmetrics: [{ name: a, unit: s, json: "{{x}}", path: a }]\n`,
    problems: [
      `suite.yaml:2:11: env.A: unknown name "{{x}}"; known: ${KNOWN}.`,
      `suite.yaml:3:6: cwd: unknown name "{{x}}"; known: ${KNOWN}.`,
      `suite.yaml:4:9: files[0]: unknown name "{{x}}"; known: ${KNOWN}.`,
      `suite.yaml:5:37: metrics[0].json: unknown name "{{x}}"; known: ${KNOWN}.`,
    ],
  },
  {
    what: 'names taken twice, or taken already',
    text: `${RUN}vars:\n  size: 1\n  run: 2\naxes:\n  size: [1]\n  n-a: [1]\n  N_A: [1]\n`,
    problems: [
      'suite.yaml:3:3: vars.size: "size" is an axis too; rename one of them',
      'suite.yaml:4:3: vars.run: "run" is a name of benchmesh itself; choose another',
      'suite.yaml:8:3: axes.N_A: "n-a" and "N_A" are both BENCHMESH_AXIS_N_A in the environment; rename one',
    ],
  },
  {
    what: 'a value listed twice, by its text',
    text: `${RUN}axes:\n  size: [1, 2, "1"]\n`,
    problems: [
      'suite.yaml:3:16: axes.size[2]: the value 1 is listed twice; remove one (values are the same when their text is)',
    ],
  },
  {
    what: 'entries of the matrix',
    text: `${RUN}axes: { a: [1, 2], b: [1] }\nexclude:\n  - { aa: 1 }\n  - {}\ninclude:\n  - { a: 3 }\n  - { a: 1, c: 2 }\n`,
    problems: [
      'suite.yaml:4:7: exclude[0].aa: "aa" is not an axis; known: a, b.',
      'suite.yaml:5:5: exclude[1]: is empty; name at least one axis, or remove it',
      'suite.yaml:7:5: include[0]: adds nothing: to add a cell, give b too; to set a var in cells, name the var',
      'suite.yaml:8:13: include[1].c: "c" is not an axis or a var; known: a, b.',
    ],
  },
  {
    what: 'an entry that repeats a cell',
    text: `${RUN}axes: { a: [1, 2] }\ninclude:\n  - { a: 3 }\n  - { a: 2 }\n  - { a: "3" }\n`,
    problems: [
      'suite.yaml:5:5: include[1]: this cell is in the matrix already; remove the entry',
      'suite.yaml:6:5: include[2]: this cell is in the matrix already; remove the entry',
    ],
  },
  {
    what: 'an empty matrix',
    text: `${RUN}axes:\n  a: [1]\nexclude:\n  - a: 1\n`,
    problems: [
      'suite.yaml:3:3: axes: the matrix is empty: every cell is excluded, or an axis has no value; change axes, exclude or --only',
    ],
  },
  {
    what: 'a suite without a folder that needs one',
    text: 'run: [./a, b]\nsetup: { exec: [bin/x, "{{suite.dir}}"], cwd: sub }\nteardown: [a, ../b]\n',
    options: { dir: null, file: '-' },
    problems: [
      '-:1:7: run[0]: is relative to the folder of the suite, but the suite was read from standard input; write an absolute path',
      '-:2:17: setup.exec[0]: is relative to the folder of the suite, but the suite was read from standard input; write an absolute path',
      '-:2:24: setup.exec[1]: is relative to the folder of the suite, but the suite was read from standard input; write an absolute path',
      '-:2:47: setup.cwd: is relative to the folder of the suite, but the suite was read from standard input; write an absolute path',
      '-:3:15: teardown[1]: is relative to the folder of the suite, but the suite was read from standard input; write an absolute path',
    ],
  },
];

const OPTIONS: readonly Bad[] = [
  {
    what: 'an unknown profile',
    text: `${RUN}profiles: { quick: {}, long: {} }\n`,
    options: { profile: 'quik' },
    problems: ['--profile quik: no such profile; known: quick, long. Did you mean "quick"?'],
  },
  {
    what: '--set of what is not there',
    text: `${RUN}vars: { seconds: 1 }\naxes: { size: [1] }\n`,
    options: {
      set: ['secnds=2', 'size=2', 'vars.x=1', 'axes.x=[1]', 'repeats', 'metrics.0.unit=s'],
    },
    problems: [
      '--set secnds=2: no such var and no such key of the suite; vars: seconds. Did you mean "seconds"?',
      '--set size=2: "size" is an axis; write --only size=2, or --set axes.size=[...]',
      '--set vars.x=1: no "x" in vars; known: seconds.',
      '--set axes.x=[1]: no "x" in axes; known: size.',
      '--set repeats: must be key=value',
      '--set metrics.0.unit=s: there is nothing at "metrics.0.unit" to set',
    ],
  },
  {
    what: '--set of a wrong value',
    text: RUN,
    options: { set: ['repeats=x', 'needs.slotss=1'] },
    problems: [
      '--set repeats=x: repeats: must be a number, not "x"',
      '--set needs.slotss=1: needs.slotss: unknown key "slotss". Did you mean "slots"?',
    ],
  },
  {
    what: '--only of what is not there',
    text: `${RUN}axes: { algorithm: [md5, sha256] }\n`,
    options: { only: ['algoritm=md5', 'algorithm=sha25', 'algorithm'] },
    problems: [
      '--only algoritm=md5: no such axis; known: algorithm. Did you mean "algorithm"?',
      '--only algorithm=sha25: algorithm has no value "sha25"; known: md5, sha256. Did you mean "sha256"?',
      '--only algorithm: must be axis=value',
    ],
  },
  {
    what: 'problems of the file come before those of options, in the order of lines',
    text: `nmae: x\n${RUN}grace: 1\n`,
    options: { only: ['a=1'] },
    problems: [
      'suite.yaml:1:1: nmae: unknown key "nmae". Did you mean "name"?',
      'suite.yaml:3:8: grace: must be a duration with a unit, such as 250ms, 10s, 1m30s or 2h, not 1',
      '--only a=1: no such axis; known: none.',
    ],
  },
];

describe.each([
  ['files', FILES],
  ['shapes', SHAPES],
  ['meaning', MEANING],
  ['options', OPTIONS],
])('bad suites: %s', (_, table) => {
  it.each(table)('$what', ({ text, options, problems }) => {
    expect(problemsOf(text, options)).toEqual(problems);
  });
});
