/** Every command, in the order of the help. Loaded only when used, so that start-up stays quick. */
import type { CommandModule } from '../command.ts';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

export const COMMANDS: readonly CommandEntry[] = [
  { name: 'run', summary: 'run a suite and show its results', load: () => import('./run.ts') },
  {
    name: 'plan',
    summary: 'show what a suite expands to; runs nothing',
    load: () => import('./plan.ts'),
  },
  { name: 'runs', summary: 'list runs, live and finished', load: () => import('./runs.ts') },
  { name: 'show', summary: 'show one run', load: () => import('./show.ts') },
  { name: 'tasks', summary: 'list the tasks of a run', load: () => import('./tasks.ts') },
  { name: 'watch', summary: 'follow a run until it ends', load: () => import('./watch.ts') },
  {
    name: 'progress',
    summary: 'show how far a run is, how fast, and when it will end',
    load: () => import('./progress.ts'),
  },
  { name: 'logs', summary: 'print what benchmarks wrote', load: () => import('./logs.ts') },
  {
    name: 'results',
    summary: 'print the measurements of a run',
    load: () => import('./results.ts'),
  },
  {
    name: 'explain',
    summary: 'say why a task waits, or why an agent has room',
    load: () => import('./explain.ts'),
  },
  {
    name: 'metrics',
    summary: 'print what an attempt and its host used',
    load: () => import('./metrics.ts'),
  },
  {
    name: 'inspect',
    summary: 'show the processes, GPUs and step of an attempt now',
    load: () => import('./inspect.ts'),
  },
  {
    name: 'get',
    summary: 'print a file of an attempt, while it runs too',
    load: () => import('./get.ts'),
  },
  {
    name: 'collect',
    summary: 'take the result files of an attempt once more',
    load: () => import('./collect.ts'),
  },
  { name: 'stop', summary: 'stop a run or a task, and prove it', load: () => import('./stop.ts') },
  {
    name: 'pause',
    summary: 'stop a run or a task with its checkpoint, for a while',
    load: () => import('./pause.ts'),
  },
  {
    name: 'resume',
    summary: 'go on with what was paused, or with what a run left',
    load: () => import('./resume.ts'),
  },
  {
    name: 'requeue',
    summary: 'end the attempt of a task and let the next one follow elsewhere',
    load: () => import('./requeue.ts'),
  },
  {
    name: 'retry',
    summary: 'run what did not pass once more, as a new run',
    load: () => import('./retry.ts'),
  },
  { name: 'note', summary: 'record a note with a run or a task', load: () => import('./note.ts') },
  {
    name: 'priority',
    summary: 'serve a live run before others, or after them',
    load: () => import('./priority.ts'),
  },
  {
    name: 'parallel',
    summary: 'limit how many tasks of a live run are under way',
    load: () => import('./parallel.ts'),
  },
  {
    name: 'audit',
    summary: 'fold the log of a run again and compare',
    load: () => import('./audit.ts'),
  },
  { name: 'events', summary: 'print the event log', load: () => import('./events.ts') },
  { name: 'agents', summary: 'list agents', load: () => import('./agents.ts') },
  {
    name: 'drain',
    summary: 'take an agent out of the mesh, or back in',
    load: () => import('./drain.ts'),
  },
  {
    name: 'cordon',
    summary: 'hand an agent nothing new',
    load: () => import('./cordon.ts'),
  },
  {
    name: 'uncordon',
    summary: 'let a cordoned agent have new work',
    load: () => import('./uncordon.ts'),
  },
  {
    name: 'exec',
    summary: "run a short command on an agent's host",
    load: () => import('./exec.ts'),
  },
  { name: 'up', summary: 'start a local mesh that stays', load: () => import('./up.ts') },
  { name: 'down', summary: 'end the local mesh', load: () => import('./down.ts') },
  {
    name: 'doctor',
    summary: 'check the mesh and say what to do',
    load: () => import('./doctor.ts'),
  },
  {
    name: 'agent',
    summary: 'run the agent of this host, or print its unit',
    load: () => import('./agent.ts'),
  },
  {
    name: 'coordinator',
    summary: 'run a coordinator in the foreground',
    load: () => import('./coordinator.ts'),
  },
];
