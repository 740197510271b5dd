/** From flags, environment and config file to the flags of the agent's program. */
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { MeshError } from '#protocol/messages/errors.ts';
import type { MeshFlags } from '../command.ts';
import { serverArgs } from '../mesh/find-mesh.ts';
import { homeDir } from '../mesh/home.ts';
import { terminal } from '../output/terminal.ts';
import { readText } from '../read-text.ts';
import { parseAgentConfig } from './agent-config.ts';
import {
  idOfHost,
  merged,
  SETTING_KEYS,
  SETTINGS,
  settingsOfEnvironment,
  type Said,
  type SettingKey,
} from './agent-settings.ts';

export const CONFIG_VARIABLE = 'BENCHMESH_AGENT_CONFIG';

type Environment = Readonly<Record<string, string | undefined>>;

/** What the program is started with; reads the config file again each time. Rejects with MeshError. */
export async function agentArgs(
  flags: Said & { readonly config: string | undefined },
  environment: Environment = process.env,
): Promise<string[]> {
  const file = configFile(flags.config, environment);
  const config = file === null ? [] : [await readAgentConfig(file)];
  const { values, labels } = merged([flags, settingsOfEnvironment(environment), ...config]);
  const id = values.id ?? idOfHost(hostname());
  if (id === null) {
    throw new MeshError('usage', `the host's name ${hostname()} is no id of an agent: give --id`);
  }
  const state = values.state ?? join(homeDir(environment), 'agents', id);
  const own: Partial<Record<SettingKey, string>> = { onTerm: 'drain', ...values, id, state };
  return [
    ...(await serverArgs(serverFlags(values))),
    ...SETTING_KEYS.flatMap((key) => {
      const value = own[key];
      if (value === undefined || key === 'server' || key === 'credential') return [];
      return [nameOf(SETTINGS[key].flag), value];
    }),
    ...Object.entries(labels).flatMap(([name, value]) => ['--label', `${name}=${value}`]),
    '--stderr-log',
  ];
}

export function configFile(
  flag: string | undefined,
  environment: Environment = process.env,
): string | null {
  const file = flag ?? environment[CONFIG_VARIABLE] ?? '';
  return file === '' ? null : file;
}

/** Rejects with `file_not_found` or `config_invalid`; all problems but the last go to stderr before. */
export async function readAgentConfig(file: string): Promise<Said> {
  const path = resolve(file);
  const text = await readText(path, {
    name: file,
    code: 'config_invalid',
    hint: '; the config is read again at each start: write it to a file',
  });
  const parsed = parseAgentConfig(text, file);
  if (parsed.kind === 'invalid') {
    const last = parsed.problems.at(-1) ?? `${file} is no config`;
    for (const problem of parsed.problems.slice(0, -1)) terminal.note(`benchmesh: ${problem}`);
    throw new MeshError('config_invalid', last);
  }
  const values = { ...parsed.said.values };
  for (const key of SETTING_KEYS) {
    const value = values[key];
    if (value !== undefined && SETTINGS[key].isPath === true)
      values[key] = resolve(dirname(path), value);
  }
  return { ...parsed.said, values };
}

/** `--log-file <file>` as `--log-file`. */
export function nameOf(flag: string): string {
  return flag.split(' ')[0] ?? flag;
}

/** A credential in the environment is for the server named there: none, none. */
function serverFlags({ server, credential }: Said['values']): MeshFlags {
  if (server === undefined) return {};
  return { server, ...(credential === undefined ? {} : { credential }) };
}
