/** nvidia-smi as a process: every way it has of not answering ends in a state with a reason. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AmdTool } from '#agent/discovery/amd-tool.ts';
import { NvidiaTool } from '#agent/discovery/nvidia-tool.ts';
import { createToolRunner } from '#agent/discovery/tool-runner.ts';
import { FakeTools } from '#test/support/fake-tools.ts';
import { isRunning } from '#test/support/processes.ts';
import { CAPTURES, fixtureText, section } from '#test/support/smi-captures.ts';
import { until } from '#test/support/until.ts';

const PATH = process.env['PATH'] ?? '';
let tools: FakeTools;
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'benchmesh-smi-'));
  tools = new FakeTools(dir);
  process.env['PATH'] = tools.path;
});
afterEach(() => {
  process.env['PATH'] = PATH;
  rmSync(dir, { recursive: true, force: true });
});

const nvidia = (timeoutMs = 5_000): NvidiaTool => new NvidiaTool(createToolRunner(timeoutMs));

describe('an nvidia-smi that answers', () => {
  it.each(CAPTURES)('%s', async (capture) => {
    tools.replay(capture, 'load');
    const { probe, gpus } = await nvidia().look([]);
    expect(probe).toEqual({ tool: 'nvidia-smi', state: 'ready', reason: null });
    expect(gpus).toHaveLength(capture === 'h100-mig' ? 5 : 1);
    const [gpu] = gpus;
    expect(gpu?.state).toBe(capture === 'h100-mig' ? 'partitioned' : 'ready');
    expect(gpu?.cuda).toMatch(/^13\.[12]$/);
    expect(gpu?.processes?.length).toBeGreaterThan(1);
    const used = gpus.filter(({ kind, processes }) => kind === 'mig' && processes?.length === 3);
    expect(used).toHaveLength(capture === 'h100-mig' ? 1 : 0);
  });

  it('asks for CUDA once, for instances only where there are any', async () => {
    tools.replay('l40s', 'idle');
    const tool = nvidia();
    await tool.look([]);
    await tool.look([]);
    const calls = tools.calls().map((call) => call.split('=')[0]);
    expect(calls).toEqual([
      '--query-gpu',
      '--query-compute-apps',
      '--version',
      '--query-gpu',
      '--query-compute-apps',
    ]);
  });

  it('an older one: what it refuses is not asked again, what it knows is told', async () => {
    const answers = {
      gpus: section('l40s', 'idle-gpus'),
      processes: '',
      table: section('l40s', 'idle-table'),
    };
    const refuse = (field: string): string =>
      `case "$*" in *${field}*) echo 'Field "${field}" is not a valid field to query.'; exit 2 ;; esac\n`;
    const noVersion =
      'case "$*" in *--version*) echo "Invalid combination of input arguments."; exit 1 ;; esac\n';
    tools.answer(answers, refuse('gpu_recovery_action') + refuse('compute_cap') + noVersion);
    const tool = nvidia();
    const { probe, gpus } = await tool.look([]);
    expect(probe.state).toBe('ready');
    expect(gpus[0]).toMatchObject({ state: 'ready', cuda: '13.2', name: 'NVIDIA L40S' });
    expect(tools.calls().filter((call) => call.startsWith('--query-gpu'))).toHaveLength(3);
    await tool.look([]);
    const last = tools
      .calls()
      .filter((call) => call.startsWith('--query-gpu'))
      .at(-1);
    expect(last).not.toMatch(/gpu_recovery_action|compute_cap/);
    expect(tools.calls().filter((call) => call.startsWith('--query-gpu'))).toHaveLength(4);
  });

  it('one that refuses without naming the field is asked for what all know', async () => {
    const before =
      'case "$*" in *persistence_mode*) echo "error: not a valid field"; exit 2 ;; esac\n';
    tools.answer({ gpus: section('l40s', 'idle-gpus'), processes: '', version: '' }, before);
    expect((await nvidia().look([])).gpus[0]).toMatchObject({ state: 'ready', cuda: null });
    const query = tools
      .calls()
      .filter((call) => call.startsWith('--query-gpu'))
      .at(-1);
    expect(query).toContain(
      '--query-gpu=index,uuid,name,pci.bus_id,memory.total,memory.free,driver_version ',
    );
  });

  it('a list of processes that fails leaves them unknown, and says so', async () => {
    tools.answer(
      { gpus: section('l40s', 'idle-gpus'), version: '' },
      'case "$*" in *compute-apps*) echo "Insufficient Permissions" >&2; exit 4 ;; esac\n',
    );
    const { probe, gpus } = await nvidia().look([]);
    expect(gpus[0]).toMatchObject({ state: 'ready', processes: null });
    expect(probe).toMatchObject({ state: 'degraded' });
    expect(probe.reason).toBe(
      '--query-compute-apps: nvidia-smi ended with status 4: Insufficient Permissions',
    );
  });
});

/** A process in a frozen cgroup does not die of SIGKILL: like one that a driver holds. */
const FREEZER = `/sys/fs/cgroup/freezer/benchmesh-test-${process.pid}`;
const canFreeze = ((): boolean => {
  try {
    mkdirSync(FREEZER);
    rmdirSync(FREEZER);
    return true;
  } catch {
    return false;
  }
})();

describe('an nvidia-smi that does not', () => {
  it.runIf(canFreeze)(
    'cannot be killed: nobody waits for it, and no second one joins it',
    async () => {
      mkdirSync(FREEZER);
      const freeze = (state: 'FROZEN' | 'THAWED'): void => {
        writeFileSync(join(FREEZER, 'freezer.state'), state);
      };
      tools.install(
        'nvidia-smi',
        `echo >>'${dir}/begun'; echo $$ >'${FREEZER}/cgroup.procs'; echo FROZEN >'${FREEZER}/freezer.state'; exec sleep 300`,
      );
      const tool = nvidia(500);
      try {
        expect((await tool.look([])).probe.reason).toBe('nvidia-smi hangs: no end after 0.5 s');
        const { probe } = await tool.look([]);
        expect(probe.state).toBe('failed');
        expect(probe.reason).toMatch(/the one before \(pid \d+\) hangs and cannot be killed/);
        expect(readFileSync(join(dir, 'begun'), 'utf8')).toBe('\n');
      } finally {
        freeze('THAWED');
      }
      tools.replay('l40s', 'idle');
      await until(
        async () => (await tool.look([])).probe.state === 'ready',
        'it to be asked again',
      );
      await until(() => {
        rmdirSync(FREEZER);
        return true;
      }, 'its cgroup to be empty');
    },
  );

  it.each([
    ['is missing', null, 'absent', 'it is not installed'],
    [
      'has no driver',
      'echo "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver."; exit 9',
      'failed',
      "nvidia-smi ended with status 9: NVIDIA-SMI has failed because it couldn't communicate",
    ],
    [
      'is of another version than the driver',
      'echo "Failed to initialize NVML: Driver/library version mismatch" >&2; exit 18',
      'failed',
      'status 18: Failed to initialize NVML: Driver/library version mismatch',
    ],
    ['finds nothing', 'echo "No devices were found"; exit 6', 'failed', 'No devices were found'],
    ['finds nothing, gladly', 'echo "No devices were found"', 'failed', 'lists no GPU: No devices'],
    ['crashes', 'kill -SEGV $$', 'failed', 'nvidia-smi was killed by SIGSEGV'],
    ['is silent', 'exit 0', 'failed', 'nvidia-smi lists no GPU'],
    ['prints garbage', 'head -c 4096 /dev/urandom', 'failed', 'nvidia-smi lists no GPU'],
    ['never stops printing', 'yes', 'failed', 'nvidia-smi printed more than 2048 KiB'],
    ['is no program', '\0', 'failed', 'nvidia-smi'],
  ])('%s', async (_name, script, state, reason) => {
    if (script !== null) tools.install('nvidia-smi', script);
    const { probe, gpus } = await nvidia().look([]);
    expect(gpus).toEqual([]);
    expect(probe.state).toBe(state);
    expect(probe.reason).toContain(reason);
    expect(probe.reason?.length).toBeLessThan(400);
  });

  it('may not be run', async () => {
    tools.install('nvidia-smi', 'exit 0');
    process.env['PATH'] = dir;
    chmodSync(join(dir, 'nvidia-smi'), 0o000);
    const { probe } = await nvidia().look([]);
    expect(probe.state).toBe('failed');
    expect(probe.reason).toMatch(/cannot be run: .*EACCES/);
  });

  it('hangs: it is killed with its children at the limit, and nobody waits for its pipe', async () => {
    const wedged = fixtureText('uncooperative.sh.txt').replace(
      'sleep 30 &',
      'sleep 300 & echo $! >pid',
    );
    tools.install('nvidia-smi', `cd '${dir}'\n${wedged}`);
    const tool = nvidia(400);
    const { probe } = await tool.look([]);
    expect(probe).toMatchObject({
      state: 'failed',
      reason: 'nvidia-smi hangs: no end after 0.4 s',
    });
    // It was killed for good: the next look asks again.
    const child = Number(readFileSync(join(dir, 'pid'), 'utf8'));
    tools.replay('l40s', 'idle');
    expect((await tool.look([])).gpus[0]?.state).toBe('ready');
    await until(() => !isRunning(child), 'the child to die with its group');
  });

  it('ends and leaves a child that holds the pipe: its answer is taken, the child killed', async () => {
    tools.replay('l40s', 'idle');
    const answers = { gpus: section('l40s', 'idle-gpus'), processes: '', version: '' };
    tools.answer(answers, `sleep 300 & echo $! >'${dir}/pid'\n`);
    const { gpus } = await nvidia(8_000).look([]);
    expect(gpus[0]?.state).toBe('ready');
    const child = Number(readFileSync(join(dir, 'pid'), 'utf8'));
    await until(() => !isRunning(child), 'the child to die');
  });

  it('is slow: it is waited for', async () => {
    tools.answer({ gpus: section('l40s', 'idle-gpus'), processes: '', version: '' }, 'sleep 0.5\n');
    expect((await nvidia().look([])).gpus[0]?.state).toBe('ready');
  });

  it('hangs in a later call: what is known stands, and no further call is made', async () => {
    tools.answer(
      { gpus: section('h100-mig', 'idle-gpus') },
      'case "$*" in *query-gpu*) ;; *) sleep 30 ;; esac\n',
    );
    const { probe, gpus } = await nvidia(500).look([]);
    expect(probe.state).toBe('degraded');
    expect(probe.reason).toContain('--query-compute-apps: nvidia-smi hangs');
    expect(gpus[0]).toMatchObject({ state: 'failed', processes: null });
    expect(gpus[0]?.reason).toBe('it is in MIG mode and nvidia-smi could not list its instances');
    expect(tools.calls()).toHaveLength(2);
  });

  it('one GPU is lost and hides the others: they are asked for one by one', async () => {
    const lost = 'Unable to determine the device handle for GPU 0000:02:00.0: GPU is lost.';
    tools.answer(
      { gpus: section('l40s', 'idle-gpus'), processes: '', version: '' },
      `case "$*" in *"-i 0000:01:00.0"*) ;; *query-gpu*) echo "${lost}"; exit 15 ;; esac\n`,
    );
    const { probe, gpus } = await nvidia().look(['0000:01:00.0', '0000:02:00.0']);
    expect(gpus.map(({ busId, state }) => [busId, state])).toEqual([
      ['0000:02:00.0', 'failed'],
      ['0000:01:00.0', 'ready'],
    ]);
    expect(gpus[0]?.reason).toBe('nvidia-smi: GPU is lost.');
    expect(probe).toMatchObject({ state: 'degraded' });
  });
});

describe('rocm-smi (not tested on hardware)', () => {
  const rocm = (): AmdTool => new AmdTool(createToolRunner(2_000));
  const cards = {
    card0: {
      'Card Series': 'Instinct MI210',
      'Unique ID': '0xAB12',
      'PCI Bus': '0000:63:00.0',
      'VRAM Total Memory (B)': '68702699520',
      'VRAM Total Used Memory (B)': '10960896',
      'GFX Version': 'gfx90a',
      'Max Graphics Package Power (W)': '300.0',
    },
    card1: { 'Card series': 'N/A', 'VRAM Total Memory (B)': 1_048_576 },
    system: { 'Driver version': '6.7.0' },
  };

  it('tells cards, whatever it warns of before', async () => {
    tools.install(
      'rocm-smi',
      `echo "WARNING: a device is asleep {"\ncat <<'END'\n${JSON.stringify(cards)}\nEND`,
    );
    const broken = await rocm().look();
    expect(broken.probe.state).toBe('failed'); // a brace in a warning is no JSON
    tools.install(
      'rocm-smi',
      `echo "WARNING: a device is asleep"\ncat <<'END'\n${JSON.stringify(cards)}\nEND`,
    );
    const { probe, gpus } = await rocm().look();
    expect(probe).toEqual({ tool: 'rocm-smi', state: 'ready', reason: null });
    expect(gpus[0]).toMatchObject({
      ...{ id: 'AMD-ab12', state: 'ready', vendor: 'amd', name: 'Instinct MI210', index: 0 },
      ...{ busId: '0000:63:00.0', memoryMiB: 65_520, memoryFreeMiB: 65_509, driver: '6.7.0' },
      ...{ computeCapability: 'gfx90a', powerLimitW: 300 },
    });
    expect(gpus[1]).toMatchObject({
      id: 'amd-1',
      state: 'degraded',
      reason: 'rocm-smi does not tell its name',
    });
  });

  it.each([
    ['is missing', null, 'absent', 'it is not installed'],
    ['prints no JSON', 'echo hello', 'failed', 'rocm-smi: it printed no JSON'],
    ['prints half of it', 'echo \'{"card0": }\'', 'failed', 'is no JSON'],
    ['prints another JSON', 'echo \'{"card0": 7}\'', 'failed', 'not by cards'],
    ['has no cards', "echo '{}'", 'failed', 'rocm-smi lists no GPU'],
    ['crashes', 'echo "ERROR: no driver" >&2; exit 2', 'failed', 'status 2: ERROR: no driver'],
    ['hangs', 'sleep 30', 'failed', 'rocm-smi hangs: no end after 2 s'],
  ])('%s', async (_name, script, state, reason) => {
    if (script !== null) tools.install('rocm-smi', script);
    const { probe, gpus } = await rocm().look();
    expect([probe.state, gpus]).toEqual([state, []]);
    expect(probe.reason).toContain(reason);
  });
});
