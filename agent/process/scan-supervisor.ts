import type { Log } from './log.ts';
import type { Adoption, StepEvents, StepHandle, StepSpec, Supervisor } from './types.ts';
export class ScanSupervisor implements Supervisor {
  readonly rung = 'scan';
  readonly degraded: string;
  constructor(reason: string, _log: Log) {
    this.degraded = reason;
  }
  start(_d: string, _s: StepSpec, _e: StepEvents): StepHandle {
    throw new Error('x');
  }
  adopt(_d: string, _e: StepEvents): Promise<Adoption> {
    throw new Error('x');
  }
  close(): void {}
}
