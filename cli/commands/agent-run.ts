/** `benchmesh agent run`: an agent in the foreground, for hosts that join a mesh. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { readLabels } from '#protocol/messages/agent/labels.ts';
import { agentArgs, CONFIG_VARIABLE } from '../agent/agent-args.ts';
import { SETTING_KEYS, SETTINGS, type Said, type SettingKey } from '../agent/agent-settings.ts';
import { labelOption, withExamples } from '../command.ts';
import { becomeProgram } from '../mesh/become-program.ts';
import { superviseAgent } from '../mesh/supervise-agent.ts';

type RunFlags = Partial<Readonly<Record<SettingKey, string>>> & {
  readonly config?: string;
  readonly label?: readonly string[];
  readonly supervise?: boolean;
};

export function buildRun(command: Command): void {
  command.option('--config <file>', `YAML with what follows; else ${CONFIG_VARIABLE}`);
  for (const key of SETTING_KEYS) command.addOption(settingOption(key));
  command
    .addOption(labelOption('a label of this agent, beside those of the config file; repeatable'))
    .option(
      '--supervise',
      'start the agent again whenever it dies: for containers without systemd',
    );
  command.addHelpText(
    'after',
    '\nWhat no flag says is taken from the environment (BENCHMESH_SERVER, BENCHMESH_AGENT_SLOTS ...),\n' +
      'then from the config file. SIGTERM or Ctrl-C drains: what runs ends by itself, what has not begun\n' +
      'goes elsewhere. A second one stops what runs, verified. SIGUSR2 ends the agent at once and leaves\n' +
      'what runs to the next one. docs/agent.md has every key, variable and signal.',
  );
  withExamples(command, [
    'benchmesh agent run --config /etc/benchmesh/agent.yaml',
    'benchmesh agent run --server nats://mesh:4222 --credential lab-1.nk --label rack=r7 --slots 8',
    'benchmesh agent run --config agent.yaml --supervise',
  ]);
  command.action(async (flags: RunFlags) => {
    const said = { ...saidBy(flags), config: flags.config };
    const args = (): Promise<string[]> => agentArgs(said);
    if (flags.supervise === true) process.exitCode = await superviseAgent(args);
    else await becomeProgram('agent', await args());
  });
}

function settingOption(key: SettingKey): Option {
  const { flag, variable, description, problem } = SETTINGS[key];
  return new Option(flag, `${description} (${variable})`).argParser((text) => {
    const wrong = problem(text);
    if (wrong !== null) throw new InvalidArgumentError(`It ${wrong}.`);
    return text;
  });
}

function saidBy(flags: RunFlags): Said {
  const values: Partial<Record<SettingKey, string>> = {};
  for (const key of SETTING_KEYS) {
    const text = flags[key];
    if (text !== undefined) values[key] = text;
  }
  const read = readLabels(flags.label ?? []); // each was checked as it was read
  return { values, labels: read.kind === 'labels' ? read.labels : {} };
}
