/** The example of `host.sampled`, the longest of the golden messages. */
import type { MessageData } from '#protocol/messages/catalog.ts';

export const goldenHostSampled: MessageData<'host.sampled'> = {
  first: 40,
  dropped: 5,
  samples: [
    {
      timeMs: 1_770_993_045_000,
      spanMs: 1_000.4,
      attempts: 1,
      cpus: 16,
      cpuBusy: 0.0712,
      cpuIowait: 0.001,
      cpuSteal: 0,
      otherCores: 0.11,
      load1: 1.08,
      memoryUsedBytes: 4_294_967_296,
      memoryAvailableBytes: 60_129_542_144,
      swapUsedBytes: 0,
      diskReadBps: 0,
      diskWriteBps: 40_960,
      diskBusy: 0.004,
      agentCores: 0.011,
      agentRssBytes: 94_371_840,
      gpus: [
        {
          index: 0,
          id: 'GPU-1',
          utilisationPercent: 98,
          memoryUtilisationPercent: 41,
          memoryUsedMiB: 38_120,
          powerW: 348.2,
          temperatureC: 74,
          smMHz: 2_385,
          memoryMHz: 9_001,
          clockReasons: ['sw_power_cap'],
          foreign: [{ pid: 20_037, name: 'ffmpeg' }],
        },
      ],
      gpuReason: null,
    },
  ],
};
