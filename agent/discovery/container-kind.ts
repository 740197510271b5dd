/** Whether this is a container, and whose, by the marks that their makers leave. Pure. */
import type { ReadText } from './cgroup-limits.ts';

/** What the environment of this process says. */
export interface ContainerMarks {
  readonly read: ReadText;
  readonly exists: (path: string) => boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Null: none was recognised. Kubernetes first: its containers carry the marks of their runtime too. */
export function containerKind({ read, exists, env }: ContainerMarks): string | null {
  const cgroups = read('/proc/1/cgroup') ?? '';
  if (env['KUBERNETES_SERVICE_HOST'] !== undefined || /kubepods/.test(cgroups)) return 'kubernetes';
  if (exists('/run/.containerenv')) return 'podman';
  if (exists('/.dockerenv')) return 'docker';
  // systemd's container interface: `container=lxc`, and the same word in a file.
  const named = env['container'] ?? read('/run/systemd/container')?.trim() ?? '';
  if (/^[a-z][a-z0-9-]{0,31}$/.test(named)) return named;
  const [, runtime] = /\/(docker|lxc|containerd|libpod|garden|actions_job)[/-]/.exec(cgroups) ?? [];
  if (runtime !== undefined) return runtime === 'libpod' ? 'podman' : runtime;
  return null;
}
