import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** What each layer may import: messages <- suite, fold <- runtime <- nats <- coordinator, agent, cli. */
const layer = (files, forbidden, message) => ({
  files,
  rules: {
    'no-restricted-imports': [
      'error',
      { patterns: forbidden.map((regex) => ({ regex, message })) },
    ],
  },
});

const NATS = '^@nats-io/';
const CHILD = '^(node:)?child_process$';
const OUTSIDE_PROTOCOL = '^#(agent|coordinator|cli|test)/';

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'results/', 'coverage/', '.cache/', 'examples/'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js', 'scripts/*.mjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      'no-console': 'error',
      eqeqeq: 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      'max-lines': ['error', { max: 400 }],
      'max-params': ['error', { max: 4 }],
      'no-restricted-globals': 'off',
    },
  },
  layer(
    ['protocol/messages/**'],
    [NATS, CHILD, '^node:(fs|net|http)', OUTSIDE_PROTOCOL, '(suite|fold|runtime|nats)/'],
    'messages/ is the lowest layer',
  ),
  layer(
    ['protocol/suite/**', 'protocol/fold/**'],
    [NATS, CHILD, OUTSIDE_PROTOCOL, '/(runtime|nats)/'],
    'suite/ and fold/ know messages/ only',
  ),
  layer(['protocol/runtime/**'], [NATS, OUTSIDE_PROTOCOL, '/nats/'], 'runtime/ knows no NATS'),
  layer(['protocol/nats/**'], [OUTSIDE_PROTOCOL], 'nats/ is below the programs'),
  layer(
    ['agent/**'],
    [NATS, CHILD, '^#(coordinator|cli|test)/'],
    'child processes belong to agent/process/, NATS to protocol/nats/',
  ),
  layer(
    ['agent/process/**'],
    [NATS, '^#(coordinator|cli|test)/'],
    'agent never imports coordinator or cli',
  ),
  layer(
    ['coordinator/**'],
    [NATS, CHILD, '^#(agent|cli|test)/'],
    'coordinator never imports agent or cli',
  ),
  layer(
    ['cli/**'],
    [NATS, CHILD, '^#(agent|coordinator|test)/'],
    'cli talks to the mesh through protocol/',
  ),
  layer(
    ['cli/mesh/**'],
    [NATS, '^#(agent|coordinator|test)/'],
    'cli talks to the mesh through protocol/',
  ),
  {
    files: ['**/*-reducer.ts', '**/*-policy.ts', 'protocol/fold/**', 'protocol/suite/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'pure code gets the time as an argument' },
        { object: 'Math', property: 'random', message: 'pure code gets randomness as an argument' },
      ],
      'no-restricted-globals': [
        'error',
        { name: 'process', message: 'pure code does not read the process' },
      ],
    },
  },
  { files: ['cli/**', 'scripts/**', 'test/bench/**'], rules: { 'no-console': 'off' } },
  { files: ['**/*.js', '**/*.mjs'], ...tseslint.configs.disableTypeChecked },
  {
    files: ['**/*.js', '**/*.mjs'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly' } },
  },
);
