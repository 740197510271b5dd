/** The agent's config file and who wins over it: exact lines for whoever has to mend one. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { format } from 'prettier';
import { describe, expect, it } from 'vitest';
import { agentArgs, CONFIG_VARIABLE, nameOf, readAgentConfig } from '#cli/agent/agent-args.ts';
import { parseAgentConfig } from '#cli/agent/agent-config.ts';
import { AgentForm, agentJsonSchema } from '#cli/agent/agent-form.ts';
import {
  idOfHost,
  LABELS_VARIABLE,
  merged,
  SETTING_KEYS,
  SETTINGS,
  settingsOfEnvironment,
} from '#cli/agent/agent-settings.ts';

const problems = (text: string): readonly string[] => {
  const parsed = parseAgentConfig(text, 'agent.yaml');
  return parsed.kind === 'invalid' ? parsed.problems : [];
};

describe('what is wrong with a config', () => {
  it.each([
    ['sloths: 8', ['agent.yaml:1:1: sloths: unknown key "sloths". Did you mean "slots"?']],
    ['id: a\nslots: x', ['agent.yaml:2:8: slots: must be a number, not "x"']],
    ['slots: 0', ['agent.yaml:1:8: slots: must be at least 1']],
    ['slots: 5000', ['agent.yaml:1:8: slots: must be at most 4096']],
    ['slots: 1.5', ['agent.yaml:1:8: slots: must be a whole number, not 1.5']],
    ['id: all', ['agent.yaml:1:5: id: must be 1 to 64 of A-Z a-z 0-9 _ - and not "all"']],
    ['id: 7', ['agent.yaml:1:5: id: must be text, not 7']],
    ['server:', ['agent.yaml:1:8: server: must be text, not empty']],
    [
      'rung: magic',
      ['agent.yaml:1:7: rung: must be one of auto, cgroup, subreaper, scan, not "magic"'],
    ],
    [
      'onTerm: drian',
      ['agent.yaml:1:9: onTerm: must be one of drain, leave, not "drian". Did you mean "drain"?'],
    ],
    ['reservedCpus: 3-1', ['agent.yaml:1:15: reservedCpus: must be a list of CPUs such as 0-1,8']],
    ['refresh: 10', ['agent.yaml:1:10: refresh: must be text, not 10']],
    [
      'refresh: 2d',
      ['agent.yaml:1:10: refresh: must be a duration from 1s to 24h, such as 30s, 5m or 1h'],
    ],
    [
      'connectTimeout: 25h',
      ['agent.yaml:1:17: connectTimeout: must be a duration up to 24h, such as 30s, 5m or 1h'],
    ],
    [
      'spoolLimit: 1MiB',
      ['agent.yaml:1:13: spoolLimit: must be a size of at least 16MiB, such as 512MiB or 8GiB'],
    ],
    [
      'journalLimit: lots',
      ['agent.yaml:1:15: journalLimit: must be a size of at least 16MiB, such as 512MiB or 8GiB'],
    ],
    ['keepDays: 0', ['agent.yaml:1:11: keepDays: must be at least 1']],
    ['exec: on', ['agent.yaml:1:7: exec: must be off, or a map such as allow: [uptime]']],
    [
      'exec: [df]',
      ['agent.yaml:1:7: exec: must be off, or a map such as allow: [uptime], not a list'],
    ],
    [
      'exec:\n  alow: [df]',
      [
        'agent.yaml:2:3: exec.allow: the key "allow" is missing; add it',
        'agent.yaml:2:3: exec.alow: unknown key "alow". Did you mean "allow"?',
      ],
    ],
    [
      'exec:\n  allow: [./df]',
      ['agent.yaml:2:11: exec.allow[0]: must begin with a name or an absolute path'],
    ],
    ['exec:\n  allow: [df, 7]', ['agent.yaml:2:15: exec.allow[1]: must be text, not 7']],
    ['labels: [a]', ['agent.yaml:1:9: labels: must be a map, not a list']],
    [
      'labels:\n  a b: 1',
      [
        'agent.yaml:2:3: labels["a b"]: "a b" is no name of a label: 1 to 63 of A-Z a-z 0-9 . _ / -',
      ],
    ],
    ['labels:\n  a:', ['agent.yaml:2:5: labels.a: must be text, not empty']],
    ['labels:\n  a: [1]', ['agent.yaml:2:6: labels.a: must be text, not a list']],
    [
      'id: a\nid: b',
      ['agent.yaml:2:1: this key is written twice in the same map; keep one of them'],
    ],
    [
      '- a',
      ['agent.yaml:1:1: the config of an agent is a map of keys, such as server: nats://mesh:4222'],
    ],
    [
      'a: b: c',
      ['agent.yaml:1:4: this is not YAML: Nested mappings are not allowed in compact mappings'],
    ],
    [
      'id: a\n---\nid: b',
      ['agent.yaml:2:1: this must be one YAML document; remove the second one (after "---")'],
    ],
    [
      'slots: x\nstate: ""\nlabels: {k: v}\nnope: 1',
      [
        'agent.yaml:1:8: slots: must be a number, not "x"',
        'agent.yaml:2:8: state: must not be empty',
        'agent.yaml:4:1: nope: unknown key "nope". Known: id, state, server, credential, slots, reservedCpus, rung, labels, refresh, connectTimeout, logFile, onTerm, spoolLimit, journalLimit, keepDays, exec, accepts.',
      ],
    ],
  ])('%j', (text, lines) => {
    expect(problems(text)).toEqual(lines);
  });

  it('too many labels', () => {
    const many = Array.from({ length: 65 }, (_, at) => `  k${at}: v`).join('\n');
    expect(problems(`labels:\n${many}`)).toEqual([
      'agent.yaml:2:3: labels: there are 65 labels, 64 are the most',
    ]);
  });
});

it('a config that is a pipe: nobody waits for it, and nobody is sent to standard input', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'benchmesh-config-'));
  const pipe = join(dir, 'agent.yaml');
  execFileSync('mkfifo', [pipe]);
  await expect(readAgentConfig(pipe)).rejects.toMatchObject({
    code: 'file_not_found',
    message: `${pipe} cannot be read: it is no regular file; the config is read again at each start: write it to a file`,
  });
  await rm(dir, { recursive: true });
});

describe('what a config says', () => {
  it.each(['', '# nothing', '{}'])('%j: nothing', (text) => {
    expect(parseAgentConfig(text, 'f')).toEqual({ kind: 'ok', said: { values: {}, labels: {} } });
  });

  it('labels are texts as written', () => {
    const parsed = parseAgentConfig('labels: {v: 1.10, on: true, "s": "", cpu: 0x10}', 'f');
    expect(parsed).toMatchObject({
      said: { labels: { v: '1.10', on: 'true', s: '', cpu: '0x10' } },
    });
  });

  it('exec is one text, as a flag would have it', () => {
    const said = (text: string): unknown => {
      const parsed = parseAgentConfig(text, 'f');
      return parsed.kind === 'ok' ? parsed.said.values.exec : parsed.problems;
    };
    expect(said('exec: off')).toBe('off');
    expect(said('exec: {allow: []}')).toBe('off');
    expect(said('exec: {allow: [default, df -h *]}')).toBe('default; df -h *');
  });

  it.each([
    ['reservedCpus: 0', '0'],
    ['reservedCpus: 0-1,8', '0-1,8'],
  ])('%s', (text, list) => {
    expect(parseAgentConfig(text, 'f')).toMatchObject({ said: { values: { reservedCpus: list } } });
  });

  it('examples/agent.yaml is right', async () => {
    const parsed = parseAgentConfig(await readFile('examples/agent.yaml', 'utf8'), 'agent.yaml');
    expect(parsed).toMatchObject({
      kind: 'ok',
      said: {
        values: { id: 'lab-1', slots: '8', onTerm: 'drain', refresh: '60s' },
        labels: { site: 'fra', rack: 'r7', 'gpu.tier': 'a' },
      },
    });
  });
});

describe('who says it', () => {
  const said = (values: object, labels = {}): Parameters<typeof merged>[0][number] => ({
    values,
    labels,
  });

  it('the flag, else the environment, else the config file; labels name by name', () => {
    const all = merged([
      said({ slots: '1' }, { a: 'flag' }),
      said({ slots: '2', rung: 'scan' }, { a: 'env', b: 'env' }),
      said({ slots: '3', rung: 'auto', id: 'file' }, { a: 'file', b: 'file', c: 'file' }),
    ]);
    expect(all.values).toEqual({ slots: '1', rung: 'scan', id: 'file' });
    expect(all.labels).toEqual({ a: 'flag', b: 'env', c: 'file' });
  });

  it('every setting has a flag, a variable and a key of the same meaning', () => {
    expect(Object.keys(AgentForm.shape).sort()).toEqual([...SETTING_KEYS, 'labels'].sort());
    for (const key of SETTING_KEYS) {
      const kebab = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      expect(nameOf(SETTINGS[key].flag)).toBe(`--${kebab}`);
      const words = kebab.replaceAll('-', '_').toUpperCase();
      expect(SETTINGS[key].variable).toMatch(new RegExp(`^BENCHMESH_(AGENT_)?${words}$`));
    }
  });

  it('docs/agent.md lists each of them, in one row', async () => {
    const text = await readFile('docs/agent.md', 'utf8');
    for (const key of SETTING_KEYS) {
      const { flag, variable } = SETTINGS[key];
      expect(text).toContain(`| \`${key}\` | \`${nameOf(flag)}\` | \`${variable}\` |`);
    }
    expect(text).toContain(`\`${LABELS_VARIABLE}\``);
    expect(text).toContain(`\`${CONFIG_VARIABLE}\``);
  });

  it.each([
    [
      { BENCHMESH_AGENT_SLOTS: 'x' },
      'BENCHMESH_AGENT_SLOTS: must be a whole number from 1 to 4096, not "x"',
    ],
    [
      { BENCHMESH_AGENT_ON_TERM: 'stop' },
      'BENCHMESH_AGENT_ON_TERM: must be one of drain, leave, not "stop"',
    ],
    [{ BENCHMESH_AGENT_LABELS: 'a=1,b' }, 'BENCHMESH_AGENT_LABELS: "b" must be key=value'],
  ])('%j is wrong', (environment, message) => {
    expect(() => settingsOfEnvironment(environment)).toThrow(
      expect.objectContaining({ code: 'config_invalid', message }),
    );
  });

  it('defaults: the id from the host, the state folder below the home, a drain on TERM', async () => {
    const flags = { values: { server: 'nats://x:1', id: 'h' }, labels: {}, config: undefined };
    const args = await agentArgs(flags, { BENCHMESH_HOME: '/home' });
    expect(args.join(' ')).toBe(
      '--server nats://x:1 --id h --state /home/agents/h --on-term drain --stderr-log',
    );
    expect(idOfHost('node-7.lab.example.org')).toBe('node-7');
    expect(idOfHost('weird name')).toBe('weird-name');
    expect(idOfHost('all')).toBeNull();
    expect(idOfHost('')).toBeNull();
  });
});

describe('agent.schema.json', () => {
  it('is what agent-form.ts makes; renew it with `npx vitest run test/unit/cli/agent-config.test.ts -u`', async () => {
    const text = await format(JSON.stringify(agentJsonSchema()), {
      parser: 'json',
      printWidth: 100,
    });
    await expect(text).toMatchFileSnapshot('../../../cli/agent/agent.schema.json');
  });
});
