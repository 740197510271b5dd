/** What this host is called, and what of it attempts may use: for the registration, at the start. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cpus, hostname, networkInterfaces, release, type } from 'node:os';
import type { Hardware } from '#protocol/messages/agent/hardware.ts';
import { bootId } from '#protocol/runtime/process-identity.ts';
import { affinityCpus, usableCpus, usableMemoryMiB } from '../discovery/host-facts.ts';

export interface HostInfo {
  readonly hostId: string;
  readonly hostname: string;
  readonly address: string;
  readonly bootId: string;
  readonly os: string;
  readonly kernel: string;
  readonly cpuModel: string;
  readonly cpus: number;
  readonly memoryMiB: number;
}

/** `reserved`: how many CPUs are kept from attempts. */
export function readHostInfo(hardware: Hardware, reserved: number): HostInfo {
  return {
    hostId: hostId(),
    hostname: hostname(),
    address: address(),
    bootId: bootId(),
    os: osName(),
    kernel: release(),
    cpuModel: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: usableCpus(hardware, affinityCpus() - reserved),
    memoryMiB: usableMemoryMiB(hardware),
  };
}

/**
 * The same for all agents of one machine, different between machines. Containers often share or
 * lack a machine id, so the host name is part of it; the id itself is never shown (machine-id(5)).
 */
function hostId(): string {
  const machine = firstLine('/etc/machine-id') ?? firstLine('/var/lib/dbus/machine-id') ?? bootId();
  return createHash('sha256')
    .update(`benchmesh:${machine}:${hostname()}`)
    .digest('hex')
    .slice(0, 20);
}

function address(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outside = all.filter((each) => !each.internal);
  return (outside.find((each) => each.family === 'IPv4') ?? outside[0])?.address ?? '127.0.0.1';
}

function osName(): string {
  const text = readText('/etc/os-release') ?? '';
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? type();
}

function firstLine(file: string): string | null {
  const line = readText(file)?.split('\n')[0]?.trim() ?? '';
  return line === '' ? null : line;
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
