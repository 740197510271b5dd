/**
 * Chooses the rung of supervision for this host: the best one that runs here, or the one
 * asked for. A worse one says why (`degraded`), and the agent passes that on.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findHome, type CgroupHome } from './cgroup/cgroup-home.ts';
import { CgroupRoot, readCgroupTexts } from './cgroup/cgroup-root.ts';
import { silent, type Log } from './log.ts';
import { findMeshrun } from './meshrun-client/meshrun-binary.ts';
import { MeshrunAdopter } from './meshrun-client/meshrun-adopter.ts';
import { MeshrunSupervisor } from './meshrun-client/meshrun-supervisor.ts';
import { SCAN_PLAN, ScanSupervisor } from './scan/scan-supervisor.ts';
import { Spawner } from './meshrun-client/spawner.ts';
import { CONTROLLERS } from './step-limits.ts';
import type { Adopter, Rung, Supervisor } from './types.ts';

export type * from './types.ts';
export type { Log } from './log.ts';

export interface SupervisorOptions {
  /** `auto`, the default: the best that runs here. A rung by name is not replaced by another. */
  readonly rung?: Rung | 'auto';
  /** A meshrun other than the committed one, with a SHA256SUMS beside it. */
  readonly meshrunPath?: string;
  /** Of the state folder whose steps these are: what an agent of it left is found again by it. */
  readonly owner?: string;
  /** Where cgroups may be made, other than found by itself. */
  readonly cgroupHome?: CgroupHome;
  /** Cgroup controllers to be had for limits, other than those of StepLimits. */
  readonly controllers?: readonly string[];
  readonly log?: Log;
}

/** Rejects only where a rung asked for by name cannot run. */
export async function createSupervisor(options: SupervisorOptions = {}): Promise<Supervisor> {
  const { rung = 'auto', log = silent } = options;
  if (rung === 'scan') return scanning('asked for', log);
  const binary = findMeshrun(options.meshrunPath);
  const found = binary.kind === 'usable' ? await beginMeshrun(binary.path, options) : binary.reason;
  if (typeof found !== 'string') return found;
  if (rung !== 'auto') throw new Error(`the ${rung} rung cannot run here: ${found}`);
  log('warn', 'supervision is degraded to scanning', { reason: found });
  return scanning(found, log);
}

function scanning(reason: string, log: Log): Supervisor {
  return ofAllRungs(new ScanSupervisor(reason, log), { meshrun: new MeshrunAdopter(log) });
}

/** The supervisor, or why there is none. */
async function beginMeshrun(
  path: string,
  options: SupervisorOptions,
): Promise<Supervisor | string> {
  const { rung = 'auto', log = silent } = options;
  // Before the spawner, which is then where the agent is.
  const place = rung === 'subreaper' ? 'asked for' : await openRoot(path, options);
  if (rung === 'cgroup' && typeof place === 'string') return place;
  const spawner = new Spawner(path, log);
  const hello = await spawner.begin();
  if (hello?.version === '1' && hello.subreaper && hello.proc) {
    return ofAllRungs(new MeshrunSupervisor(spawner, place, log), {
      scan: new ScanSupervisor('', log),
    });
  }
  spawner.close(() => {
    if (typeof place !== 'string') place.close();
  });
  if (hello === null) return 'meshrun does not run here';
  if (!hello.subreaper) return 'this kernel has no subreapers';
  return hello.proc ? `meshrun speaks version ${hello.version}` : '/proc cannot be read';
}

let nameless = 0;

function nextOwner(): string {
  return `pid-${process.pid}-${(nameless += 1)}`;
}

/** The place for cgroups, or why there is none. */
async function openRoot(meshrun: string, options: SupervisorOptions): Promise<CgroupRoot | string> {
  const { owner = nextOwner(), controllers = CONTROLLERS, log = silent } = options;
  const { mountinfo, own } = readCgroupTexts();
  const found =
    options.cgroupHome === undefined
      ? findHome(mountinfo, own)
      : ({ kind: 'home', home: options.cgroupHome } as const);
  if (found.kind === 'none') return found.reason;
  const opened = await CgroupRoot.open({ home: found.home, owner, meshrun, controllers, log });
  if (opened.kind === 'root') return opened.root;
  log('debug', 'no cgroups for steps', { reason: opened.reason });
  return opened.reason;
}

/**
 * Starts on its own rung, and takes up a step on the one that started it: an agent may come back
 * on another rung while steps run. What meshrun started it records the rung of by itself.
 */
function ofAllRungs(
  own: Supervisor,
  other: { readonly scan: Adopter } | { readonly meshrun: Adopter },
): Supervisor {
  const adopters = { scan: own, meshrun: own, ...other } satisfies Record<string, Adopter>;
  return {
    rung: own.rung,
    degraded: own.degraded,
    makeFolder: (stepDir) => {
      own.makeFolder(stepDir);
    },
    releaseFolder: (stepDir) => {
      own.releaseFolder(stepDir);
    },
    start: (stepDir, spec, events) => own.start(stepDir, spec, events),
    adopt: (stepDir, events, known) => {
      const starter = existsSync(join(stepDir, SCAN_PLAN)) ? 'scan' : 'meshrun';
      return adopters[starter].adopt(stepDir, events, known);
    },
    bind: (binding) => {
      own.bind(binding);
    },
    close: () => {
      adopters.scan.close();
      adopters.meshrun.close();
    },
  };
}
