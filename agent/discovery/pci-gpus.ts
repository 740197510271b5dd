/** Display devices on the PCI bus, as sysfs has them: there whether or not a driver answers. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { busIdOf } from './bus-id.ts';
import type { Vendor } from './gpu-facts.ts';

export interface PciGpu {
  readonly vendor: Vendor;
  readonly busId: string;
  /** Kernel driver bound to it; null for none. */
  readonly driver: string | null;
  readonly numaNode: number | null;
}

const VENDORS: Readonly<Record<string, Vendor>> = { '0x10de': 'nvidia', '0x1002': 'amd' };
/** Base class 03: display controllers (VGA, 3D, other). */
const DISPLAY = /^0x03/;

export function readPciGpus(dir = '/sys/bus/pci/devices'): PciGpu[] {
  let names: string[];
  try {
    names = readdirSync(dir).sort();
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const device = join(dir, name);
    const busId = busIdOf(name);
    const vendor = VENDORS[textIn(device, 'vendor')];
    if (busId === null || vendor === undefined || !DISPLAY.test(textIn(device, 'class'))) return [];
    const node = textIn(device, 'numa_node');
    const numaNode = /^\d{1,6}$/.test(node) ? Number(node) : null;
    return [{ vendor, busId, driver: driverOf(device), numaNode }];
  });
}

function textIn(device: string, name: string): string {
  try {
    return readFileSync(join(device, name), 'utf8').trim();
  } catch {
    return '';
  }
}

function driverOf(device: string): string | null {
  try {
    return basename(readlinkSync(join(device, 'driver')));
  } catch {
    return null;
  }
}
