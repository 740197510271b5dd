/** Requests to the leading coordinator that may be repeated: asked again where nobody answered. */
import { MeshError } from '#protocol/messages/errors.ts';
import { pause, type MeshConnection } from '#protocol/nats/connection.ts';
import { call } from '#protocol/nats/rpc.ts';

const PATIENCE_MS = 20_000;

export interface Question<T> {
  readonly verb: string;
  readonly request: unknown;
  readonly parse: (reply: unknown) => T;
  /** What a refusal means once an earlier call may have been heard; null: what it says. */
  readonly onRepeatRefused?: (error: MeshError) => T | null;
}

/** Rejects with what the coordinator refuses with, `no_coordinator`, `timed_out` or `mesh_unreachable`. */
export async function askCoordinator<T>(
  connection: MeshConnection,
  { verb, request, parse, onRepeatRefused = () => null }: Question<T>,
): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let calls = 1; ; calls += 1) {
    try {
      return parse(await call(connection, verb, request));
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      const meant = calls > 1 ? onRepeatRefused(error) : null;
      if (meant !== null) return meant;
      const isTransient = error.code === 'timed_out' || error.code === 'mesh_unreachable';
      if (!isTransient || performance.now() > deadline) throw error;
      await connection.whenConnected();
      await pause(250);
    }
  }
}
