// The machine that was measured, as far as it matters for reading the figures. Nothing that names the host.

import {cpus, loadavg, release, totalmem, type} from 'node:os';

export type HostDescription = {
  cpu: string;
  cores: number;
  memoryGb: number;
  kernel: string;
  node: string;
  qemu: string | null;
  /** Processes that wanted to run in the last minute, before the benchmarks began: above 0 the host was not quiet. */
  loadBefore: number;
};

export function describeHost(qemu: string | undefined): HostDescription {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGb: Math.round(totalmem() / 1e9),
    kernel: `${type()} ${release()} (${process.arch})`,
    node: process.versions.node,
    qemu: qemu ?? null,
    loadBefore: Math.round(loadavg()[0] * 10) / 10,
  };
}

export function formatHost(host: HostDescription): string {
  const {cpu, cores, memoryGb, kernel, node, qemu, loadBefore} = host;
  const parts = [`${cpu}, ${cores} cores, ${memoryGb} GB`, kernel, `Node ${node}`];
  if (qemu !== null) parts.push(`QEMU ${qemu}`);
  return `${parts.join('; ')}; load before the run ${loadBefore}`;
}
