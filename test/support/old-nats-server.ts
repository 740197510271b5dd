/** A nats-server that is too old: Debian 12's, unpacked from its package where apt can get it. */
import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** The program in `dir`, or why there is none. */
export async function fetchOldServer(dir: string): Promise<{ file: string } | { missing: string }> {
  try {
    execFileSync('apt-get', ['download', 'nats-server'], {
      cwd: dir,
      stdio: 'ignore',
      timeout: 60_000,
    });
    const deb = (await readdir(dir)).find(
      (name) => name.startsWith('nats-server_') && name.endsWith('.deb'),
    );
    if (deb === undefined) return { missing: 'apt has no nats-server package' };
    execFileSync('dpkg', ['-x', deb, 'old'], { cwd: dir, stdio: 'ignore' });
    const file = join(dir, 'old', 'usr', 'sbin', 'nats-server');
    const version = execFileSync(file, ['--version'], { encoding: 'utf8' });
    return /v?2\.(\d|10)\./.test(version)
      ? { file }
      : { missing: `the package has ${version.trim()}` };
  } catch {
    return { missing: 'the package nats-server cannot be downloaded with apt-get here' };
  }
}
