/** `benchmesh up`: a local mesh that stays. Starts what is missing, so it also heals. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { SETTINGS } from '../agent/agent-settings.ts';
import {
  cordonAfterOption,
  durationOption,
  integerOption,
  labelOption,
  withExamples,
  withJson,
  type JsonFlag,
} from '../command.ts';
import { homeDir, namedResultsDir } from '../mesh/home.ts';
import { startLocalMesh, type StartedMesh, type StartOptions } from '../mesh/start-mesh.ts';
import { terminal } from '../output/terminal.ts';

interface UpFlags extends JsonFlag {
  readonly detach?: boolean;
  readonly slots?: number;
  readonly reservedCpus?: string;
  readonly rung?: 'auto' | 'cgroup' | 'subreaper' | 'scan';
  readonly label?: readonly string[];
  readonly port?: number;
  readonly results?: string;
  readonly cordonAfter?: number;
  readonly ready: number;
}

export function build(command: Command): void {
  withJson(command)
    .option('--detach', 'return when the mesh is up; benchmesh down ends it')
    .addOption(integerOption('--slots <n>', 'slots of the agent; default one per usable CPU', 1))
    .addOption(
      new Option(
        SETTINGS.reservedCpus.flag,
        `${SETTINGS.reservedCpus.description}, or as before`,
      ).argParser(cpuList),
    )
    .addOption(
      new Option('--rung <rung>', 'how processes are supervised')
        .choices(['auto', 'cgroup', 'subreaper', 'scan'])
        .default(undefined, 'auto, or as before'),
    )
    .addOption(labelOption('a label of the agent, kept like its slots; repeatable'))
    .addOption(integerOption('--port <n>', 'port of the server; default a free one, then kept', 1))
    .option(
      '--results <dir>',
      'where finished runs go; else BENCHMESH_RESULTS, else $BENCHMESH_HOME/results',
    )
    .addOption(cordonAfterOption('default 5, or as before'))
    .addOption(
      durationOption('--ready <duration>', 'how long the parts may take to answer').default(
        60_000,
        '60s',
      ),
    );
  command.addHelpText(
    'after',
    `
Starts nats-server, coordinator and one agent, whichever is missing, and keeps them. Without
--detach it stays in the foreground, starts parts again that die, and ends the mesh on Ctrl-C:
runs that are live are stopped first; a second Ctrl-C leaves everything running.`,
  );
  withExamples(command, ['benchmesh up --detach', 'benchmesh up --slots 4 --label rack=r7']);
  command.action(async (flags: UpFlags) => {
    const options = optionsOf(flags);
    const started = await startLocalMesh(options);
    for (const line of notApplied(options, started)) terminal.note(`warning: ${line}`);
    if (flags.detach === true || flags.json === true) {
      report(started, flags);
      return;
    }
    report(started, flags);
    const { superviseUntilEnd } = await import('../mesh/supervise.ts');
    await superviseUntilEnd(options);
  });
}

function cpuList(text: string): string {
  const problem = SETTINGS.reservedCpus.problem(text);
  if (problem !== null) throw new InvalidArgumentError(`It ${problem}.`);
  return text;
}

function optionsOf(flags: UpFlags): StartOptions {
  const resultsDir = namedResultsDir(flags.results);
  return {
    home: homeDir(),
    stays: true,
    readyMs: flags.ready,
    ...(resultsDir === null ? {} : { resultsDir }),
    ...(flags.slots === undefined ? {} : { slots: flags.slots }),
    ...(flags.reservedCpus === undefined ? {} : { reservedCpus: flags.reservedCpus }),
    ...(flags.rung === undefined ? {} : { rung: flags.rung }),
    ...(flags.label === undefined ? {} : { labels: flags.label }),
    ...(flags.port === undefined ? {} : { port: flags.port }),
    ...(flags.cordonAfter === undefined ? {} : { cordonAfter: flags.cordonAfter }),
  };
}

/** Flags for a part that was running already and goes on as it was. Pure. */
export function notApplied(
  wanted: Omit<StartOptions, 'home' | 'stays' | 'readyMs'>,
  { mesh, started }: StartedMesh,
): string[] {
  const lines: string[] = [];
  const check = (
    part: string,
    [flag, asked]: readonly [string, string | number | undefined],
    is: string | number | null | undefined,
  ): void => {
    if (started.includes(part) || asked === undefined || String(asked) === String(is)) return;
    const own = is === null || is === undefined ? '' : ` with ${is}`;
    lines.push(
      `${flag} ${asked} is not applied: the ${part} runs already${own}; benchmesh down ends it`,
    );
  };
  check('agent', ['--slots', wanted.slots], mesh.agent?.slots);
  check('agent', ['--reserved-cpus', wanted.reservedCpus], mesh.agent?.reservedCpus);
  check('agent', ['--rung', wanted.rung], mesh.agent?.rung);
  const labels = mesh.agent?.labels ?? [];
  check(
    'agent',
    ['--label', wanted.labels?.join(' ')],
    labels.length === 0 ? null : labels.join(' '),
  );
  check('server', ['--port', wanted.port], new URL(mesh.server.url).port);
  check('coordinator', ['--results', wanted.resultsDir], mesh.coordinator?.resultsDir);
  check('coordinator', ['--cordon-after', wanted.cordonAfter], mesh.coordinator?.cordonAfter);
  return lines;
}

function report({ mesh, started }: StartedMesh, flags: UpFlags): void {
  const home = homeDir();
  if (flags.json === true) {
    terminal.printJson('mesh', { home, started, mesh });
    return;
  }
  const { style } = terminal;
  const parts = [
    ['server', mesh.server.pid, `${mesh.server.url}, log ${mesh.server.logFile}`],
    ['coordinator', mesh.coordinator?.pid, `results in ${mesh.coordinator?.resultsDir ?? '-'}`],
    ['agent', mesh.agent?.pid, `${mesh.agent?.id ?? '-'}, state in ${mesh.agent?.stateDir ?? '-'}`],
  ] as const;
  terminal.print(`${style.bold('mesh is up')} in ${home}`);
  for (const [name, pid, about] of parts) {
    const how = started.includes(name) ? style.good('started') : 'running';
    terminal.print(`  ${name.padEnd(11)}  ${how}  pid ${pid ?? '-'}  ${about}`);
  }
}
