/**
 * Chooses the rung of supervision for this host: the best one that runs here, or the one
 * asked for. A worse one says why (`degraded`), and the agent passes that on.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { silent, type Log } from './log.ts';
import { findMeshrun } from './meshrun-binary.ts';
import { MeshrunAdopter } from './meshrun-adopter.ts';
import { MeshrunSupervisor } from './meshrun-supervisor.ts';
import { SCAN_PLAN, ScanSupervisor } from './scan-supervisor.ts';
import { Spawner } from './spawner.ts';
import type { Adopter, Rung, Supervisor } from './types.ts';

export type * from './types.ts';
export type { Log } from './log.ts';

export interface SupervisorOptions {
  /** `auto`, the default: the best that runs here. A rung by name is not replaced by another. */
  readonly rung?: Rung | 'auto';
  /** A meshrun other than the committed one, with a SHA256SUMS beside it. */
  readonly meshrunPath?: string;
  readonly log?: Log;
}

/** Rejects only where a rung asked for by name cannot run. */
export async function createSupervisor(options: SupervisorOptions = {}): Promise<Supervisor> {
  const { rung = 'auto', log = silent } = options;
  if (rung === 'scan') return scanning('asked for', log);
  const found = await beginMeshrun(options.meshrunPath, log);
  if (typeof found !== 'string') return found;
  if (rung === 'subreaper') throw new Error(`meshrun cannot run here: ${found}`);
  log('warn', 'supervision is degraded to scanning', { reason: found });
  return scanning(found, log);
}

function scanning(reason: string, log: Log): Supervisor {
  return ofBothRungs(new ScanSupervisor(reason, log), { subreaper: new MeshrunAdopter(log) });
}

/** The supervisor, or why there is none. */
async function beginMeshrun(path: string | undefined, log: Log): Promise<Supervisor | string> {
  const binary = findMeshrun(path);
  if (binary.kind === 'unusable') return binary.reason;
  const spawner = new Spawner(binary.path, log);
  const hello = await spawner.begin();
  if (hello?.version === '1' && hello.subreaper && hello.proc) {
    return ofBothRungs(new MeshrunSupervisor(spawner, log), {
      scan: new ScanSupervisor('', log),
    });
  }
  spawner.close();
  if (hello === null) return 'meshrun does not run here';
  if (!hello.subreaper) return 'this kernel has no subreapers';
  return hello.proc ? `meshrun speaks version ${hello.version}` : '/proc cannot be read';
}

/**
 * Starts on its own rung, and takes up a step on the one that started it: an agent may come back
 * on another rung while steps run.
 */
function ofBothRungs(
  own: Supervisor,
  other: { readonly scan: Adopter } | { readonly subreaper: Adopter },
): Supervisor {
  const byRung = { scan: own, subreaper: own, ...other } satisfies Record<Rung, Adopter>;
  return {
    rung: own.rung,
    degraded: own.degraded,
    start: (stepDir, spec, events) => own.start(stepDir, spec, events),
    adopt: (stepDir, events, known) => {
      const rung = existsSync(join(stepDir, SCAN_PLAN)) ? 'scan' : 'subreaper';
      return byRung[rung].adopt(stepDir, events, known);
    },
    close: () => {
      byRung.scan.close();
      byRung.subreaper.close();
    },
  };
}
